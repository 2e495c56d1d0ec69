"""Channels last: let convolutions, and what stands between them, work on images of (N, *spatial, C).

An entry may exist in both layouts.  Convolutions take and give channels last; whatever reads such an image and can
follow (element-wise arithmetic, reductions, pooling, joining, cutting) follows, forward and backward.  The other layout
is made where somebody needs it: by a view where only axes of size 1 move, else by a transpose.  The backend knows
which convolutions are faster so, and whether filters (O, C, *kernel) are to lie like images besides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..gpu.recipe import Tensor
from ..ir import Entry, Graph, Node, Shape, Type
from ..ops._build import F, Value, reshape, scope
from ..ops._def import Launch, Map, find
from ..ops._shapes import normalize_axes, normalize_axis
from ..ops.reduce import Reduction
from .backend import Backend

_CONCAT = find("Concat")
_CUTS = (find("_slice_strided"), find("_slice_scatter"))
_POOLS = (find("_pool_fwd"), find("_pool_bwd"))
_FORWARD = find("_conv_fwd")
# operator -> which inputs are images, and whether the output is one; of the others, the second input or the output is
# a filter
_CONVOLUTIONS = {
    _FORWARD: ((0,), True),
    find("_conv_bwd_data"): ((0,), True),
    find("_conv_bwd_weight"): ((0, 1), False),
}


def channels_last(graph: Graph, backend: Backend, wanted: bool | None = None) -> Graph:
    """Return the graph with its images in the layout that convolutions like.

    wanted: whether all of them do; None asks the backend.
    """
    nodes = graph.nodes()
    turns = {n: _Turn(n, backend.filters_last) for n in nodes if n.op in _CONVOLUTIONS}
    if wanted is None:
        turns = {n: turn for n, turn in turns.items() if backend.likes_channels_last(*turn.step(n))}
        wanted = len(turns) > 1  # a single one reorders as fast by itself
    if not wanted:
        return graph
    layouts = _Layouts(turns)
    for node in nodes:
        layouts.visit(node)
    return Graph(
        tuple(layouts.get(e, False) for e in graph.outputs),
        {layouts.get(Entry(v), False).node: layouts.get(e, False) for v, e in graph.updates.items()},
    )


def _order(ndim: int) -> tuple[int, ...]:
    """Return which axis each axis of an image with its channels last was."""
    return (0, *range(2, ndim), 1)


def _turned(values: Sequence[int]) -> tuple[int, ...]:
    """Return what belongs to each axis, in the order of channels last."""
    return tuple(values[i] for i in _order(len(values)))


def _is_image(shape: Shape) -> bool:
    return 3 <= len(shape) <= 5


def _is_trivial(shape: Shape) -> bool:
    """Whether both layouts of an array lie alike in memory."""
    return shape[1] == 1 or all(n == 1 for n in shape[2:])


def _spread(shape: Shape, ndim: int) -> Shape:
    """Return the shape with the leading ones that broadcasting implies."""
    return (1,) * (ndim - len(shape)) + shape


class _Turn:
    """How a convolution changes that takes and gives channels last.

    inputs: which of them are turned.   output: whether that is.   changes: its new settings.
    """

    def __init__(self, node: Node, filters: bool):
        images, gives_image = _CONVOLUTIONS[node.op]
        self.inputs, self.output = (0, 1) if filters else images, gives_image or filters
        if node.op is _FORWARD and node.params.has_residual:
            self.inputs = (*self.inputs, len(node.inputs) - 1)
        self.changes: dict[str, Any] = {"channels_last": True, "filters_last": filters}
        if self.output and node.op is not _FORWARD:
            self.changes["size"] = _turned(node.params.size)

    def step(self, node: Node) -> tuple[Launch, list[Tensor], list[Tensor]]:
        """Return the step that the changed node will be."""
        ins = [Tensor(_turned(e.shape) if i in self.inputs else e.shape, e.dtype) for i, e in enumerate(node.inputs)]
        (out,) = node.types
        outs = [Tensor(_turned(out.shape) if self.output else out.shape, out.dtype)]
        return node.op.launch(node.params.replace(self.changes), ins, outs), ins, outs


class _Layouts:
    """What each entry of the old graph has become, in either layout; what is in neither stays as it is.

    turns: of the convolutions that take and give channels last.
    """

    def __init__(self, turns: Mapping[Node, _Turn]):
        self.turns = turns
        self.made: tuple[dict[Entry, Entry], dict[Entry, Entry]] = {}, {}  # as it was; with channels last

    def has_last(self, e: Entry) -> bool:
        """Whether the entry exists with channels last, and not only because it is the same."""
        return e in self.made[True] and _is_image(e.shape) and not _is_trivial(e.shape)

    def is_free(self, e: Entry, ndim: int) -> bool:
        """Whether an operand of arrays of `ndim` dimensions costs nothing in either layout."""
        if _is_trivial(_spread(e.shape, ndim)):
            return True
        return len(e.shape) == ndim and all(e in made for made in self.made)

    def get(self, e: Entry, last: bool) -> Entry:
        """Return the entry in a layout; one that does not exist yet is made from the other."""
        found = self.made[last].get(e)
        if found is None:
            if e not in self.made[True]:
                if not last:
                    return e
                self.made[False].setdefault(e, e)
            x = Value(*self.made[not last][e])
            with scope(x.node.name, train=False, backward=x.node.backward):
                if _is_trivial(e.shape):
                    found = reshape(x, _turned(e.shape) if last else e.shape)
                else:
                    order = _order(x.ndim)
                    found = F.transpose(x, axes=order if last else tuple(order.index(i) for i in range(x.ndim)))
            self.made[last][e] = found
        return found

    def operand(self, e: Entry, ndim: int, last: bool) -> Entry:
        """Return an input that broadcasts against arrays of `ndim` dimensions."""
        if not last or not e.shape:
            return self.get(e, False)
        if len(e.shape) == ndim:
            return self.get(e, True)
        full = _spread(e.shape, ndim)
        x = Value(*self.get(e, False))
        with scope(x.node.name, train=False, backward=x.node.backward):
            if _is_trivial(full):
                return reshape(x, _turned(full))
            return F.transpose(reshape(x, full), axes=_order(ndim))

    def visit(self, node: Node) -> None:
        """Build a node in the layout that its inputs have, or in both where that costs nothing."""
        if node in self.turns:
            turn = self.turns[node]
            inputs = [self.get(e, i in turn.inputs) for i, e in enumerate(node.inputs)]
            self.build(node, inputs, turn.output, turn.changes)
        elif node.op is not None and issubclass(node.op, Map) and _is_image(node.types[0].shape):
            ndim = len(node.types[0].shape)
            free = all(self.is_free(e, ndim) for e in node.inputs)
            follows = any(len(e.shape) == ndim and self.has_last(e) and not self.is_free(e, ndim) for e in node.inputs)
            for last in (True, False) if free else (follows,):
                changes = {"shape": _turned(node.types[0].shape)} if last and "shape" in node.op.params else {}
                self.build(node, [self.operand(e, ndim, last) for e in node.inputs], last, changes)
        elif any(map(self.has_last, node.inputs)) and self.follow(node):
            pass
        elif any(e in made for made in self.made for e in node.inputs):
            self.build(node, [self.get(e, False) for e in node.inputs], False, {})

    def follow(self, node: Node) -> bool:
        """Build a kernel node that can work with channels last so; tell whether it could."""
        shape, p = node.inputs[0].shape, node.params
        ndim = len(shape)
        order = _order(ndim)
        changes: dict[str, Any]
        if node.op in _POOLS:
            changes = {"channels_last": True, **({"size": _turned(p.size)} if "size" in node.op.params else {})}
        elif node.op is _CONCAT:
            changes = {"dim": order.index(normalize_axis(p.dim, ndim))}
        elif node.op in _CUTS:
            changes = {"begin": _turned(p.begin), "step": _turned(p.step), "size": _turned(p.size)}
        elif issubclass(node.op, Reduction):
            axes = normalize_axes(p.axis, ndim, p.exclude)
            kept = [a for a in order if a not in axes]
            if not p.keepdims and kept != sorted(kept):
                return False
            changes = {"axis": tuple(order.index(a) for a in axes), "exclude": False}
            self.build(node, [self.get(node.inputs[0], True)], p.keepdims, changes)
            return True
        else:
            return False
        self.build(node, [self.get(e, True) for e in node.inputs], True, changes)
        return True

    def build(self, node: Node, inputs: Sequence[Entry], last: bool, changes: dict) -> None:
        """Add a node with other inputs and settings, whose outputs have the layout said."""
        params = node.params.replace(changes) if changes else node.params
        types = tuple(Type(_turned(t.shape), t.dtype) for t in node.types) if last else node.types
        made = Node(node.op, node.name, tuple(inputs), params, node.attrs, types, node.backward)
        self.made[last].update(zip(node.entries(), made.entries()))
