"""Functions made from the registry: names, signatures, ways to give arguments, namespaces; methods are the same."""

import inspect

import pytest

import cymx as mx
from cymx import nd
from cymx.ops import REGISTRY


def test_every_public_operator_has_a_function():
    for word in REGISTRY:
        home = nd._internal if word.startswith("_") else nd
        function = getattr(home, word)
        assert callable(function) and function.__name__ == word
        assert function.__doc__ and inspect.signature(function)
    assert {"exp", "FullyConnected"} <= set(dir(nd))


def test_signature_is_the_operators():
    names = list(inspect.signature(nd.FullyConnected).parameters)
    assert names == ["data", "weight", "bias", "num_hidden", "no_bias", "flatten", "out", "name", "kwargs"]
    assert list(inspect.signature(nd.ones(1).clip).parameters)[:2] == ["a_min", "a_max"]
    assert nd.exp.__module__ == "cymx.ndarray"


def test_namespaces():
    assert nd.op.exp(nd.zeros(1)).asscalar() == 1
    assert nd._internal._plus_scalar(nd.zeros(1), scalar=2).asscalar() == 2
    assert nd.random.uniform_like(nd.zeros((2, 3))).shape == (2, 3)
    for home in (nd, nd.op, nd.contrib, nd.linalg, nd.image, nd.sparse):
        with pytest.raises(AttributeError, match="no attribute 'no_such_operator'"):
            getattr(home, "no_such_operator")  # noqa: B009
    assert not hasattr(nd, "_plus_scalar")


def test_ways_to_give_arguments():
    a, w, b = nd.ones((2, 3)), nd.ones((4, 3)), nd.ones(4)
    wanted = [[4.0] * 4] * 2
    assert nd.FullyConnected(a, w, b, 4).asnumpy().tolist() == wanted
    assert nd.FullyConnected(bias=b, weight=w, data=a, num_hidden="4").asnumpy().tolist() == wanted
    assert nd.FullyConnected(a, w, None, num_hidden=4, no_bias=True).asnumpy().tolist() == [[3.0] * 4] * 2
    assert nd.concat([a, a], dim=0).shape == nd.concat(a, a, dim=0).shape == (4, 3)
    out = nd.zeros((2, 3))
    assert nd.exp(nd.zeros((2, 3)), out=out, name="ignored") is out
    assert out.asnumpy().tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("nd.FullyConnected(a, a, num_hidden=2)", "FullyConnected: bias is missing"),
        ("nd.FullyConnected(a, a, a, num_hidden=2, no_bias=True)", "FullyConnected: 3 inputs came, expected 2"),
        ("nd.exp(1)", "exp: data is 1, expected an NDArray"),
        ("nd.exp(a, a_min=1)", "exp: there is no setting 'a_min'"),
        ("nd.clip(a, a_min=1)", "clip: a_max is missing"),
        ("nd.sum(a, axis='x')", "sum: axis is 'x'"),
        ("nd.exp(a, out=nd.zeros(3))", r"exp: out is \(3,\), expected \(2, 2\)"),
        ("nd.concat(a, 1)", "Concat: arg1 is 1, expected an NDArray"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(mx.MXNetError, match=message):
        eval(call, {"nd": nd, "a": nd.ones((2, 2))})


def test_methods_are_the_functions():
    a = nd.array([[1, 5], [3, 2]])
    assert a.sum(axis=0).asnumpy().tolist() == nd.sum(a, axis=0).asnumpy().tolist() == [4, 7]
    assert a.clip(2, 4).asnumpy().tolist() == [[2, 4], [3, 2]]
    assert isinstance(a.exp(), nd.NDArray) and a.sum.__doc__ == nd.sum.__doc__
    assert not hasattr(a, "FullyConnected")


def test_auxiliary_inputs_change_in_place():
    weight, grad, mom = nd.ones(2), nd.ones(2), nd.zeros(2)
    nd.sgd_mom_update(weight, grad, mom, lr=0.5, momentum=0.9, out=weight)
    assert (weight.asnumpy().tolist(), mom.asnumpy().tolist()) == ([0.5, 0.5], [-0.5, -0.5])
