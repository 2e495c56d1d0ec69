"""What tests of models and operators are written with: comparisons, random arrays, gradient checks (mx.test_utils).

Symbols are used through their public methods only.  Called by: users' tests.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .base import ArgumentError, Context, current_context
from .ndarray import NDArray, array, zeros

_RTOLS = {"float16": 1e-2, "bfloat16": 1e-1, "float32": 1e-4, "float64": 1e-5}
_ATOLS = {"float16": 1e-1, "bfloat16": 1e-1, "float32": 1e-3, "float64": 1e-20}
_STEPS = {"float16": 2.0**-6, "float32": 2.0**-9, "float64": 2.0**-14}


def default_context() -> Context:
    """Return the context that tests run on: the current one."""
    return current_context()


def set_default_context(ctx: Context) -> None:
    """Make `ctx` the current context of this thread."""
    Context._stack.current = ctx


def default_dtype() -> type:
    """Return the dtype that tests use: float32."""
    return np.float32


def get_rtol(rtol: float | None = None, dtype: Any = np.float64) -> float:
    """Return rtol, or where it is None what suits results of that dtype (0 for integers)."""
    return _RTOLS.get(np.dtype(dtype).name, 0) if rtol is None else rtol


def get_atol(atol: float | None = None, dtype: Any = np.float64) -> float:
    """Return atol, or where it is None what suits results of that dtype (0 for integers)."""
    return _ATOLS.get(np.dtype(dtype).name, 0) if atol is None else atol


# ---- random arrays ----


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """Return a float32 NumPy array of normal numbers for each shape; a single one alone."""
    made = [np.array(np.random.randn(*shape), dtype=np.float32) for shape in shapes]
    return made[0] if len(made) == 1 else made


def rand_ndarray(
    shape: tuple[int, ...],
    stype: str = "default",
    density: float | None = None,
    dtype: Any = None,
    modifier_func: Callable[[float], float] | None = None,
    shuffle_csr_indices: bool = False,
    distribution: str | None = None,
    ctx: Context | None = None,
) -> NDArray:
    """Return an array of normal numbers, each sent through modifier_func.  Raises ArgumentError for sparse storage."""
    if stype != "default":
        raise ArgumentError(f"rand_ndarray: stype is {stype!r}, expected 'default'")
    values = random_arrays(shape)
    if modifier_func is not None:
        values = np.vectorize(modifier_func)(values)
    return array(values, ctx, dtype)


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Return a random shape of num_dim dimensions from 1 (0 with allow_zero_size) to dim."""
    return tuple(int(n) for n in np.random.randint(0 if allow_zero_size else 1, dim + 1, size=num_dim))


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Return a random shape of two dimensions, each at most as large as given."""
    return tuple(rand_shape_nd(1, dim, allow_zero_size)[0] for dim in (dim0, dim1))


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Return a random shape of three dimensions, each at most as large as given."""
    return tuple(rand_shape_nd(1, dim, allow_zero_size)[0] for dim in (dim0, dim1, dim2))


# ---- comparisons ----


def same(a: Any, b: Any) -> bool:
    """Tell whether two arrays have the same shape and elements."""
    return np.array_equal(_numpy(a), _numpy(b))


def same_array(array1: NDArray, array2: NDArray) -> bool:
    """Tell whether two arrays are on the same memory."""
    return array1.address == array2.address and array1.nbytes == array2.nbytes


def almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    use_broadcast: bool = True,
) -> bool:
    """Tell whether |a - b| <= atol + rtol |b| everywhere; without use_broadcast the shapes must agree too."""
    a, b = _numpy(a), _numpy(b)
    rtol, atol = _tolerances(a, b, rtol, atol)
    return (use_broadcast or a.shape == b.shape) and bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def find_max_violation(a: np.ndarray, b: np.ndarray, rtol: float, atol: float) -> tuple[tuple, float]:
    """Return where |a - b| exceeds atol + rtol |b| most, and the quotient of the two there."""
    a, b = np.broadcast_arrays(a, b)
    with np.errstate(all="ignore"):
        violation = np.abs(a - b) / (atol + rtol * np.abs(b) + 1e-20)
    violation = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.where(np.isnan(violation), np.inf, violation))
    at = np.unravel_index(int(np.argmax(violation)), violation.shape)
    return tuple(int(i) for i in at), float(violation[at])


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    names: Sequence[str] = ("a", "b"),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """Raise AssertionError unless |a - b| <= atol + rtol |b| everywhere; say where it fails most and how often.

    rtol, atol None: what suits the coarser dtype of the two.   mismatches: how many elements to show for small and for
    large arrays.
    """
    a, b = _numpy(a), _numpy(b)
    rtol, atol = _tolerances(a, b, rtol, atol)
    if almost_equal(a, b, rtol, atol, equal_nan, use_broadcast):
        return
    if a.shape != b.shape and not use_broadcast:
        raise AssertionError(f"shapes differ: {names[0]} has {a.shape}, {names[1]} has {b.shape}")
    x, y = np.broadcast_arrays(a.astype(np.float64), b.astype(np.float64))
    wrong = ~np.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
    at, error = find_max_violation(x, y, rtol, atol)
    shown = [
        f"  {tuple(map(int, i))}: {names[0]}={x[tuple(i)]:.8f}, {names[1]}={y[tuple(i)]:.8f}"
        for i in np.argwhere(wrong)[: mismatches[0 if x.size <= 100 else 1]]
    ]
    raise AssertionError(
        f"Items are not equal:\nError {error:f} exceeds tolerance rtol={rtol:e}, atol={atol:e} "
        f"(mismatch {100 * wrong.mean():f}%).\nLocation of maximum error: {at}, "
        f"{names[0]}={x[at]:.8f}, {names[1]}={y[at]:.8f}\n" + "\n".join(shown)
    )


def assert_exception(f: Callable, exception_type: type[BaseException], *args: Any, **kwargs: Any) -> None:
    """Raise AssertionError unless f(*args, **kwargs) raises exception_type."""
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"{f} did not raise {exception_type.__name__}")


def _numpy(x: Any) -> np.ndarray:
    return x.asnumpy() if isinstance(x, NDArray) else np.asarray(x)


def _tolerances(a: np.ndarray, b: np.ndarray, rtol: float | None, atol: float | None) -> tuple[float, float]:
    return max(get_rtol(rtol, x.dtype) for x in (a, b)), max(get_atol(atol, x.dtype) for x in (a, b))


# ---- symbols ----


def simple_forward(sym: Any, ctx: Context | None = None, is_train: bool = False, **inputs: Any) -> Any:
    """Return the outputs of a symbol on the given inputs as NumPy arrays; a single one alone."""
    ctx = ctx or default_context()
    executor = sym.bind(ctx, args={name: array(value, ctx) for name, value in inputs.items()})
    outputs = [out.asnumpy() for out in executor.forward(is_train=is_train)]
    return outputs[0] if len(outputs) == 1 else outputs


def check_symbolic_forward(
    sym: Any,
    location: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    aux_states: Any = None,
    ctx: Context | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> list[NDArray]:
    """Assert that a symbol gives the expected outputs, and return them.

    location, aux_states, expected: lists in the order of list_arguments(), list_auxiliary_states() and list_outputs(),
    or dicts by name.
    """
    ctx = ctx or default_context()
    args, aux = _bound(sym, location, aux_states, ctx, dtype)
    executor = sym.bind(ctx, args=args, args_grad=None, grad_req="null", aux_states=aux)
    outputs = executor.forward(is_train=False)
    for name, wanted in _by_name(expected, sym.list_outputs()).items():
        came = outputs[sym.list_outputs().index(name)]
        assert_almost_equal(wanted, came, rtol, atol, (f"EXPECTED_{name}", f"FORWARD_{name}"), equal_nan)
    return outputs


def check_symbolic_backward(
    sym: Any,
    location: Any,
    out_grads: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    aux_states: Any = None,
    grad_req: Any = "write",
    ctx: Context | None = None,
    grad_stypes: Any = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> dict[str, NDArray]:
    """Assert that a symbol gives the expected gradients, and return them.

    out_grads: the gradients of the outputs, a list, a dict by name or None.   grad_req: one for all, a list or a dict;
    gradients start at random values, to which 'add' adds and which 'null' keeps.   The rest as in
    check_symbolic_forward.
    """
    ctx = ctx or default_context()
    args, aux = _bound(sym, location, aux_states, ctx, dtype)
    expected = _by_name(expected, sym.list_arguments())
    before = {name: random_arrays(args[name].shape).astype(dtype) for name in expected}
    grads = {name: array(value, ctx, dtype) for name, value in before.items()}
    requests = _requests(grad_req, sym.list_arguments())
    executor = sym.bind(ctx, args=args, args_grad=grads, grad_req=requests, aux_states=aux)
    executor.forward(is_train=True)
    heads = None
    if out_grads is not None:
        heads = [array(value, ctx, dtype) for value in _by_name(out_grads, sym.list_outputs()).values()]
    executor.backward(heads)
    for name, wanted in expected.items():
        _assert_gradient(name, requests[name], before[name], _numpy(wanted), grads[name], rtol, atol, equal_nan)
    return executor.grad_dict


def numeric_grad(
    executor: Any,
    location: Mapping[str, np.ndarray],
    aux_states: Mapping[str, np.ndarray] | None = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = np.float32,
    heads: Sequence[np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Return the central differences of the sum of an executor's outputs, by argument name.

    heads: a weight for every element of every output (default 1).   aux_states: what auxiliary states hold before each
    run.   eps: the distance of the two points.
    """

    def total() -> float:
        for name, value in (aux_states or {}).items():
            executor.aux_dict[name][:] = value
        outputs = executor.forward(is_train=use_forward_train)
        weights = [np.ones(out.shape) for out in outputs] if heads is None else heads
        return sum(float((out.asnumpy().astype(np.float64) * w).sum()) for out, w in zip(outputs, weights))

    gradients = {}
    for name, value in location.items():
        values = np.array(value, dtype=dtype)
        gradient = np.zeros(values.shape, np.float64)
        for i in np.ndindex(values.shape):
            middle = values[i]
            sides = []
            for step in (eps / 2, -eps / 2):
                values[i] = middle + dtype(step)
                executor.arg_dict[name][:] = values
                # The points as they are after rounding.
                sides.append((total(), float(values[i])))
            values[i] = middle
            gradient[i] = (sides[0][0] - sides[1][0]) / (sides[0][1] - sides[1][1])
        executor.arg_dict[name][:] = values
        gradients[name] = gradient.astype(dtype)
    return gradients


def check_numeric_gradient(
    sym: Any,
    location: Any,
    aux_states: Any = None,
    numeric_eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    grad_nodes: Any = None,
    use_forward_train: bool = True,
    ctx: Context | None = None,
    grad_stype_dict: Any = None,
    dtype: Any = np.float32,
) -> None:
    """Assert that a symbol's gradients agree with central differences, for random gradients of the outputs.

    location, aux_states: as in check_symbolic_forward.   grad_nodes: the arguments to check, a list or a dict of
    grad_req by name (default: all that location holds).   numeric_eps None: 2^-9 for float32.   rtol, atol None: 1e-2
    and 1e-3, for differences are not more exact.
    """
    ctx = ctx or default_context()
    dtype = np.dtype(dtype).type
    args, aux = _bound(sym, location, aux_states, ctx, dtype)
    requests = grad_nodes if isinstance(grad_nodes, dict) else dict.fromkeys(grad_nodes or args, "write")
    before = {name: random_arrays(args[name].shape).astype(dtype) for name in requests}
    grads = {name: array(value, ctx, dtype) for name, value in before.items()}
    all_requests = {name: requests.get(name, "null") for name in sym.list_arguments()}
    points = {name: args[name].asnumpy() for name in requests if requests[name] != "null"}
    states = {name: value.asnumpy() for name, value in aux.items()}
    executor = sym.bind(ctx, args=args, args_grad=grads, grad_req=all_requests, aux_states=aux)
    outputs = executor.forward(is_train=True)
    # Away from 0, so that no output's gradient hides.
    heads = [np.random.uniform(0.1, 1.1, out.shape).astype(dtype) for out in outputs]
    executor.backward([array(head, ctx, dtype) for head in heads])
    step = numeric_eps if numeric_eps is not None else _STEPS[np.dtype(dtype).name]
    wanted = numeric_grad(executor, points, states, step, use_forward_train, dtype, heads)
    rtol, atol = 1e-2 if rtol is None else rtol, 1e-3 if atol is None else atol
    for name, request in requests.items():
        expected = wanted.get(name, np.zeros_like(before[name]))
        _assert_gradient(name, request, before[name], expected, grads[name], rtol, atol, False)


def _assert_gradient(name, request, before, wanted, came, rtol, atol, equal_nan) -> None:
    after = {"write": wanted, "add": before + wanted, "null": before}[request]
    assert_almost_equal(after, came, rtol, atol, (f"EXPECTED_{name}", f"BACKWARD_{name}"), equal_nan)


def _bound(sym: Any, location: Any, aux_states: Any, ctx: Context, dtype: Any) -> tuple[dict, dict]:
    """Return arguments and auxiliary states as NDArrays by name; states that were not given are zeros."""
    args = {k: array(_numpy(v), ctx, dtype) for k, v in _by_name(location, sym.list_arguments()).items()}
    aux = {k: array(_numpy(v), ctx, dtype) for k, v in _by_name(aux_states or {}, sym.list_auxiliary_states()).items()}
    if sym.list_auxiliary_states() and not aux:
        shapes = sym.infer_shape(**{name: x.shape for name, x in args.items()})[2]
        aux = {name: zeros(shape, ctx, dtype) for name, shape in zip(sym.list_auxiliary_states(), shapes)}
    return args, aux


def _by_name(values: Any, names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        if len(values) != len(names):
            raise ArgumentError(f"{len(values)} arrays came, expected {len(names)}: {', '.join(names)}")
        return dict(zip(names, values))
    unknown = [name for name in values if name not in names]
    if unknown:
        raise ArgumentError(f"{unknown[0]!r} came, expected some of {', '.join(names)}")
    return dict(values)


def _requests(grad_req: Any, names: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(names, grad_req) if isinstance(grad_req, str) else _by_name(grad_req, names)
