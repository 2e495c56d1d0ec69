"""Functions that make arrays.   ctx None is the current context; dtype None is float32.   Called by: users."""

from typing import Any

import numpy as np

from ..base import NUMPY_DTYPES, ArgumentError, ArgumentTypeError, Context, dtype_name
from ..ops import find
from ._context import context_from
from ._host import store
from ._invoke import invoke
from .indexing import fill
from .ndarray import NDArray

_ZEROS, _ONES, _ARANGE = find("_zeros"), find("_ones"), find("_arange")
_LINSPACE, _EYE, _CONCAT = find("_linspace"), find("_eye"), find("Concat")


def empty(shape, ctx: Context | None = None, dtype: Any = None, stype: str | None = None) -> NDArray:
    """Return an uninitialised array."""
    _check_dense("empty", stype)
    context = context_from(ctx)
    return NDArray.empty(_shape(shape), dtype_name(dtype), context.device_typeid, context.device_id)


def zeros(shape, ctx: Context | None = None, dtype: Any = None, stype: str | None = None, **kwargs) -> NDArray:
    """Return zeros.  Raises MXNetError for a shape that is empty or holds 0, which means unknown, as in MXNet."""
    _check_dense("zeros", stype)
    return _filled(_ZEROS, 0, shape, ctx, dtype, kwargs)


def ones(shape, ctx: Context | None = None, dtype: Any = None, **kwargs) -> NDArray:
    """Return ones.  Raises MXNetError for a shape that is empty or holds 0, which means unknown, as in MXNet."""
    return _filled(_ONES, 1, shape, ctx, dtype, kwargs)


def _filled(op: Any, number: int, shape, ctx, dtype, kwargs: dict[str, Any]) -> NDArray:
    context = context_from(ctx)
    sizes = (shape,) if type(shape) is int else shape
    if not kwargs and context.device_type != "gpu" and sizes and all(type(n) is int and n > 0 for n in sizes):
        return NDArray.filled(tuple(sizes), dtype_name(dtype), number, context.device_typeid, context.device_id)
    out = kwargs.pop("out", None)
    return invoke(op, (), {"shape": shape, "dtype": dtype_name(dtype), **kwargs}, out, context, NDArray)


def full(shape, val: Any, ctx: Context | None = None, dtype: Any = np.float32, out: NDArray | None = None) -> NDArray:
    """Return an array that holds `val` everywhere: a number, or what broadcasts to `shape`."""
    out = empty(shape, ctx, dtype) if out is None else out
    fill(out, val)
    return out


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a copy of a list, a number, a NumPy array or an NDArray.

    dtype None is float32, whatever came; an NDArray keeps its own.   Raises ArgumentTypeError for what is no array.
    """
    context = context_from(ctx)
    if isinstance(source_array, NDArray):
        target = empty(source_array.shape, context, dtype or source_array.dtype_name)
        return source_array.copyto(target)
    try:
        values = np.asarray(source_array).astype(NUMPY_DTYPES[dtype_name(dtype)], copy=False)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"source_array must be array like object, came {source_array!r:.80}") from None
    out = empty(values.shape, context, values.dtype)
    store(out, values)
    return out


def arange(
    start,
    stop=None,
    step=1.0,
    repeat=1,
    infer_range=None,
    ctx: Context | None = None,
    dtype: Any = np.float32,
) -> NDArray:
    """Return start, start + step, ... below stop, each `repeat` times; with stop None, 0, 1, ... below start."""
    settings = {"start": start, "stop": stop, "step": step, "repeat": repeat, "dtype": dtype_name(dtype)}
    return invoke(_ARANGE, (), settings, None, context_from(ctx), NDArray)


def linspace(start, stop, num, endpoint=True, ctx: Context | None = None, dtype: Any = np.float32) -> NDArray:
    """Return `num` evenly spaced numbers from start to stop, the last one included where `endpoint`."""
    settings = {"start": start, "stop": stop, "num": num, "endpoint": endpoint, "dtype": dtype_name(dtype)}
    return invoke(_LINSPACE, (), settings, None, context_from(ctx), NDArray)


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None, **kwargs) -> NDArray:
    """Return (N, M or N) with ones on diagonal k, zeros elsewhere."""
    settings = {"N": N, "M": M, "k": k, "dtype": dtype_name(dtype), **kwargs}
    return invoke(_EYE, (), settings, None, context_from(ctx), NDArray)


def concatenate(arrays, axis: int = 0, always_copy: bool = True) -> NDArray:
    """Return the arrays joined along `axis`; a single one is returned itself unless always_copy."""
    if not isinstance(arrays, (list, tuple)) or not arrays or not all(isinstance(a, NDArray) for a in arrays):
        raise ArgumentTypeError(f"concatenate: arrays is {arrays!r:.80}, expected a list of NDArrays, at least one")
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return invoke(_CONCAT, tuple(arrays), {"num_args": len(arrays), "dim": axis}, cls=NDArray)


def _check_dense(name: str, stype: str | None) -> None:
    if stype not in (None, "default"):
        raise ArgumentError(f"{name}: stype is {stype!r}, expected 'default'")


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
