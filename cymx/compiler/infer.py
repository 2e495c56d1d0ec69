"""Infer: fill in the shapes and dtypes of a user's graph from what is known of its variables, both ways, until nothing
changes.

Outputs and later inputs can fill earlier ones, as in MXNet.  Refuses what contradicts itself, naming operator, node and
argument.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import DTYPE_NAMES, ArgumentError, MXNetError, dtype_name
from ..ir import Entry, Graph, Node, Type
from ..ops._params import _shape as parse_shape
from ..ops._shapes import known
from ..ops._types import resolve_dtypes, resolve_shapes


class Inferred:
    """What infer found: for each entry a shape (None or -1 where unknown) and a dtype (None where unknown)."""

    def __init__(self):
        self.shapes: dict[Entry, Any] = {}
        self.dtypes: dict[Entry, str | None] = {}

    def shape_of(self, entry: Entry) -> Any:
        """Return the shape of an entry."""
        return self.shapes.get(entry)

    def dtype_of(self, entry: Entry) -> str | None:
        """Return the dtype of an entry."""
        return self.dtypes.get(entry)

    def type_of(self, entry: Entry) -> Type:
        """Return the type of an entry."""
        return Type(self.shape_of(entry), self.dtype_of(entry))


def infer(graph: Graph, shapes: Mapping[str, Any], dtypes: Mapping[str, Any], partial: bool = False) -> Inferred:
    """Return the shapes and dtypes of all entries.

    shapes: variable name -> shape, where 0, -1 or None stand for an unknown dimension.   dtypes: variable name ->
    dtype.
    Unless partial, every shape must come out known; dtypes that nothing fixes are float32.  Raises MXNetError.
    """
    result = Inferred()
    nodes = graph.nodes()
    for node in nodes:
        if node.op is None:
            entry = Entry(node)
            # As in MXNet, a shape given now stands above the one that the variable was declared with.
            result.shapes[entry] = _shape_of(shapes.get(node.name, node.attrs.get("__shape__")))
            dtype = dtypes.get(node.name, node.attrs.get("__dtype__"))
            result.dtypes[entry] = _dtype_of(dtype)
    _settle(nodes, result.shapes, _shape_step)
    _settle(nodes, result.dtypes, _dtype_step)
    if not partial:
        if any(v is None for v in result.dtypes.values()):
            for node in nodes:
                if node.op is None and result.dtypes[Entry(node)] is None:
                    result.dtypes[Entry(node)] = "float32"
                    _settle(nodes, result.dtypes, _dtype_step)
        _refuse_unknown(nodes, result)
    return result


def _shape_of(shape: Any) -> Any:
    if shape is None:
        return None
    return tuple(-1 if n in (0, -1, None) else int(n) for n in parse_shape(shape)) or None


def _dtype_of(dtype: Any) -> str | None:
    if isinstance(dtype, str) and dtype.lstrip("-").isdigit():
        return DTYPE_NAMES.get(int(dtype))
    return None if dtype is None else dtype_name(dtype)


def _settle(nodes: Sequence[Node], found: dict[Entry, Any], step) -> None:
    """Apply the rule of every node forwards, then backwards, until a round changes nothing.

    A node is done once its rule has said nothing new about entries that are all known.
    """
    rows = []
    for node in nodes:
        if node.op is not None:
            outs = [Entry(node, i) for i in range(len(node.op.output_names(node.params)))]
            rows.append((node, [*node.inputs, *outs]))
    done: set[Node] = set()
    changed = True
    while changed:
        changed = False
        for node, entries in (*rows, *reversed(rows)):
            if node in done:
                continue
            n = len(node.inputs)
            had = [found.get(e) for e in entries]
            try:
                new_ins, new_outs = step(node, had[:n], had[n:])
            except MXNetError as e:
                raise type(e)(f"{node.label}: {e}") from None
            has = [*new_ins, *new_outs]
            if all(isinstance(h, str) or known(h) for h in has):
                done.add(node)
            if has != had:
                # An entry that comes twice may be learnt from one of its places alone.
                found.update((e, now) for e, before, now in zip(entries, had, has) if now != before)
                changed = True
        rows = [row for row in rows if row[0] not in done]


def _shape_step(node, ins, outs):
    return resolve_shapes(node.op, node.params, ins, outs)


def _dtype_step(node, ins, outs):
    return resolve_dtypes(node.op, node.params, ins, outs)


def _refuse_unknown(nodes: Sequence[Node], result: Inferred) -> None:
    for node in nodes:
        n = 1 if node.op is None else len(node.op.output_names(node.params))
        for i in range(n):
            if not known(result.shapes.get(Entry(node, i))):
                what = f"variable {node.name}" if node.op is None else f"the output of {node.label}"
                raise ArgumentError(
                    f"the shape of {what} is not known and does not follow from what was given: "
                    f"{sorted_known(nodes, result)}"
                )


def sorted_known(nodes: Sequence[Node], result: Inferred) -> str:
    """Return in words the variables whose shapes are known."""
    given = [f"{n.name} {result.shapes[Entry(n)]}" for n in nodes if n.op is None and known(result.shapes[Entry(n)])]
    return ", ".join(given) or "no shape was given"
