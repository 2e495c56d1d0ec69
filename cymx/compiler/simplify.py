"""Simplify: see through nodes that compute nothing, and merge nodes that compute the same.

Refuses to merge random nodes, and never merges across forward and backward, so that a forward run alone stays whole.
"""

from ..ir import Entry, Graph, Node, rewrite
from ..ops._build import OwnGradient
from ..ops._def import find


def simplify(graph: Graph) -> Graph:
    """Return the graph without identities, double views, arithmetic with neutral constants and repeated work."""
    seen: dict[tuple, Node] = {}

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op is None:
            return None
        if node.op is OwnGradient:
            return inputs[: node.params.n]
        replaced = _neutral(node, inputs)
        if replaced is not None:
            return (replaced,)
        if node.op is _VIEW and inputs[0].node.op is _VIEW:
            inputs = inputs[0].node.inputs
            if inputs[0].type == node.types[0]:
                return inputs
        made = node.with_inputs(inputs)
        if not getattr(node.op, "is_random", False):
            made = _merged(seen, made)
        return None if made is node else made.entries()

    return rewrite(graph, visit)


def _merged(seen: dict[tuple, Node], node: Node) -> Node:
    """Return an earlier node that computes the same; a backward node may use a forward one, not the other way round."""
    key = (node.op, node.params.key, node.inputs, node.types)
    earlier = seen.get(key)
    if earlier is None or (earlier.backward and not node.backward):
        seen[key] = node
        return node
    return earlier


_VIEW = find("_view")
_CONSTANT = find("_constant")
# operator -> the constant that changes nothing on the right, and whether it also changes nothing on the left
_NEUTRAL = {
    find("broadcast_add"): (0, True),
    find("broadcast_mul"): (1, True),
    find("broadcast_sub"): (0, False),
    find("broadcast_div"): (1, False),
}


def _neutral(node: Node, inputs: tuple[Entry, ...]) -> Entry | None:
    """Return the input that the node only repeats, if there is one."""
    if getattr(node.op, "functor", "") == "identity" and inputs and inputs[0].type == node.types[0]:
        return inputs[0]
    rule = _NEUTRAL.get(node.op)
    if rule is None:
        return None
    number, both = rule
    for kept, other in ((0, 1), (1, 0)) if both else ((0, 1),):
        const = inputs[other].node
        if const.op is _CONSTANT and const.params.value == number and inputs[kept].type == node.types[0]:
            return inputs[kept]
    return None
