"""Prepare: give each convolution its weight in the form in which it is computed fastest.

3x3 convolutions of stride 1 become Winograd's where that pays, and so do their gradients by the input; other weights of
inference plans are reordered into oneDNN's layout.  What prepares a weight is a step of its own, which plans that keep
(see kept.py) run once.
"""

from typing import Any

from .. import _ops  # type: ignore[attr-defined]
from ..ir import Entry, Graph, Node, Shape, rewrite
from ..ops._build import F, Value, scope
from ..ops._def import find
from ..ops.winograd import n_tiles
from .fuse import stored

_FORWARD, _BACKWARD, _WINOGRAD = find("_conv_fwd"), find("_conv_bwd_data"), find("_winograd_fwd")
_WEIGHTS: Any = find("_conv_weights")
_CONSTANT = find("_constant")


def prepare(graph: Graph, keep: bool, winograd: bool | None = None) -> Graph:
    """Return the graph with weights prepared.

    keep: whether that is done once and not in each run.   winograd: None asks whether it pays.
    """

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op is None:
            return (Entry(node),)
        made = Node(node.op, node.name, inputs, node.params, node.attrs, node.types, node.backward)
        if node.op in (_FORWARD, _BACKWARD) and stored(inputs[1]).node.op is not _CONSTANT:
            with scope(node.name, train=False, backward=node.backward):
                tile = _tile(made, keep, winograd)
                if tile:
                    made = _by_winograd(made, tile)
                elif keep and node.op is _FORWARD:
                    made = _packed(made)
        return tuple(Entry(made, i) for i in range(len(made.types)))

    return rewrite(graph, visit)


def _tile(conv: Node, keep: bool, wanted: bool | None) -> int:
    """Return the tile of the Winograd convolution to take, 0 for none."""
    p, (x, w), y = conv.params, conv.inputs[:2], conv.types[0]
    fits = w.shape[2:] == (3, 3) and p.stride == p.dilate == (1, 1) and p.groups == 1 and p.channels_last
    if not fits or x.dtype != "float32" or wanted is False or max(p.pad) > 2:
        return 0
    costs = {tile: _cost(tile, x.shape, y.shape, keep) for tile in ((2, 4) if wanted else (0, 2, 4))}
    return min(costs, key=lambda tile: costs[tile])


def _cost(tile: int, x: Shape, y: Shape, keep: bool) -> float:
    """Return about how many multiplications' time a convolution takes; tile 0: by its definition."""
    weight = x[3] * y[3]
    if not tile:
        return 9 * y[0] * y[1] * y[2] * weight
    points, count = (tile + 2) ** 2, n_tiles(tile, y)
    # Transforms of images cost by the point; those of weights, or reading more of them, by the point as well.
    return points * (count * (weight + 12 * (x[3] + y[3])) + weight * (10 if keep else 25))


def _by_winograd(conv: Node, tile: int) -> Node:
    """Return Winograd's convolution in place of one, or of a gradient by the input."""
    p, weight, turned = conv.params, Value(*conv.inputs[1]), conv.op is _BACKWARD
    settings = {
        "tile": tile, "pad": tuple(2 - n for n in p.pad) if turned else p.pad, "no_bias": turned or p.no_bias,
        "has_residual": not turned and p.has_residual, "relu": not turned and p.relu, "size": conv.types[0].shape,
    }  # fmt: skip
    prepared = F.winograd_weights(weight, tile=tile, turned=turned)
    inputs = (conv.inputs[0], Entry(*prepared), *conv.inputs[2:])
    return Node(_WINOGRAD, conv.name, inputs, _WINOGRAD.parse(settings), conv.attrs, conv.types, conv.backward)


def _packed(conv: Node) -> Node:
    """Return the convolution with its weight in oneDNN's layout; itself where oneDNN has none."""
    p, weight = conv.params, Value(*conv.inputs[1])
    settings = {
        "stride": p.stride,
        "dilate": p.dilate,
        "pad": p.pad,
        "groups": p.groups,
        "channels_last": p.channels_last,
    }
    settings.update(image=conv.inputs[0].shape, size=conv.types[0].shape, n_bytes=0)
    launch = _WEIGHTS.launch(_WEIGHTS.parse(settings), [weight.type], [])
    settings["n_bytes"] = _ops.conv_weight_bytes(launch.params, weight.shape, weight.dtype)
    if not settings["n_bytes"]:
        return conv
    inputs = (conv.inputs[0], Entry(*F.conv_weights(weight, **settings)), *conv.inputs[2:])
    return Node(conv.op, conv.name, inputs, p.replace({"packed": weight.shape}), conv.attrs, conv.types, conv.backward)
