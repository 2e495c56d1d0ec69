"""Reductions over axes: sums, products, extremes, norms, and where the extremes are."""

from ..base import ArgumentError
from ._build import F, broadcast_to, cast, reshape
from ._def import Composed, Kernel, Launch, op
from ._params import Axes, Param
from ._shapes import ALL, FLOATS, NUMBERS, n_elements, normalize_axes, normalize_axis, reduced_shape, same


def _reduced(p, ins, outs):
    if ins[0] is None:
        return ins, outs
    axes = normalize_axes(p.axis, len(ins[0]), getattr(p, "exclude", False))
    return ins, [reduced_shape(ins[0], axes, p.keepdims)]


def _axes(p, x):
    return normalize_axes(p.axis, len(x.shape), p.exclude)


def _kept(p, x, small):
    """Return a reduced value with ones where axes were reduced, so that it broadcasts against x."""
    return reshape(small, reduced_shape(x.shape, _axes(p, x), True)) if x.ndim else small


def _keeps_examples(p, ins):
    return 0 not in normalize_axes(p.axis, len(ins[0]), p.exclude)


class Reduction(Kernel):
    """The base of reductions: data (d0, ...) -> output (the dims that are not in `axis`; (1,) when none is left)."""

    shape, dtype, per_example = _reduced, same(NUMBERS), _keeps_examples
    row = ""
    axis: Axes = Param(())
    keepdims: bool = Param(False)
    exclude: bool = Param(False)

    @classmethod
    def reduced_axes(cls, p, shape):
        """Return the axes of data that are reduced."""
        return normalize_axes(p.axis, len(shape), p.exclude)

    @classmethod
    def launch(cls, p, ins, outs):
        return Launch(cls.row, (sum(1 << a for a in _axes(p, ins[0])),))


@op("sum", "sum_axis", "_sparse_sum")
class Sum(Reduction):
    """out = the sum over `axis` (all when empty).   data (d0, ...) -> output (the other dims)."""

    row, dtype = "reduce_sum", same(ALL)

    def grad(p, dy, x, y):
        return (broadcast_to(_kept(p, x, dy), x.shape),)


@op("prod")
class Prod(Reduction):
    """out = the product over `axis` (all when empty).   data (d0, ...) -> output (the other dims)."""

    row = "reduce_prod"

    def grad(p, dy, x, y):
        return (_kept(p, x, dy * y) / x,)


def _where_extreme(p, dy, x, y):
    return (_kept(p, x, dy) * F.equal(x, _kept(p, x, y)),)


@op("max", "max_axis")
class Max(Reduction):
    """out = the largest over `axis` (all when empty); the gradient goes to every largest one.

    data (d0, ...) -> output (the other dims).
    """

    row, grad = "reduce_max", _where_extreme


@op("min", "min_axis")
class Min(Reduction):
    """out = the smallest over `axis` (all when empty); the gradient goes to every smallest one.

    data (d0, ...) -> output (the other dims).
    """

    row, grad = "reduce_min", _where_extreme


class ComposedReduction(Composed):
    """The base of reductions made of others."""

    shape, dtype, per_example = _reduced, same(NUMBERS), _keeps_examples
    axis: Axes = Param(())
    keepdims: bool = Param(False)
    exclude: bool = Param(False)


def _settings(p):
    return {"axis": p.axis, "keepdims": p.keepdims, "exclude": p.exclude}


@op("mean", "_sparse_mean")
class Mean(ComposedReduction):
    """out = the mean over `axis` (all when empty).   data (d0, ...) -> output (the other dims)."""

    def compose(p, x):
        n = max(n_elements([x.shape[a] for a in _axes(p, x)]), 1)
        if x.dtype in FLOATS:
            return F.sum(x, **_settings(p)) * (1.0 / n)
        # The sum of small integers may not be one of them, though their mean is.
        return cast(F.sum(cast(x, "int64"), **_settings(p)) / n, x.dtype)


@op("nansum")
class Nansum(ComposedReduction):
    """out = the sum over `axis`, nan counting as 0.   data (d0, ...) -> output (the other dims)."""

    def compose(p, x):
        return F.sum(F.where3(F.equal(x, x), x, 0), **_settings(p))


@op("nanprod")
class Nanprod(ComposedReduction):
    """out = the product over `axis`, nan counting as 1.   data (d0, ...) -> output (the other dims)."""

    def compose(p, x):
        return F.prod(F.where3(F.equal(x, x), x, 1), **_settings(p))


@op("norm", "_sparse_norm")
class Norm(Composed):
    """out = the 1-norm (sum of |x|) or 2-norm (root of the sum of squares) over `axis` (all when None).

    data (d0, ...) -> output (the other dims) of `out_dtype`, data's when None.   Its gradient at 0 is 0.
    """

    shape = _reduced
    ord: int = Param(2)
    axis: Axes = Param(None)
    out_dtype: str | None = Param(None, choices=("float16", "float32", "float64", "int8", "int32", "int64", "None"))
    keepdims: bool = Param(False)

    def dtype(p, ins, outs):
        same(NUMBERS)(p, ins, [])
        return ins, [ins[0] if p.out_dtype in (None, "None") else p.out_dtype]

    def compose(p, x):
        if p.ord not in (1, 2):
            raise ArgumentError(f"ord is {p.ord}, expected 1 or 2")
        settings = {"axis": () if p.axis is None else p.axis, "keepdims": p.keepdims}
        y = F.sum(F.abs(x), **settings) if p.ord == 1 else F.sqrt(F.sum(F.square(x), **settings))
        return cast(y, Norm.dtype(p, [x.dtype], [None])[1][0])

    def grad(p, dy, x, y):
        axes = normalize_axes(p.axis, x.ndim)
        back = reduced_shape(x.shape, axes, True)
        dy, y = cast(reshape(dy, back), x.dtype), cast(reshape(y, back), x.dtype)
        if p.ord == 1:
            return (dy * F.sign(x),)
        # Where the norm is 0, so is x.
        return (dy * x / F.where3(y, y, 1),)


@op("moments")
class Moments(Composed):
    """mean and variance over `axes` (all when None).   data (d0, ...) -> output0, output1 (the other dims)."""

    outputs = ("output0", "output1")
    dtype = same(FLOATS)
    axes: Axes = Param(None)
    keepdims: bool = Param(False)

    def shape(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        return ins, [reduced_shape(ins[0], normalize_axes(p.axes, len(ins[0])), p.keepdims)] * 2

    def compose(p, x):
        axis = () if p.axes is None else p.axes
        mean = F.mean(x, axis=axis, keepdims=True)
        variance = F.mean(F.square(x - mean), axis=axis, keepdims=p.keepdims)
        return reshape(mean, variance.shape), variance


def _without_axis(p, ins, outs):
    if ins[0] is None:
        return ins, outs
    axes = tuple(range(len(ins[0]))) if p.axis is None else (normalize_axis(p.axis, len(ins[0])),)
    return ins, [reduced_shape(ins[0], axes, p.keepdims)]


class ArgExtreme(Kernel):
    """The base of argmax and argmin."""

    row, shape, dtype = "", _without_axis, same(NUMBERS)
    axis: int | None = Param(None)
    keepdims: bool = Param(False)

    @classmethod
    def launch(cls, p, ins, outs):
        return Launch(cls.row, (-1 if p.axis is None else normalize_axis(p.axis, len(ins[0].shape)),))

    def grad(p, dy, x, y):
        return (None,)


@op("argmax")
class Argmax(ArgExtreme):
    """out = the index of the first largest along `axis` (of all, flattened, when None).

    data (d0, ...) -> output (the other dims), of data's dtype as in MXNet.
    """

    row = "argmax"


@op("argmin")
class Argmin(ArgExtreme):
    """out = the index of the first smallest along `axis` (of all, flattened, when None).

    data (d0, ...) -> output (the other dims), of data's dtype as in MXNet.
    """

    row = "argmin"


@op("argmax_channel")
class ArgmaxChannel(Composed):
    """out = the index of the first largest along axis 1.   data (N, C, ...) -> output (N, ...), of data's dtype."""

    dtype, grad = same(NUMBERS), None

    def shape(p, ins, outs):
        return ins, [None if ins[0] is None else ins[0][:1] + ins[0][2:]]

    def compose(p, x):
        return F.argmax(x, axis=1)
