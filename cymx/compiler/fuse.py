"""Fuse: group the nodes of a typed graph into steps, one launch each, and put the steps in an order.

Neighbouring Map nodes of one shape join one step, whose intermediate values never leave the first-level cache.  Kernel
nodes are steps of their own.
Views and constants are no steps.  Forward and backward nodes never share a step, so that a forward run alone is whole.
"""

import heapq
from collections.abc import Sequence, Set
from dataclasses import dataclass

from ..ir import Entry, Graph, Node
from ..ops._def import Kernel, Map, View, find

# What one step of the block runner takes (csrc/kernels/map.cpp), with room to spare.
MAX_NODES, MAX_INPUTS, MAX_OUTPUTS = 40, 16, 12

CONSTANT = find("_constant")


@dataclass(frozen=True)
class Step:
    """One launch: its nodes in order, what it reads (constants excluded) and what it leaves behind.

    sources: the variables on which a step depends that need not run again before one of them changes.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    sources: tuple[Entry, ...] = ()

    @property
    def is_map(self) -> bool:
        """Whether the step is a program of functors."""
        return issubclass(self.nodes[0].op, Map)

    @property
    def backward(self) -> bool:
        """Whether the gradient pass made it."""
        return self.nodes[0].backward

    @property
    def label(self) -> str:
        """Operator and node of the last node, as errors name them."""
        return self.nodes[-1].label


def stored(entry: Entry) -> Entry:
    """Return the entry whose memory this one is: a view's is its input's."""
    while entry.node.op is not None and issubclass(entry.node.op, View):
        entry = entry.node.inputs[entry.index]
    return entry


def fuse(graph: Graph, enabled: bool = True, apart: Set[Node] = frozenset()) -> list[Step]:
    """Return the steps of a graph in an order in which they may run, forward ones first.

    Unless enabled, every Map node is a step of its own.   apart: nodes that join nobody but each other.
    """
    nodes = [n for n in graph.nodes() if n.op is not None and n.op is not CONSTANT and not issubclass(n.op, View)]
    index = {node: i for i, node in enumerate(nodes)}
    users: dict[Node, list[Node]] = {n: [] for n in nodes}
    sources = {n: [s for e in n.inputs if (s := stored(e).node) in index] for n in nodes}
    for n in nodes:
        for s in sources[n]:
            users[s].append(n)
    kept = {stored(e).node for e in graph.roots}
    groups = _group(nodes, index, sources, users, kept, apart) if enabled else [[n] for n in nodes]
    return [_step(group, users, kept) for group in _schedule(groups, index, sources)]


def _group(nodes, index, sources, users, kept, apart) -> list[list[Node]]:
    """Join Map nodes greedily, in order; a join is legal when no path leaves the group and comes back.

    Sets of nodes are bits of an int.
    """
    members: dict[int, list[Node]] = {}
    inside: dict[int, int] = {}
    above: dict[int, int] = {}  # all that the group needs, groups as a whole
    group_of: dict[Node, int] = {}

    def needs(joined: Sequence[Node]) -> int:
        found = 0
        for s in {group_of[s] for n in joined for s in sources[n]}:
            found |= above[s] | inside[s]
        return found

    def tell_users(g: int) -> None:
        changed = [g]
        while changed:
            g = changed.pop()
            reach = above[g] | inside[g]
            for n in members[g]:
                for u in users[n]:
                    user = group_of.get(u, g)
                    if user != g and reach & ~above[user]:
                        above[user] |= reach
                        changed.append(user)

    for n in nodes:
        g = index[n]
        members[g], inside[g], above[g], group_of[n] = [n], 1 << g, needs([n]), g
        if not issubclass(n.op, Map):
            continue
        for e in n.inputs:
            s = e.node
            if (
                s not in index
                or not issubclass(s.op, Map)
                or s.backward != n.backward
                or (s in apart) != (n in apart)
                or s.types[0].shape != n.types[0].shape
            ):
                continue
            other = group_of[s]
            joined = members[other] + members[g]
            if other == g or not _fits(joined, users, kept):
                continue
            bits = inside[other] | inside[g]
            outer = {
                group_of[stored(i).node]
                for m in joined
                for i in m.inputs
                if i.node not in index and stored(i).node in index
            }
            outer |= {group_of[i] for m in joined for i in sources[m]} - {other, g}
            if outer & {other, g} or any(above[o] & bits for o in outer):
                continue
            members[other], inside[other], above[other] = joined, bits, (above[other] | above[g]) & ~bits
            for m in members.pop(g):
                group_of[m] = other
            g = other
            tell_users(g)
    return list(members.values())


def _fits(joined, users, kept) -> bool:
    """Tell whether the nodes are few enough for one step.

    Users that come later count as outside, though they may still join.
    """
    if len(joined) > MAX_NODES:
        return False
    inside = set(joined)
    if len({e for n in joined for e in n.inputs if e.node not in inside and e.node.op is not CONSTANT}) > MAX_INPUTS:
        return False
    return sum(1 for n in joined if n in kept or any(u not in inside for u in users[n])) <= MAX_OUTPUTS


def _schedule(groups, index, sources) -> list[list[Node]]:
    """Order the groups: inputs first; otherwise forward before backward, and as the user wrote them."""
    number = {n: g for g, group in enumerate(groups) for n in group}
    waits = [len({number[s] for n in group for s in sources[n]} - {g}) for g, group in enumerate(groups)]
    after: list[set[int]] = [set() for _ in groups]
    for g, group in enumerate(groups):
        for n in group:
            for s in sources[n]:
                if number[s] != g:
                    after[number[s]].add(g)
    keys = [(group[0].backward, max(index[n] for n in group), g) for g, group in enumerate(groups)]
    ready = [keys[g] for g, count in enumerate(waits) if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        g = heapq.heappop(ready)[2]
        order.append(sorted(groups[g], key=index.__getitem__))
        for later in after[g]:
            waits[later] -= 1
            if waits[later] == 0:
                heapq.heappush(ready, keys[later])
    return order


def _step(group: Sequence[Node], users, kept) -> Step:
    inside = set(group)
    inputs = tuple(
        dict.fromkeys(e for n in group for e in n.inputs if e.node not in inside and e.node.op is not CONSTANT)
    )
    if issubclass(group[0].op, Kernel):
        outputs = tuple(Entry(group[0], i) for i in range(len(group[0].types)))
    else:
        outputs = tuple(Entry(n) for n in group if n in kept or any(u not in inside for u in users[n]))
    return Step(tuple(group), inputs, outputs)
