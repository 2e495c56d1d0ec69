"""Elementwise operators of two and three inputs.

Each arithmetic is one Map operator that broadcasts (`broadcast_add`); its strict form (`elemwise_add`) and its forms
with a number (`_plus_scalar`, `_rminus_scalar`) are made from it by `_forms`.
"""

from ..base import ArgumentError
from ._build import F, apply, cast, constant, sum_to
from ._def import Composed, Map, always, op
from ._params import Axes, Param, Shape
from ._shapes import ALL, NUMBERS, all_same, broadcast, known, merge_all, normalize_axis, same


class Binary(Map):
    """The base of broadcasting operators: lhs, rhs (shapes that broadcast) -> output (their shape), of one dtype."""

    inputs = ("lhs", "rhs")
    shape, dtype = broadcast, same(NUMBERS)
    grad = None


def _zero_grad(p, dy, x, y, out):
    return None, None


def _broadcast_grad(partials):
    def grad(p, dy, x, y, out):
        dx, dy_ = partials(p, dy, x, y, out)
        return sum_to(dx, x.shape), sum_to(dy_, y.shape)

    return grad


def _forms(cls, elemwise: tuple[str, ...], scalar: tuple[str, ...] = (), reverse: tuple[str, ...] = ()):
    """Register the strict form of a broadcasting operator and those with a number on the right and on the left."""
    what = cls.__doc__.split(".")[0]

    class Strict(Composed):
        __doc__ = f"{what}.   lhs, rhs (one shape) -> output (the same shape and dtype)."
        inputs, shape, dtype, per_example = ("lhs", "rhs"), all_same, cls.dtype, always

        def compose(p, x, y):
            return apply(cls, (x, y), cls.parse({}))[0]

    op(*elemwise)(Strict)
    if scalar:
        _with_number(cls, scalar, f"{what}, y = `scalar`", lambda x, number: (x, number))
    if reverse:
        _with_number(cls, reverse, f"{what}, x = `scalar`", lambda x, number: (number, x))
    return cls


def _with_number(cls, names, text, order):
    class WithNumber(Composed):
        __doc__ = f"{text} in data's dtype.   data (any) -> output (same)."
        shape, dtype, per_example = all_same, cls.dtype, always
        scalar: float = Param(1.0)
        is_int: bool = Param(True)

        def compose(p, x):
            return apply(cls, order(x, constant(p.scalar, x.dtype)), cls.parse({}))[0]

    op(*names)(WithNumber)


def _binary(name, functor, text, partials=None, dtypes=NUMBERS, aliases=(), floating=False):
    """Register a broadcasting operator out = functor(x, y); without partials its gradient is zero."""
    members = {
        "functor": functor,
        "floating": floating,
        "dtype": same(dtypes),
        "grad": _broadcast_grad(partials) if partials else _zero_grad,
        "__doc__": f"out = {text}.   lhs, rhs (shapes that broadcast) -> output (their shape), all of one dtype.",
        "__module__": __name__,
    }
    return op(name, *aliases)(type(name.title().replace("_", ""), (Binary,), members))


def _add(p, dy, x, y, out):
    return dy, dy


def _sub(p, dy, x, y, out):
    return dy, -dy


def _mul(p, dy, x, y, out):
    return dy * y, dy * x


def _div(p, dy, x, y, out):
    return dy / y, -(dy * x / (y * y))


def _mod(p, dy, x, y, out):
    return dy, -(dy * F.floor(x / y))


def _power(p, dy, x, y, out):
    # Where the power is 0 it does not depend on y, though log x is infinite there.
    return dy * y * F.power(x, y - 1), F.where3(out, dy * F.log(x) * out, 0)


def _maximum(p, dy, x, y, out):
    return dy * F.greater_equal(x, y), dy * F.lesser(x, y)


def _minimum(p, dy, x, y, out):
    return dy * F.lesser_equal(x, y), dy * F.greater(x, y)


def _hypot(p, dy, x, y, out):
    return dy * x / out, dy * y / out


Add = _forms(
    _binary("broadcast_add", "add", "x + y", _add, aliases=("broadcast_plus",)),
    ("elemwise_add", "_add", "_plus", "_Plus", "_grad_add"),
    ("_plus_scalar", "_PlusScalar"),
)
Sub = _forms(
    _binary("broadcast_sub", "sub", "x - y", _sub, aliases=("broadcast_minus",)),
    ("elemwise_sub", "_sub", "_minus", "_Minus"),
    ("_minus_scalar", "_MinusScalar"),
    ("_rminus_scalar", "_RMinusScalar"),
)
Mul = _forms(
    _binary("broadcast_mul", "mul", "x * y", _mul), ("elemwise_mul", "_mul", "_Mul"), ("_mul_scalar", "_MulScalar")
)
Div = _forms(
    _binary("broadcast_div", "div", "x / y; integers are cut towards zero", _div),
    ("elemwise_div", "_div", "_Div"),
    ("_div_scalar", "_DivScalar"),
    ("_rdiv_scalar", "_RDivScalar"),
)
Mod = _forms(
    _binary("broadcast_mod", "mod", "x modulo y, with the sign of y; 0 where y is 0", _mod),
    ("_mod", "_Mod"),
    ("_mod_scalar", "_ModScalar"),
    ("_rmod_scalar", "_RModScalar"),
)
Power = _forms(
    _binary("broadcast_power", "power", "x**y", _power),
    ("_power", "_Power"),
    ("_power_scalar", "_PowerScalar"),
    ("_rpower_scalar", "_RPowerScalar"),
)
Maximum = _forms(
    _binary("broadcast_maximum", "maximum", "the larger of x and y", _maximum),
    ("_maximum", "_Maximum"),
    ("_maximum_scalar", "_MaximumScalar"),
)
Minimum = _forms(
    _binary("broadcast_minimum", "minimum", "the smaller of x and y", _minimum),
    ("_minimum", "_Minimum"),
    ("_minimum_scalar", "_MinimumScalar"),
)
Hypot = _forms(
    _binary("broadcast_hypot", "hypot", "(x**2 + y**2)**(1/2)", _hypot, floating=True),
    ("_hypot", "_Hypot"),
    ("_hypot_scalar", "_HypotScalar"),
)
for _name, _camel, _text in (
    ("equal", "Equal", "x = y"),
    ("not_equal", "NotEqual", "x and y differ"),
    ("greater", "Greater", "x > y"),
    ("greater_equal", "GreaterEqual", "x >= y"),
    ("lesser", "Lesser", "x < y"),
    ("lesser_equal", "LesserEqual", "x <= y"),
    ("logical_and", "LogicalAnd", "neither x nor y is 0"),
    ("logical_or", "LogicalOr", "x or y is not 0"),
    ("logical_xor", "LogicalXor", "exactly one of x and y is 0"),
):
    _forms(
        _binary(f"broadcast_{_name}", _name, f"1 where {_text}, else 0", dtypes=ALL),
        (f"_{_name}", "_" + _name.title()),
        (f"_{_name}_scalar", f"_{_camel}Scalar"),
    )


@op("_where3")
class Where3(Map):
    """out = y where x is not 0, else z.   condition, x, y (shapes that broadcast), all of one dtype -> output."""

    inputs, functor = ("condition", "x", "y"), "where"
    shape, dtype = broadcast, same(ALL)

    def grad(p, dy, c, x, y, out):
        zero = constant(0, dy.dtype)
        return None, sum_to(F.where3(c, dy, zero), x.shape), sum_to(F.where3(c, zero, dy), y.shape)


@op("where")
class Where(Composed):
    """out = x where condition is not 0, else y.

    condition (the same shape, or (N,) for rows), x, y (N, ...) -> output (N, ...).
    """

    inputs = ("condition", "x", "y")

    def shape(p, ins, outs):
        data = merge_all([ins[1], ins[2], *outs])
        condition = ins[0]
        if condition is None:
            condition = data
        elif data is not None and len(condition) != len(data):
            condition = data[:1]
        return [condition, data, data], [data]

    def dtype(p, ins, outs):
        (x, y), out = same(ALL)(p, ins[1:], outs)
        return [ins[0], x, y], out

    def compose(p, condition, x, y):
        if condition.ndim != x.ndim:
            condition = F.view(condition, shape=(x.shape[0], *(1,) * (x.ndim - 1)))
        # Compared before the cast: 0.5 counts as true, but is 0 as an integer.
        return F.where3(cast(F.not_equal(condition, 0), x.dtype), x, y)


@op("add_n", "ElementWiseSum", "_sparse_add_n")
class AddN(Composed):
    """out = the sum of all inputs.   args (one shape) -> output (the same shape and dtype)."""

    inputs, variadic = ("args",), "num_args"
    shape, dtype, per_example = all_same, same(NUMBERS), always
    num_args: int = Param(ge=1)

    def compose(p, *args):
        total = args[0]
        for x in args[1:]:
            total = total + x
        return total if len(args) > 1 else F.identity(total)


class Spread(Map):
    """The base of operators that repeat the input along axes of size 1."""

    functor, dtype = "identity", same(ALL)

    def grad(p, dy, x, y):
        return (sum_to(dy, x.shape),)


@op("broadcast_to")
class BroadcastTo(Spread):
    """out = data repeated along its axes of size 1.   data (d0, ...) -> output `shape`, where 0 keeps data's size."""

    shape_: Shape = Param(())

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if data and len(p.shape) != len(data) and all(p.shape):
            if len(p.shape) < len(data) or any(n not in (1, m) for n, m in zip(data[::-1], p.shape[::-1])):
                raise ArgumentError(f"data {data} does not broadcast to shape={p.shape}")
            return ins, [p.shape]
        if data and len(p.shape) != len(data):
            raise ArgumentError(f"shape is {p.shape}, expected {len(data)} dimensions, as data {data} has")
        target = tuple(d if s == 0 else s for d, s in zip(data, p.shape)) if data else p.shape
        for d, s in zip(data, target):
            if d not in (1, -1) and d != s:
                raise ArgumentError(f"data {data} does not broadcast to shape={p.shape}")
        return ins, [target]


def _several(axes):
    """Return axes as a tuple: None has none, an integer is one."""
    return () if axes is None else (axes,) if isinstance(axes, int) else axes


@op("broadcast_axis", "broadcast_axes")
class BroadcastAxis(Composed):
    """out = data repeated along `axis`, of size 1, to `size`.   data (d0, ...) -> output (d0, ... with the sizes)."""

    axis: Axes = Param(())
    size: Axes = Param(())
    dtype = same(ALL)

    def shape(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        target = list(ins[0])
        axes, sizes = _several(p.axis), _several(p.size)
        if len(axes) != len(sizes):
            raise ArgumentError(f"axis is {p.axis} and size is {p.size}, expected as many of each")
        for axis, size in zip(axes, sizes):
            axis = normalize_axis(axis, len(target))
            if target[axis] not in (1, -1):
                raise ArgumentError(f"data is {ins[0]}, expected size 1 at axis {axis} to broadcast it to {size}")
            target[axis] = size
        return ins, [tuple(target)]

    def compose(p, x):
        return F.broadcast_to(x, shape=BroadcastAxis.shape(p, [x.shape], [None])[1][0])


@op("broadcast_like")
class BroadcastLike(Composed):
    """out = lhs repeated along its axes of size 1 to rhs's sizes, or along lhs_axes to those of rhs_axes.

    lhs, rhs (any) -> output.
    """

    inputs = ("lhs", "rhs")
    lhs_axes: Axes | None = Param(None)
    rhs_axes: Axes | None = Param(None)

    def shape(p, ins, outs):
        x, like = ins
        if not known(x) or not known(like):
            return ins, outs
        lhs_axes, rhs_axes = _several(p.lhs_axes), _several(p.rhs_axes)
        if len(lhs_axes) != len(rhs_axes):
            raise ArgumentError(f"lhs_axes is {p.lhs_axes} and rhs_axes is {p.rhs_axes}, expected as many of each")
        if not lhs_axes and len(x) != len(like):
            raise ArgumentError(f"lhs is {x}, expected {len(like)} dimensions from rhs {like}")
        target = list(x)
        for a, b in zip(lhs_axes or range(len(x)), rhs_axes or range(len(like))):
            a, b = normalize_axis(a, len(x), "lhs_axes"), normalize_axis(b, len(like), "rhs_axes")
            if x[a] not in (1, like[b]):
                raise ArgumentError(f"lhs is {x}, expected size 1 at axis {a} to broadcast it to {like[b]}")
            target[a] = like[b]
        return ins, [tuple(target)]

    def dtype(p, ins, outs):
        (x,), out = same(ALL)(p, ins[:1], outs)
        return [x, ins[1]], out

    def compose(p, x, like):
        target = BroadcastLike.shape(p, [x.shape, like.shape], [None])[1][0]
        return F.identity(x) if target == x.shape else F.broadcast_to(x, shape=target)
