"""Functions of symbols: inputs, missing inputs, settings, signatures, namespaces and what they refuse."""

import inspect

import pytest

import cymx.symbol as sym
from cymx.base import MXNetError
from cymx.ops import find
from cymx.symbol import contrib, linalg, op, sparse

A, B, C = sym.Variable("A"), sym.Variable("B"), sym.Variable("C")


def test_missing_inputs_become_variables():
    fc = sym.FullyConnected(A, num_hidden=10, name="fc1")
    assert fc.list_arguments() == ["A", "fc1_weight", "fc1_bias"]
    assert fc.list_outputs() == ["fc1_output"]
    assert sym.FullyConnected(A, None, C, 10).list_arguments() == ["A", "fullyconnected0_weight", "C"]
    assert sym.FullyConnected(num_hidden=10).list_arguments()[0] == "fullyconnected1_data"
    assert sym.SoftmaxOutput(A, name="softmax").list_arguments() == ["A", "softmax_label"]
    assert sym.exp().list_arguments() == ["exp0_data"]


def test_settings_may_be_positional_and_switch_inputs_off():
    assert sym.FullyConnected(A, B, C, 10).attr("num_hidden") == "10"
    assert sym.FullyConnected(data=A, weight=B, num_hidden=10, no_bias=True).list_arguments() == ["A", "B"]


def test_auxiliary_states():
    bn = sym.BatchNorm(A, name="bn")
    assert bn.list_arguments() == ["A", "bn_gamma", "bn_beta"]
    assert bn.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert bn.list_inputs() == ["A", "bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"]
    assert bn.list_outputs() == ["bn_output"]
    assert sym.BatchNorm(A, name="bn", output_mean_var=True).list_outputs() == ["bn_output", "bn_mean", "bn_var"]
    assert sym.BatchNorm(A, moving_mean=A, name="bn").list_arguments() == ["bn_gamma", "bn_beta"]
    with pytest.raises(
        ValueError, match="BatchNorm 'bn': moving_mean is the output of exp 'exp0', expected a variable"
    ):
        sym.BatchNorm(A, moving_mean=sym.exp(B), name="bn")


def test_any_number_of_inputs():
    assert sym.Concat(A, B, name="c").attr("num_args") == "2"
    assert sym.Concat(num_args=2, name="c").list_arguments() == ["c_arg0", "c_arg1"]
    assert sym.Concat(A, B, num_args=3, name="c").list_arguments() == ["A", "B", "c_arg2"]
    assert sym.Concat(arg0=A, arg1=B, name="c").list_arguments() == ["A", "B"]
    parts = sym.split(A, num_outputs=2)
    assert sym.Concat(*parts).list_arguments() == ["A"]
    assert parts[1].list_outputs() == ["split0_output1"]


# (call, error, message)
REFUSED = [
    (lambda: sym.FullyConnected(A), ValueError, "FullyConnected 'fullyconnected0': num_hidden is missing"),
    (lambda: sym.FullyConnected(A, num_hidden=3, foo=3, name="f"), ValueError, "FullyConnected 'f': .*'foo'"),
    (lambda: sym.FullyConnected(A, num_hidden="x", name="f"), ValueError, "FullyConnected 'f': num_hidden is 'x'"),
    (lambda: sym.Activation(A, act_type="foo", name="r"), ValueError, "Activation 'r': act_type is 'foo', .*'relu'"),
    (lambda: sym.FullyConnected(A, 10), TypeError, "FullyConnected: weight is 10, expected a Symbol"),
    (lambda: sym.FullyConnected([A], num_hidden=3, name="f"), TypeError, r"FullyConnected 'f': data is \[<Symbol A>\]"),
    (lambda: sym.FullyConnected(A, num_hidden=3, data=B), TypeError, "data came by position and by name"),
    (
        lambda: sym.FullyConnected(A, B, C, no_bias=True, num_hidden=3, name="f"),
        TypeError,
        "FullyConnected 'f': bias came, but the inputs with no_bias=True, num_hidden=3 are data, weight",
    ),
    (lambda: sym.exp(A, B), TypeError, "exp: 2 positional arguments came, expected at most 1"),
    (lambda: sym.exp(A, foo=1), ValueError, "exp 'exp0': there is no setting 'foo'"),
    (lambda: sym.exp(A, name=3), TypeError, "name is 3"),
    (lambda: sym.Concat([A, B], name="c"), TypeError, r"Concat 'c': arg0 is \[<Symbol A>, <Symbol B>\]"),
    (lambda: sym.Concat(A, arg1=B), TypeError, "Concat: inputs came by position and as arg1"),
    (lambda: sym.exp(sym.Group([A, B])), ValueError, r"exp: data has 2 outputs \(A, B\), expected one"),
    (lambda: A + sym.split(B, num_outputs=2), ValueError, "elemwise_add: rhs has 2 outputs"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, MXNetError)


def test_one_output_counts_as_a_value():
    assert sym.exp(sym.split(A, num_outputs=1)).list_arguments() == ["A"]


def test_signature_and_docstring():
    fc = sym.FullyConnected
    assert fc is sym.FullyConnected
    assert fc.__name__ == "FullyConnected"
    assert fc.__module__ == "cymx.symbol"
    names = list(inspect.signature(fc).parameters)
    assert names == ["data", "weight", "bias", "num_hidden", "no_bias", "flatten", "name", "attr", "kwargs"]
    assert inspect.signature(fc).parameters["no_bias"].default is False
    assert fc.__doc__.startswith(inspect.cleandoc(find("FullyConnected").__doc__))
    assert "num_hidden: an integer of at least 1 (required)" in fc.__doc__
    concat = inspect.signature(sym.Concat).parameters
    assert concat["arg"].kind is inspect.Parameter.VAR_POSITIONAL
    assert concat["dim"].default == 1


def test_namespaces():
    assert "FullyConnected" in dir(sym)
    assert "_plus_scalar" in dir(sym._internal)
    assert "_plus_scalar" not in dir(sym)
    assert op.exp(A).name == "exp0"
    assert sparse.dot(A, B).name == "dot0"
    for module, name in [
        (sym, "foo"),
        (sym, "_zeros"),
        (sym._internal, "exp"),
        (op, "zeros"),
        (linalg, "foo"),
        (contrib, "foo"),
    ]:
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute '{name}'"):
            getattr(module, name)


def test_random_numbers():
    assert sym.random.uniform(0, 1, shape=(2,)).attr_dict() == {
        "_random_uniform0": {"low": "0", "high": "1", "shape": "(2,)"}
    }
    assert sym.random.normal(dtype="float16").attr("dtype") == "float16"
    assert sym.uniform(shape=(2,)).name == "uniform0"
    drawn = sym.random.normal(A, B, shape=(2,), name="q")
    assert (drawn.list_arguments(), drawn.list_attr()) == (["A", "B"], {"shape": "(2,)"})
    with pytest.raises(TypeError, match="low, high must be all numbers or all symbols"):
        sym.random.uniform(A, 1)
