"""Operators that look elements up by index.  Indices outside are clipped or wrapped, as in MXNet."""

from ..base import ArgumentError
from ._build import F, cast, reshape, zeros_like
from ._def import Composed, Kernel, Launch, op
from ._params import DType, Param, Shape
from ._shapes import ALL, NUMBERS, known, n_elements, normalize_axis, same


def _first(p, ins, outs):
    """The first input has the output's dtype; indices have any."""
    (x,), out = same(ALL)(p, ins[:1], outs)
    return [x, *ins[1:]], out


@op("take")
class Take(Kernel):
    """The slices of `a` along `axis` at `indices`.

    a (d0, ...), indices (any) -> output (d0.., indices' dims, ..dn).
    """

    inputs, dtype = ("a", "indices"), _first
    axis: int = Param(0)
    mode: str = Param("clip", choices=("clip", "wrap", "raise"))

    def shape(p, ins, outs):
        a, indices = ins
        if a is None or indices is None:
            return ins, outs
        axis = normalize_axis(p.axis, len(a))
        return ins, [a[:axis] + tuple(indices) + a[axis + 1 :]]

    def launch(p, ins, outs):
        return Launch("take", (normalize_axis(p.axis, len(ins[0].shape)), ("clip", "wrap", "raise").index(p.mode)))

    def grad(p, dy, a, indices, y):
        return F.take_grad(dy, indices, axis=normalize_axis(p.axis, a.ndim), mode=p.mode, size=a.shape), None


@op("_take_grad")
class TakeGrad(Kernel):
    """out = 0, plus dy's slices added at `indices` along `axis`.   dy, indices -> output `size`."""

    inputs, dtype, grad = ("dy", "indices"), _first, None
    axis: int = Param()
    mode: str = Param("clip")
    size: Shape = Param()

    def shape(p, ins, outs):
        return ins, [p.size]

    def launch(p, ins, outs):
        return Launch("take_grad", (p.axis, ("clip", "wrap", "raise").index(p.mode)))


@op("Embedding", "_sparse_Embedding")
class Embedding(Composed):
    """The rows of weight at data.   data (any), weight (input_dim, output_dim) -> output (data's dims, output_dim)."""

    inputs = ("data", "weight")
    input_dim: int = Param(ge=1)
    output_dim: int = Param(ge=1)
    dtype_: DType = Param("float32")
    sparse_grad: bool = Param(False)

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        return [data, (p.input_dim, p.output_dim)], [(*data, p.output_dim)]

    def dtype(p, ins, outs):
        weight = ins[1] or outs[0] or p.dtype
        return [ins[0], weight], [weight]

    def compose(p, data, weight):
        return F.take(weight, data)


@op("batch_take")
class BatchTake(Composed):
    """out[i] = a[i, indices[i]].   a (N, M), indices (N,) -> output (N,)."""

    inputs, dtype, grad = ("a", "indices"), _first, None

    def shape(p, ins, outs):
        a, indices = ins
        if a is not None and len(a) != 2:
            raise ArgumentError(f"a is {a}, expected 2 dimensions")
        return [a, indices if a is None else a[:1]], [indices if a is None else a[:1]]

    def compose(p, a, indices):
        return F.pick(a, indices)


@op("one_hot")
class OneHot(Kernel):
    """on_value at indices[i], off_value elsewhere; all off_value for an index outside.

    indices (any) -> output (indices' dims, depth).
    """

    inputs = ("indices",)
    depth: int = Param(ge=0)
    on_value: float = Param(1.0)
    off_value: float = Param(0.0)
    dtype_: DType = Param("float32")

    def shape(p, ins, outs):
        return ins, [None if ins[0] is None else (*ins[0], p.depth)]

    def dtype(p, ins, outs):
        return ins, [p.dtype]

    def launch(p, ins, outs):
        return Launch("one_hot", (p.on_value, p.off_value))

    def grad(p, dy, indices, y):
        return (zeros_like(indices),)


@op("pick", "choose_element_0index")
class Pick(Kernel):
    """The element of data along `axis` at index.

    data (d0, ...), index (the other dims, or with 1 at axis) -> output (the other dims).
    """

    inputs, dtype = ("data", "index"), _first
    axis: int | None = Param(-1)
    keepdims: bool = Param(False)
    mode: str = Param("clip", choices=("clip", "wrap"))

    def shape(p, ins, outs):
        data, index = ins
        if data is None:
            return ins, outs
        if p.axis is None:
            return ins, [index]
        axis = normalize_axis(p.axis, len(data))
        rest, kept = data[:axis] + data[axis + 1 :], (*data[:axis], 1, *data[axis + 1 :])
        if index is not None and len(index) == len(data) and index != rest:
            return [data, kept], [kept if p.keepdims else rest or (1,)]
        return [data, rest or (1,)], [kept if p.keepdims else rest or (1,)]

    def launch(p, ins, outs):
        if p.axis is None:
            data = (n_elements(ins[0].shape),)
            return Launch("take", (0, 0 if p.mode == "clip" else 1), in_shapes=[data, ins[1].shape])
        axis = normalize_axis(p.axis, len(ins[0].shape))
        rest = ins[0].shape[:axis] + ins[0].shape[axis + 1 :]
        return Launch("pick", (axis, 0 if p.mode == "clip" else 1), in_shapes=[ins[0].shape, rest], out_shapes=[rest])

    def grad(p, dy, data, index, y):
        if p.axis is None:
            flat = F.take_grad(dy, index, axis=0, mode=p.mode, size=(n_elements(data.shape),))
            return reshape(flat, data.shape), None
        axis = normalize_axis(p.axis, data.ndim)
        n, rest = data.shape[axis], data.shape[:axis] + data.shape[axis + 1 :]
        index = cast(reshape(index, rest), "float32")
        index = F.clip(index, a_min=0.0, a_max=float(n - 1)) if p.mode == "clip" else F.mod(index, n)
        hot = F.one_hot(index, depth=n, dtype=data.dtype)
        hot = F.transpose(hot, axes=(*range(axis), data.ndim - 1, *range(axis, data.ndim - 1)))
        return hot * reshape(dy, (*data.shape[:axis], 1, *data.shape[axis + 1 :])), None


@op("gather_nd")
class GatherNd(Kernel):
    """out[i...] = data[indices[0, i...], indices[1, i...], ...].

    data (d0, ...), indices (M, ...) -> output (indices' other dims, data's dims from M).
    """

    inputs, dtype = ("data", "indices"), _first

    def shape(p, ins, outs):
        data, indices = ins
        if not known(data) or not known(indices):
            return ins, outs
        if indices[0] > len(data):
            raise ArgumentError(f"indices is {indices}, expected at most {len(data)} rows for data {data}")
        return ins, [tuple(indices[1:]) + data[indices[0] :]]

    def launch(p, ins, outs):
        return Launch("gather_nd")

    def grad(p, dy, data, indices, y):
        return F.gather_nd_grad(dy, indices, size=data.shape), None


@op("_gather_nd_grad", "_backward_gather_nd")
class GatherNdGrad(Kernel):
    """out = 0, plus dy added at `indices`.   dy (indices' other dims, ...), indices (M, ...) -> output `size`."""

    inputs, dtype, grad = ("dy", "indices"), _first, None
    size: Shape = Param()

    def shape(p, ins, outs):
        return ins, [p.size]

    def launch(p, ins, outs):
        return Launch("gather_nd_grad")


@op("SequenceMask")
class SequenceMask(Composed):
    """data with what lies beyond each sequence's length set to value.

    data (T, N, ...) or with axis=1 (N, T, ...), sequence_length (N,) -> output.
    """

    inputs = ("data", "sequence_length")
    use_sequence_length: bool = Param(False)
    value: float = Param(0.0)
    axis: int = Param(0)

    def live(p):
        return ("data", "sequence_length") if p.use_sequence_length else ("data",)

    def shape(p, ins, outs):
        data = ins[0]
        lengths = [] if len(ins) == 1 else [None if data is None else (data[1 - p.axis],)]
        return [data, *lengths], [data]

    def dtype(p, ins, outs):
        (x,), out = same(NUMBERS)(p, ins[:1], outs)
        return [x, *(lengths or x for lengths in ins[1:])], out

    def compose(p, x, lengths=None):
        if lengths is None:
            return F.identity(x)
        steps = F.arange(start=0.0, stop=float(x.shape[p.axis]), dtype="float32")
        around = (1,) * (x.ndim - 2)
        steps = reshape(steps, ((x.shape[0], 1) if p.axis == 0 else (1, x.shape[1])) + around)
        limits = reshape(cast(lengths, "float32"), ((1, x.shape[1]) if p.axis == 0 else (x.shape[0], 1)) + around)
        return F.where3(cast(F.lesser(steps, limits), x.dtype), x, p.value)
