"""Fold: let a convolution do what follows it, in inference plans.

A factor and an offset for each channel (a batch normalization, a bias) go into weight and bias; the sum with another
image of the same shape and the maximum with 0 go into the convolution's own settings.  What the convolution makes must
be read by the next node alone.  Images are (N, C, *spatial) still.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..ir import Entry, Graph, Node, rewrite
from ..ops._build import F, Value, constant, reshape, scope
from ..ops._def import Map, View, find
from ..ops._shapes import n_elements
from .fuse import stored

_CONV, _CONSTANT = find("_conv_fwd"), find("_constant")
_ADD, _SUB, _MUL, _DIV = (find("broadcast_" + word) for word in ("add", "sub", "mul", "div"))


@dataclass
class _Chain:
    """A convolution and what it takes over: the nodes, (operator, channel vector) in order, another image, relu."""

    conv: Node
    nodes: list[Node] = field(default_factory=list)
    affine: list[tuple[type, Entry]] = field(default_factory=list)
    residual: Entry | None = None
    relu: bool = False

    @property
    def last(self) -> Node:
        """The node whose value the convolution makes now."""
        return self.nodes[-1] if self.nodes else self.conv


def fold(graph: Graph) -> Graph:
    """Return the graph with chains folded into convolutions."""
    chains = [chain for chain in _chains(graph, graph.nodes()) if chain.nodes]
    ends = {chain.last: chain for chain in chains}
    within = {n for chain in chains for n in (chain.conv, *chain.nodes)}
    new: dict[Entry, Entry] = {}  # what chains read

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node in within:
            new.update(zip(node.inputs, inputs))
        return (_folded(ends[node], new),) if node in ends else None

    return rewrite(graph, visit)


def _chains(graph: Graph, nodes: Sequence[Node]) -> list[_Chain]:
    """Return the chain of each convolution; a node belongs to one."""
    users: dict[Entry, list[Node]] = {}
    for node in nodes:
        for e in node.inputs:
            users.setdefault(e, []).append(node)
    roots = set(graph.roots)
    taken: set[Node] = set()
    chains = []
    for node in nodes:
        if node.op is _CONV and not node.params.relu and not node.params.has_residual:
            chain = _Chain(node)
            chains.append(chain)
            for step in _followers(Entry(node), users, roots):
                if step in taken or chain.relu or not _joins(chain, step):
                    break
                chain.nodes.append(step)
                taken.add(step)
    return chains


def _followers(e: Entry, users: dict[Entry, list[Node]], roots: set[Entry]) -> Iterator[Node]:
    """Yield the Map nodes of one type that each read nothing but what the one before made, and others."""
    while e not in roots and len(users.get(e, ())) == 1:
        (node,) = users[e]
        if not issubclass(node.op, Map) or node.types[0] != e.type:
            return
        yield node
        e = Entry(node)


def _joins(chain: _Chain, node: Node) -> bool:
    """Take a node into the chain if the convolution can do its work."""
    before = Entry(chain.last)
    if node.op.functor == "relu":
        chain.relu = True
        return True
    if node.op not in (_ADD, _SUB, _MUL, _DIV):
        return False
    x, other = node.inputs
    if x != before:
        if node.op not in (_ADD, _MUL):
            return False
        x, other = other, x
    if other.dtype != x.dtype:
        return False
    if chain.residual is None and _is_channel_vector(chain.conv, other):
        chain.affine.append((node.op, other))
        return True
    if node.op is _ADD and chain.residual is None and other.type == x.type:
        chain.residual = other
        return True
    return False


def _is_channel_vector(conv: Node, e: Entry) -> bool:
    """Whether an entry has one number for each channel, or for all, made from variables by little arithmetic."""
    shape = conv.types[0].shape
    full = (1,) * (len(shape) - len(e.shape)) + e.shape
    if len(full) > len(shape) or any(n != 1 for i, n in enumerate(full) if i != 1):
        return False
    seen: set[Node] = set()
    waiting = [e.node]
    while waiting:
        node = waiting.pop()
        if node in seen or node.op is _CONSTANT:
            continue
        seen.add(node)
        if n_elements(node.types[0].shape) > shape[1]:
            return False
        if node.op is not None and (not issubclass(node.op, (Map, View)) or node.backward):
            return False
        waiting += [i.node for i in node.inputs]
    return True


def _folded(chain: _Chain, new: dict[Entry, Entry]) -> Entry:
    """Build the convolution of a chain."""
    conv = chain.conv
    p, out = conv.params, conv.types[0]
    n_filters = out.shape[1]
    inputs = [Value(*new[e]) for e in conv.inputs]
    x, weight = inputs[:2]
    bias: Value | None = None if p.no_bias else inputs[2]
    scale: Value | None = None
    with scope(conv.name, train=False, backward=conv.backward):
        for op, e in chain.affine:
            v = Value(*stored(new[e]))
            v = reshape(v, (n_filters,) if n_elements(v.shape) > 1 or n_filters == 1 else (1,)) if v.shape else v
            if op is _MUL or op is _DIV:
                apply = F.broadcast_mul if op is _MUL else F.broadcast_div
                is_first = scale is None and op is _MUL
                scale = v if is_first else apply(constant(1, x.dtype) if scale is None else scale, v)
                bias = None if bias is None else apply(bias, v)
            else:
                sign = v if op is _ADD else -v
                bias = sign if bias is None else bias + sign
        if scale is not None:
            weight = weight * reshape(scale, (n_elements(scale.shape), *(1,) * (weight.ndim - 1)))
        if bias is not None and bias.shape != (n_filters,):
            bias = F.broadcast_to(bias, shape=(n_filters,))
        changes = {
            "no_bias": bias is None,
            "relu": chain.relu,
            "has_residual": chain.residual is not None,
        }
        inputs = [x, weight, *([] if bias is None else [bias])]
        if chain.residual is not None:
            inputs.append(Value(*new[chain.residual]))
        p = p.replace(changes)
        return Entry(Node(_CONV, chain.last.name, tuple(inputs), p, conv.attrs, conv.types, conv.backward))
