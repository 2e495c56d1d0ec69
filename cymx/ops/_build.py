"""Build typed graphs: `F.name(values, **settings)` inside `compose` and `grad`, and `apply` for the passes.

Every value's type is known when it is made, so bodies may ask `x.shape`.  Composed operators are expanded at once.
What is built belongs to the
current scope: the user's node that it came from, whether it is for training, and the auxiliary updates met on the way.
"""

import math
from collections.abc import Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from ..base import ArgumentError, MXNetError
from ..ir import Entry, Node, Type
from ._def import REGISTRY, Composed, Map, Op, View, find, op
from ._params import Numbers, Params
from ._shapes import FLOATS
from ._types import resolve


class scope:
    """Build on behalf of a user's node inside the block: `origin` is its label.

    updates: the variable's entry -> its new value.
    """

    __slots__ = ("origin", "train", "backward", "updates", "_token")

    def __init__(self, origin: str, train: bool, backward: bool = False):
        self.origin, self.train, self.backward = origin, train, backward
        self.updates: list[tuple[Entry, Entry]] = []

    def __enter__(self) -> "scope":
        self._token = _scope.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _scope.reset(self._token)


_scope: ContextVar[scope] = ContextVar("cymx_scope")


class Value(Entry):
    """An entry with arithmetic: numbers become constants of the other side's dtype."""

    __slots__ = ()

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __add__(self, other):
        return F.broadcast_add(self, other)

    def __radd__(self, other):
        return F.broadcast_add(self, other)

    def __sub__(self, other):
        return F.broadcast_sub(self, other)

    def __rsub__(self, other):
        return F.broadcast_sub(constant(other, self.dtype), self)

    def __mul__(self, other):
        return F.broadcast_mul(self, other)

    def __rmul__(self, other):
        return F.broadcast_mul(self, other)

    def __truediv__(self, other):
        return F.broadcast_div(self, other)

    def __rtruediv__(self, other):
        return F.broadcast_div(constant(other, self.dtype), self)

    def __neg__(self):
        return F.negative(self)


def variable(name: str, type_: Type, backward: bool = False) -> Value:
    """Return a new typed variable.   backward: whether it has no value before backward runs."""
    return Value(Node(None, name, types=(type_,), backward=backward))


def constant(number: Any, dtype: str) -> Value:
    """Return a scalar constant of shape (); a fraction loses its fraction in an integer dtype, as in MXNet."""
    if dtype not in FLOATS and not math.isfinite(number):
        raise ArgumentError(f"the number is {number}, expected a finite one for {dtype}")
    number = float(number) if dtype in FLOATS else int(number)
    params = Params({"value": number, "dtype": dtype}, {"value": str(number)})
    return Value(Node(find("_constant"), "", params=params, types=(Type((), dtype),)))


def apply(op_: type[Op], inputs: Sequence[Value], p: Params) -> tuple[Value, ...]:
    """Return the outputs of `op_` on typed values: a new node, or for a composed operator its body's.

    Raises ArgumentError or ArgumentTypeError, without the operator's name.
    """
    here = _scope.get()
    if issubclass(op_, Composed):
        types = resolve(op_, p, [v.type for v in inputs])
        mode = {"train": here.train} if op_.uses_mode else {}
        result = op_.compose(p, *inputs, **mode)
        if op_.aux:
            result, updates = result if isinstance(result[-1], dict) else (result, {})
            at = dict(zip(op_.input_names(p), inputs))
            here.updates += [(at[name], new) for name, new in updates.items()]
        outputs = (result,) if isinstance(result, Value) else tuple(result)
        for name, made, stated in zip(op_.output_names(p), outputs, types):
            if made.type != stated:
                raise MXNetError(f"{op_.name}: its body makes {name} {made.type}, its rules say {stated}")
        return outputs if not hasattr(op_, "grad") else _with_gradient(op_, p, inputs, outputs, here)
    if issubclass(op_, Map) and op_.floating and inputs[0].dtype not in FLOATS:
        return (cast(apply(op_, [cast(v, "float32") for v in inputs], p)[0], inputs[0].dtype),)
    types = resolve(op_, p, [v.type for v in inputs])
    node = Node(op_, here.origin, tuple(inputs), p, types=types, backward=here.backward)
    return tuple([Value(node, i) for i in range(len(types))])


def _with_gradient(op_, p, inputs, outputs, here) -> tuple[Value, ...]:
    """Tie the composed outputs to the operator's own gradient by a node that later passes see through."""
    params = Params({"op": op_, "p": p, "n": len(outputs)}, {})
    types = tuple(v.type for v in outputs)
    node = Node(
        OwnGradient,
        here.origin,
        (*outputs, *inputs),
        params,
        types=types,
        backward=here.backward,
    )
    return tuple(Value(node, i) for i in range(len(outputs)))


@op("_own_gradient")
class OwnGradient(View):
    """Give a composed operator the gradient that its class states: inputs (outputs of the body..., inputs of the
    operator...).
    """

    variadic = "n"

    def shape(p, ins, outs):
        return ins, outs

    dtype = shape

    def grad(p, *values):
        n = p.n
        dys, made, inputs = values[:n], values[n : 2 * n], values[2 * n : len(values) - n]
        given = p.op.grad(p.p, *dys, *inputs, *made) if p.op.grad is not None else (None,) * len(inputs)
        return (None,) * n + tuple(given)


class _Functions:
    """Operators by name: `F.exp`, `F.matmul` (registered as _matmul), `F.maximum` (registered as broadcast_maximum)."""

    def __getattr__(self, name: str):
        for word in (name, "broadcast_" + name, "_" + name):
            if word in REGISTRY:
                break
        else:
            raise AttributeError(f"there is no operator {name!r}")
        op_ = REGISTRY[word]

        def parse(**settings):
            return op_.parse(settings)

        # 0.0 and -0.0 are one key, so settings that may be fractions are not remembered.
        if not any(param.kind in (float, Numbers) for param in op_.params.values()):
            parse = lru_cache(maxsize=256, typed=True)(parse)

        def call(*inputs, **settings):
            dtype = _leading_dtype(inputs)
            if dtype is None and inputs:
                raise ArgumentError(f"{name}: no input is a value")
            values = [_operand(v, dtype) for v in inputs]
            outputs = apply(op_, values, parse(**settings))
            return outputs[0] if len(outputs) == 1 else outputs

        self.__dict__[name] = call
        return call


def _leading_dtype(inputs: Sequence[Any]) -> str | None:
    """Return the dtype that numbers among the inputs take: that of the first value, a shape () last."""
    found = None
    for v in inputs:
        if isinstance(v, Value):
            if v.shape:
                return v.dtype
            found = found or v.dtype
    return found


def _operand(v: Any, dtype: str) -> Value:
    if not isinstance(v, Value):
        return constant(v, dtype)
    return cast(v, dtype) if v.node.op is None and not v.shape and v.dtype != dtype else v


F: Any = _Functions()


def cast(x: Value, dtype: str) -> Value:
    """Return x in another dtype, or x itself where it has that dtype."""
    return x if x.dtype == dtype else F.Cast(x, dtype=dtype)


def reshape(x: Value, shape: Sequence[int]) -> Value:
    """Return x's memory under another shape, or x itself where it has that shape."""
    return x if x.shape == tuple(shape) else F.view(x, shape=tuple(shape))


def sum_to(x: Value, shape: Sequence[int]) -> Value:
    """Return x summed over the axes along which `shape` was broadcast to x's shape: the gradient of broadcasting."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1)
    return reshape(F.sum(x, axis=axes) if axes else x, shape)


def broadcast_to(x: Value, shape: Sequence[int]) -> Value:
    """Return x broadcast to `shape`, or x itself where it has that shape."""
    return x if x.shape == tuple(shape) else F.broadcast_to(x, shape=tuple(shape))


def zeros_like(x: Value) -> Value:
    """Return zeros of x's type."""
    return broadcast_to(constant(0, x.dtype), x.shape)
