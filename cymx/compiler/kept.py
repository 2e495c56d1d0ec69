"""Kept: find the work that depends on nothing but variables and need not be done again while they stay as they are.

These are the weights and biases that convolutions read, as channels_last.py, fold.py and prepare.py make them: by Map
steps and a reorder or transform, never by a network of their own.  Their steps name the variables and become a plan of
their own, whose runtime skips them while none of these was written (csrc/kept.h).
"""

from collections.abc import Sequence
from dataclasses import replace

from ..ir import Entry, Graph, Node
from ..ops._def import Map, View, find
from .fuse import CONSTANT, Step, stored

_CONVOLUTIONS = find("_conv_fwd"), find("_conv_bwd_data"), find("_winograd_fwd")
_PREPARING = None, CONSTANT, find("_conv_weights"), find("_winograd_weights"), find("transpose")


def kept_nodes(graph: Graph) -> set[Node]:
    """Return the nodes that prepare weights and biases from variables alone."""
    nodes = graph.nodes()
    roots = {stored(e) for e in graph.roots}
    changed = set(graph.updates)
    fixed: set[Node] = set()
    for node in nodes:
        prepares = node.op in _PREPARING or issubclass(node.op, (Map, View))
        if prepares and node not in changed and fixed.issuperset([source for source, _ in node.inputs]):
            fixed.add(node)
    found: set[Node] = set()
    waiting = [
        e.node
        for n in nodes
        if n.op in _CONVOLUTIONS and not n.backward
        for e in n.inputs[1 : 3 - getattr(n.params, "no_bias", True)]
    ]
    while waiting:
        node = waiting.pop()
        if node in fixed and node not in found:
            found.add(node)
            waiting += [e.node for e in node.inputs]
    return {n for n in found if n.op not in (None, CONSTANT) and Entry(n) not in roots}


def keep(steps: Sequence[Step], nodes: set[Node]) -> list[Step]:
    """Return the steps, those of the nodes with the variables on which they depend.

    Steps that feed one another run together or not at all, so that what passes between them needs no memory of its own.
    """
    maker = {e: i for i, step in enumerate(steps) if step.nodes[0] in nodes for e in step.outputs}
    group = {i: i for i in maker.values()}

    def find_group(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    sources: dict[int, dict[Entry, None]] = {}
    for i in group:
        for e in steps[i].inputs:
            if stored(e) in maker:
                group[find_group(maker[stored(e)])] = find_group(i)
    for i in group:
        own = sources.setdefault(find_group(i), {})
        own.update((stored(e), None) for e in steps[i].inputs if stored(e).node.op is None)
    return [replace(s, sources=tuple(sources[find_group(i)])) if i in group else s for i, s in enumerate(steps)]
