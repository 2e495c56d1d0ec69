"""Checks of symbols: outputs, gradients, agreement between contexts and dtypes (mx.test_utils).

Symbols are used through their public methods only.  Called by: users' tests.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..base import ArgumentError, Context
from ..ndarray import NDArray, array, waitall, zeros
from .arrays import _numpy, assert_almost_equal, default_context, random_arrays

_STEPS = {"float16": 2.0**-6, "float32": 2.0**-9, "float64": 2.0**-14}


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


def check_consistency(
    sym: Any,
    ctx_list: Sequence[Mapping[str, Any]],
    scale: float = 1.0,
    grad_req: Any = "write",
    arg_params: Mapping[str, Any] | None = None,
    aux_params: Mapping[str, Any] | None = None,
    rtol: Any = None,
    atol: Any = None,
    raise_on_err: bool = True,
    ground_truth: Mapping[str, Any] | None = None,
    equal_nan: bool = False,
    use_uniform: bool = False,
    rand_type: Any = np.float64,
) -> dict[str, np.ndarray]:
    """Assert that a symbol, or several alike, gives the same outputs and gradients however it is bound.

    ctx_list: the arguments of simple_bind, a dict for each binding.   scale: how wide random values spread, normal or
    uniform, where arg_params gives none; auxiliary states start at 0.   rtol, atol: a number, or a dict by dtype.
    ground_truth: what to compare with (default: the binding with the finest outputs), which is also returned: outputs
    and gradients by name.   raise_on_err: otherwise differences are printed.
    """
    symbols = list(sym) if isinstance(sym, (list, tuple)) else [sym] * len(ctx_list)
    executors = [s.simple_bind(grad_req=grad_req, **ctx) for s, ctx in zip(symbols, ctx_list)]
    values = {name: _numpy(value) for name, value in {**(arg_params or {}), **(aux_params or {})}.items()}
    for name, x in executors[0].arg_dict.items():
        if name not in values:
            drawn = np.random.uniform(-scale, scale, x.shape) if use_uniform else np.random.normal(0, scale, x.shape)
            values[name] = drawn.astype(rand_type)
    for executor in executors:
        for name, x in {**executor.arg_dict, **executor.aux_dict}.items():
            x[:] = values.get(name, 0)
    finest = max(executors, key=lambda e: np.dtype(e.outputs[0].dtype).itemsize)
    truth: dict[str, np.ndarray] = {}

    def compare(of) -> None:
        truth.update({name: _numpy((ground_truth or {}).get(name, x)) for name, x in of(finest).items()})
        for number, executor in enumerate(executors):
            for name, x in of(executor).items():
                dtype = max((x.dtype, truth[name].dtype), key=lambda t: _STEPS.get(np.dtype(t).name, 0))
                r, a = (t.get(np.dtype(dtype)) if isinstance(t, Mapping) else t for t in (rtol, atol))
                try:
                    assert_almost_equal(x, truth[name], r, a, (f"{name}_{number}", name), equal_nan)
                except AssertionError as e:
                    if raise_on_err:
                        raise
                    print(e)

    trains = any(g is not None for g in finest.grad_arrays)
    for mode in (False, True)[: 1 + trains]:
        for executor in executors:
            executor.forward(is_train=mode)
        compare(lambda e: e.output_dict)
    if trains:
        heads = [out.asnumpy() for out in finest.outputs]
        for executor in executors:
            executor.backward([array(h, out.context, out.dtype) for h, out in zip(heads, executor.outputs)])
        compare(lambda e: {name: g for name, g in e.grad_dict.items() if g is not None})
    return truth


def check_speed(
    sym: Any,
    location: Mapping[str, Any] | None = None,
    ctx: Context | None = None,
    N: int = 20,
    grad_req: Any = None,
    typ: str = "whole",
    **kwargs: Any,
) -> float:
    """Return the seconds that one run of a symbol takes, the mean of N.

    location: values of arguments; without it kwargs hold their shapes.   typ: 'whole' is forward and backward,
    'forward' inference alone.
    """
    if typ not in ("whole", "forward"):
        raise ArgumentError(f"check_speed: typ is {typ!r}, expected 'whole' or 'forward'")
    shapes = kwargs if location is None else {name: np.shape(value) for name, value in location.items()}
    executor = sym.simple_bind(ctx or default_context(), grad_req=grad_req or "write", **shapes)
    for name, x in executor.arg_dict.items():
        x[:] = np.random.normal(size=x.shape) if location is None else location.get(name, 0)

    def run() -> None:
        outputs = executor.forward(is_train=typ == "whole")
        if typ == "whole":
            executor.backward(outputs)

    run()
    waitall()
    start = time.perf_counter()
    for _ in range(N):
        run()
    waitall()
    return (time.perf_counter() - start) / N


def compare_optimizer(
    opt1: Any,
    opt2: Any,
    shape: Any,
    dtype: Any,
    w_stype: str = "default",
    g_stype: str = "default",
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
    ntensors: int = 1,
) -> None:
    """Assert that two optimizers make the same weights, and states, of the same random weights and gradients.

    shape: of one weight, or a list of shapes for several, which are updated together.   ntensors: how many weights of
    one shape.  Raises ArgumentError for sparse storage.
    """
    if w_stype != "default" or g_stype != "default":
        raise ArgumentError(f"compare_optimizer: storage is {w_stype!r} and {g_stype!r}, expected 'default'")
    shapes = list(shape) if isinstance(shape, list) else [shape] * ntensors
    weights, gradients = ([np.random.uniform(-1, 1, s) for s in shapes] for _ in range(2))
    made = []
    for optimizer in (opt1, opt2):
        ws, gs = ([array(x, dtype=dtype) for x in xs] for xs in (weights, gradients))
        states = [optimizer.create_state_multi_precision(i, w) for i, w in enumerate(ws)]
        if len(ws) == 1:
            optimizer.update_multi_precision(0, ws[0], gs[0], states[0])
        else:
            optimizer.update_multi_precision(list(range(len(ws))), ws, gs, states)
        made.append((ws, states))
    if compare_states:
        compare_ndarray_tuple(made[0][1], made[1][1], rtol, atol)
    compare_ndarray_tuple(made[0][0], made[1][0], rtol, atol)


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Assert that two arrays, or nests of tuples of them, are almost equal; None on either side is equal to all."""
    if t1 is None or t2 is None:
        return
    if isinstance(t1, (list, tuple)):
        for a, b in zip(t1, t2, strict=True):
            compare_ndarray_tuple(a, b, rtol, atol)
    else:
        assert_almost_equal(t1, t2, rtol, atol)


def same_symbol_structure(sym1: Any, sym2: Any) -> bool:
    """Tell whether two symbols have the same operators, node by node in order, whatever their names."""
    ops = [
        [None if e.node.op is None else e.node.op.name for e in s.get_internals().graph.outputs] for s in (sym1, sym2)
    ]
    return ops[0] == ops[1]


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
