"""Functions of arrays that are no operators.   Called by: users."""

import operator
from collections.abc import Sequence
from typing import Any

from .._engine import waitall as _waitall
from ..base import ArgumentError
from ..ops import find
from ._invoke import invoke
from .ndarray import NDArray


def waitall() -> None:
    """Wait for all computations of all contexts.  Raises the oldest error that no wait has raised yet."""
    _waitall()


def moveaxis(tensor: NDArray, source: int | Sequence[int], destination: int | Sequence[int]) -> NDArray:
    """Return a copy with the axes `source` at the places `destination`, the others in their order.

    Raises ArgumentError (a ValueError).
    """
    sources, destinations = _axes("source", source, tensor.ndim), _axes("destination", destination, tensor.ndim)
    if len(sources) != len(destinations):
        raise ArgumentError("moveaxis: `source` and `destination` arguments must have the same number of elements")
    order = [axis for axis in range(tensor.ndim) if axis not in sources]
    for place, axis in sorted(zip(destinations, sources)):
        order.insert(place, axis)
    return invoke(find("transpose"), (tensor,), {"axes": tuple(order)}, cls=NDArray)


def _axes(name: str, axes: int | Sequence[int], ndim: int) -> list[int]:
    found = [operator.index(axis) for axis in (axes if isinstance(axes, Sequence) else (axes,))]
    for axis in found:
        if not -ndim <= axis < ndim:
            raise ArgumentError(f"moveaxis: {name} is {axis}, expected -{ndim} to {ndim - 1}")
    found = [axis % ndim for axis in found]
    if len(set(found)) != len(found):
        raise ArgumentError(f"moveaxis: repeated axis in {name} {axes}")
    return found


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write 1 at the column that `indices` (n,) names in each row of `out` (n, k), 0 elsewhere, and return it."""
    if out.ndim != 2 or indices.shape != out.shape[:1]:
        raise ArgumentError(f"onehot_encode: out is {out.shape}, indices {indices.shape}; expected (n, k) and (n,)")
    return invoke(find("one_hot"), (indices,), {"depth": out.shape[1], "dtype": out.dtype_name}, out)


def split_v2(ary: NDArray, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
    """Return the parts along an axis: a number of equal ones, or those that start at the given indices.

    A single part comes alone, several as a list; squeeze_axis drops the axis from parts of length 1.
    Raises ArgumentError (a ValueError).
    """
    if not -ary.ndim <= axis < ary.ndim:
        raise ArgumentError(f"split_v2: axis is {axis}, expected -{ary.ndim} to {ary.ndim - 1}")
    size = ary.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or size % indices_or_sections:
            raise ArgumentError(f"split_v2: axis {axis} of size {size} has no {indices_or_sections} equal parts")
        starts = list(range(0, size, size // indices_or_sections))
    elif isinstance(indices_or_sections, (tuple, list)):
        starts = [0, *indices_or_sections]
    else:
        raise ArgumentError("split_v2: indices_or_sections must either int or tuple of ints")
    axis %= ary.ndim
    parts = [ary[(slice(None),) * axis + (slice(a, b),)].copy() for a, b in zip(starts, [*starts[1:], size])]
    if squeeze_axis:
        parts = [part.squeeze(axis, inplace=True) for part in parts]
    return parts[0] if len(parts) == 1 else parts


NDArray.split_v2 = split_v2  # type: ignore[attr-defined]
