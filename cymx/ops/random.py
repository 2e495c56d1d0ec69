"""Random numbers: counter-based (Philox), the same for every device and thread count."""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, Kernel, Launch, op
from ._params import Param, Shape
from ._shapes import FLOATS, known, n_elements, same


class Draw(Kernel):
    """The base of operators that draw numbers: -> output `shape` of `dtype` (float32 when None)."""

    inputs, grad, is_random, row = (), None, True, ""
    shape_: Shape = Param(())
    ctx: str = Param("")
    dtype_: str | None = Param(None, choices=("float16", "float32", "float64", "bfloat16", "None"))

    def shape(p, ins, outs):
        return [], [p.shape or (1,)]

    def dtype(p, ins, outs):
        return [], [p.dtype if p.dtype not in (None, "None") else "float32"]

    @classmethod
    def launch(cls, p, ins, outs):
        return Launch(cls.row, cls.bounds(p), n_random=-(-n_elements(outs[0].shape) // 4))


@op("_random_uniform", "uniform", "random_uniform")
class RandomUniform(Draw):
    """Numbers drawn evenly from [low, high).   -> output `shape` of `dtype`."""

    row, positional = "random_uniform", ("low", "high")
    low: float = Param(0.0)
    high: float = Param(1.0)

    def shape(p, ins, outs):
        if p.low > p.high:
            raise ArgumentError(f"low is {p.low}, expected at most high={p.high}")
        return Draw.shape(p, ins, outs)

    def bounds(p):
        return (p.low, p.high)


@op("_random_normal", "normal", "random_normal")
class RandomNormal(Draw):
    """Numbers drawn from the normal distribution with mean loc and deviation scale.   -> output `shape` of `dtype`."""

    row, positional = "random_normal", ("loc", "scale")
    loc: float = Param(0.0)
    scale: float = Param(1.0, ge=0)

    def bounds(p):
        return (p.loc, p.scale)


@op("_bernoulli")
class Bernoulli(Draw):
    """1 with probability prob, else 0.   -> output `shape` of `dtype`."""

    row = "random_bernoulli"
    prob: float = Param(0.5, ge=0)

    def shape(p, ins, outs):
        if p.prob > 1:
            raise ArgumentError(f"prob is {p.prob}, expected at most 1")
        return Draw.shape(p, ins, outs)

    def bounds(p):
        return (p.prob, 0.0)


@op("_random_randint", "random_randint")
class RandomRandint(Draw):
    """Integers drawn evenly from [low, high).   -> output `shape` of `dtype` (int32 when None)."""

    row, positional = "random_randint", ("low", "high")
    low: int = Param()
    high: int = Param()
    dtype_: str | None = Param(None, choices=("int32", "int64", "None"))

    def dtype(p, ins, outs):
        return [], [p.dtype if p.dtype not in (None, "None") else "int32"]

    def shape(p, ins, outs):
        if p.low >= p.high:
            raise ArgumentError(f"low is {p.low}, expected less than high={p.high}")
        if p.dtype != "int64" and not -(2**31) <= p.low < p.high <= 2**31:
            raise ArgumentError(f"low is {p.low} and high is {p.high}, expected numbers of int32, or dtype='int64'")
        return Draw.shape(p, ins, outs)

    def bounds(p):
        return (float(p.low), float(p.high))


@op("_random_exponential", "exponential", "random_exponential")
class RandomExponential(Composed):
    """Numbers drawn from the exponential distribution with rate lam.   -> output `shape` of `dtype`."""

    inputs, grad, dtype, is_random = (), None, Draw.dtype, True
    lam: float = Param(1.0)
    shape_: Shape = Param(())
    ctx: str = Param("")
    dtype_: str | None = Param(None, choices=("float16", "float32", "float64", "bfloat16", "None"))

    def shape(p, ins, outs):
        if p.lam <= 0:
            raise ArgumentError(f"lam is {p.lam}, expected a number above 0")
        return Draw.shape(p, ins, outs)

    def compose(p):
        dtype = Draw.dtype(p, [], [])[1][0]
        # Rounded to 16 bits, u may be 1, whose logarithm is infinite.
        u = F.random_uniform(shape=p.shape or (1,), dtype="float64" if dtype == "float64" else "float32")
        return cast(F.log1p(-u) * (-1 / p.lam), dtype)


class DrawLike(Composed):
    """The base of operators that draw as many numbers as data has: data (any) -> output (same)."""

    dtype, grad, is_random = same(FLOATS), None, True

    def shape(p, ins, outs):
        return ins, [ins[0]]


@op("_random_uniform_like", "random_uniform_like")
class RandomUniformLike(DrawLike):
    """Numbers drawn evenly from [low, high).   data (any) -> output (the same shape and dtype)."""

    low: float = Param(0.0)
    high: float = Param(1.0)

    def compose(p, x):
        return F.random_uniform(low=p.low, high=p.high, shape=x.shape, dtype=x.dtype)


@op("_random_normal_like", "random_normal_like")
class RandomNormalLike(DrawLike):
    """Numbers drawn from the normal distribution.   data (any) -> output (the same shape and dtype)."""

    loc: float = Param(0.0)
    scale: float = Param(1.0, ge=0)

    def compose(p, x):
        return F.random_normal(loc=p.loc, scale=p.scale, shape=x.shape, dtype=x.dtype)


class Sample(Composed):
    """The base of operators with parameters in arrays: two (n...) -> output (n..., *shape)."""

    grad, is_random = None, True
    shape_: Shape = Param(())
    dtype_: str | None = Param(None, choices=("float16", "float32", "float64", "None"))

    def shape(p, ins, outs):
        first = ins[0] if ins[0] is not None else ins[1]
        return [first, first], [(*first, *p.shape) if known(first) else None]

    def dtype(p, ins, outs):
        (a, b), _ = same(FLOATS)(p, ins, [])
        return [a, b], [p.dtype if p.dtype not in (None, "None") else a or "float32"]


def _spread(p, x, dtype):
    return cast(reshape(x, (*x.shape, *(1,) * len(p.shape))), dtype)


@op("_sample_uniform", "sample_uniform")
class SampleUniform(Sample):
    """Numbers drawn evenly from [low, high) for each pair.   low, high (n...) -> output (n..., *shape)."""

    inputs = ("low", "high")

    def compose(p, low, high):
        dtype = Sample.dtype(p, [low.dtype, high.dtype], [])[1][0]
        u = F.random_uniform(shape=(*low.shape, *p.shape), dtype=dtype)
        low, high = _spread(p, low, dtype), _spread(p, high, dtype)
        return low + u * (high - low)


@op("_sample_normal", "sample_normal")
class SampleNormal(Sample):
    """Numbers drawn from the normal distribution of each pair.   mu, sigma (n...) -> output (n..., *shape)."""

    inputs = ("mu", "sigma")

    def compose(p, mu, sigma):
        dtype = Sample.dtype(p, [mu.dtype, sigma.dtype], [])[1][0]
        z = F.random_normal(shape=(*mu.shape, *p.shape), dtype=dtype)
        return _spread(p, mu, dtype) + z * _spread(p, sigma, dtype)
