"""Shape and dtype rules that many operators share, and the arithmetic of partly known shapes.

A rule is `rule(p, ins, outs) -> (ins, outs)`: it gets what is known of every input and output (a shape with -1 for an
unknown dimension, or None; a dtype's name, or None) and returns what must hold.  The infer pass compares: a
contradiction becomes an error that names operator, node and argument.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..base import ArgumentError, ArgumentTypeError

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTS = ("int32", "int64", "uint8", "int8")
NUMBERS = FLOATS + INTS
ALL = (*NUMBERS, "bool")

PartialShape = Any  # tuple with -1 for the unknown, or None
Rule = Callable[..., tuple[list, list]]


def known(shape: PartialShape) -> bool:
    """Tell whether every dimension of the shape is known."""
    return shape is not None and -1 not in shape


def n_elements(shape: Sequence[int]) -> int:
    """Return the product of the dimensions."""
    product = 1
    for n in shape:
        product *= n
    return product


def merge(a: PartialShape, b: PartialShape) -> PartialShape:
    """Return what both partly known shapes say together; raises ValueError where they contradict each other."""
    if a is None or b is None:
        return b if a is None else a
    if a == b:
        return a
    if len(a) != len(b) or any(x != y and x != -1 and y != -1 for x, y in zip(a, b)):
        raise ValueError
    return tuple(y if x == -1 else x for x, y in zip(a, b))


def merge_all(shapes: Sequence[PartialShape]) -> PartialShape:
    """Return what all the shapes say together, or the first one's where they contradict each other (the infer pass
    reports that).
    """
    whole = None
    for shape in shapes:
        with suppress(ValueError):
            whole = merge(whole, shape)
    return whole


def all_same(p, ins, outs):
    """Every input and output has one shape."""
    shapes = [*ins, *outs]
    shape = shapes[0] if shapes and all(s == shapes[0] for s in shapes) else merge_all(shapes)
    return [shape] * len(ins), [shape] * len(outs)


def broadcast(p, ins, outs):
    """The output's shape is that of the inputs under NumPy's broadcasting;

    nothing is learnt about the inputs from it.
    """
    if any(s is None for s in ins):
        return ins, outs
    return ins, [broadcast_shapes(ins)]


def broadcast_shapes(shapes: Sequence[PartialShape]) -> PartialShape:
    """Return the shape to which all shapes broadcast; raises ArgumentError where they do not."""
    ndim = max(len(s) for s in shapes)
    result = []
    for axis in range(-ndim, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis}
        wide = sizes - {1, -1}
        if len(wide) > 1:
            raise ArgumentError(
                f"shapes {' and '.join(map(str, shapes))} do not broadcast: axis {axis} has sizes {sorted(wide)}"
            )
        result.append(wide.pop() if wide else (-1 if -1 in sizes else 1))
    return tuple(result)


def normalize_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """Return the axis counted from the front; raises ArgumentError when it is outside."""
    if not -ndim <= axis < ndim:
        raise ArgumentError(f"{what} is {axis}, expected -{ndim} to {ndim - 1} for {ndim} dimensions")
    return axis % ndim


def normalize_axes(axes: Any, ndim: int, exclude: bool = False) -> tuple[int, ...]:
    """Return sorted axes counted from the front; None or () means all.  With exclude, the other ones.

    Raises ArgumentError for an axis that is outside or comes twice.
    """
    if axes is None or axes == ():
        return tuple(range(ndim))
    chosen = [normalize_axis(a, ndim) for a in ((axes,) if isinstance(axes, int) else axes)]
    if len(set(chosen)) != len(chosen):
        raise ArgumentError(f"axis is {axes}, expected each axis once")
    return tuple(a for a in range(ndim) if (a in chosen) != exclude)


def reduced_shape(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """Return the shape after reducing axes; a full reduction leaves (1,), as in MXNet."""
    kept = (
        tuple(1 if i in axes else n for i, n in enumerate(shape))
        if keepdims
        else tuple(n for i, n in enumerate(shape) if i not in axes)
    )
    return kept or (1,)


def same(dtypes: Sequence[str]) -> Rule:
    """Make the rule that every input and output has one dtype out of `dtypes`."""

    def rule(p, ins, outs):
        dtype = next((d for d in (*ins, *outs) if d is not None), None)
        if dtype is not None and dtype not in dtypes:
            raise ArgumentTypeError(f"dtype is {dtype}, expected one of {', '.join(dtypes)}")
        return [dtype] * len(ins), [dtype] * len(outs)

    return rule


def gives(dtype: str | None = None) -> Rule:
    """Make the rule that inputs may have any dtype and outputs have `dtype`, or that of the setting `dtype`."""

    def rule(p, ins, outs):
        return ins, [dtype or p.dtype] * len(outs)

    return rule
