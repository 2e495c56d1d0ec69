"""Trigonometric and hyperbolic operators, their inverses, and degrees."""

from ._build import F
from ._def import op
from .elemwise import FloatUnary


@op("sin")
class Sin(FloatUnary):
    """y = sin x, x in radians.   data (any) -> output (same)."""

    functor = "sin"

    def grad(p, dy, x, y):
        return (dy * F.cos(x),)


@op("cos")
class Cos(FloatUnary):
    """y = cos x, x in radians.   data (any) -> output (same)."""

    functor = "cos"

    def grad(p, dy, x, y):
        return (-(dy * F.sin(x)),)


@op("tan")
class Tan(FloatUnary):
    """y = tan x, x in radians.   data (any) -> output (same)."""

    functor = "tan"

    def grad(p, dy, x, y):
        return (dy * (y * y + 1),)


@op("arcsin")
class Arcsin(FloatUnary):
    """y = arcsin x in radians.   data (any) -> output (same)."""

    functor = "arcsin"

    def grad(p, dy, x, y):
        return (dy * F.rsqrt(1 - x * x),)


@op("arccos")
class Arccos(FloatUnary):
    """y = arccos x in radians.   data (any) -> output (same)."""

    functor = "arccos"

    def grad(p, dy, x, y):
        return (-(dy * F.rsqrt(1 - x * x)),)


@op("arctan")
class Arctan(FloatUnary):
    """y = arctan x in radians.   data (any) -> output (same)."""

    functor = "arctan"

    def grad(p, dy, x, y):
        return (dy / (x * x + 1),)


@op("sinh")
class Sinh(FloatUnary):
    """y = the hyperbolic sine of x.   data (any) -> output (same)."""

    functor = "sinh"

    def grad(p, dy, x, y):
        return (dy * F.cosh(x),)


@op("cosh")
class Cosh(FloatUnary):
    """y = the hyperbolic cosine of x.   data (any) -> output (same)."""

    functor = "cosh"

    def grad(p, dy, x, y):
        return (dy * F.sinh(x),)


@op("tanh")
class Tanh(FloatUnary):
    """y = the hyperbolic tangent of x.   data (any) -> output (same)."""

    functor = "tanh"

    def grad(p, dy, x, y):
        return (dy * (1 - y * y),)


@op("arcsinh")
class Arcsinh(FloatUnary):
    """y = the inverse hyperbolic sine of x.   data (any) -> output (same)."""

    functor = "arcsinh"

    def grad(p, dy, x, y):
        return (dy * F.rsqrt(x * x + 1),)


@op("arccosh")
class Arccosh(FloatUnary):
    """y = the inverse hyperbolic cosine of x.   data (any) -> output (same)."""

    functor = "arccosh"

    def grad(p, dy, x, y):
        return (dy * F.rsqrt(x * x - 1),)


@op("arctanh")
class Arctanh(FloatUnary):
    """y = the inverse hyperbolic tangent of x.   data (any) -> output (same)."""

    functor = "arctanh"

    def grad(p, dy, x, y):
        return (dy / (1 - x * x),)


@op("degrees")
class Degrees(FloatUnary):
    """y = x radians in degrees.   data (any) -> output (same)."""

    functor = "degrees"

    def grad(p, dy, x, y):
        return (dy * 57.29577951308232,)


@op("radians")
class Radians(FloatUnary):
    """y = x degrees in radians.   data (any) -> output (same)."""

    functor = "radians"

    def grad(p, dy, x, y):
        return (dy * 0.017453292519943295,)
