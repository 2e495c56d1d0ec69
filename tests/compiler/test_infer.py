"""Infer: shapes and dtypes flow both ways, and what contradicts itself is named."""

import pytest

import cymx as mx
from cymx.base import MXNetError
from cymx.compiler import infer
from cymx.ir import Entry, Graph

v = mx.sym.Variable


@pytest.fixture(autouse=True)
def fresh_names():
    with mx.name.NameManager():
        yield


def inferred(symbol, shapes, dtypes=None, partial=False):
    graph = Graph(tuple(symbol._entries))
    result = infer(graph, shapes, dtypes or {}, partial)
    return {n.name: tuple(result.type_of(Entry(n))) for n in graph.nodes()}


def dense():
    return mx.sym.FullyConnected(v("data"), num_hidden=2, name="fc1")


def test_forwards():
    assert inferred(dense(), {"data": (100, 3)}) == {
        "data": ((100, 3), "float32"),
        "fc1_weight": ((2, 3), "float32"),
        "fc1_bias": ((2,), "float32"),
        "fc1": ((100, 2), "float32"),
    }


def test_backwards_through_two_operators():
    net = mx.sym.Activation(v("a") + v("b"), act_type="relu") + v("c")
    found = inferred(net, {"c": (2, 3)}, {"c": "float64"})
    assert set(found.values()) == {((2, 3), "float64")}


@pytest.mark.parametrize("unknown", [0, -1, None])
def test_unknown_dimensions_fill_each_other(unknown):
    found = inferred(v("a") + v("b"), {"a": (2, unknown), "b": (unknown, 3)})
    assert {shape for shape, _ in found.values()} == {(2, 3)}


def test_variables_may_declare_their_types():
    assert inferred(v("a", shape=(4, 5), dtype="float16") * 2, {})["a"] == ((4, 5), "float16")
    assert inferred(v("a", shape=(4, 5)) * 2, {"a": (1, 2)})["a"] == ((1, 2), "float32")


def test_partly():
    found = inferred(dense(), {"fc1_weight": (2, 3)}, partial=True)
    assert found["fc1_weight"] == ((2, 3), None) and found["data"][0] is None


@pytest.mark.parametrize(
    "symbol, shapes, dtypes, message",
    [
        (
            dense,
            {"data": (100, 3), "fc1_weight": (3, 2)},
            {},
            r"FullyConnected 'fc1': weight is \(3, 2\), expected \(2, 3\) from num_hidden=2 and data \(100, 3\)",
        ),
        (dense, {"fc1_weight": (2, 3)}, {}, r"the shape of variable data is not known .*: fc1_weight \(2, 3\)"),
        (
            lambda: v("a") + v("b"),
            {"a": (2, 3), "b": (3, 2)},
            {},
            r"elemwise_add '_plus0': rhs is \(3, 2\), expected \(2, 3\) from lhs \(2, 3\)",
        ),
        (
            lambda: v("a") + v("b"),
            {"a": (2, 3)},
            {"a": "float64", "b": "int32"},
            "elemwise_add '_plus0': rhs is int32, expected float64",
        ),
    ],
)
def test_contradictions_are_named(symbol, shapes, dtypes, message):
    with pytest.raises(MXNetError, match=message):
        inferred(symbol(), shapes, dtypes)
