"""Lower, simplify and layout: what they leave of a graph, as text."""

import pytest
from compiler.support import node, var

from cymx.base import MXNetError
from cymx.compiler.layout import layout
from cymx.compiler.lower import lower
from cymx.compiler.simplify import simplify
from cymx.ir import Entry, Graph, Node, Type, numbered
from cymx.ops import find


def lowered(*outputs, train=False, **shapes):
    return lower(Graph(outputs), {n: Type(s, "float32") for n, s in shapes.items()}, train)


def operators(graph):
    return [n.op.name for n in graph.nodes() if n.op]


def test_composed_operators_become_their_bodies():
    y = node("FullyConnected", var("x"), var("w"), var("b"), num_hidden=2, name="fc")
    graph = lowered(y, x=(4, 3), w=(2, 3), b=(2,))
    assert operators(graph) == ["_matmul", "broadcast_add"]
    assert {n.label for n in graph.nodes() if n.op} == {"FullyConnected 'fc'"}
    assert graph.outputs[0].type == Type((4, 2), "float32")


def test_a_fault_while_lowering_is_named():
    with pytest.raises(MXNetError, match="dot 'product'.*3.*2"):
        lowered(node("dot", var("x"), var("x"), name="product"), x=(2, 3))


def test_neutral_arithmetic_goes():
    x = var("x")
    y = node("_plus_scalar", node("_mul_scalar", node("identity", x), scalar=1), scalar=0)
    graph = simplify(lowered(node("exp", y), x=(2, 3)))
    assert operators(graph) == ["exp"]


def test_equal_work_is_done_once_but_random_work_is_not():
    x = var("x")
    same = node("elemwise_add", node("exp", x), node("exp", x))
    assert operators(simplify(lowered(same, x=(2,)))).count("exp") == 1
    draws = [node("_random_uniform", shape="(2,)") for _ in range(2)]
    random = operators(simplify(lowered(node("elemwise_add", *draws))))
    assert sum("random" in name for name in random) == 2


def test_double_views_become_one():
    x = var("x")
    there = node("Reshape", node("Reshape", node("exp", x), shape="(3,2)"), shape="(6,)")
    graph = simplify(lowered(there, x=(2, 3)))
    assert operators(graph) == ["exp", "_view"]
    back = node("Reshape", node("Reshape", node("exp", x), shape="(3,2)"), shape="(2,3)")
    assert operators(simplify(lowered(back, x=(2, 3)))) == ["exp"]


def test_backward_work_is_never_lent_to_forward():
    x = Node(None, "x", types=(Type((2,), "float32"),))
    kind = find("exp")
    made = [Node(kind, "n", (Entry(x),), kind.parse({}), types=x.types, backward=b) for b in (True, False)]
    graph = simplify(Graph(tuple(map(Entry, made))))
    assert [e.node.backward for e in graph.outputs] == [True, False]
    graph = simplify(Graph(tuple(map(Entry, made[::-1]))))
    assert [e.node.backward for e in graph.outputs] == [False, False]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_transposes_fold_into_products(left, right):
    a, b = var("a"), var("b")
    a2 = node("transpose", a) if left else a
    b2 = node("transpose", b, axes="(1,0)") if right else b
    graph = layout(lowered(node("dot", a2, b2), a=(3, 2) if left else (2, 3), b=(4, 3) if right else (3, 4)))
    assert operators(graph) == ["_matmul"]
    params = graph.outputs[0].node.params
    assert (params.transpose_a, params.transpose_b) == (left, right)


def test_other_transposes_stay():
    y = node("batch_dot", node("transpose", var("a"), axes="(1,0,2)"), var("b"))
    assert "transpose" in operators(layout(lowered(y, a=(2, 5, 3), b=(5, 3, 4))))


def test_graphs_dump_as_text():
    y = node("exp", var("x"))
    assert Graph((y,)).dump() == "x = variable()\n%1 = exp(x)\noutputs: %1:0"
    assert lowered(y, x=(2, 3)).dump() == "x = variable() -> float32(2, 3)\n%1 = exp(x) -> float32(2, 3)\noutputs: %1:0"
    assert list(numbered(Graph((y,)).nodes()).values()) == ["x", "%1"]
