"""Layout: choose how operands lie in memory.

A transpose of the last two axes that feeds a matrix product becomes the product's own flag.
"""

from ..ir import Entry, Graph, Node, rewrite
from ..ops._def import find

_MATMUL = find("_matmul")
_TRANSPOSE = find("transpose")


def layout(graph: Graph) -> Graph:
    """Return the graph with transposes folded into matrix products."""
    if not any(_swaps_last_two(node) for node in graph.nodes()):
        return graph

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op is _MATMUL:
            params = node.params
            flags = [params.transpose_a, params.transpose_b]
            folded = list(inputs)
            for i in (0, 1):
                if _swaps_last_two(folded[i].node):
                    folded[i] = folded[i].node.inputs[0]
                    flags[i] = not flags[i]
            if tuple(folded) != inputs:
                params = _MATMUL.parse({"transpose_a": flags[0], "transpose_b": flags[1]})
                return (Entry(Node(_MATMUL, node.name, tuple(folded), params, node.attrs, node.types, node.backward)),)
        return None

    return rewrite(graph, visit)


def _swaps_last_two(node: Node) -> bool:
    if node.op is not _TRANSPOSE:
        return False
    n = len(node.types[0].shape)
    axes = node.params.axes or tuple(reversed(range(n)))
    return n >= 2 and tuple(axes) == (*range(n - 2), n - 1, n - 2)
