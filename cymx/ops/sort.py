"""Operators that put elements in order: sort, argsort, topk, _shuffle.  All are stable; nan counts as larger than any
number."""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, Kernel, Launch, op
from ._params import Param
from ._shapes import ALL, known, n_elements, normalize_axis, same

INDEX_DTYPES = ("float16", "float32", "float64", "int32", "int64", "uint8")


@op("_sort")
class SortRows(Kernel):
    """The first k of each row in order, and where they were.   data (..., N) -> output (..., k), indices (..., k)
    int64."""

    outputs = ("output", "indices")
    k: int = Param(ge=0)
    is_ascend: bool = Param(True)

    def shape(p, ins, outs):
        return ins, [(*ins[0][:-1], p.k)] * 2

    def dtype(p, ins, outs):
        same(ALL)(p, ins, [])
        return ins, [ins[0], "int64"]

    def launch(p, ins, outs):
        return Launch("sort", (int(p.is_ascend), p.k))

    def weight(p, ins):
        """Return how much heavier than its bytes sorting is."""
        return 16

    def grad(p, dy, d_indices, x, y, indices):
        return (_placed(indices, dy, x.shape),)


def _placed(indices, values, shape):
    """Return an array of `shape` with values at the indices of each row and 0 elsewhere."""
    n_rows = n_elements(shape[:-1])
    starts = F.arange(start=0.0, stop=float(n_rows * shape[-1]), step=float(shape[-1]), dtype="int64")
    flat = reshape(
        reshape(indices, (n_rows, indices.shape[-1])) + reshape(starts, (n_rows, 1)), (n_elements(indices.shape),)
    )
    made = F.take_grad(reshape(values, flat.shape), flat, axis=0, mode="clip", size=(n_elements(shape),))
    return reshape(made, shape)


class Ordering(Composed):
    """The base of operators that order along `axis`, or all elements as one row where it is None."""

    axis: int | None = Param(-1)


def _rows(p, x):
    """Return x with the axis last, and the order of axes that undoes it (None where nothing moved)."""
    if p.axis is None:
        return reshape(x, (n_elements(x.shape),)), None
    axis = normalize_axis(p.axis, x.ndim)
    if axis == x.ndim - 1:
        return x, None
    order = (*(i for i in range(x.ndim) if i != axis), axis)
    return F.transpose(x, axes=order), tuple(order.index(i) for i in range(x.ndim))


def _back(x, order):
    return x if order is None else F.transpose(x, axes=order)


def _all_in_order(p, ins, outs):
    data = ins[0]
    if data is None or p.axis is not None:
        return ins, [data]
    return ins, [(n_elements(data),) if known(data) else None]


@op("sort")
class Sort(Ordering):
    """data in order along `axis`.   data (d0, ...) -> output (same; (product,) when axis is None)."""

    outputs = ("output0",)

    shape, dtype = _all_in_order, same(ALL)
    is_ascend: bool = Param(True)

    def compose(p, x):
        rows, order = _rows(p, x)
        return _back(F._sort(rows, k=rows.shape[-1], is_ascend=p.is_ascend)[0], order)


@op("argsort")
class Argsort(Ordering):
    """The indices that put data in order along `axis`.   data (d0, ...) -> output (same; (product,) when axis is None)
    of `dtype`."""

    shape, grad = _all_in_order, None
    is_ascend: bool = Param(True)
    dtype_: str = Param("float32", choices=INDEX_DTYPES)

    def dtype(p, ins, outs):
        return ins, [p.dtype]

    def compose(p, x):
        rows, order = _rows(p, x)
        return _back(cast(F._sort(rows, k=rows.shape[-1], is_ascend=p.is_ascend)[1], p.dtype), order)


@op("topk")
class Topk(Ordering):
    """The k largest along `axis` (smallest where is_ascend), in order; all of them where k is below 1.

    data (d0, ...) -> output: their values or `indices` (k at `axis`), `both`, or a `mask` of 1 where they are (data's
    shape).
    """

    k: int = Param(1)
    ret_typ: str = Param("indices", choices=("both", "indices", "mask", "value"))
    is_ascend: bool = Param(False)
    dtype_: str = Param("float32", choices=INDEX_DTYPES)

    def visible(p):
        return ("output0", "output1") if p.ret_typ == "both" else ("output",)

    def shape(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        axis = 0 if p.axis is None else normalize_axis(p.axis, len(data))
        whole = (n_elements(data),) if p.axis is None else data
        if p.k > whole[axis]:
            raise ArgumentError(
                f"k is {p.k}, expected at most {whole[axis]}, the size of data {data} along axis {p.axis}"
            )
        made = data if p.ret_typ == "mask" else (*whole[:axis], p.k if p.k > 0 else whole[axis], *whole[axis + 1 :])
        return ins, [made] * len(outs)

    def dtype(p, ins, outs):
        same(ALL)(p, ins, [])
        return ins, {"both": [ins[0], p.dtype], "indices": [p.dtype]}.get(p.ret_typ, [ins[0]])

    def compose(p, x):
        rows, order = _rows(p, x)
        values, indices = F._sort(rows, k=p.k if p.k > 0 else rows.shape[-1], is_ascend=p.is_ascend)
        if p.ret_typ == "mask":
            mask = _back(_placed(indices, F.ones_like(values), rows.shape), order)
            return reshape(F.BlockGrad(mask), x.shape)
        values, indices = _back(values, order), cast(_back(indices, order), p.dtype)
        return {"both": (values, indices), "indices": (indices,), "value": (values,)}[p.ret_typ]


@op("_shuffle", "shuffle")
class Shuffle(Composed):
    """data with its slices along the first axis in random order.   data (N, ...) -> output (same)."""

    dtype, is_random, grad = same(ALL), True, None

    def shape(p, ins, outs):
        return ins, [ins[0]]

    def compose(p, x):
        keys = F.random_uniform(shape=x.shape[:1], dtype="float64")
        return F.take(x, F._sort(keys, k=x.shape[0])[1])
