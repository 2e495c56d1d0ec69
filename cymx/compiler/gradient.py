"""Gradient: extend a typed graph by the gradients of its outputs with respect to variables, in reverse order, from each
operator's own `grad`.
"""

from collections.abc import Sequence

from ..base import MXNetError
from ..ir import Entry, Graph, Node
from ..ops._build import Value, apply, scope, zeros_like
from ..ops._def import find


def gradient(graph: Graph, wrt: Sequence[Node], heads: Sequence[Value | None]) -> list[Value | None]:
    """Return for each variable of `wrt` the gradient of the outputs, or None where they do not depend on it.

    heads: for each output the gradient that flows into it; None where the output has none.
    Raises MXNetError for an operator without a gradient on the way to a variable.
    """
    needed = _nodes_between(graph, wrt)
    flowing: dict[Entry, list[Value]] = {}
    for output, head in zip(graph.outputs, heads):
        if head is not None:
            flowing.setdefault(output, []).append(head)
    for node in reversed(graph.nodes()):
        if node.op is None or node not in needed:
            continue
        with scope(node.name, train=True, backward=True):
            outputs = [Value(node, i) for i in range(len(node.types))]
            arriving = [_total(flowing, y) for y in outputs]
            if all(dy is None for dy in arriving):
                continue
            if node.op.grad is None:
                raise MXNetError(f"{node.label} has no gradient")
            dys = [zeros_like(y) if dy is None else dy for dy, y in zip(arriving, outputs)]
            dxs = node.op.grad(node.params, *dys, *(Value(*e) for e in node.inputs), *outputs)
        for x, dx in zip(node.inputs, dxs):
            if dx is None or x.node not in needed:
                continue
            if dx.type != x.type:
                raise MXNetError(f"{node.label}: its gradient is {dx.type} for an input of {x.type}")
            flowing.setdefault(x, []).append(dx)
    with scope("gradient", train=True, backward=True):
        return [_total(flowing, Entry(variable)) for variable in wrt]


def _total(flowing: dict[Entry, list[Value]], entry: Entry) -> Value | None:
    """Sum what flows into an entry, once."""
    parts = flowing.get(entry)
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        (total,) = apply(_ADD, [total, part], _ADD.parse({}))
    flowing[entry] = [total]
    return total


_ADD = find("elemwise_add")


def _nodes_between(graph: Graph, wrt: Sequence[Node]) -> set[Node]:
    """Return the nodes through which an output depends on a variable of `wrt`."""
    found = set(wrt)
    for node in graph.nodes():
        if any(e.node in found for e in node.inputs):
            found.add(node)
    return found
