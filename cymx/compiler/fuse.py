"""Fuse: group the nodes of a typed graph into steps, one launch each, and put the steps in an order.

Neighbouring Map nodes of one shape join one step, whose intermediate values never leave the first-level cache, and may
end in reductions of them or of what they read: its tails.  What a step would leave behind only for others that make it
again as cheaply as they read it is borrowed: made again there.  Other kernel nodes are steps of their own.
Views and constants are no steps.  Forward and backward nodes never share a step, so that a forward run alone is whole;
but a backward step may make a forward value again.
"""

import heapq
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

from ..ir import Entry, Graph, Node, Shape
from ..ops._def import Map, View, find
from ..ops._shapes import n_elements
from ..ops.reduce import Reduction

# What one step of the block runner takes (csrc/kernels/program.h, map_reduce.h), with room to spare.
MAX_NODES, MAX_INPUTS, MAX_OUTPUTS, MAX_TAILS = 40, 16, 12, 6
# Blocks of fewer elements cost more than a pass over memory that they save.
MIN_SPAN = 128
# Functors that cost no more than reading their result from memory; so many of them may be run again.
CHEAP = frozenset(
    "identity cast negative abs square add sub mul maximum minimum relu equal not_equal greater greater_equal lesser"
    " lesser_equal logical_not where muladd".split()
)
MAX_BORROWED = 4

CONSTANT = find("_constant")


@dataclass(eq=False, slots=True)
class Step:
    """One launch: its nodes in order, what it reads (constants excluded) and what it leaves behind; never changed.

    tails: the reductions that end a Map step, all over the same axes; their outputs follow the others.
    sources: the variables on which a step depends that need not run again before one of them changes.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    sources: tuple[Entry, ...] = ()
    tails: tuple[Node, ...] = ()

    @property
    def is_map(self) -> bool:
        """Whether the step is a program of functors and nothing else: all outputs go element by element."""
        return self.is_program and not self.tails

    @property
    def is_program(self) -> bool:
        """Whether the step is a program of functors, with or without tails."""
        return issubclass(self.nodes[0].op, Map)

    @property
    def backward(self) -> bool:
        """Whether the gradient pass made it."""
        return self.nodes[-1].backward

    @property
    def label(self) -> str:
        """Operator and node of the last node, as errors name them."""
        return (*self.nodes, *self.tails)[-1].label


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
    sources: dict[Node, list[Node]] = {n: [] for n in nodes}
    viewed: dict[Node, list[Node]] = {}
    for n in nodes:
        for e in n.inputs:
            if (s := stored(e).node) in index:
                sources[n].append(s)
                users[s].append(n)
                if s is not e.node:
                    viewed.setdefault(n, []).append(s)
    kept = {stored(e).node for e in graph.roots}
    if not enabled:
        groups, borrowed = [[n] for n in nodes], {}
    else:
        found = _Groups(nodes, index, sources, viewed, users, kept, apart)
        found.join_makers()
        found.join_readers()
        groups = list(found.members.values())
        borrowed = _borrow(groups, index, users, kept, apart, set(graph.updates))
    return _steps(groups, borrowed, index, kept, {stored(e).node for e in graph.updates.values()})


@dataclass
class _Groups:
    """The groups while they grow, by number; each begins as one node.

    viewed: the sources that a node reads as another shape.   above: all that a group needs, groups as a whole, of which
    one node may stand for all.
    Sets of nodes are bits of an int.
    """

    nodes: Sequence[Node]
    index: Mapping[Node, int]
    sources: Mapping[Node, list[Node]]
    viewed: Mapping[Node, list[Node]]
    users: Mapping[Node, list[Node]]
    kept: Set[Node]
    apart: Set[Node]
    members: dict[int, list[Node]] = field(default_factory=dict)
    inside: dict[int, int] = field(default_factory=dict)
    above: dict[int, int] = field(default_factory=dict)
    group_of: dict[Node, int] = field(default_factory=dict)

    def join_makers(self) -> None:
        """Join Map nodes and reductions with the groups that make what they read, greedily and in order."""
        for n in self.nodes:
            g = self.index[n]
            self.members[g], self.inside[g], self.group_of[n] = [n], 1 << g, g
            self.above[g] = 0
            for other in {self.group_of[s] for s in self.sources[n]}:
                self.above[g] |= self.above[other] | self.inside[other]
            if issubclass(n.op, Map):
                space = n.types[0].shape
            elif _may_end(n):
                space = n.inputs[0].shape
            else:
                continue
            for e in n.inputs:
                s = e.node
                maps = s in self.index and issubclass(s.op, Map)
                if maps and self._alike(s, n) and s.types[0].shape == space:
                    self._join(self.group_of[s], self.group_of[n])

    def join_readers(self) -> None:
        """Join reductions that are still alone with a group that reads what they read."""
        for n in self.nodes:
            if len(self.members.get(self.group_of[n], ())) > 1 or not _may_end(n):
                continue
            for s in self.readers.get(n.inputs[0], ()):
                alike = self._alike(s, n) and s.types[0].shape == n.inputs[0].shape
                if alike and self._join(self.group_of[s], self.group_of[n]):
                    break

    @cached_property
    def readers(self) -> dict[Entry, list[Node]]:
        """The Map nodes that read each entry."""
        found: dict[Entry, list[Node]] = {}
        for n in self.nodes:
            for e in n.inputs if issubclass(n.op, Map) else ():
                found.setdefault(e, []).append(n)
        return found

    def _alike(self, a: Node, b: Node) -> bool:
        return a.backward == b.backward and (a in self.apart) == (b in self.apart)

    def _join(self, other: int, g: int) -> bool:
        """Move all of group g into another, unless they are one or a path leaves what they would be and comes back."""
        if other == g:
            return False
        joined = self.members[other] + self.members[g]
        tails = [m for m in joined if not issubclass(m.op, Map)]
        if len({m.op.reduced_axes(m.params, m.inputs[0].shape) for m in tails}) > 1:
            return False
        if any(t in self.sources[m] for t in tails for m in joined) or not _fits(joined, self.users, self.kept):
            return False
        if self._is_apart(other, g) or self._is_apart(g, other):
            return False
        bits = self.inside[other] | self.inside[g]
        self.members[other], self.inside[other] = joined, bits
        self.above[other] = (self.above[other] | self.above[g]) & ~bits
        for m in self.members.pop(g):
            self.group_of[m] = other
        self._tell_users(other)
        return True

    def _is_apart(self, a: int, b: int) -> bool:
        """Whether group b needs group a by way of a third, or reads it as another shape."""
        if not self.above[b] & self.inside[a]:
            return False
        for m in self.members[b]:
            for s in self.sources[m]:
                o = self.group_of[s]
                if s in self.viewed.get(m, ()) if o == a else o != b and self.above[o] & self.inside[a]:
                    return True
        return False

    def _tell_users(self, g: int) -> None:
        changed = [g]
        while changed:
            g = changed.pop()
            reach = self.above[g]
            for n in self.members[g]:
                for u in self.users[n]:
                    user = self.group_of.get(u, g)
                    if user != g and reach & ~self.above[user]:
                        self.above[user] |= reach
                        changed.append(user)


def _may_end(n: Node) -> bool:
    """Tell whether a node is a reduction that may end a Map step."""
    if not issubclass(n.op, Reduction):
        return False
    shape = n.inputs[0].shape
    least = min(MIN_SPAN, n_elements(shape))
    return least > 0 and _span(shape, n.op.reduced_axes(n.params, shape)) >= least


def _span(shape: Shape, axes: Sequence[int]) -> int:
    """Return how many elements that follow each other a reduction over axes handles at a time."""
    merged: list[list[int]] = []
    for axis, n in enumerate(shape):
        if n != 1:
            if merged and merged[-1][0] == (axis in axes):
                merged[-1][1] *= n
            else:
                merged.append([axis in axes, n])
    return n_elements([n for _, n in merged[-3 if merged[-1][0] else -2 :]]) if merged else 1


def _fits(joined, users, kept) -> bool:
    """Tell whether the nodes are few enough for one step.

    Users that come later count as outside, though they may still join.
    """
    if len(joined) > MAX_NODES:
        return False
    inside = set(joined)
    tails = [n for n in joined if issubclass(n.op, Reduction)]
    read = {e for n in joined for e in n.inputs if e.node not in inside and e.node.op is not CONSTANT}
    if len(tails) > MAX_TAILS or len(read) > MAX_INPUTS:
        return False
    return len(joined) <= MAX_OUTPUTS or sum(_left_behind(n, inside, users, kept) for n in joined) <= MAX_OUTPUTS


def _borrow(groups, index, users, kept, apart, changed) -> dict[Node, list[Node]]:
    """Return for groups, by their first node, the nodes of others that they run again.

    changed: variables that hold something else after forward.
    """
    group_of = {n: group for group in groups for n in group}
    shared = {n for group in groups for n in group if _left_behind(n, set(group), users, kept)}
    borrowed: dict[Node, list[Node]] = {}

    def again(m: Node, inside: Set[Node], read: Set[Entry]) -> list[Node] | None:
        """Return what makes m anew from at most one stored value of its size; None where that is too dear."""
        found, leaves, waiting = {m}, set(), [m]
        while waiting:
            n = waiting.pop()
            if n.op.functor not in CHEAP or len(found) > MAX_BORROWED:
                return None
            for e in n.inputs:
                s = e.node
                if s in found or s in inside or s.op is CONSTANT:
                    continue
                if s in index and issubclass(s.op, Map) and s not in shared and e.shape == m.types[0].shape:
                    found.add(s)
                    waiting.append(s)
                elif stored(e).node in changed or stored(e).node in apart:
                    return None
                else:
                    leaves.add(e)
        dear = [e for e in leaves - read if n_elements(e.shape) * 2 > n_elements(m.types[0].shape)]
        private = m not in kept and all(
            issubclass(group_of[u][0].op, Map) and u.types[0].shape == m.types[0].shape or u in group_of[m]
            for u in users[m]
        )
        return sorted(found, key=index.__getitem__) if len(dear) <= private else None

    for group in groups:
        if not issubclass(group[0].op, Map) or group[0] in apart:
            continue
        inside, waiting = set(group), list(group)
        while waiting and len(inside) < len(group) + 2 * MAX_BORROWED:
            for e in waiting.pop().inputs:
                m = e.node
                if m in inside or m not in shared or not issubclass(m.op, Map) or m in apart:
                    continue
                if m.types[0].shape != group[0].types[0].shape:
                    continue
                read = {i for o in inside for i in o.inputs} - {e}
                extra = again(m, inside, read)
                if extra and _fits([*inside, *extra], users, kept):
                    inside.update(extra)
                    waiting.extend(extra)
                    borrowed.setdefault(group[0], []).extend(extra)
    return borrowed


def _left_behind(n: Node, inside, users, kept) -> bool:
    return n in kept or not inside.issuperset(users[n])


def _steps(groups, borrowed, index, kept, updates) -> list[Step]:
    """Return the groups as steps: inputs first; otherwise forward before backward, and as the user wrote them.

    What nobody reads is made as soon as it can be, so that its inputs live no longer: gradients of weights, but no
    updates, whose old value may be read yet.  What needs no other step is made right before its first reader, so that
    it lives no longer itself: weights in another form.
    """
    number = {n: g for g, group in enumerate(groups) for n in group}
    runs = [{*group, *borrowed.get(group[0], ())} for group in groups]
    reads = [{stored(e).node for n in run for e in n.inputs if e.node not in run} & index.keys() for run in runs]
    needs = [{number[n] for n in read} for read in reads]
    wanted = kept.union(*reads)
    after: list[set[int]] = [set() for _ in groups]
    for g, before in enumerate(needs):
        for b in before:
            after[b].add(g)
    is_backward = [group[0].backward for group in groups]
    late = {
        g for g, readers in enumerate(after) if not needs[g] and any(is_backward[r] == is_backward[g] for r in readers)
    }
    waits = [len(before - late) for before in needs]
    last = [not users and updates.isdisjoint(group) for group, users in zip(groups, after)]
    keys = [(is_backward[g], not last[g], max(index[n] for n in group), g) for g, group in enumerate(groups)]
    ready = [keys[g] for g, count in enumerate(waits) if count == 0 and g not in late]
    heapq.heapify(ready)
    steps = []
    while ready:
        g = heapq.heappop(ready)[-1]
        for made in (*sorted(needs[g] & late), g):
            late.discard(made)
            steps.append(_step(sorted(runs[made], key=index.__getitem__), wanted.intersection(groups[made])))
        for later in after[g]:
            waits[later] -= 1
            if waits[later] == 0:
                heapq.heappush(ready, keys[later])
    return steps


def _step(nodes: Sequence[Node], wanted: Set[Node]) -> Step:
    """Return a step of nodes in order, which leaves the wanted ones behind."""
    inside = set(nodes)
    inputs = tuple(
        dict.fromkeys(e for n in nodes for e in n.inputs if e.node not in inside and e.node.op is not CONSTANT)
    )
    maps = tuple(n for n in nodes if issubclass(n.op, Map))
    if not maps:
        return Step(tuple(nodes), inputs, tuple(Entry(nodes[0], i) for i in range(len(nodes[0].types))))
    tails = tuple(n for n in nodes if not issubclass(n.op, Map))
    return Step(maps, inputs, tuple(map(Entry, [n for n in maps if n in wanted] + list(tails))), tails=tails)
