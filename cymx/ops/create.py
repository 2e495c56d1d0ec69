"""Operators that make arrays out of settings, or of another array's shape."""

from typing import Any

from ..base import ArgumentError
from ._build import F, broadcast_to, cast, constant
from ._def import Composed, Kernel, Launch, Map, op
from ._params import DType, Param, Shape
from ._shapes import ALL, all_same, n_elements, same


@op("_constant")
class Constant(Map):
    """A number, shape ().  Inside graphs only: every step takes it as part of its program."""

    inputs, functor, grad = (), "identity", None
    value: Any = None

    def shape(p, ins, outs):
        return [], [()]

    def dtype(p, ins, outs):
        return [], [p.dtype]


class Creation(Composed):
    """The base of operators without inputs."""

    inputs, grad = (), None
    shape_: Shape = Param(())
    ctx: str = Param("")
    dtype_: DType = Param("float32")

    def shape(p, ins, outs):
        # As in MXNet, 0 or no shape at all is filled by what the output must be.
        return [], [tuple(-1 if n == 0 else n for n in p.shape) if p.shape else outs[0]]

    def dtype(p, ins, outs):
        return [], [p.dtype]


@op("_zeros", "_zeros_without_dtype")
class Zeros(Creation):
    """Zeros.   -> output `shape` of `dtype`."""

    def compose(p):
        return broadcast_to(constant(0, p.dtype), p.shape)


@op("_ones")
class Ones(Creation):
    """Ones.   -> output `shape` of `dtype`."""

    def compose(p):
        return broadcast_to(constant(1, p.dtype), p.shape)


@op("_full")
class Full(Creation):
    """The number `value` everywhere.   -> output `shape` of `dtype`."""

    value: float = Param()

    def compose(p):
        return broadcast_to(constant(p.value, p.dtype), p.shape)


@op("zeros_like", "_sparse_zeros_like")
class ZerosLike(Composed):
    """Zeros.   data (any) -> output (the same shape and dtype)."""

    shape, dtype = all_same, same(ALL)

    def compose(p, x):
        return broadcast_to(constant(0, x.dtype), x.shape)

    def grad(p, dy, x, y):
        return (None,)


@op("ones_like")
class OnesLike(Composed):
    """Ones.   data (any) -> output (the same shape and dtype)."""

    shape, dtype = all_same, same(ALL)

    def compose(p, x):
        return broadcast_to(constant(1, x.dtype), x.shape)

    def grad(p, dy, x, y):
        return (None,)


def _arange_length(p) -> int:
    start, stop = (0.0, p.start) if p.stop is None else (p.start, p.stop)
    if p.step == 0:
        raise ArgumentError("step is 0, expected another number")
    n = -(-(stop - start) // p.step)
    if n < 0 or (n == 0 and stop != start):
        raise ArgumentError(f"start={start}, stop={stop}, step={p.step} hold no number")
    return int(n) * p.repeat


@op("_arange")
class Arange(Kernel):
    """start, start + step, ... below stop, each `repeat` times; with stop None, 0, ... below start.

    -> output (n,) of `dtype`.
    """

    inputs, grad = (), None
    start: float = Param()
    stop: float | None = Param(None)
    step: float = Param(1.0)
    repeat: int = Param(1, ge=1)
    infer_range: bool = Param(False)
    ctx: str = Param("")
    dtype_: DType = Param("float32")

    def shape(p, ins, outs):
        return [], [(_arange_length(p),) if not p.infer_range else outs[0]]

    def dtype(p, ins, outs):
        return [], [p.dtype]

    def launch(p, ins, outs):
        start = 0.0 if p.stop is None and not p.infer_range else p.start
        return Launch("arange", (start, p.step, p.repeat))


@op("_linspace")
class Linspace(Composed):
    """`num` numbers from start to stop, the last one included where `endpoint`.   -> output (num,) of `dtype`."""

    inputs, grad = (), None
    start: float = Param()
    stop: float = Param()
    step: float = Param(1.0)
    repeat: int = Param(1, ge=1)
    num: int = Param(0, ge=0)
    endpoint: bool = Param(True)
    infer_range: bool = Param(False)
    ctx: str = Param("")
    dtype_: DType = Param("float32")

    def shape(p, ins, outs):
        return [], [(p.num,)]

    def dtype(p, ins, outs):
        return [], [p.dtype]

    def compose(p):
        step = (p.stop - p.start) / max(p.num - 1 if p.endpoint else p.num, 1)
        count = F.arange(start=0.0, stop=float(p.num), dtype="float64")
        return cast(count * step + p.start, p.dtype)


@op("_eye")
class Eye(Composed):
    """1 on diagonal `k`, 0 elsewhere.   -> output (N, M or N) of `dtype`."""

    inputs, grad = (), None
    N: int = Param(ge=1)
    M: int = Param(0, ge=0)
    k: int = Param(0)
    ctx: str = Param("")
    dtype_: DType = Param("float32")

    def shape(p, ins, outs):
        return [], [(p.N, p.M or p.N)]

    def dtype(p, ins, outs):
        return [], [p.dtype]

    def compose(p):
        rows = F.view(F.arange(start=0.0, stop=float(p.N), dtype="float32"), shape=(p.N, 1))
        columns = F.view(F.arange(start=0.0, stop=float(p.M or p.N), dtype="float32"), shape=(1, p.M or p.N))
        return F.Cast(F.equal(rows + p.k, columns), dtype=p.dtype)


@op("shape_array")
class ShapeArray(Composed):
    """data's shape.   data (d0, ..., dn) -> output (n,) int64."""

    grad = None

    def shape(p, ins, outs):
        return ins, [None if ins[0] is None else (len(ins[0]),)]

    def dtype(p, ins, outs):
        return ins, ["int64"]

    def compose(p, x):
        return F.concat(
            *(F.view(broadcast_to(constant(n, "int64"), (1,)), shape=(1,)) for n in x.shape), num_args=x.ndim, dim=0
        )


@op("size_array")
class SizeArray(Composed):
    """data's number of elements.   data (any) -> output (1,) int64."""

    grad = None

    def shape(p, ins, outs):
        return ins, [(1,)]

    def dtype(p, ins, outs):
        return ins, ["int64"]

    def compose(p, x):
        return broadcast_to(constant(n_elements(x.shape), "int64"), (1,))
