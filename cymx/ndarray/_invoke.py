"""Eager calls: an operator on arrays becomes a graph of one node, compiled once for its types and settings, and run.

Called by the generated functions of mx.nd, NDArray's operators, random and the optimizer's updates.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from .._engine import Buffer
from .._array import Array
from ..base import ArgumentError, Context, MXNetError, current_context
from ..compiler import Plan, compile_graph
from ..ir import Entry, Graph, Node, Type
from ..ops import find
from ..ops._def import Op

CACHE_SIZE = 4096

_IDENTITY, _CAST = find("identity"), find("Cast")

_mode = threading.local()
_plans: "OrderedDict[tuple, Plan]" = OrderedDict()
_lock = threading.Lock()


def is_training() -> bool:
    """Tell whether operators with a mode (Dropout, BatchNorm) run as in training, in this thread."""
    return getattr(_mode, "train", False)


def set_training(train: bool) -> bool:
    """Set the mode of this thread and return the one before."""
    before = is_training()
    _mode.train = bool(train)
    return before


def clear_plans() -> None:
    """Forget all compiled plans, so that a new instruction set or library is taken up."""
    with _lock:
        _plans.clear()


def invoke(
    op: type[Op],
    inputs: Sequence[Array],
    settings: Mapping[str, Any],
    out: Any = None,
    ctx: Context | None = None,
    cls: type[Array] = Array,
) -> Any:
    """Run an operator and return its output, or a list of them.

    out: an array, or a sequence of arrays, to write the outputs into.   ctx: where an operator without inputs makes its output.
    Auxiliary inputs are changed in place.   Raises MXNetError naming the operator and the argument.
    """
    p = op.parse(settings)
    types = tuple(Type(x.shape, x.dtype_name) for x in inputs)
    device = _device(op, inputs, ctx)
    train = op.uses_mode and is_training()
    key = (op, p.key, types, train)
    plan = _plans.get(key)
    if plan is None:
        plan = _compile(op, p, types, train)
        with _lock:
            _plans[key] = plan
            if len(_plans) > CACHE_SIZE:
                _plans.popitem(last=False)
    at = {f"arg:in{i}": x for i, x in enumerate(inputs)}
    made = []
    copies = []
    given = _listed(out) if out is not None else ()
    if given and len(given) != sum(name.startswith("out:") for name, _ in plan.arrays):
        raise ArgumentError(f"{op.name}: out holds {len(given)} arrays, expected one for each output")
    arrays = []
    for name, type_ in plan.arrays:
        array = at.get(name)
        if array is None:
            if given:
                target = given[len(made)]
                array = target
                if target.shape != type_.shape:
                    raise ArgumentError(f"{op.name}: out is {target.shape}, expected {type_.shape}")
                direct = target.dtype_name == type_.dtype and (plan.safe_in_place or not any(target.overlaps(x) for x in inputs))
                if not direct:
                    array = cls.empty(type_.shape, type_.dtype, *device)
                    copies.append((array, target))
            else:
                array = cls.empty(type_.shape, type_.dtype, *device)
            made.append(given[len(made)] if given else array)
        arrays.append(array)
    plan.runner.run(arrays, Buffer(plan.arena_bytes, *device) if plan.arena_bytes else None)
    for source, target in copies:
        copy_into(source, target)
    return made[0] if len(made) == 1 else made


def copy_into(source: Array, target: Array) -> None:
    """Copy an array into another of the same shape, converting its dtype, in the engine's order."""
    op = _CAST if source.dtype_name != target.dtype_name else _IDENTITY
    invoke(op, [source], {"dtype": target.dtype_name} if op is _CAST else {}, out=target)


def _listed(out: Any) -> Sequence[Array]:
    return out if isinstance(out, (list, tuple)) else (out,)


def _device(op: type[Op], inputs: Sequence[Array], ctx: Context | None) -> tuple[int, int]:
    if not inputs:
        context = ctx or current_context()
        return context.device_typeid, context.device_id
    first = (inputs[0].device_type, inputs[0].device_id)
    for i, x in enumerate(inputs):
        if (x.device_type, x.device_id) != first:
            names = [repr(Context(Context.devtype2str[d[0]], d[1])) for d in (first, (x.device_type, x.device_id))]
            raise MXNetError(f"{op.name}: input 0 is on {names[0]} and input {i} on {names[1]}, expected one context")
    return first


def _compile(op: type[Op], p: Any, types: Sequence[Type], train: bool) -> Plan:
    names = op.input_names(p)
    if len(names) != len(types):
        raise ArgumentError(f"{op.name}: {len(types)} inputs came, expected {len(names)} ({', '.join(names)})")
    variables = [Node(None, f"in{i}") for i in range(len(types))]
    node = Node(op, "", tuple(Entry(v) for v in variables), p)
    graph = Graph(tuple(Entry(node, i) for i in range(len(op.output_names(p)))))
    by_name = {f"in{i}": t for i, t in enumerate(types)}
    try:
        return compile_graph(graph, by_name, train)
    except MXNetError as e:
        raise type(e)(str(e).replace(f"{op.name} '': ", f"{op.name}: ")) from None
