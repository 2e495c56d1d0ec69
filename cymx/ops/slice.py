"""Operators that cut pieces out of arrays, and put them back."""

from contextlib import suppress

from ..base import ArgumentError
from ._build import F, reshape, zeros_like
from ._def import Composed, Kernel, Launch, op
from ._params import Axes, OptionalShape, Param, Shape
from ._shapes import ALL, known, merge, merge_all, normalize_axes, normalize_axis, same


class Strided(Kernel):
    """The base of the two kernels that move elements to or from every step-th place."""

    dtype, row = same(ALL), ""
    begin: Shape = Param()
    step: Shape = Param()
    size: Shape = Param()

    def per_example(p, ins):
        return p.begin[0] == 0 and p.step[0] == 1

    def shape(p, ins, outs):
        return ins, [p.size]

    @classmethod
    def launch(cls, p, ins, outs):
        pad = 8 - len(p.begin)
        return Launch(cls.row, (*p.begin, *(0,) * pad, *p.step, *(1,) * pad))


@op("_slice_strided")
class SliceStrided(Strided):
    """out[i] = data[begin + i step] on every axis.   data (d0, ...) -> output `size`."""

    row = "slice"

    def grad(p, dy, x, y):
        return (F.slice_scatter(dy, begin=p.begin, step=p.step, size=x.shape),)


@op("_slice_scatter")
class SliceScatter(Strided):
    """out = 0, but out[begin + i step] = data[i].   data (d0, ...) -> output `size`."""

    row = "slice_scatter"

    def grad(p, dy, x, y):
        return (F.slice_strided(dy, begin=p.begin, step=p.step, size=x.shape),)


def slice_ranges(data, begin, end, step):
    """Return for every axis of `data` (start, step, length), from MXNet's begin, end and step, where None means all.

    Raises ArgumentError.
    """
    if len(begin) > len(data) or len(begin) != len(end) or (step and len(step) != len(begin)):
        raise ArgumentError(
            f"begin={begin}, end={end}, step={step or ()}: expected as many of each, at most {len(data)}, for {data}"
        )
    ranges = []
    for axis, n in enumerate(data):
        if axis >= len(begin):
            ranges.append((0, 1, n))
            continue
        by = step[axis] if step and step[axis] is not None else 1
        if by == 0:
            raise ArgumentError(f"step={step} holds 0")
        chosen = range(*slice(begin[axis], end[axis], by).indices(n))
        ranges.append((chosen.start, by, len(chosen)))
    return ranges


@op("slice", "crop", "_sparse_slice")
class Slice(Composed):
    """data[begin:end:step] on the leading axes.   data (d0, ...) -> output (what is selected)."""

    dtype = same(ALL)
    begin: OptionalShape = Param()
    end: OptionalShape = Param()
    step: OptionalShape = Param(())

    def shape(p, ins, outs):
        if not known(ins[0]):
            return ins, outs
        return ins, [tuple(n for _, _, n in slice_ranges(ins[0], p.begin, p.end, p.step))]

    def compose(p, x):
        return cut(x, slice_ranges(x.shape, p.begin, p.end, p.step))


def cut(x, ranges):
    """Return what (start, step, length) of every axis select."""
    begin, step, size = zip(*ranges)
    return F.slice_strided(x, begin=begin, step=step, size=size)


@op("slice_axis")
class SliceAxis(Composed):
    """data[begin:end] along `axis`; an end of None is the axis's.   data (d0, ...) -> output (end - begin at axis)."""

    dtype = same(ALL)
    axis: int = Param()
    begin: int = Param()
    end: int | None = Param()

    def per_example(p, ins):
        return normalize_axis(p.axis, len(ins[0])) != 0

    def shape(p, ins, outs):
        data = ins[0]
        if data is None or data[normalize_axis(p.axis, len(data))] == -1:
            return ins, outs
        return ins, [tuple(n for _, _, n in _axis_ranges(p, data))]

    def compose(p, x):
        return cut(x, _axis_ranges(p, x.shape))


def _axis_ranges(p, data):
    axis = normalize_axis(p.axis, len(data))
    n = data[axis]
    begin = p.begin + n if p.begin < 0 else p.begin
    end = n if p.end is None else p.end + n if p.end < 0 else p.end
    if not 0 <= begin < end <= n:
        raise ArgumentError(
            f"begin={p.begin}, end={p.end} do not select from the {n} along axis {p.axis} of data {data}"
        )
    return [(begin, 1, end - begin) if i == axis else (0, 1, m) for i, m in enumerate(data)]


@op("slice_like")
class SliceLike(Composed):
    """data cut at the end to shape_like's sizes along `axes` (all when empty).   data, shape_like -> output."""

    inputs = ("data", "shape_like")
    axes: Shape = Param(())

    def shape(p, ins, outs):
        x, like = ins
        if not known(x) or not known(like):
            return ins, outs
        axes = normalize_axes(p.axes, len(x))
        if len(like) <= max(axes, default=-1) or (not p.axes and len(like) != len(x)):
            raise ArgumentError(f"shape_like is {like}, expected as many dimensions as data {x} has")
        target = tuple(like[i] if i in axes else n for i, n in enumerate(x))
        if any(t > n for t, n in zip(target, x)):
            raise ArgumentError(f"shape_like is {like}, expected no more than data {x} has along axes {axes}")
        return ins, [target]

    def dtype(p, ins, outs):
        (x,), out = same(ALL)(p, ins[:1], outs)
        return [x, ins[1]], out

    def compose(p, x, like):
        target = SliceLike.shape(p, [x.shape, like.shape], [None])[1][0]
        return cut(x, [(0, 1, n) for n in target])

    def grad(p, dy, x, like, y):
        return F.slice_scatter(dy, begin=(0,) * x.ndim, step=(1,) * x.ndim, size=x.shape), zeros_like(like)


@op("SliceChannel", "split")
class SliceChannel(Composed):
    """data cut into num_outputs equal parts along `axis`.

    data (d0, ...) -> outputs (d[axis] / num_outputs at axis, or without it).
    """

    dtype = same(ALL)
    num_outputs: int = Param(ge=1)
    axis: int = Param(1)
    squeeze_axis: bool = Param(False)

    def per_example(p, ins):
        return normalize_axis(p.axis, len(ins[0])) != 0

    def visible(p):
        return ("output",) if p.num_outputs == 1 else tuple(f"output{i}" for i in range(p.num_outputs))

    def shape(p, ins, outs):
        data, part, n = ins[0], merge_all(outs), p.num_outputs
        if part is not None:
            axis = normalize_axis(p.axis, len(part) + p.squeeze_axis)
            size = n if p.squeeze_axis else max(-1, part[axis] * n)
            with suppress(ValueError):
                data = merge(data, (*part[:axis], size, *part[axis + (not p.squeeze_axis) :]))
        if data is None or data[normalize_axis(p.axis, len(data))] == -1:
            return [data], outs
        axis = normalize_axis(p.axis, len(data))
        if data[axis] % n or (p.squeeze_axis and data[axis] != p.num_outputs):
            raise ArgumentError(
                f"data is {data}, expected a size at axis {p.axis} that num_outputs={p.num_outputs} divides"
            )
        part = (
            data[:axis] + data[axis + 1 :]
            if p.squeeze_axis
            else (*data[:axis], data[axis] // p.num_outputs, *data[axis + 1 :])
        )
        return [data], [part] * n

    def compose(p, x):
        axis = normalize_axis(p.axis, x.ndim)
        n = x.shape[axis] // p.num_outputs
        parts = [F.slice_axis(x, axis=axis, begin=i * n, end=(i + 1) * n) for i in range(p.num_outputs)]
        return tuple(reshape(y, x.shape[:axis] + x.shape[axis + 1 :]) if p.squeeze_axis else y for y in parts)


@op("reverse", "flip")
class Reverse(Composed):
    """data with the order along `axis` reversed.   data (any) -> output (same)."""

    dtype = same(ALL)
    axis: Axes = Param()

    def shape(p, ins, outs):
        return ins, [ins[0]]

    def compose(p, x):
        axes = () if p.axis == () else normalize_axes(p.axis, x.ndim)
        return cut(x, [(n - 1, -1, n) if i in axes else (0, 1, n) for i, n in enumerate(x.shape)])
