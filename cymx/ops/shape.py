"""Operators that change shapes and move elements: views, transposes, joining, cutting, repeating."""

from ..base import ArgumentError
from ._build import F, broadcast_to, reshape
from ._def import Composed, Kernel, Launch, always, op
from ._params import Axes, Param, Shape
from ._shapes import ALL, all_same, known, merge_all, n_elements, normalize_axes, normalize_axis, same
from .slice import cut


def reshape_target(data, codes, reverse=False) -> tuple[int, ...]:
    """Return the shape that MXNet's reshape codes ask for.

    0 keeps a dimension, -1 is what is left, -2 copies the rest, -3 joins two, -4 splits one into the two that follow.
    An unknown dimension of data (-1) leaves those that depend on it unknown.  Raises ArgumentError.
    """
    if reverse:
        codes, data = _reversed_codes(codes), tuple(data)[::-1]
    target: list[int] = []
    at, i = 0, 0
    while i < len(codes):
        code = codes[i]
        if code in (0, -3, -4) and at + (code == -3) >= len(data):
            raise ArgumentError(f"shape={tuple(codes)} asks for more dimensions than data {tuple(data)} has")
        if code == 0:
            target.append(data[at])
            at += 1
        elif code == -1:
            target.append(-1)
            at += 1
        elif code == -2:
            target += data[at:]
            at = len(data)
        elif code == -3:
            target.append(-1 if -1 in data[at : at + 2] else data[at] * data[at + 1])
            at += 2
        elif code == -4:
            left, right = codes[i + 1 : i + 3]
            if left == right == -1:
                raise ArgumentError(f"shape={tuple(codes)} leaves both parts of a split open")
            if data[at] != -1:
                left = data[at] // right if left == -1 else left
                right = data[at] // left if right == -1 else right
            if data[at] not in (-1, left * right):
                raise ArgumentError(f"shape={tuple(codes)} splits {data[at]} into {left} and {right}")
            target += [left, right]
            at += 1
            i += 2
        elif code > 0:
            target.append(code)
            at += 1
        else:
            raise ArgumentError(f"shape={tuple(codes)} holds {code}, expected a size or one of 0, -1, -2, -3, -4")
        i += 1
    if codes.count(-1) - _n_open_splits(codes) > 1:
        raise ArgumentError(f"shape={tuple(codes)} leaves more than one dimension open")
    if -1 in data:
        return tuple(target[::-1] if reverse else target)
    total = n_elements(data)
    if -1 in target:
        rest = n_elements([n for n in target if n != -1])
        target[target.index(-1)] = total // rest if rest else 0
    if n_elements(target) != total:
        raise ArgumentError(f"data {tuple(data)} has {total} elements, shape={tuple(codes)} wants {n_elements(target)}")
    return tuple(target[::-1] if reverse else target)


def _n_open_splits(codes):
    return sum(-1 in codes[i + 1 : i + 3] for i, code in enumerate(codes) if code == -4)


def _reversed_codes(codes):
    groups, i = [], 0
    while i < len(codes):
        step = 3 if codes[i] == -4 else 1
        groups.append(codes[i : i + step])
        i += step
    return [c for g in groups[::-1] for c in ([g[0], *g[:0:-1]] if len(g) == 3 else g)]


class Reshaping(Composed):
    """The base of operators whose output is the input under another shape."""

    dtype = same(ALL)

    @classmethod
    def compose(cls, p, x):
        target = cls.shape(p, [x.shape], [None])[1][0]
        return F.identity(x) if target == x.shape else reshape(x, target)


@op("Reshape", "reshape")
class Reshape(Reshaping):
    """data under another shape.

    data (d0, ...) -> output `shape`: 0 keeps, -1 what is left, -2 the rest, -3 joins two, -4 splits one.
    """

    shape_: Shape = Param(())
    reverse: bool = Param(False)
    target_shape: Shape = Param(())
    keep_highest: bool = Param(False)

    def per_example(p, ins):
        return p.shape[:1] == (0,) and not p.reverse

    def shape(p, ins, outs):
        codes = p.shape
        if not codes and p.target_shape:  # the form before 0.9, where 0 is what is left
            codes = tuple(-1 if n == 0 else n for n in p.target_shape)
            if p.keep_highest:
                codes = (0, *codes[1:])
        if not codes:
            raise ArgumentError("shape is missing, expected a tuple of integers")
        data = ins[0]
        if data is None:
            return ins, outs
        target = reshape_target(data, codes, p.reverse)
        if data.count(-1) == 1 and known(target):
            rest = n_elements([n for n in data if n != -1])
            data = tuple(n_elements(target) // rest if n == -1 else n for n in data)
        return [data], [target]


@op("Flatten", "flatten")
class Flatten(Reshaping):
    """data with all dims but the first joined.   data (N, ...) -> output (N, product of the others)."""

    per_example = always

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        return ins, [(data[0], n_elements(data[1:]) if -1 not in data[1:] else -1)]


@op("expand_dims")
class ExpandDims(Reshaping):
    """data with a new axis of size 1 before `axis`.   data (d0, ...) -> output (..., 1, ...)."""

    axis: int = Param()

    def per_example(p, ins):
        return p.axis % (len(ins[0]) + 1) != 0

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        axis = normalize_axis(p.axis, len(data) + 1)
        return ins, [data[:axis] + (1,) + data[axis:]]


@op("squeeze")
class Squeeze(Reshaping):
    """data without its axes of size 1, or without those of `axis`.

    data (d0, ...) -> output (the other dims; (1,) when none is left).
    """

    axis: Axes = Param(None)

    def per_example(p, ins):
        return p.axis is not None and 0 not in normalize_axes(p.axis, len(ins[0]))

    def shape(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        axes = [i for i, n in enumerate(data) if n == 1] if p.axis is None else normalize_axes(p.axis, len(data))
        wrong = [a for a in axes if data[a] != 1]
        if wrong:
            raise ArgumentError(f"data is {data}, expected size 1 at axis {wrong[0]} to remove it")
        return ins, [tuple(n for i, n in enumerate(data) if i not in axes) or (1,)]


@op("_identity_with_attr_like_rhs")
class IdentityLike(Composed):
    """lhs, whose shape and dtype are those of rhs.   lhs, rhs (any) -> output (the same)."""

    inputs, dtype, shape = ("lhs", "rhs"), same(ALL), all_same

    def compose(p, x, like):
        return F.identity(x)


@op("reshape_like")
class ReshapeLike(Composed):
    """lhs under rhs's shape.   lhs, rhs -> output.

    With begins and ends only lhs's dims [lhs_begin, lhs_end) become rhs's [rhs_begin, rhs_end).
    """

    inputs = ("lhs", "rhs")
    lhs_begin: int | None = Param(None)
    lhs_end: int | None = Param(None)
    rhs_begin: int | None = Param(None)
    rhs_end: int | None = Param(None)

    def shape(p, ins, outs):
        x, like = ins
        if not known(x) or not known(like):
            return ins, outs
        a, b = slice(p.lhs_begin, p.lhs_end).indices(len(x))[:2], slice(p.rhs_begin, p.rhs_end).indices(len(like))[:2]
        target = x[: a[0]] + like[b[0] : b[1]] + x[a[1] :]
        if n_elements(target) != n_elements(x):
            raise ArgumentError(f"lhs {x} has {n_elements(x)} elements, rhs {like} makes {target}")
        return ins, [target]

    def dtype(p, ins, outs):
        (x,), out = same(ALL)(p, ins[:1], outs)
        return [x, ins[1]], out

    def compose(p, x, like):
        target = ReshapeLike.shape(p, [x.shape, like.shape], [None])[1][0]
        return F.identity(x) if target == x.shape else reshape(x, target)


@op("transpose")
class Transpose(Kernel):
    """data with its axes in the order `axes` (reversed when empty).   data (d0, ...) -> output (d[axes[0]], ...)."""

    dtype = same(ALL)
    axes: Shape = Param(())

    def per_example(p, ins):
        return _order(p, len(ins[0]))[0] == 0

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        return ins, [tuple(data[a] for a in _order(p, len(data)))]

    def launch(p, ins, outs):
        order = _order(p, len(ins[0].shape))
        return Launch("transpose", (*order, *(0,) * (8 - len(order))))

    def grad(p, dy, x, y):
        order = _order(p, x.ndim)
        return (F.transpose(dy, axes=tuple(order.index(i) for i in range(x.ndim))),)


def _order(p, ndim):
    order = [normalize_axis(a, ndim, "axes") for a in p.axes] or list(range(ndim))[::-1]
    if sorted(order) != list(range(ndim)):
        raise ArgumentError(f"axes is {p.axes}, expected each of the {ndim} axes once")
    return order


@op("SwapAxis", "swapaxes")
class SwapAxis(Composed):
    """data with two axes exchanged.   data (d0, ...) -> output (the same dims, dim1 and dim2 exchanged)."""

    dtype = same(ALL)
    dim1: int = Param(0)
    dim2: int = Param(0)

    def per_example(p, ins):
        return _swapped(p, len(ins[0]))[0] == 0

    def shape(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        return ins, [tuple(ins[0][a] for a in _swapped(p, len(ins[0])))]

    def compose(p, x):
        return F.transpose(x, axes=_swapped(p, x.ndim))


def _swapped(p, ndim):
    axes = list(range(ndim))
    a, b = normalize_axis(p.dim1, ndim, "dim1"), normalize_axis(p.dim2, ndim, "dim2")
    axes[a], axes[b] = b, a
    return tuple(axes)


@op("Concat", "concat", "_sparse_concat")
class Concat(Kernel):
    """The inputs, one after another along `dim`.   args (equal dims but `dim`) -> output (their sum along `dim`)."""

    inputs, variadic, dtype = ("arg",), "num_args", same(ALL)
    num_args: int = Param(ge=1)
    dim: int = Param(1)

    def per_example(p, ins):
        return normalize_axis(p.dim, len(ins[0]), "dim") != 0

    def shape(p, ins, outs):
        some = next((s for s in (*ins, *outs) if s is not None), None)
        if some is None:
            return ins, outs
        axis = normalize_axis(p.dim, len(some), "dim")
        whole = (-1,) * len(some)
        for s in (*ins, *outs):
            if s is not None and len(s) == len(some):
                whole = tuple(w if w != -1 or i == axis else n for i, (w, n) in enumerate(zip(whole, s)))
        sizes = [s[axis] if s is not None and len(s) == len(some) else -1 for s in ins]
        total = -1 if -1 in sizes else sum(sizes)
        if sizes.count(-1) == 1 and outs[0] is not None and outs[0][axis] != -1:
            sizes[sizes.index(-1)] = outs[0][axis] - sum(n for n in sizes if n != -1)
        return [_with(whole, axis, n) for n in sizes], [_with(whole, axis, total)]

    def launch(p, ins, outs):
        return Launch("concat", (normalize_axis(p.dim, len(outs[0].shape), "dim"),))

    def grad(p, dy, *values):
        axis, at, parts = normalize_axis(p.dim, dy.ndim), 0, []
        for x in values[:-1]:
            parts.append(F.slice_axis(dy, axis=axis, begin=at, end=at + x.shape[axis]))
            at += x.shape[axis]
        return tuple(parts)


def _with(shape, axis, n):
    return (*shape[:axis], n, *shape[axis + 1 :])


@op("stack")
class Stack(Composed):
    """The inputs, side by side along a new axis.   args (one shape) -> output (that shape with num_args at `axis`)."""

    inputs, variadic, dtype = ("arg",), "num_args", same(ALL)
    axis: int = Param(0)
    num_args: int = Param(ge=1)

    def shape(p, ins, outs):
        data = merge_all(ins)
        if data is None:
            return ins, outs
        axis = normalize_axis(p.axis, len(data) + 1)
        return [data] * len(ins), [data[:axis] + (len(ins),) + data[axis:]]

    def compose(p, *args):
        axis = normalize_axis(p.axis, args[0].ndim + 1)
        return F.Concat(*(F.expand_dims(x, axis=axis) for x in args), num_args=len(args), dim=axis)


@op("tile")
class Tile(Composed):
    """data repeated `reps` times along each axis; missing leading axes are added.

    data (d0, ...) -> output (d0 reps0, ...).
    """

    dtype = same(ALL)
    reps: Shape = Param(ge=1)

    def shape(p, ins, outs):
        if not known(ins[0]):
            return ins, outs
        x, reps = _aligned(ins[0], p.reps)
        return ins, [tuple(n * r for n, r in zip(x, reps))]

    def compose(p, x):
        dims, reps = _aligned(x.shape, p.reps)
        x = reshape(x, dims)
        for axis, n in enumerate(reps):
            if n > 1:
                x = reshape(_repeated(x, axis, n), _with(x.shape, axis, x.shape[axis] * n))
        return F.identity(x)


def _aligned(x, reps):
    n = max(len(x), len(reps))
    return (1,) * (n - len(x)) + tuple(x), (1,) * (n - len(reps)) + tuple(reps)


@op("repeat")
class Repeat(Composed):
    """Each element of data `repeats` times along `axis` (flattened when None).   data (d0, ...) -> output."""

    dtype = same(ALL)
    repeats: int = Param(ge=1)
    axis: int | None = Param(None)

    def shape(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        if p.axis is None:
            return ins, [(n_elements(data) * p.repeats,)]
        axis = normalize_axis(p.axis, len(data))
        return ins, [_with(data, axis, data[axis] * p.repeats)]

    def compose(p, x):
        if p.axis is None:
            x = reshape(x, (n_elements(x.shape),))
        axis = 0 if p.axis is None else normalize_axis(p.axis, x.ndim)
        return reshape(_repeated(x, axis + 1, p.repeats), _with(x.shape, axis, x.shape[axis] * p.repeats))


def _repeated(x, at, n):
    """Return x with what follows its first `at` dimensions n times: (product before, n, product after)."""
    lead, rest = n_elements(x.shape[:at]), n_elements(x.shape[at:])
    return broadcast_to(reshape(x, (lead, 1, rest)), (lead, n, rest))


@op("Pad", "pad")
class Pad(Kernel):
    """data with a margin: constant_value, the edge repeated, or a reflection.

    data (d0, ...) -> output (before_i + d_i + after_i, ...).
    """

    dtype = same(ALL)
    mode: str = Param(choices=("constant", "edge", "reflect"))
    pad_width: Shape = Param(ge=0)
    constant_value: float = Param(0.0)

    def shape(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        if len(p.pad_width) != 2 * len(data):
            raise ArgumentError(f"pad_width is {p.pad_width}, expected {2 * len(data)} numbers for data {data}")
        margins = [p.pad_width[2 * i : 2 * i + 2] for i in range(len(data))]
        if p.mode == "reflect" and any(max(margin) >= max(n, 1) for margin, n in zip(margins, data)):
            raise ArgumentError(
                f"pad_width is {p.pad_width}, expected less than the sizes of data {data} for mode='reflect'"
            )
        return ins, [tuple(n + sum(margin) for n, margin in zip(data, margins))]

    def launch(p, ins, outs):
        low = p.pad_width[::2]
        return Launch(
            "pad",
            (("constant", "edge", "reflect").index(p.mode), *low, *(0,) * (8 - len(low)), float(p.constant_value)),
        )

    def grad(p, dy, x, y):
        low = p.pad_width[::2]
        if p.mode == "constant":
            return (cut(dy, [(lo, 1, n) for lo, n in zip(low, x.shape)]),)
        for axis, n in enumerate(x.shape):
            if dy.shape[axis] == n:
                continue
            # What lies in the margin is added to the element that it repeats.
            source = F.arange(start=-float(low[axis]), stop=float(dy.shape[axis] - low[axis]), dtype="float32")
            if p.mode == "reflect":
                source = (n - 1) - F.abs(F.abs(source) - (n - 1))
            size = (*dy.shape[:axis], n, *dy.shape[axis + 1 :])
            dy = F.take_grad(dy, source, axis=axis, mode="clip", size=size)
        return (dy,)
