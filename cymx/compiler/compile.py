"""Compile: call the passes in order.  The one road from a user's graph to a Plan."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..base import Context, cpu
from ..ir import Entry, Graph, Node, Shape, Type, rewrite
from ..ops._build import F, Value, scope, variable
from ..ops._def import Kernel, Launch, Map
from .backend import Backend, backend_of
from .channels_last import channels_last
from .epilogue import epilogue
from .fold import fold
from .fuse import CONSTANT, Step, fuse, stored
from .gradient import gradient
from .join import join
from .kept import keep, kept_nodes
from .layout import layout
from .lower import lower
from .memory import Memory, memory
from .place import place
from .plan import Plan, Prepared, operands_of, plan, program
from .prepare import prepare
from .resize import Made, remember, resized
from .simplify import simplify


@dataclass(frozen=True)
class Options:
    """What may be switched off, for tests and for finding faults: every combination gives the same results."""

    simplify: bool = True
    fuse: bool = True
    share_memory: bool = True
    fold: bool = True
    channels_last: bool | None = None  # None: where it pays
    convolution: str | None = None  # one of prepare.WAYS; None: what pays
    join: bool = True
    epilogue: bool = True


DEFAULTS = Options()


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the cycle collector from walking all nodes again and again while passes make more of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_collector_at_rest()
def compile_graph(
    graph: Graph,
    types: Mapping[str, Type],
    train: bool = False,
    grad_req: Mapping[str, str] | None = None,
    context: Context | None = None,
    groups: Mapping[str, Context] | None = None,
    options: Options = DEFAULTS,
    in_place: Sequence[str] = (),
    own_arena: bool = False,
    backend: Backend | None = None,
) -> Plan:
    """Return the plan of a graph.

    types: variable name -> type.   grad_req: variable name -> 'write' or 'add', for the gradients to compute; needs
    train.
    in_place: names of variables that take the outputs, one for each, so that there are no outputs.
    own_arena: whether all runs are given the same arrays and one arena, so that what depends on weights alone may be
    kept by a plan of its own, Plan.prepares.
    backend: where it will run, if not where the context says.
    Slots are named arg:NAME (every variable), out:K, head:K (gradient that flows into output K) and grad:NAME.  Raises
    MXNetError.
    """
    backend = backend or backend_of(place(graph, context or cpu(0), groups))
    given = None
    if own_arena and not (train or grad_req or in_place):
        given = (type(backend), backend.key, context, tuple((groups or {}).items()), options)
    made = resized(graph, given, types) if given else None
    is_new = made is None
    if made is None:
        made = _make(graph, types, train, grad_req or {}, options, in_place, own_arena, backend)
    typed = made.graph
    variables = [n for n in typed.nodes() if n.op is None]
    variables = list(dict.fromkeys([*_in_order(graph, typed), *variables, *made.heads]))
    arrays = [(v.name if ":" in v.name else f"arg:{v.name}", v.types[0]) for v in variables]
    outside = {Entry(v): slot for slot, v in enumerate(variables)}
    for name, entry in zip(made.targets, typed.outputs):
        outside[stored(entry)] = len(arrays)
        arrays.append((name, entry.type))
    steps = _write_updates(typed, made.steps, outside)
    launches = [known or _launch(step) for step, known in zip(steps, made.launches or [None] * len(steps))]
    prepared = made.prepared or _prepared(steps, launches, backend, options)
    if given and is_new:
        remember(graph, given, types, replace(made, launches=launches, prepared=prepared))
    own = [number for number, step in enumerate(steps) if not step.sources]
    steps, launches = [steps[i] for i in own], [launches[i] for i in own]
    return _planned(steps, launches, arrays, outside, backend, options, own_arena, prepared)[0]


def _planned(
    steps: Sequence[Step],
    launches: Sequence[Launch],
    arrays: Sequence[tuple[str, Type]],
    outside: Mapping[Entry, int],
    backend: Backend,
    options: Options,
    replays: bool,
    prepared: Prepared | None = None,
    lasting: Sequence[Entry] = (),
) -> tuple[Plan, Memory]:
    """Return the plan of steps in order, and where it leaves what."""
    operands = [operands_of(step, launch) for step, launch in zip(steps, launches)]
    works = [backend.prepare(launch, *types) for launch, types in zip(launches, operands)]
    places = memory(steps, outside, [work.scratch_bytes for work in works], options.share_memory, lasting)
    return plan(steps, places, launches, operands, works, arrays, outside, backend, replays, prepared), places


def _prepared(steps: Sequence[Step], launches: Sequence[Launch], backend: Backend, options: Options) -> Prepared | None:
    """Return the plan of the steps that are kept, if there are any; its arena keeps what the others read."""
    kept = [number for number, step in enumerate(steps) if step.sources]
    if not kept:
        return None
    read = {stored(e) for step in steps if not step.sources for e in step.inputs}
    steps, launches = [steps[i] for i in kept], [launches[i] for i in kept]
    variables = list(dict.fromkeys(e for step in steps for e in step.sources))
    arrays = [(f"arg:{e.node.name}", e.type) for e in variables]
    outside = {e: slot for slot, e in enumerate(variables)}
    lasting = [e for step in steps for e in step.outputs if e in read]
    made, places = _planned(steps, launches, arrays, outside, backend, options, False, lasting=lasting)
    return Prepared(made, places.offsets)


def _make(
    graph: Graph,
    types: Mapping[str, Type],
    train: bool,
    grad_req: Mapping[str, str],
    options: Options,
    in_place: Sequence[str],
    own_arena: bool,
    backend: Backend,
) -> Made:
    """Return what a plan is made of: call the passes."""
    typed = lower(graph, types, train)
    if in_place:
        by_name = {n.name: n for n in typed.nodes() if n.op is None}
        # A variable that is only written is not in the graph yet.
        targets_of = [by_name.get(v) or Node(None, v, types=(types[v],)) for v in in_place]
        typed = Graph((), {**typed.updates, **dict(zip(targets_of, typed.outputs))})
    n_out = len(typed.outputs)
    targets = [f"out:{k}" for k in range(n_out)]
    heads: list[Value | None] = []
    if grad_req:
        typed, heads = _with_gradients(graph, typed, types, grad_req)
        targets += [f"grad:{name}" for name, req in grad_req.items() if req == "write"]
    if options.simplify:
        typed = simplify(typed)
    if options.join and (joined := join(typed)) is not typed:
        typed = simplify(joined)
    if options.fold and not train:
        typed = fold(typed)
    typed = channels_last(layout(typed), backend, options.channels_last)
    keeps = own_arena and not train
    if backend.reorders:
        typed = prepare(typed, keeps, options.convolution)
    if options.epilogue:
        typed = epilogue(typed, backend)
    typed = _own_outputs(typed, n_out)
    kept = kept_nodes(typed) if keeps else set()
    steps = keep(fuse(typed, options.fuse, kept), kept)
    return Made(typed, steps, targets, [h.node for h in heads if h is not None])


def _in_order(graph: Graph, typed: Graph) -> list[Node]:
    """Return the typed graph's variables in the order of the user's, so that slots are easy to tell."""
    by_name = {n.name: n for n in typed.nodes() if n.op is None}
    return [by_name[n.name] for n in graph.nodes() if n.op is None and n.name in by_name]


def _with_gradients(
    graph: Graph, typed: Graph, types: Mapping[str, Type], grad_req: Mapping[str, str]
) -> tuple[Graph, list[Value | None]]:
    """Add gradients: 'write' as further outputs, 'add' as updates of what the gradient's array holds."""
    by_name = {n.name: n for n in typed.nodes() if n.op is None}
    heads = [
        None if e.node.op is not None and e.node.op.is_loss else variable(f"head:{k}", typed.outputs[k].type, True)
        for k, e in enumerate(graph.outputs)
    ]
    with scope("gradient", train=True, backward=True):
        seeds = [h if h is not None else F.ones_like(Value(*typed.outputs[k])) for k, h in enumerate(heads)]
        # A variable that no body uses (a fixed gamma) is not in the typed graph: its gradient is 0.
        wanted = [by_name.get(name) or Node(None, name, types=(types[name],)) for name in grad_req]
        found = gradient(typed, wanted, seeds)
        outputs, updates = list(typed.outputs), dict(typed.updates)
        for node, dx, req in zip(wanted, found, grad_req.values()):
            if req == "add":
                if dx is not None:
                    old = variable(f"grad:{node.name}", node.types[0], True)
                    updates[old.node] = old + dx
            else:
                outputs.append(dx if dx is not None else F.zeros_like(Value(node)))
    return Graph(tuple(outputs), updates), heads


def _own_outputs(graph: Graph, n_out: int) -> Graph:
    """Give every output and update memory of its own: a variable, a constant or a value that is an output already is
    copied.

    Constants that feed a kernel or a view are written out as well: only Map steps take them as they are.
    States that forward changes are kept as they were for backward.
    What follows the first n_out outputs are gradients: they are written when backward runs, even where nothing is
    computed.
    """
    taken: set[Entry] = set()
    changed = {v for v, e in graph.updates.items() if not e.node.backward}

    def written_out(entry: Entry, backward: bool) -> Entry:
        with scope("copy", train=False, backward=backward):
            return F.identity(Value(*entry))

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op is not None and not issubclass(node.op, Map):
            inputs = tuple([written_out(e, node.backward) if e.node.op is CONSTANT else e for e in inputs])
        if node.backward and changed:
            old = [not e.node.backward and stored(e).node in changed for e in inputs]
            inputs = tuple(written_out(e, False) if kept else e for e, kept in zip(inputs, old))
        return None if inputs == node.inputs else node.again(inputs)

    def own(entry: Entry, backward: bool = False) -> Entry:
        source = stored(entry)
        if source.node.op is None or source.node.op is CONSTANT or source in taken:
            entry = written_out(entry, backward or entry.node.backward)
        taken.add(stored(entry))
        return entry

    graph = rewrite(graph, visit)
    outputs = tuple(own(e, k >= n_out) for k, e in enumerate(graph.outputs))
    return Graph(outputs, {v: own(e) for v, e in graph.updates.items()})


def _write_updates(graph: Graph, steps: Sequence[Step], outside: dict[Entry, int]) -> list[Step]:
    """Let updates be written straight into their variables where nobody reads the old value later;

    copy them there at the end otherwise.
    """
    number = {output: i for i, step in enumerate(steps) for output in step.outputs}
    readers: dict[Node, list[tuple[int, Shape]]] = {v: [] for v in graph.updates}  # steps, and the shapes they read
    for i, step in enumerate(steps if readers else ()):
        for e in step.inputs:
            if (source := stored(e).node) in readers:
                readers[source].append((i, e.shape))
    copies = []
    for v, entry in graph.updates.items():
        made = number[stored(entry)]
        in_place = steps[made].is_program and stored(entry).node not in steps[made].tails
        if all(i < made or (i == made and in_place and shape == entry.shape) for i, shape in readers[v]):
            outside[stored(entry)] = outside[Entry(v)]
        else:
            with scope(v.name, train=True, backward=steps[made].backward):
                copy = F.identity(Value(*entry))
            copies.append(Step((copy.node,), (entry,), (copy,)))
            outside[copy] = outside[Entry(v)]
    forward = [s for s in (*steps, *copies) if not s.backward]
    return forward + [s for s in (*steps, *copies) if s.backward]


def _launch(step: Step) -> Launch:
    """Return how a step fills its kernel."""
    node = step.nodes[0]
    if issubclass(node.op, Map):
        return Launch("map_reduce" if step.tails else "map", program(step))
    assert issubclass(node.op, Kernel), node
    return node.op.launch(node.params, [e.type for e in node.inputs], list(node.types))
