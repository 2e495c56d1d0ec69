"""Prepare: give each convolution its weight in the form in which it is computed fastest.

3x3 convolutions of stride 1 become Winograd's where that pays, and so do their gradients by the input.  Those of few
positions and many channels, where moving a weight costs as much as using it, become matrix products that read it as it
lies.  What plans that keep (see kept.py) prepare once for many runs is reordered into oneDNN's layout instead.
"""

from math import prod

from .. import _ops  # type: ignore[attr-defined]
from ..ir import Entry, Graph, Node, rewrite
from ..ops._build import F, Value, reshape, scope
from ..ops._def import find
from ..ops._shapes import n_elements
from ..ops.conv import ConvSettings
from ..ops.winograd import n_tiles
from .fuse import stored

_FORWARD, _BACKWARD, _WEIGHT = _CONVOLUTIONS = find("_conv_fwd"), find("_conv_bwd_data"), find("_conv_bwd_weight")
_WINOGRAD = find("_winograd_fwd")
_CONSTANT = find("_constant")

WAYS = ("direct", "winograd", "windows")


def prepare(graph: Graph, keep: bool, way: str | None = None) -> Graph:
    """Return the graph with weights prepared.

    keep: whether that is done once and not in each run.   way: one of WAYS, for whatever it fits; None asks what pays.
    """
    windows: dict[tuple, Value] = {}

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op not in _CONVOLUTIONS or any(stored(e).node.op is _CONSTANT for e in inputs[:2]):
            return None
        conv = _Convolution(node.with_inputs(inputs))
        costs = {w: c for w, c in conv.costs(keep).items() if way is None or w in (way, "direct")}
        best = min(costs, key=lambda w: (w == "direct" and way not in (None, "direct"), costs[w]))
        with scope(node.name, train=False, backward=node.backward):
            if best == "winograd":
                return (Entry(_by_winograd(conv.node, conv.tile(keep))),)
            if best == "windows":
                return (_by_windows(conv, windows),)
            return (Entry(_packed(conv.node)),) if keep and node.op is _FORWARD else None

    return rewrite(graph, visit)


class _Convolution:
    """One of the three kernels: which of its arrays are x, w and y, and about what each way to compute it costs."""

    def __init__(self, node: Node):
        first, second, out = node.inputs[0].type, node.inputs[1].type, node.types[0]
        self.node = node
        if node.op is _FORWARD:
            self.x, self.w, self.y = first, second, out
        elif node.op is _BACKWARD:
            self.x, self.w, self.y = out, second, first
        else:
            self.x, self.w, self.y = second, out, first

    def costs(self, keep: bool) -> dict[str, float]:
        """Return about how many multiplications' time each way takes that fits."""
        p, x, w, y = self.node.params, self.x, self.w, self.y
        positions, weight = n_elements(y.shape) // w.shape[0], n_elements(w.shape)
        if not p.channels_last or p.groups != 1 or x.dtype != "float32":
            return {"direct": 0}
        # Each run reorders a weight or its gradient; oneDNN is slow besides where images are small.
        costs = {"direct": (positions + (0 if keep else 90)) * weight}
        if w.shape[2:] == (3, 3) and p.stride == p.dilate == (1, 1) and max(p.pad) <= 2 and self.node.op is not _WEIGHT:
            costs["winograd"] = self.winograd(self.tile(keep), keep)
        if not (self.node.op is _FORWARD and (p.relu or p.has_residual)):
            costs["windows"] = (positions + 25) * weight + 70 * positions * w.shape[1] * prod(w.shape[2:])
        return costs

    def tile(self, keep: bool) -> int:
        """Return the better tile of Winograd's way."""
        return min((4, 2), key=lambda tile: self.winograd(tile, keep))

    def winograd(self, tile: int, keep: bool) -> float:
        """Return the same for Winograd's way: transforms of images and of weights cost by the point."""
        channels, out = self.w.shape[:2], self.node.types[0].shape
        points, weight = (tile + 2) ** 2, prod(channels)
        return points * (n_tiles(tile, out) * (weight + 12 * sum(channels)) + weight * (10 if keep else 45))


def _by_winograd(conv: Node, tile: int) -> Node:
    """Return Winograd's convolution in place of one, or of a gradient by the input."""
    p, weight, turned = conv.params, Value(*conv.inputs[1]), conv.op is _BACKWARD
    settings = {
        "tile": tile, "pad": tuple(2 - n for n in p.pad) if turned else p.pad, "no_bias": turned or p.no_bias,
        "has_residual": not turned and p.has_residual, "relu": not turned and p.relu, "size": conv.types[0].shape,
    }  # fmt: skip
    prepared = F.winograd_weights(weight, tile=tile, turned=turned)
    inputs = (conv.inputs[0], prepared, *conv.inputs[2:])
    return Node(_WINOGRAD, conv.name, inputs, _WINOGRAD.parse(settings), conv.attrs, conv.types, conv.backward)


def _by_windows(conv: _Convolution, made: dict[tuple, Value]) -> Entry:
    """Return a product in place of a convolution.  made: windows of images, which a weight's gradient reads again."""
    node, w, y = conv.node, conv.w, conv.y
    first, second, *bias = (Value(*e) for e in node.inputs)
    depth = n_elements(w.shape[1:])
    settings = {**ConvSettings.settings(node.params), "kernel": w.shape[2:]}
    flat = lambda v: reshape(v, (n_elements(v.shape) // v.shape[-1], v.shape[-1]))
    rows = lambda v: reshape(v, (w.shape[0], depth))

    def windows(x: Value) -> Value:
        forward, own = ((side, x, *settings.values()) for side in (False, node.backward))
        found = made.get(forward) or made.get(own)
        if found is None:
            found = made[own] = F.conv_windows(x, size=(*y.shape[:-1], depth), **settings)
        return flat(found)

    if node.op is _FORWARD:
        product = F.matmul(windows(first), rows(second), transpose_b=True)
        return reshape(product + bias[0] if bias else product, y.shape)
    if node.op is _BACKWARD:
        product = reshape(F.matmul(flat(first), rows(second)), (*y.shape[:-1], depth))
        return F.conv_windows_sum(product, size=conv.x.shape, **settings)
    return reshape(F.matmul(flat(first), windows(second), transpose_a=True), w.shape)


def _packed(conv: Node) -> Node:
    """Return the convolution with its weight in oneDNN's layout, one for every number of images; itself where it has
    none.
    """
    p, weight = conv.params, Value(*conv.inputs[1])
    image, size = ((1, *t.shape[1:]) for t in (conv.inputs[0], conv.types[0]))
    settings = {**ConvSettings.settings(p), "image": image, "size": size, "n_bytes": 0}
    block = ConvSettings.block(p, weight.shape[2:], p.has_residual, p.relu)
    shapes = (*settings["image"], *settings["size"])
    settings["n_bytes"] = _ops.conv_weight_bytes((*block, *shapes), weight.shape, weight.dtype)
    if not settings["n_bytes"]:
        return conv
    inputs = (conv.inputs[0], F.conv_weights(weight, **settings), *conv.inputs[2:])
    return Node(conv.op, conv.name, inputs, p.replace({"packed": weight.shape}), conv.attrs, conv.types, conv.backward)
