"""The graph: nodes, entries and graphs, frozen.  Built by symbol and by the passes of compiler/, which turn one graph
into another.

A node without an operator is a variable.  A node as the user writes it is untyped; lowering gives every node the types
of its outputs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

Shape = tuple[int, ...]


class Type(NamedTuple):
    """What an entry holds: its shape and the name of its dtype.

    An unknown dimension is -1; an unknown shape or dtype is None.
    """

    shape: Any
    dtype: Any

    def __str__(self):
        return f"{self.dtype}({', '.join(map(str, self.shape or ()))})"


class Entry(NamedTuple):
    """Output `index` of a node."""

    node: "Node"
    index: int = 0  # type: ignore[assignment]

    @property
    def type(self) -> Type:
        """The entry's type; only a lowered node has one."""
        return self.node.types[self.index]

    @property
    def shape(self) -> Shape:
        """The entry's shape; only a lowered node has one."""
        return self.node.types[self.index].shape

    @property
    def dtype(self) -> str:
        """The entry's dtype; only a lowered node has one."""
        return self.node.types[self.index].dtype


@dataclass(eq=False, slots=True)
class Node:
    """One use of an operator, or a variable where `op` is None.

    name: unique among the user's nodes; what the passes make carries the label of the node it came from.
    params: the operator's parsed settings.   attrs: the user's attributes (strings), also of variables.
    types: one for each output, after lowering.   backward: whether the gradient pass made it.
    Never changed once it is made; a frozen dataclass would say so, but takes three times as long to make.
    """

    op: Any
    name: str
    inputs: tuple[Entry, ...] = ()
    params: Any = None
    attrs: dict[str, str] = field(default_factory=dict)
    types: tuple[Type, ...] = ()
    backward: bool = False

    def with_inputs(self, inputs: tuple[Entry, ...]) -> "Node":
        """Return the node on other inputs, or itself where they are the same."""
        if inputs == self.inputs:
            return self
        return Node(self.op, self.name, inputs, self.params, self.attrs, self.types, self.backward)

    def entries(self) -> tuple[Entry, ...]:
        """Return all outputs of a lowered node."""
        return (Entry(self),) if len(self.types) == 1 else tuple(Entry(self, i) for i in range(len(self.types)))

    @property
    def label(self) -> str:
        """Operator and node, as errors name them; for a lowered node those of the user's node that it came from."""
        if self.op is not None and self.types:
            return self.name
        return f"{self.op.name} '{self.name}'" if self.op else f"variable '{self.name}'"

    def again(self, inputs: "tuple[Entry, ...]") -> "tuple[Entry, ...]":
        """Return the outputs of the node on other inputs."""
        return self.with_inputs(inputs).entries()

    def __repr__(self):
        return f"<{self.label}>"


@dataclass(frozen=True, eq=False)
class Graph:
    """Outputs, and auxiliary updates: variable node -> the entry that it holds after a run."""

    outputs: tuple[Entry, ...]
    updates: Mapping[Node, Entry] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[Entry, ...]:
        """Everything that a run must compute."""
        return (*self.outputs, *self.updates.values())

    def nodes(self) -> tuple[Node, ...]:
        """Return every node once, inputs before users, in the depth-first order in which MXNet lists arguments."""
        return self._order

    @cached_property
    def _order(self) -> tuple[Node, ...]:
        return tuple(topological([*(entry.node for entry in self.roots), *self.updates]))

    def dump(self) -> str:
        """Return the graph as text, a line a node."""
        names = numbered(self.nodes())
        lines = []
        for node, name in names.items():
            ins = ", ".join(f"{names[e.node]}:{e.index}" if e.index else names[e.node] for e in node.inputs)
            kind = node.op.name if node.op else "variable"
            settings = f" {{{node.params}}}" if node.params is not None and str(node.params) else ""
            types = " ".join(map(str, node.types))
            lines.append(f"{name} = {kind}({ins}){settings} -> {types}".rstrip(" ->"))
        lines.append("outputs: " + ", ".join(f"{names[e.node]}:{e.index}" for e in self.outputs))
        lines += [f"update: {names[var]} <- {names[e.node]}:{e.index}" for var, e in self.updates.items()]
        return "\n".join(lines)


def topological(roots: Iterable[Node]) -> list[Node]:
    """Return all nodes that the roots need, inputs first, each once; iterative, so that deep graphs are fine."""
    order: list[Node] = []
    seen: set[Node] = set()
    for root in roots:
        stack = [(root, iter(root.inputs))] if root not in seen else []
        seen.add(root)
        while stack:
            node, rest = stack[-1]
            for child, _ in rest:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, iter(child.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def numbered(nodes: Sequence[Node]) -> dict[Node, str]:
    """Return a readable name for each node that is unique within the list: variables keep theirs."""
    return {node: (node.name if node.op is None else f"%{number}") for number, node in enumerate(nodes)}


def rewrite(graph: Graph, visit: Callable[[Node, tuple[Entry, ...]], Sequence[Entry] | None]) -> Graph:
    """Return the graph in which every node is replaced by what `visit(node, its rewritten inputs)` returns: an entry
    for each output, or None for the typed node itself on these inputs.  It is the graph itself where that changes
    nothing.
    """
    new: dict[Node, Sequence[Entry]] = {}  # of the nodes that do not stay as they are

    def moved(entry: Entry) -> Entry:
        return new[entry.node][entry.index] if entry.node in new else entry

    for node in graph.nodes():
        inputs = node.inputs
        for source, _ in inputs:
            if source in new:
                inputs = tuple([moved(e) for e in inputs])
                break
        made = visit(node, inputs)
        if made is not None:
            new[node] = made
        elif inputs is not node.inputs:
            new[node] = node.again(inputs)
    if not new:
        return graph
    outputs = tuple(map(moved, graph.outputs))
    updates = {moved(Entry(var)).node: moved(e) for var, e in graph.updates.items()}
    return graph if outputs == graph.outputs and updates == graph.updates else Graph(outputs, updates)
