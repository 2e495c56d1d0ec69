"""Comparisons and random arrays of tests (mx.test_utils).

Called by: symbols.py, users' tests.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..base import ArgumentError, Context, current_context
from ..ndarray import NDArray, array

_RTOLS = {"float16": 1e-2, "bfloat16": 1e-1, "float32": 1e-4, "float64": 1e-5}
_ATOLS = {"float16": 1e-1, "bfloat16": 1e-1, "float32": 1e-3, "float64": 1e-20}


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


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[int, int]:
    """Return two random integers, the first from x_low to x_high - 1, the second from y_low to y_high - 1."""
    return int(np.random.randint(x_low, x_high)), int(np.random.randint(y_low, y_high))


def random_uniform_arrays(*shapes: tuple[int, ...], low: float = 0.0, high: float = 1.0, dtype: Any = None) -> Any:
    """Return a NumPy array (None: float32) of numbers from [low, high) for each shape; a list, even of a single one."""
    return [np.random.uniform(low, high, shape).astype(dtype or default_dtype()) for shape in shapes]


def random_sample(population: Sequence, k: int) -> list:
    """Return k different members of `population` in random order."""
    return [population[int(i)] for i in np.random.permutation(len(population))[:k]]


def create_vector(size: int, dtype: Any = np.int64) -> NDArray:
    """Return 0, 1, ..., size - 1."""
    return array(np.arange(size), dtype=dtype)


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> NDArray:
    """Return an array (rows, columns) whose every element is the number of its row."""
    return array(np.repeat(np.arange(rows)[:, None], columns, axis=1), dtype=dtype)


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


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    etol: float | None = None,
    names: Sequence[str] = ("a", "b"),
    equal_nan: bool = False,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """Raise AssertionError where more than the fraction etol of the elements (None: any) differ by more than the others
    allow.
    """
    a, b = _numpy(a), _numpy(b)
    rtol_, atol_ = _tolerances(a, b, rtol, atol)
    if (~np.isclose(a, b, rtol=rtol_, atol=atol_, equal_nan=equal_nan)).mean() > (etol or 0):
        assert_almost_equal(a, b, rtol, atol, names, equal_nan, mismatches=mismatches)


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: float | None = None, atol: float | None = None, names: Sequence[str] = ("a", "b")
) -> None:
    """Compare as assert_almost_equal does, but leave out where either array holds NaN."""
    a, b = _numpy(a), _numpy(b)
    kept = ~(np.isnan(a) | np.isnan(b))
    assert_almost_equal(a[kept], b[kept], rtol, atol, names)


def np_reduce(dat: np.ndarray, axis: Any, keepdims: bool, numpy_reduce_func: Callable) -> np.ndarray:
    """Return `dat` reduced over an axis, some of them, or all (None) by a NumPy function such as np.sum."""
    axes = tuple(range(dat.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    for i in sorted((i % dat.ndim for i in axes), reverse=True):
        dat = numpy_reduce_func(dat, axis=i)
        dat = np.expand_dims(dat, i) if keepdims else dat
    return dat


@contextmanager
def discard_stderr() -> Iterator[None]:
    """Send to nowhere what the process writes to its standard error stream within the block."""
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _numpy(x: Any) -> np.ndarray:
    return x.asnumpy() if isinstance(x, NDArray) else np.asarray(x)


def _tolerances(a: np.ndarray, b: np.ndarray, rtol: float | None, atol: float | None) -> tuple[float, float]:
    return max(get_rtol(rtol, x.dtype) for x in (a, b)), max(get_atol(atol, x.dtype) for x in (a, b))
