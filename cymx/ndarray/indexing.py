"""`x[key]` and `x[key] = value`.

Integers and slices that select one contiguous piece give a view that shares memory, as in MXNet; other slices copy
through an operator.  Index arrays, and values for pieces that are not contiguous, follow NumPy's rules on the host,
under the engine's waits.  Integers alone give shape (1,); indices outside raise IndexRangeError; boolean arrays are
refused, lists and NumPy arrays of booleans count as 0 and 1, as in MXNet.  Called by: ndarray.py.
"""

from typing import Any, NamedTuple

import numpy as np

from .._array import Array
from ..base import NUMPY_DTYPES, ArgumentError, ArgumentTypeError, IndexRangeError, numeric_types
from ..ops import find
from ._host import host, scalar_like, store
from ._invoke import invoke

_TAKE, _SLICE, _BROADCAST_TO = find("take"), find("_slice_strided"), find("broadcast_to")
_ALL = slice(None)
_INTEGERS = (int, np.integer, np.bool_)


class Selection(NamedTuple):
    """What integers and slices select: (start, step, length) along every axis, and the result's shape."""

    ranges: list[tuple[int, int, int]]
    shape: tuple[int, ...]


def get(x: Array, key: Any) -> Array:
    """Return x[key]."""
    if type(key) is int and x.ndim and -x.shape[0] <= key < x.shape[0]:
        return x.view(x.shape[1:] or (1,), key % x.shape[0] * (x.size // x.shape[0]))
    key = _expand(key, x.ndim)
    if not _is_basic(key):
        return _gather(x, key)
    selection = _select(key, x.shape)
    offset = _offset(selection, x.shape)
    if offset is not None:
        return x if selection.shape == x.shape else x.view(selection.shape, offset)
    begin, step, size = zip(*selection.ranges)
    return invoke(_SLICE, (x,), {"begin": begin, "step": step, "size": size}, cls=type(x)).view(selection.shape)


def put(x: Array, key: Any, value: Any) -> None:
    """Do x[key] = value: the value broadcasts and takes x's dtype."""
    if type(key) is slice and key == _ALL:
        fill(x, value)
        return
    key = _expand(key, x.ndim)
    if _is_basic(key):
        selection = _select(key, x.shape)
        offset = _offset(selection, x.shape)
        if offset is not None:
            fill(x.view(selection.shape, offset), value)
            return
        at: Any = tuple(key)
    else:
        at = _index_arrays(key)
    values = _values(value, x)
    x.wait_to_write()
    try:
        host(x)[at] = values
    except IndexError as e:
        raise _index_error(e) from None
    except ValueError as e:
        raise ArgumentError(f"x[...] = value: {e}") from None


def broadcast(x: Array, shape: tuple[int, ...], out: Array | None = None) -> Array:
    """Return x stretched to `shape`, new axes first; 0 keeps a dimension."""
    lead = len(shape) - x.ndim
    padded = (1,) * lead + x.shape
    if lead < 0 or any(a not in (1, b) and b != 0 for a, b in zip(padded, shape)):
        raise ArgumentError(f"broadcast_to: shape is {shape}, to which data {x.shape} does not broadcast")
    return invoke(_BROADCAST_TO, (x.view(padded),), {"shape": shape}, out, cls=type(x))


def fill(x: Array, value: Any) -> None:
    """Set all of `x` to a value that broadcasts to its shape."""
    if x.size == 0:
        return
    if isinstance(value, numeric_types):
        value = scalar_like(x, value)
    if isinstance(value, Array):
        surplus = value.ndim - x.ndim
        if surplus > 0 and value.shape[:surplus] == (1,) * surplus:
            value = value.view(value.shape[surplus:])
        if value.shape != x.shape:
            broadcast(value.as_in_context(x.context), x.shape, x)
        elif value.address != x.address or value.dtype_name != x.dtype_name:
            value.copyto(x)
    else:
        values = _values(value, x)
        if values.shape != x.shape:
            whole = np.empty(x.shape, values.dtype)
            try:
                whole[...] = values
            except ValueError as e:
                raise ArgumentError(f"x[...] = value: {e}") from None
            values = whole
        store(x, values)


def _values(value: Any, x: Array) -> np.ndarray:
    """Return the value in x's dtype, for NumPy to broadcast."""
    if isinstance(value, Array):
        value.wait_to_read()
        values = host(value)
    else:
        try:
            values = np.asarray(value)
            if values.dtype.kind in "USc":
                raise TypeError
            values = values.astype(float) if values.dtype == object else values
        except (TypeError, ValueError):
            raise ArgumentTypeError(f"x[...] = value: {value!r:.80} of {type(value)} is no number or array") from None
    with np.errstate(all="ignore"):
        return values.astype(NUMPY_DTYPES[x.dtype_name], copy=False)


def _is_basic(key: list) -> bool:
    return all(item is None or isinstance(item, (slice, *_INTEGERS)) for item in key)


def _expand(key: Any, ndim: int) -> list:
    """Return the key as a list with an item for every axis and None for every new one; checks kinds and count."""
    items = list(key) if isinstance(key, tuple) else [key]
    n_axes, dots = 0, -1
    for i, item in enumerate(items):
        if item is Ellipsis:
            if dots >= 0:
                raise IndexRangeError("cannot use more than one ellipsis (`...`) for indexing")
            dots = i
        elif item is not None:
            if not isinstance(item, (slice, Array, np.ndarray, list, tuple, range, *_INTEGERS)):
                raise ArgumentError(f"NDArray does not support slicing with key {item!r} of type {type(item)}")
            n_axes += 1
    if n_axes > ndim:
        raise IndexRangeError(f"too many indices ({n_axes}) for array with {ndim} dimensions")
    rest: list[Any] = [_ALL] * (ndim - n_axes)
    return items[:dots] + rest + items[dots + 1 :] if dots >= 0 else items + rest


def _select(key: list, shape: tuple[int, ...]) -> Selection:
    ranges: list[tuple[int, int, int]] = []
    result: list[int] = []
    for item in key:
        if item is None:
            result.append(1)
            continue
        size = shape[len(ranges)]
        if isinstance(item, slice):
            chosen = range(*item.indices(size))
            ranges.append((chosen.start, chosen.step, len(chosen)))
            result.append(len(chosen))
        else:
            at = int(item)
            if not -size <= at < size:
                raise IndexRangeError(f"index {at} is out of bounds for axis {len(ranges)} with size {size}")
            ranges.append((at % size, 1, 1))
    return Selection(ranges, tuple(result) or ((1,) if shape else ()))


def _offset(selection: Selection, shape: tuple[int, ...]) -> int | None:
    """Return the first element of a contiguous selection, or None for one that is not."""
    if 0 in selection.shape:
        return 0
    offset, stride, narrowed = 0, 1, False
    for (start, step, length), size in zip(reversed(selection.ranges), reversed(shape)):
        if length != 1 and (narrowed or step != 1):
            return None
        narrowed = narrowed or length != size
        offset += start * stride
        stride *= size
    return offset


def _index_arrays(key: list) -> Any:
    return tuple(item if item is None or isinstance(item, (slice, *_INTEGERS)) else _index_array(item) for item in key)


def _index_array(item: Any) -> np.ndarray:
    if isinstance(item, Array):
        if item.dtype_name == "bool":
            raise ArgumentError("NDArray does not support boolean indexing, expected an array of indices")
        item = item.read()
    index = np.asarray(item)
    if index.dtype.kind not in "iufb" and index.size:
        raise ArgumentError(f"NDArray does not support indexing with {item!r:.80}")
    return index.astype(np.int64)


def _gather(x: Array, key: list) -> Array:
    at = _index_arrays(key)
    if isinstance(at[0], np.ndarray) and all(isinstance(item, slice) and item == _ALL for item in at[1:]):
        return _take(x, at[0])
    x.wait_to_read()
    try:
        found = host(x)[at]
    except IndexError as e:
        raise _index_error(e) from None
    return _made(x, found)


def _index_error(e: IndexError) -> Exception:
    # NumPy raises it for index arrays that do not broadcast as well.
    return ArgumentError(str(e)) if "broadcast" in str(e) else IndexRangeError(str(e))


def _take(x: Array, index: np.ndarray) -> Array:
    """Return the rows of `x` at `index`: the one pattern of index arrays that has an operator of its own."""
    size = x.shape[0]
    outside = index[(index < -size) | (index >= size)]
    if outside.size:
        raise IndexRangeError(f"index {outside[0]} is out of bounds for axis 0 with size {size}")
    if not index.size:
        return type(x).empty((*index.shape, *x.shape[1:]), x.dtype_name, x.device_type, x.device_id)
    return invoke(_TAKE, (x, _made(x, np.where(index < 0, index + size, index))), {"axis": 0}, cls=type(x))


def _made(x: Array, values: np.ndarray) -> Array:
    """Return an array of x's class and context on NumPy's memory."""
    return type(x).wrap(np.ascontiguousarray(values), x.device_type, x.device_id)
