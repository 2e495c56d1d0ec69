"""Elementwise operators of one input, casts and views; trig.py has the trigonometric ones."""

import numpy as np

from ..base import ArgumentError
from ._build import F, cast
from ._def import Composed, Map, View, always, op
from ._params import DType, Param, Shape
from ._shapes import ALL, FLOATS, NUMBERS, all_same, gives, known, n_elements, same


class Unary(Map):
    """The base of elementwise operators: data (any shape) -> output (the same shape and dtype)."""

    shape, dtype = all_same, same(NUMBERS)
    grad = None


class FloatUnary(Unary):
    """The base of those whose functor knows floating types only."""

    floating = True


def _zero(p, dy, x, y):
    """Let no gradient flow: it is 0 wherever it exists, whatever flows in."""
    return (None,)


@op("_copy", "identity")
class Identity(Unary):
    """y = x.   data (any) -> output (the same shape and dtype)."""

    functor, dtype = "identity", same(ALL)

    def grad(p, dy, x, y):
        return (dy,)


@op("negative", "_np_negative")
class Negative(Unary):
    """y = -x.   data (any) -> output (same)."""

    functor = "negative"

    def grad(p, dy, x, y):
        return (-dy,)


@op("abs")
class Abs(Unary):
    """y = |x|.   data (any) -> output (same)."""

    functor = "abs"

    def grad(p, dy, x, y):
        return (dy * F.sign(x),)


@op("sign")
class Sign(Unary):
    """y = -1, 0 or 1, the sign of x.   data (any) -> output (same).   Its gradient is zero."""

    functor = "sign"

    grad = _zero


def _rounding(name, functor, text):
    """Register an operator whose gradient is zero almost everywhere."""
    doc = f"y = {text}.   data (any) -> output (same).   Its gradient is zero."
    members = {"functor": functor, "grad": _zero, "__doc__": doc, "__module__": __name__}
    return op(name)(type(name.capitalize(), (Unary,), members))


Round = _rounding("round", "round", "x rounded to the nearest integer, halves away from zero")
Rint = _rounding("rint", "rint", "x rounded to the nearest integer, halves down")
Ceil = _rounding("ceil", "ceil", "the smallest integer that is not below x")
Floor = _rounding("floor", "floor", "the largest integer that is not above x")
Trunc = _rounding("trunc", "trunc", "x without its fraction")
Fix = _rounding("fix", "fix", "x rounded towards zero")


@op("square")
class Square(Unary):
    """y = x**2.   data (any) -> output (same)."""

    functor = "square"

    def grad(p, dy, x, y):
        return (dy * x * 2,)


@op("sqrt")
class Sqrt(FloatUnary):
    """y = x**(1/2).   data (any) -> output (same)."""

    functor = "sqrt"

    def grad(p, dy, x, y):
        return (dy * 0.5 / y,)


@op("rsqrt")
class Rsqrt(FloatUnary):
    """y = x**(-1/2).   data (any) -> output (same)."""

    functor = "rsqrt"

    def grad(p, dy, x, y):
        return (dy * -0.5 * y / x,)


@op("cbrt")
class Cbrt(FloatUnary):
    """y = x**(1/3), also for negative x.   data (any) -> output (same)."""

    functor = "cbrt"

    def grad(p, dy, x, y):
        return (dy / (y * y * 3),)


@op("rcbrt")
class Rcbrt(FloatUnary):
    """y = x**(-1/3).   data (any) -> output (same)."""

    functor = "rcbrt"

    def grad(p, dy, x, y):
        return (dy * y / (x * -3),)


@op("exp")
class Exp(FloatUnary):
    """y = e**x.   data (any) -> output (same)."""

    functor = "exp"

    def grad(p, dy, x, y):
        return (dy * y,)


@op("expm1")
class Expm1(FloatUnary):
    """y = e**x - 1, precise near 0.   data (any) -> output (same)."""

    functor = "expm1"

    def grad(p, dy, x, y):
        # Not y + 1, which loses all digits where x is far below 0.
        return (dy * F.exp(x),)


@op("log")
class Log(FloatUnary):
    """y = the natural logarithm of x.   data (any) -> output (same)."""

    functor = "log"

    def grad(p, dy, x, y):
        return (dy / x,)


@op("log2")
class Log2(FloatUnary):
    """y = the logarithm of x to base 2.   data (any) -> output (same)."""

    functor = "log2"

    def grad(p, dy, x, y):
        return (dy / (x * 0.6931471805599453),)


@op("log10")
class Log10(FloatUnary):
    """y = the logarithm of x to base 10.   data (any) -> output (same)."""

    functor = "log10"

    def grad(p, dy, x, y):
        return (dy / (x * 2.302585092994046),)


@op("log1p")
class Log1p(FloatUnary):
    """y = log(1 + x), precise near 0.   data (any) -> output (same)."""

    functor = "log1p"

    def grad(p, dy, x, y):
        return (dy / (x + 1),)


@op("reciprocal")
class Reciprocal(Unary):
    """y = 1 / x.   data (any) -> output (same)."""

    functor = "reciprocal"

    def grad(p, dy, x, y):
        return (-(dy * y * y),)


@op("erf")
class Erf(FloatUnary):
    """y = the error function of x.   data (any) -> output (same)."""

    functor = "erf"

    def grad(p, dy, x, y):
        return (dy * F.exp(-(x * x)) * 1.1283791670955126,)


@op("erfinv")
class Erfinv(FloatUnary):
    """y = the inverse of the error function.   data (any) -> output (same)."""

    functor = "erfinv"

    def grad(p, dy, x, y):
        return (dy * F.exp(y * y) * 0.886226925452758,)


@op("gamma")
class Gamma(FloatUnary):
    """y = the gamma function of x.   data (any) -> output (same)."""

    functor = "gamma"

    def grad(p, dy, x, y):
        return (dy * y * F.digamma(x),)


@op("gammaln")
class Gammaln(FloatUnary):
    """y = log |gamma(x)|.   data (any) -> output (same)."""

    functor = "gammaln"

    def grad(p, dy, x, y):
        return (dy * F.digamma(x),)


@op("digamma")
class Digamma(FloatUnary):
    """y = the derivative of log gamma(x).   data (any) -> output (same)."""

    functor = "digamma"


@op("sigmoid")
class Sigmoid(FloatUnary):
    """y = 1 / (1 + e**-x).   data (any) -> output (same)."""

    functor = "sigmoid"

    def grad(p, dy, x, y):
        return (dy * y * (1 - y),)


@op("hard_sigmoid")
class HardSigmoid(Composed):
    """y = min(1, max(0, alpha x + beta)).   data (any) -> output (same).   Its gradient at the corners is 0."""

    shape, dtype = all_same, same(FLOATS)
    alpha: float = Param(0.2)
    beta: float = Param(0.5)

    def compose(p, x):
        return F.clip(x * p.alpha + p.beta, a_min=0.0, a_max=1.0)

    def grad(p, dy, x, y):
        return (dy * p.alpha * F.greater(y, 0) * F.lesser(y, 1),)


@op("relu")
class Relu(Unary):
    """y = max(x, 0).   data (any) -> output (same)."""

    functor = "relu"

    def grad(p, dy, x, y):
        return (dy * F.greater(y, 0),)


@op("softsign")
class Softsign(FloatUnary):
    """y = x / (1 + |x|).   data (any) -> output (same)."""

    functor = "softsign"

    def grad(p, dy, x, y):
        return (dy / F.square(F.abs(x) + 1),)


@op("softrelu")
class Softrelu(FloatUnary):
    """y = log(1 + e**x), also for large x.   data (any) -> output (same)."""

    functor = "softrelu"

    def grad(p, dy, x, y):
        return (dy * F.sigmoid(x),)


@op("logical_not")
class LogicalNot(Unary):
    """y = 1 where x is 0, else 0.   data (any) -> output (same)."""

    functor, dtype = "logical_not", same(ALL)

    grad = _zero


@op("clip")
class Clip(Unary):
    """y = x limited to [a_min, a_max], first from above.

    data (any) -> output (same).   Its gradient at the limits is 1.
    """

    functor = "clip"
    a_min: float = Param()
    a_max: float = Param()

    def constants(p, dtype):
        if dtype in FLOATS:
            return (p.a_min, p.a_max)
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        return tuple(int(min(max(limit, least), most)) for limit in (p.a_min, p.a_max))

    def grad(p, dy, x, y):
        return (F.where3(F.logical_or(F.lesser(x, p.a_min), F.greater(x, p.a_max)), 0, dy),)


@op("smooth_l1")
class SmoothL1(FloatUnary):
    """y = (scalar x)**2 / 2 where |x| < 1 / scalar**2, else |x| - 0.5 / scalar**2.

    data (any) -> output (same).   Girshick 2015.
    """

    functor = "smooth_l1"
    scalar: float = Param(1.0)

    def constants(p, dtype):
        return (p.scalar,)

    def grad(p, dy, x, y):
        return (dy * F.smooth_l1_grad(x, scalar=p.scalar),)


@op("_smooth_l1_grad")
class SmoothL1Grad(FloatUnary):
    """y = the derivative of smooth_l1 at x.   data (any) -> output (same)."""

    functor = "smooth_l1_grad"
    scalar: float = Param(1.0)

    def constants(p, dtype):
        return (p.scalar,)


@op("Cast", "cast")
class Cast(Map):
    """y = x in another dtype; fractions are cut off.   data (any) -> output (the same shape) of `dtype`."""

    functor, shape, dtype = "cast", all_same, gives()
    dtype_: DType = Param()

    def grad(p, dy, x, y):
        return (cast(dy, x.dtype),)


@op("_view")
class ViewAs(View):
    """The input's memory under another shape with as many elements.   data (any) -> output `shape`."""

    dtype, per_example = same(ALL), always
    shape_: Shape = Param()

    def shape(p, ins, outs):
        if known(ins[0]) and n_elements(ins[0]) != n_elements(p.shape):
            raise ArgumentError(f"data is {ins[0]}, expected as many elements as shape={p.shape} holds")
        return ins, [p.shape]

    def grad(p, dy, x, y):
        return (F.view(dy, shape=x.shape),)
