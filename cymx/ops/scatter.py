"""Operators that write at places: scatter_nd, index_copy, slice assignment; and flat indices to coordinates and
back."""

from ..base import ArgumentError
from ._build import F, broadcast_to, cast, constant, reshape
from ._def import Composed, op
from ._params import OptionalShape, Param, Shape
from ._shapes import NUMBERS, known, same
from .slice import cut, slice_ranges


def _first(p, ins, outs):
    """The first input has the output's dtype; indices have any."""
    (x,), out = same(NUMBERS)(p, ins[:1], outs)
    return [x, *ins[1:]], out


@op("scatter_nd", "_scatter_nd")
class ScatterNd(Composed):
    """0 everywhere but data at indices; where two meet, their sum.

    data (indices' other dims, shape's dims from M), indices (M, ...) -> output `shape`.
    """

    inputs, dtype = ("data", "indices"), _first
    shape_: Shape = Param(ge=0)

    def shape(p, ins, outs):
        data, indices = ins
        if indices is None:
            return ins, [p.shape]
        if known(indices[:1]) and indices[0] > len(p.shape):
            raise ArgumentError(f"indices is {indices}, expected at most {len(p.shape)} rows for shape={p.shape}")
        wanted = (*indices[1:], *p.shape[indices[0] :]) if known(indices[:1]) else data
        return [wanted, indices], [p.shape]

    def compose(p, data, indices):
        return F.gather_nd_grad(data, indices, size=p.shape)

    def grad(p, dy, data, indices, y):
        return F.gather_nd(dy, indices), None


@op("_contrib_index_copy")
class IndexCopy(Composed):
    """old_tensor with the rows at index_vector replaced.   old (N, ...), index (M,), new (M, ...) -> output (N,
    ...)."""

    inputs = ("old_tensor", "index_vector", "new_tensor")

    def shape(p, ins, outs):
        old, index, new = ins
        if old is None or index is None:
            return ins, outs
        return [old, index, (*index, *old[1:])], [old]

    def dtype(p, ins, outs):
        (x, new), out = same(NUMBERS)(p, [ins[0], ins[2]], outs)
        return [x, ins[1], new], out

    def compose(p, old, index, new):
        n = old.shape[0]
        ones = broadcast_to(constant(1, old.dtype), index.shape)
        taken = F.take_grad(ones, index, axis=0, mode="clip", size=(n,))
        taken = broadcast_to(reshape(taken, (n,) + (1,) * (old.ndim - 1)), old.shape)
        return F.where3(taken, F.take_grad(new, index, axis=0, mode="clip", size=old.shape), old)

    def grad(p, dy, old, index, new, y):
        hole = F._contrib_index_copy(F.ones_like(old), index, F.zeros_like(new))
        return dy * hole, None, F.take(dy, index)


class SliceAssignment(Composed):
    """The base of operators that write into a slice of an array."""

    begin: OptionalShape = Param()
    end: OptionalShape = Param()
    step: OptionalShape = Param(())


def _window(p, data):
    return tuple(n for _, _, n in slice_ranges(data, p.begin, p.end, p.step))


def _written(p, data, part):
    begin, step, _ = zip(*slice_ranges(data.shape, p.begin, p.end, p.step))
    ones = broadcast_to(constant(1, data.dtype), part.shape)
    hole, filled = (F.slice_scatter(x, begin=begin, step=step, size=data.shape) for x in (ones, part))
    return F.where3(hole, filled, data)


@op("_slice_assign", "_crop_assign")
class SliceAssign(SliceAssignment):
    """lhs with lhs[begin:end:step] = rhs.   lhs (d0, ...), rhs (the slice's dims) -> output (lhs's)."""

    inputs, dtype = ("lhs", "rhs"), same(NUMBERS)

    def shape(p, ins, outs):
        lhs = ins[0]
        if not known(lhs):
            return ins, outs
        return [lhs, _window(p, lhs)], [lhs]

    def compose(p, lhs, rhs):
        return _written(p, lhs, rhs)


@op("_slice_assign_scalar", "_crop_assign_scalar")
class SliceAssignScalar(SliceAssignment):
    """data with data[begin:end:step] = scalar.   data (d0, ...) -> output (same)."""

    dtype, positional = same(NUMBERS), ("scalar",)
    scalar: float = Param(0.0)

    def shape(p, ins, outs):
        if known(ins[0]):
            _window(p, ins[0])
        return ins, [ins[0]]

    def compose(p, data):
        return _written(p, data, broadcast_to(constant(p.scalar, data.dtype), _window(p, data.shape)))


@op("ravel_multi_index", "_ravel_multi_index")
class RavelMultiIndex(Composed):
    """The flat indices of coordinates in an array of `shape`.   data (M, N...) -> output (N...)."""

    dtype, grad = same(NUMBERS), None
    shape_: Shape = Param()

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if data[0] not in (-1, len(p.shape)):
            raise ArgumentError(f"data is {data}, expected {len(p.shape)} rows for shape={p.shape}")
        return ins, [data[1:]]

    def compose(p, x):
        flat, stride = None, 1
        for i in range(len(p.shape) - 1, -1, -1):
            row = cut(x, [(i, 1, 1), *((0, 1, n) for n in x.shape[1:])])
            flat = row if flat is None else flat + row * stride
            stride *= p.shape[i]
        return reshape(flat, x.shape[1:])


@op("unravel_index", "_unravel_index")
class UnravelIndex(Composed):
    """The coordinates of flat indices in an array of `shape`.   data (N...) -> output (M, N...)."""

    dtype, grad = same(NUMBERS), None
    shape_: Shape = Param()

    def shape(p, ins, outs):
        return ins, [None if ins[0] is None else (len(p.shape), *ins[0])]

    def compose(p, x):
        rows, wide = [], cast(x, "float64")
        for n in p.shape[::-1]:
            rest = F.floor(wide / n)
            rows.append(wide - rest * n)
            wide = rest
        return cast(F.stack(*rows[::-1], num_args=len(rows), axis=0), x.dtype)


@op("fill_element_0index")
class FillElement0Index(Composed):
    """lhs with lhs[i, rhs[i]] = mhs[i].   lhs (N, C), mhs, rhs (N,) -> output (N, C)."""

    inputs, dtype, grad = ("lhs", "mhs", "rhs"), same(NUMBERS), None

    def shape(p, ins, outs):
        lhs = ins[0]
        return [lhs, *[None if lhs is None else lhs[:1]] * 2], [lhs]

    def compose(p, lhs, mhs, rhs):
        n, c = lhs.shape
        hot = F.one_hot(rhs, depth=c, dtype=lhs.dtype)
        return F.where3(hot, broadcast_to(reshape(mhs, (n, 1)), lhs.shape), lhs)
