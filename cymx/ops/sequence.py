"""Operators over sequences, and along an axis: last steps, reversal, running sums, counting, diagonals."""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, op
from ._params import Param
from ._shapes import ALL, NUMBERS, known, n_elements, normalize_axis, same
from .slice import cut


class Sequence(Composed):
    """The base of operators over sequences of different lengths: data, sequence_length (N,) where
    use_sequence_length."""

    inputs = ("data", "sequence_length")
    use_sequence_length: bool = Param(False)
    axis: int = Param(0)

    def live(p):
        return Sequence.inputs if p.use_sequence_length else ("data",)

    def dtype(p, ins, outs):
        (x,), out = same(NUMBERS)(p, ins[:1], outs)
        return [x, *ins[1:]], out


def _steps(n, around=()):
    return reshape(F.arange(start=0.0, stop=float(n), dtype="float32"), (*around, n))


@op("SequenceLast")
class SequenceLast(Sequence):
    """The last step of each sequence.   data (T, N, ...), or (N, T, ...) with axis=1 -> output (N, ...)."""

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if p.axis not in (0, 1) or len(data) < 2:
            raise ArgumentError(f"axis is {p.axis} and data {data}, expected axis 0 or 1 of at least 2 dimensions")
        n = data[1 - p.axis]
        return [data, *[(n,)] * (len(ins) - 1)], [(n, *data[2:])]

    def compose(p, x, length=None):
        t, n = x.shape[p.axis], x.shape[1 - p.axis]
        if length is None:
            last = F.slice_axis(x, axis=p.axis, begin=t - 1, end=t)
            return reshape(last, (n, *x.shape[2:]))
        at = [cast(length, "float32") - 1, _steps(n)]
        return F.gather_nd(x, F.stack(*(at if p.axis == 0 else at[::-1]), num_args=2, axis=0))


@op("SequenceReverse")
class SequenceReverse(Sequence):
    """The steps of each sequence from its last to its first; what lies beyond stays.   data (T, N, ...) -> output
    (same)."""

    def shape(p, ins, outs):
        data = ins[0]
        if p.axis != 0:
            raise ArgumentError(f"axis is {p.axis}, expected 0")
        if data is None:
            return ins, outs
        if len(data) < 2:
            raise ArgumentError(f"data is {data}, expected at least 2 dimensions")
        return [data, *[data[1:2]] * (len(ins) - 1)], [data]

    def compose(p, x, length=None):
        if length is None:
            return F.reverse(x, axis=0)
        t, n = x.shape[:2]
        steps, lengths = reshape(_steps(t), (t, 1)), reshape(cast(length, "float32"), (1, n))
        inside = F.lesser(steps, lengths)
        at = inside * (lengths - 1 - steps * 2) + steps
        return F.gather_nd(x, F.stack(at, at * 0 + _steps(n, (1,)), num_args=2, axis=0))


@op("_contrib_arange_like")
class ArangeLike(Composed):
    """start, start + step, ..., each `repeat` times, as many as data has (along `axis`).

    data (any) -> output (the same; (n,) with an axis).
    """

    dtype = same(NUMBERS)
    start: float = Param(0.0)
    step: float = Param(1.0)
    repeat: int = Param(1, ge=1)
    ctx: str = Param("")
    axis: int | None = Param(None)

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        return ins, [data if p.axis is None else (data[normalize_axis(p.axis, len(data))],)]

    def compose(p, x):
        made = x.shape if p.axis is None else (x.shape[normalize_axis(p.axis, x.ndim)],)
        count = -(-n_elements(made) // p.repeat)
        # Half a step less at the end, so that rounding never adds a number.
        stop = p.start + p.step * (count - 0.5)
        numbers = F.arange(start=p.start, stop=stop, step=p.step, repeat=p.repeat, dtype=x.dtype)
        return reshape(cut(numbers, [(0, 1, n_elements(made))]), made)

    def grad(p, dy, x, y):
        return (F.zeros_like(x),)


@op("cumsum", "_np_cumsum")
class Cumsum(Composed):
    """The running sum along `axis` (of all, flattened, when None).   a (d0, ...) -> output (same, or (product,))."""

    inputs = ("a",)
    axis: int | None = Param(None)
    dtype_: str | None = Param(None, choices=("None", "float16", "float32", "float64", "int32", "int64", "int8"))

    def shape(p, ins, outs):
        a = ins[0]
        if a is None or p.axis is not None:
            return ins, [a]
        return ins, [(n_elements(a),) if known(a) else None]

    def dtype(p, ins, outs):
        same(NUMBERS)(p, ins, [])
        return ins, [ins[0] if p.dtype in (None, "None") else p.dtype]

    def compose(p, a):
        x = reshape(a, (n_elements(a.shape),)) if p.axis is None else a
        x = cast(x, a.dtype if p.dtype in (None, "None") else p.dtype)
        axis = normalize_axis(p.axis or 0, x.ndim)
        n, far = x.shape[axis], 1
        # Each round adds what lies 1, 2, 4, ... places before.
        while far < n:
            margins = [far if i == 2 * axis else 0 for i in range(2 * x.ndim)]
            kept = F.slice_axis(x, axis=axis, begin=0, end=n - far)
            x = x + F.pad(kept, mode="constant", pad_width=tuple(margins))
            far *= 2
        return F.identity(x) if n <= 1 else x


@op("diag")
class Diag(Composed):
    """The k-th diagonal of the matrices over axis1 and axis2; of a vector the matrix that has it there.

    data (n,) -> output (n + |k|, n + |k|); data (d0, d1, ...) -> output (the other dims, the diagonal's length).
    """

    dtype = same(NUMBERS)
    k: int = Param(0)
    axis1: int = Param(0)
    axis2: int = Param(1)

    def shape(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        if len(data) == 1:
            return ins, [(data[0] + abs(p.k),) * 2]
        a, b = normalize_axis(p.axis1, len(data), "axis1"), normalize_axis(p.axis2, len(data), "axis2")
        if a == b:
            raise ArgumentError(f"axis1 is {p.axis1} and axis2 {p.axis2}, expected two axes")
        n = min(data[a] + min(p.k, 0), data[b] - max(p.k, 0))
        if n < 1:
            raise ArgumentError(f"k is {p.k}, expected a diagonal of data {data} over axes {a} and {b}")
        return ins, [(*(m for i, m in enumerate(data) if i not in (a, b)), n)]

    def compose(p, x):
        columns = x.shape[0] + abs(p.k) if x.ndim == 1 else x.shape[normalize_axis(p.axis2, x.ndim)]
        count = x.shape[0] if x.ndim == 1 else Diag.shape(p, [x.shape], [None])[1][0][-1]
        first = p.k if p.k >= 0 else -p.k * columns
        at = F.arange(start=float(first), stop=first + (columns + 1) * (count - 0.5), step=columns + 1.0, dtype="int64")
        if x.ndim == 1:
            return reshape(F.scatter_nd(x, reshape(at, (1, count)), shape=(columns * columns,)), (columns, columns))
        a, b = normalize_axis(p.axis1, x.ndim), normalize_axis(p.axis2, x.ndim)
        rest = [i for i in range(x.ndim) if i not in (a, b)]
        flat = F.transpose(x, axes=(*rest, a, b))
        flat = reshape(flat, (*flat.shape[:-2], x.shape[a] * x.shape[b]))
        return F.take(flat, at, axis=-1)


@op("depth_to_space")
class DepthToSpace(Composed):
    """Channels become blocks of pixels.   data (N, C b b, H, W) -> output (N, C, H b, W b), b = block_size."""

    dtype = same(ALL)
    block_size: int = Param(ge=1)

    def shape(p, ins, outs):
        b = p.block_size
        n, c, h, w = _image(ins[0])
        if c % (b * b):
            raise ArgumentError(f"data is {ins[0]}, expected channels in multiples of block_size**2 = {b * b}")
        return ins, [(n, c // (b * b), h * b, w * b)]

    def compose(p, x):
        (n, c, h, w), b = x.shape, p.block_size
        y = F.transpose(reshape(x, (n, b, b, c // (b * b), h, w)), axes=(0, 3, 4, 1, 5, 2))
        return reshape(y, (n, c // (b * b), h * b, w * b))


@op("space_to_depth")
class SpaceToDepth(Composed):
    """Blocks of pixels become channels.   data (N, C, H b, W b) -> output (N, C b b, H, W), b = block_size."""

    dtype = same(ALL)
    block_size: int = Param(ge=1)

    def shape(p, ins, outs):
        b = p.block_size
        n, c, h, w = _image(ins[0])
        if h % b or w % b:
            raise ArgumentError(f"data is {ins[0]}, expected height and width in multiples of block_size = {b}")
        return ins, [(n, c * b * b, h // b, w // b)]

    def compose(p, x):
        (n, c, h, w), b = x.shape, p.block_size
        y = F.transpose(reshape(x, (n, c, h // b, b, w // b, b)), axes=(0, 3, 5, 1, 2, 4))
        return reshape(y, (n, c * b * b, h // b, w // b))


def _image(shape):
    if shape is None or len(shape) != 4:
        raise ArgumentError(f"data is {shape}, expected (batch, channels, height, width)")
    return shape
