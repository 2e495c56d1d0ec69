"""Resize: take what an inference plan was made of over to another number of examples, without running the passes again.

It serves executors bound again at another batch size.  Every node that depends on an array whose first axis has changed
must be one that works example by example (Op.per_example); its settings `size` and `shape` follow, everything else
stays, the work that prepares weights as it is.  A plan for one example is no model: there, axes of 1 are special.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from ..base import MXNetError
from ..ir import Entry, Graph, Node, Shape, Type
from ..ops._def import Launch
from ..ops._types import resolve
from .fuse import Step
from .infer import infer
from .plan import Prepared


@dataclass(frozen=True)
class Made:
    """What a plan is made of: the user's graph after all passes, and its steps.

    targets: the names of its outputs' slots.   heads: variables for the gradients that flow in.   launches: how each
    step fills its kernel, where that is known.   prepared: the plan of its kept steps, where that is made.
    """

    graph: Graph
    steps: Sequence[Step]
    targets: Sequence[str]
    heads: Sequence[Node] = ()
    launches: Sequence[Launch | None] = ()
    prepared: Prepared | None = None


# How many times as many examples: beyond, other ways to compute a convolution may pay.
FAR = 4
# Settings that may begin with the number of examples.
SIZES = ("size", "shape")

# User's graph -> of the last inference plan that the passes made: what was given, the types of its variables, the rest.
_recent: WeakKeyDictionary[Graph, tuple[tuple, Mapping[str, Type], Made]] = WeakKeyDictionary()


def remember(graph: Graph, given: tuple, types: Mapping[str, Type], made: Made) -> None:
    """Keep what the passes made of a user's graph for inference.

    given: all that decided about it but the types of its variables.
    """
    if not made.graph.updates:
        _recent[graph] = given, types, made


def resized(graph: Graph, given: tuple, types: Mapping[str, Type]) -> Made | None:
    """Return what a plan for these types is made of, after the one remembered; None where the passes must run."""
    was_given, was_types, old = _recent.get(graph, (None, {}, None))
    if old is None or was_given != given:
        return None
    changed = {name for name, was in was_types.items() if types[name] != was}
    lengths = {(was_types[name].shape[:1], types[name].shape[:1]) for name in changed}
    if not changed:
        return old
    if len(lengths) != 1:
        return None
    (before, after), *_ = lengths
    if not (before > (1,) and after > (0,) and max(before[0], after[0]) <= FAR * min(before[0], after[0])):
        return None
    try:
        outputs = _outputs(graph, types, changed)
        new = _resized(old.graph.nodes(), types, before, after) if outputs else None
    except MXNetError:
        return None
    if new is None or [new[e.node].types[e.index] for e in old.graph.outputs] != outputs:
        return None

    def moved(entries: Iterable[Entry]) -> tuple[Entry, ...]:
        return tuple(Entry(new[node], i) for node, i in entries)

    steps, launches = [], []
    for step, launch in zip(old.steps, old.launches):
        same = all(new[node] is node for node in (*step.nodes, *step.tails))
        if not same:
            nodes, tails = (tuple(new[n] for n in group) for group in (step.nodes, step.tails))
            step = Step(nodes, moved(step.inputs), moved(step.outputs), moved(step.sources), tails)
            if step.is_program and len({n.types[0].shape for n in nodes}) > 1:
                return None
        steps.append(step)
        launches.append(launch if same else None)
    if any(step.sources and launch is None for step, launch in zip(steps, launches)):
        return None
    return replace(old, graph=Graph(moved(old.graph.outputs)), steps=steps, launches=launches)


def _outputs(graph: Graph, types: Mapping[str, Type], changed: Set[str]) -> list[Type] | None:
    """Return the types of the outputs; None unless the user's graph works example by example after a changed array."""
    found = infer(graph, {k: t.shape for k, t in types.items()}, {k: t.dtype for k, t in types.items()})
    depends: set[Node] = set()
    for node in graph.nodes():
        if node.op is None and node.name in changed:
            depends.add(node)
        elif any(e.node in depends for e in node.inputs):
            shapes = [found.shape_of(e) for e in node.inputs]
            # A leading 0 stands for the number of examples, whatever it is; what else the user wrote is to stay.
            written = any(getattr(node.params, name, (0,))[:1] != (0,) for name in SIZES)
            if written or not node.op.per_example(node.params, shapes):
                return None
            depends.add(node)
    return [found.type_of(e) for e in graph.outputs]


def _resized(nodes: Sequence[Node], types: Mapping[str, Type], before: Shape, after: Shape) -> dict[Node, Node] | None:
    """Return what stands for each typed node: itself where nothing changes, else its like for arrays that begin with
    axis `after` instead of `before`.
    """
    new: dict[Node, Node] = {}
    for node in nodes:
        if node.op is None:
            type_ = types[node.name]
            new[node] = node if node.types == (type_,) else Node(None, node.name, attrs=node.attrs, types=(type_,))
            continue
        inputs = tuple(Entry(new[e.node], e.index) for e in node.inputs)
        if inputs == node.inputs:
            new[node] = node
            continue
        p, shapes = node.params, [e.shape for e in inputs]
        if not node.op.per_example(p, shapes) or any(t.shape[:1] != before for t in node.types):
            return None
        sizes = {name: getattr(p, name) for name in SIZES if hasattr(p, name)}
        p = p.replace({name: after + size[1:] for name, size in sizes.items() if size[:1] == before})
        made = tuple(Type(after + t.shape[1:], t.dtype) for t in node.types)
        if resolve(node.op, p, [e.type for e in inputs]) != made:
            return None
        new[node] = Node(node.op, node.name, inputs, p, node.attrs, made, node.backward)
    return new
