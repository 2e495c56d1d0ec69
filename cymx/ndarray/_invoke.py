"""Eager calls: an operator on arrays becomes a graph of one node, compiled once for its types and settings, and run.

Called by the generated functions of mx.nd, NDArray's operators, random and the optimizer's updates.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .._array import Array, signature
from .._eager import EagerArray
from .._engine import Buffer
from ..base import ArgumentError, Context, MXNetError, current_context
from ..compiler import Plan, compile_graph
from ..ir import Entry, Graph, Node, Type
from ..ops import find
from ..ops._def import Op
from ._host import scalar_like

CACHE_SIZE = 4096
GPU = Context.devstr2type["gpu"]

_IDENTITY, _CAST = find("identity"), find("Cast")

_mode = threading.local()
_calls: "OrderedDict[tuple, _Call]" = OrderedDict()
_update_plans: "OrderedDict[tuple, tuple[Plan, list[int]]]" = OrderedDict()
_updates: "dict[tuple, _Update]" = {}
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
        _calls.clear()
        _update_plans.clear()
        _updates.clear()


class _Call:
    """A compiled operator for one set of types: its plan, and for every slot which input it takes, or which output
    (~k).
    """

    __slots__ = ("plan", "slots", "out_types", "reads_over")

    def __init__(self, plan: Plan):
        self.plan = plan
        self.slots: list[int] = []
        self.out_types: list[Type] = []
        over = set()  # inputs whose very memory may be given as the output
        for slot, (name, type_) in enumerate(plan.arrays):
            kind, _, key = name.partition(":")
            if kind == "arg":
                self.slots.append(int(key))
                if slot in plan.overwritable:
                    over.add(int(key))
            else:
                self.slots.append(~int(key))
                self.out_types.append(type_)
        self.reads_over = frozenset(over)


def invoke(
    op: type[Op],
    inputs: Sequence[Array],
    settings: Mapping[str, Any],
    out: Any = None,
    ctx: Context | None = None,
    cls: type[Array] = Array,
) -> Any:
    """Run an operator and return its output, or a list of them.

    out: an array, or a sequence of arrays, to write the outputs into.   ctx: where an operator without inputs makes its
    output.
    Auxiliary inputs are changed in place.   Raises MXNetError naming the operator and the argument.
    """
    device, types = _placed(op, inputs, ctx)
    train = op.uses_mode and is_training()
    place = device if device[0] == GPU else None  # all CPU contexts share their plans
    try:
        fixed = _fixed(op, settings) if settings else ()
        key: tuple = (op, fixed, types, train, place)
        call = _calls.get(key)
    except TypeError:  # a list among the settings
        key = (op, repr(sorted(op.parse(dict(settings)).given.items())), types, train, place)
        call = _calls.get(key)
    if call is None:
        call = _compile(op, op.parse(dict(settings)), types, train, _context(device))
        with _lock:
            _calls[key] = call
            if len(_calls) > CACHE_SIZE:
                _calls.popitem(last=False)
    if op.varying:
        # As data of the widest type among the inputs: a 16-bit weight comes with its 32-bit master copy last.
        missing = [name for name in op.varying if name not in settings]
        p = op.parse(dict(settings)) if missing else None
        numbers = [getattr(p, name) if p else op.params[name].parse(settings[name]) for name in op.varying]
        inputs = [*inputs, *(scalar_like(inputs[-1], number) for number in numbers)]
    plan = call.plan
    copies: list[tuple[Array, Array]] = []
    if out is None:
        outputs = [cls.empty(t.shape, t.dtype, *device) for t in call.out_types]
    else:
        outputs = _into(op, call, inputs, _listed(out), cls, device, copies)
    arrays = [inputs[i] if i >= 0 else outputs[~i] for i in call.slots]
    plan.runner.run(arrays, Buffer(plan.arena_bytes, *device) if plan.arena_bytes else None)
    for source, target in copies:
        copy_into(source, target)
    if out is not None:
        return out
    return outputs[0] if len(outputs) == 1 else outputs


def _fixed(op: type[Op], settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the settings that are compiled in.  Numbers as text: 0.0 and -0.0 are equal, but do not mean the same."""
    return tuple([(k, repr(v) if type(v) is float else v) for k, v in settings.items() if k not in op.varying])


def _into(op, call, inputs, given, cls, device, copies) -> list[Array]:
    """Return the arrays that a run writes into: those given, or a fresh one to be copied where types differ or memory
    is shared with an input.
    """
    if len(given) != len(call.out_types):
        raise ArgumentError(f"{op.name}: out holds {len(given)} arrays, expected {len(call.out_types)}")
    outputs = []
    for target, type_ in zip(given, call.out_types):
        if target.shape != type_.shape:
            raise ArgumentError(f"{op.name}: out is {target.shape}, expected {type_.shape}")
        direct = target.dtype_name == type_.dtype and all(
            not target.overlaps(x) or (i in call.reads_over and x.address == target.address)
            for i, x in enumerate(inputs)
        )
        outputs.append(target if direct else cls.empty(type_.shape, type_.dtype, *device))
        if not direct:
            copies.append((outputs[-1], target))
    return outputs


@dataclass(slots=True)
class _Update:
    """An update of certain arrays: its plan, and for every slot the number of the array or of the rate behind them.

    rates: those of the last run, and the arrays of shape () made of them.   refs: to the arrays; when one dies, the
    update is forgotten, so that arrays are known by their ids.
    """

    device: tuple[int, int]
    plan: Plan
    order: list[int]
    rates: tuple[Sequence[float], list[Array]] = ((), [])
    refs: list[Any] = field(default_factory=list)


def update_in_place(
    op: type[Op],
    rows: Sequence[Sequence[Array]],
    fixed: tuple[tuple[str, Any], ...],
    decays: Sequence[float],
    rates: Sequence[float],
) -> None:
    """Run an operator on several rows of inputs as one plan, one task; the output of each replaces the row's first
    input.

    decays, rates: `wd` and `lr` of each row; rates travel as data.   fixed: the other settings, of all rows.
    """
    arrays = [x for row in rows for x in row]
    key = (op, fixed, tuple(decays), tuple(map(id, arrays)))
    update = _updates.get(key)
    if update is None:
        update = _updates[key] = _update_of(op, rows, fixed, decays)
        update.refs = [weakref.ref(x, lambda _: _updates.pop(key, None)) for x in arrays]
    known, scalars = update.rates
    if known != rates:
        kinds: list[Any] = [type(row[-1]) for row in rows]
        scalars = [scalar_of(k, row[-1].dtype_name, update.device, lr) for k, row, lr in zip(kinds, rows, rates)]
        update.rates = rates, scalars
    plan = update.plan
    arrays += scalars
    arena = Buffer(plan.arena_bytes, *update.device) if plan.arena_bytes else None
    plan.runner.run([arrays[i] for i in update.order], arena)


@lru_cache(maxsize=256)
def scalar_of(cls: Any, dtype: str, device: tuple[int, int], number: float) -> Array:
    """Return the number as an array of shape () that nobody writes."""
    return scalar_like(cls.empty((), dtype, *device), number)


def _update_of(op: type[Op], rows, fixed, decays) -> _Update:
    """Return the update of these arrays, with the plan of earlier ones of the same types."""
    device, _ = _placed(op, [x for row in rows for x in row], None)
    types = tuple([tuple([Type(x.shape, x.dtype_name) for x in row]) for row in rows])
    key = (op, fixed, tuple(decays), types, device if device[0] == GPU else None)
    compiled = _update_plans.get(key)
    if compiled is None:
        compiled = _compile_updates(op, types, fixed, decays, _context(device))
        with _lock:
            _update_plans[key] = compiled
            if len(_update_plans) > CACHE_SIZE:
                _update_plans.popitem(last=False)
    return _Update(device, *compiled)


def _compile_updates(
    op: type[Op], rows: Sequence[Sequence[Type]], fixed, decays: Sequence[float], context: Context
) -> tuple[Plan, list[int]]:
    types = {f"{i}.{j}": type_ for i, row in enumerate(rows) for j, type_ in enumerate(row)}
    types |= {f"{i}.lr": Type((), row[-1].dtype) for i, row in enumerate(rows)}
    outputs = []
    for i, (row, wd) in enumerate(zip(rows, decays)):
        inputs = tuple(Entry(Node(None, f"{i}.{j}")) for j in (*range(len(row)), "lr"))
        outputs.append(Entry(Node(op, f"{i}.0", inputs, op.parse({**dict(fixed), "wd": wd, "lr": 0.0}))))
    in_place = [f"{i}.0" for i in range(len(rows))]
    plan = compile_graph(Graph(tuple(outputs)), types, context=context, in_place=in_place)
    order = {f"arg:{name}": i for i, name in enumerate(types)}
    return plan, [order[name] for name, _ in plan.arrays]


def copy_into(source: Array, target: Array) -> None:
    """Copy an array into another of the same shape, converting its dtype, in the engine's order."""
    if isinstance(target, EagerArray) and target.assign(source):
        return
    op = _CAST if source.dtype_name != target.dtype_name else _IDENTITY
    invoke(op, [source], {"dtype": target.dtype_name} if op is _CAST else {}, out=target)


def _listed(out: Any) -> Sequence[Array]:
    return out if isinstance(out, (list, tuple)) else (out,)


def _placed(
    op: type[Op], inputs: Sequence[Array], ctx: Context | None
) -> tuple[tuple[int, int], tuple[tuple[tuple[int, ...], str], ...]]:
    """Return the device of a call and the types of its inputs.  Raises MXNetError where they lie on several devices."""
    if not inputs:
        context = ctx or current_context()
        return (context.device_typeid, context.device_id), ()
    device, types = signature(inputs)
    if device is None:
        places = [(x.device_type, x.device_id) for x in inputs]
        other = next(i for i, place in enumerate(places) if place != places[0])
        raise MXNetError(
            f"{op.name}: input 0 is on {_context(places[0])} and input {other} on {_context(places[other])}, "
            "expected one context"
        )
    return device, types


def _context(device: tuple[int, int]) -> Context:
    return Context(Context.devtype2str[device[0]], device[1])


def _compile(op: type[Op], p: Any, types: Sequence[tuple], train: bool, context: Context) -> _Call:
    names = op.input_names(p)
    if len(names) != len(types):
        raise ArgumentError(f"{op.name}: {len(types)} inputs came, expected {len(names)} ({', '.join(names)})")
    by_name = {str(i): Type(*t) for i, t in enumerate([*types, *(((), types[-1][1]) for _ in op.varying)])}
    variables = [Node(None, name) for name in by_name]
    node = Node(op, "", tuple(Entry(v) for v in variables), p)
    graph = Graph(tuple(Entry(node, i) for i in range(len(op.output_names(p)))))
    try:
        return _Call(compile_graph(graph, by_name, train, context=context))
    except MXNetError as e:
        raise type(e)(str(e).replace(f"{op.name} '': ", f"{op.name}: ")) from None
