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


def test_backwards_through_equal_parts():
    parts = mx.sym.SliceChannel(v("x"), num_outputs=3, axis=-1)
    assert inferred(parts[2] + v("y"), {"y": (2, 4)})["x"][0] == (2, 12)
    alone = mx.sym.SliceChannel(v("x"), num_outputs=3, axis=-1, squeeze_axis=True)
    assert inferred(alone[1] + v("y"), {"y": (2, 4)})["x"][0] == (2, 4, 3)
    with pytest.raises(MXNetError, match="num_outputs=3 divides"):
        inferred(parts[0] + v("y"), {"x": (2, 8), "y": (2, 4)})


def test_backwards_through_a_convolution():
    net = mx.sym.Convolution(v("x"), kernel=(3, 3), num_filter=4, pad=(1, 0), stride=(1, 2), name="conv")
    found = inferred(net + v("y"), {"x": (0, 2, 0, 9), "y": (5, 4, 7, 4)})
    assert found["x"][0] == (5, 2, 7, 9) and found["conv_weight"][0] == (4, 2, 3, 3)
    # Several widths give 4 windows two apart.
    shapes = (net + v("y")).infer_shape_partial(x=(0, 2, 0, 0), y=(5, 4, 7, 4))[0]
    assert shapes[0] == (5, 2, 7, 0)


def test_batches_of_matrices_of_unknown_sizes():
    net = mx.sym.batch_dot(v("x"), v("y"))
    assert net.infer_shape_partial(x=(0, 3, 4), y=(0, 4, 5))[1] == [(0, 3, 5)]
    assert net.infer_shape_partial(x=(0, 3, 4), y=(2, 4, 5))[0] == [(2, 3, 4), (2, 4, 5)]
    assert net.infer_shape_partial(x=(0, 3, 4), y=(0, 0, 5))[1] == [()]
    with pytest.raises(MXNetError, match="leading dimensions differ"):
        net.infer_shape_partial(x=(3, 3, 4), y=(2, 4, 5))


def test_one_input_takes_the_shape_of_another():
    w = v("w")
    spread = mx.sym.broadcast_add(w, v("shift"))
    like = mx.sym._internal._identity_with_attr_like_rhs(spread, w)
    net = mx.sym.FullyConnected(v("x"), like, num_hidden=5, no_bias=True)
    assert inferred(net, {"x": (2, 7), "shift": (1,)})["w"][0] == (5, 7)
