"""Plan: write steps and their places down as what the runtime takes, and as text.

A bound array is a slot by itself; the arena is the last slot.  Called by compile.py; the result is run by executor and
ndarray.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

from .. import _ops  # type: ignore[attr-defined]
from ..base import ITEM_BYTES
from ..gpu.recipe import Tensor
from ..ir import Entry, Node, Type
from ..ops._def import Launch
from ..ops._shapes import n_elements
from .backend import Backend
from .fuse import CONSTANT, Step, stored
from .memory import Memory

FLOATING = ("float32", "float64")
# Registers of the block runner hold 16-bit floats as float32.
_REGISTER = {"float16": "float32", "bfloat16": "float32"}
# What becomes of a map_reduce step's outputs, in the order of include/cymx/params.h.
_STORE_KINDS = ("plain", "reduce_sum", "reduce_prod", "reduce_max", "reduce_min")


Operands = tuple[list[Tensor], list[Tensor]]  # inputs, outputs


class Prepared(NamedTuple):
    """A plan of steps that prepare weights, and where in its arena it leaves what others read."""

    plan: "Plan"
    offsets: Mapping[Entry, int]


@dataclass(frozen=True)
class Plan:
    """A graph made ready to run.

    overwritable: slots of arguments whose memory the first output may be given, because the only step goes element by
    element.

    arrays: for each slot its name ("arg:data", "out:0", "grad:weight") and type, in the order in which `run` takes
    them.   prepares: the plan whose arena is the array called "prepared", to be run before this one.
    """

    arrays: tuple[tuple[str, Type], ...]
    arena_bytes: int
    n_forward: int
    make_runner: Callable[[], Any]
    make_text: Callable[[], str]
    overwritable: frozenset[int]
    prepares: "Plan | None" = None

    @cached_property
    def runner(self) -> Any:
        """What runs it."""
        return self.make_runner()

    def dump(self) -> str:
        """Return the plan as text: arrays, then a line a step with its instructions."""
        text = self.make_text()
        return f"{self.prepares.dump()}\n{text}" if self.prepares else text


def plan(
    steps: Sequence[Step],
    places: Memory,
    launches: Sequence[Launch],
    operands: Sequence[Operands],
    works: Sequence[Any],
    arrays: Sequence[tuple[str, Type]],
    outside: Mapping[Entry, int],
    backend: Backend,
    replays: bool,
    prepared: "Prepared | None" = None,
) -> Plan:
    """Return the plan of placed steps.

    launches: for each step how it fills its kernel.   operands: what the kernel sees.   works: what the backend made
    of it.
    outside: stored entry -> slot.   backend: where it runs.
    replays: whether it will run many times on the same arrays.   prepared: what is made before it.
    """
    arrays = list(arrays)
    offsets: Mapping[Entry, int] = {}
    if prepared is not None:
        arrays.append(("prepared", Type((prepared.plan.arena_bytes,), "uint8")))
        offsets = prepared.offsets
    arena = len(arrays)

    def place(entry: Entry) -> tuple[int, int]:
        source = stored(entry)
        if source in offsets:
            return arena - 1, offsets[source]
        return (outside[source], 0) if source in outside else (arena, places.offsets[source])

    rows = []
    for number, (step, launch, types) in enumerate(zip(steps, launches, operands)):
        inputs = step.inputs if step.is_program else step.nodes[0].inputs
        ins = [(*place(e), *t) for e, t in zip(inputs, types[0])]
        outs = [(*place(e), *t) for e, t in zip(step.outputs, types[1])]
        scratch = places.scratch.get(number, (0, 0))
        rows.append((launch.kernel, step.label, ins, outs, launch.params, scratch, launch.n_random, work(step)))
    n_forward = sum(not step.backward for step in steps)
    kept = {number: [outside[e] for e in step.sources] for number, step in enumerate(steps) if step.sources}
    make_runner = partial(backend.runner, rows, works, len(arrays), n_forward, kept, replays)
    overwritable: frozenset[int] = frozenset()
    if len(steps) == 1 and steps[0].is_map:
        overwritable = frozenset(outside[stored(e)] for e in steps[0].inputs if e.shape == steps[0].outputs[0].shape)
    make_text = partial(_text, arrays, steps, rows, places.arena_bytes)
    prepares = prepared.plan if prepared else None
    return Plan(tuple(arrays), places.arena_bytes, n_forward, make_runner, make_text, overwritable, prepares)


def operands_of(step: Step, launch: Launch) -> Operands:
    """Return the types of the inputs and outputs, as the kernel sees them."""
    inputs = step.inputs if step.is_program else step.nodes[0].inputs
    in_shapes = launch.in_shapes or [e.shape for e in inputs]
    out_shapes = launch.out_shapes or [e.shape for e in step.outputs]
    ins = [Tensor(s, e.dtype) for e, s in zip(inputs, in_shapes)]
    return ins, [Tensor(s, e.dtype) for e, s in zip(step.outputs, out_shapes)]


def work(step: Step) -> int:
    """Return roughly how many nanoseconds a step takes on one core: 10 bytes and 100 floating operations in each."""
    touched = sum(n_elements(e.shape) * ITEM_BYTES[e.dtype] for e in (*step.inputs, *step.outputs))
    node = step.nodes[0]
    flops = node.op.flops(node.params, [e.shape for e in node.inputs], [t.shape for t in node.types])
    return touched // 10 + flops // 100


def program(step: Step) -> bytes:
    """Return the parameter block of the map or map_reduce kernel: what include/cymx/params.h describes."""
    shape, strides, mask = _collapsed(step)
    registers: dict[Any, int] = {e: i for i, e in enumerate(step.inputs)}
    types = {i: _REGISTER.get(e.dtype, e.dtype) for e, i in registers.items()}
    constants: list[tuple[Any, str]] = []

    def constant(value: Any, dtype: str) -> int:
        dtype = _REGISTER.get(dtype, dtype)
        key = (repr(value), dtype)
        if key not in registers:
            registers[key] = len(step.inputs) + len(constants)
            types[registers[key]] = dtype
            constants.append((value, dtype))
        return registers[key]

    own: dict[Node, list[int]] = {}  # the numbers that each functor takes after its inputs
    for node in step.nodes:
        for e in node.inputs:
            if e.node.op is CONSTANT:
                registers[e] = constant(e.node.params.value, e.dtype)
        dtype = node.types[0].dtype
        own[node] = [constant(value, dtype) for value in node.op.constants(node.params, dtype)]
    code: list[tuple[int, ...]] = []
    n_fixed = len(step.inputs) + len(constants)
    for node, functor, inputs in _instructions(step):
        dtype = _REGISTER.get(node.types[0].dtype, node.types[0].dtype)
        sources = [registers[e] for e in inputs] + own[node]
        if functor in ("cast", "identity") and types[sources[0]] == dtype:
            registers[Entry(node)] = sources[0]
            continue
        registers[Entry(node)] = n_fixed + len(code)
        types[n_fixed + len(code)] = dtype
        code.append((_ops.functor(functor), _flag(dtype), *sources, *(-1,) * (3 - len(sources))))
    words = [len(shape), len(constants), len(code), len(step.outputs), *shape]
    for row in strides:
        words += row
    for value, dtype in constants:
        words += [_flag(dtype), _bits(value, dtype)]
    for instruction in code:
        words += instruction
    n_plain = len(step.outputs) - len(step.tails)
    words += [registers[e] for e in step.outputs[:n_plain]] + [registers[n.inputs[0]] for n in step.tails]
    if step.tails:
        words += [mask, *(0,) * n_plain, *(_STORE_KINDS.index(n.op.row) for n in step.tails)]
    return struct.pack(f"={len(words)}q", *words)


def _instructions(step: Step) -> list[tuple[Node, str, tuple[Entry, ...]]]:
    """Return (node, functor, what it reads).

    A product of floats that one addition alone reads is a part of that, a multiply-add.
    """
    readers = Counter(e.node for n in (*step.nodes, *step.tails) for e in n.inputs)
    readers.update(e.node for e in step.outputs)
    products: dict[Node, Node] = {}
    for node in step.nodes:
        if node.op.functor == "add" and node.types[0].dtype in FLOATING:
            for e in node.inputs:
                if e.node in step.nodes and e.node.op.functor == "mul" and readers[e.node] == 1:
                    products[node] = e.node
    found = []
    for node in step.nodes:
        if node in products:
            product = products[node]
            rest = (e for e in node.inputs if e.node is not product)
            found.append((node, "muladd", (*product.inputs, *rest)))
        elif node not in products.values():
            found.append((node, node.op.functor, node.inputs))
    return found


def _collapsed(step: Step) -> tuple[list[int], list[list[int]], int]:
    """Return the iteration space, each input's strides in it, and the mask of the axes that tails reduce.

    Neighbouring axes are joined where every input allows it and both or neither are reduced.
    """
    full = step.nodes[-1].types[0].shape
    reduced = {a for n in step.tails[:1] for a in n.op.reduced_axes(n.params, full)}
    rows = []
    for e in step.inputs:
        strides, stride = [], 1
        for n in reversed(e.shape):
            strides.append(0 if n == 1 else stride)
            stride *= n
        rows.append([0] * (len(full) - len(strides)) + strides[::-1])
    axes = [i for i, n in enumerate(full) if n != 1]
    joined: list[list[int]] = []  # [size, stride of each input]
    kinds: list[bool] = []
    for i in axes:
        here = [full[i], *(row[i] for row in rows)]
        alike = kinds and kinds[-1] == (i in reduced)
        if alike and all(outer == inner * full[i] for outer, inner in zip(joined[-1][1:], here[1:])):
            here[0] *= joined[-1][0]
            joined[-1] = here
        else:
            joined.append(here)
            kinds.append(i in reduced)
    mask = sum(1 << i for i, kind in enumerate(kinds) if kind)
    return [j[0] for j in joined], [[j[k + 1] for j in joined] for k in range(len(rows))], mask


def _flag(dtype: str) -> int:
    return _ops.DTYPE_FLAGS[dtype]


def _bits(value: Any, dtype: str) -> int:
    return struct.unpack("=q", struct.pack("=d", value))[0] if dtype in FLOATING else int(value)


def _text(arrays: Sequence[tuple[str, Type]], steps: Sequence[Step], rows: Sequence[tuple], arena_bytes: int) -> str:
    """Return the plan as text."""
    lines = [f"{name}: {type_}" for name, type_ in arrays]
    for number, (step, (kernel, label, ins, outs, *_)) in enumerate(zip(steps, rows)):
        wheres = [" ".join(_where(operand, arrays) for operand in operands) for operands in (ins, outs)]
        lines.append(
            f"step {number} {'backward' if step.backward else 'forward'} {kernel} [{label}]: "
            f"{wheres[0]} -> {wheres[1]}{' kept' if step.sources else ''}"
        )
        lines += _text_of(step) if step.is_program else []
    return "\n".join([*lines, f"arena: {arena_bytes} bytes"])


def _text_of(step: Step) -> list[str]:
    """Return a Map step's instructions as text, a line each."""
    names: dict[Entry, str] = {e: f"in{i}" for i, e in enumerate(step.inputs)}
    lines = []
    instructions = _instructions(step)
    for number, (node, functor, inputs) in enumerate(instructions):
        operands = [str(e.node.params.value) if e.node.op is CONSTANT else names[e] for e in inputs]
        operands += [str(v) for v in node.op.constants(node.params, node.types[0].dtype)]
        names[Entry(node)] = f"r{number}"
        target = f" -> out{step.outputs.index(Entry(node))}" if Entry(node) in step.outputs else ""
        lines.append(f"    r{number} = {functor}({', '.join(operands)}) {node.types[0]}{target}")
    for number, node in enumerate(step.tails, len(instructions)):
        axes = list(node.op.reduced_axes(node.params, node.inputs[0].shape))
        call = f"{node.op.row.removeprefix('reduce_')}{axes}({names[node.inputs[0]]})"
        lines.append(f"    r{number} = {call} {node.types[0]} -> out{step.outputs.index(Entry(node))}")
    return lines


def _where(operand: tuple, arrays: Sequence[tuple[str, Type]]) -> str:
    slot, offset, shape, dtype = operand
    if slot < len(arrays) and arrays[slot][0] != "prepared":
        return arrays[slot][0]
    return f"{'prepared' if slot < len(arrays) else 'arena'}+{offset}:{Type(shape, dtype)}"
