"""Arithmetic, comparison, constants and methods: operators, automatic names and settings as in MXNet 1.9.1."""

import json

import numpy as np
import pytest

import cymx.symbol as sym
from cymx.base import MXNetError, NotImplementedForSymbol

A, B = sym.Variable("A"), sym.Variable("B")


def last(symbol):
    """Return (operator, name, attributes) of the last node as a file holds it."""
    node = json.loads(symbol.tojson())["nodes"][-1]
    return node["op"], node["name"], node.get("attrs", {})


# What the user writes -> operator, name, and the scalar as text.
ARITHMETIC = [
    (lambda: A + B, "elemwise_add", "_plus0", None),
    (lambda: A + 1, "_plus_scalar", "_plusscalar0", "1"),
    (lambda: 1 + A, "_plus_scalar", "_plusscalar0", "1"),
    (lambda: A - B, "elemwise_sub", "_minus0", None),
    (lambda: A - 1, "_minus_scalar", "_minusscalar0", "1"),
    (lambda: 1 - A, "_rminus_scalar", "_rminusscalar0", "1"),
    (lambda: A * B, "elemwise_mul", "_mul0", None),
    (lambda: A * 2, "_mul_scalar", "_mulscalar0", "2"),
    (lambda: 2 * A, "_mul_scalar", "_mulscalar0", "2"),
    (lambda: A / B, "elemwise_div", "_div0", None),
    (lambda: A / 2, "_div_scalar", "_divscalar0", "2"),
    (lambda: 2 / A, "_rdiv_scalar", "_rdivscalar0", "2"),
    (lambda: A % B, "_mod", "_mod0", None),
    (lambda: A % 2, "_mod_scalar", "_modscalar0", "2"),
    (lambda: 2 % A, "_rmod_scalar", "_rmodscalar0", "2"),
    (lambda: A**B, "_power", "_power0", None),
    (lambda: A**2, "_power_scalar", "_powerscalar0", "2"),
    (lambda: 2**A, "_rpower_scalar", "_rpower_scalar0", "2"),
    (lambda: -A, "_mul_scalar", "_mulscalar0", "-1.0"),
    (lambda: abs(A), "abs", "abs0", None),
    (lambda: A == B, "_equal", "_equal0", None),
    (lambda: A == 1, "_equal_scalar", "_equal_scalar0", "1"),
    (lambda: A != B, "_not_equal", "_not_equal0", None),
    (lambda: A != 1, "_not_equal_scalar", "_not_equal_scalar0", "1"),
    (lambda: A > B, "_greater", "_greater0", None),
    (lambda: A > 1, "_greater_scalar", "_greater_scalar0", "1"),
    (lambda: 1 > A, "_lesser_scalar", "_lesser_scalar0", "1"),  # noqa: SIM300
    (lambda: A >= B, "_greater_equal", "_greater_equal0", None),
    (lambda: A >= 1, "_greater_equal_scalar", "_greater_equal_scalar0", "1"),
    (lambda: A < B, "_lesser", "_lesser0", None),
    (lambda: A < 1, "_lesser_scalar", "_lesser_scalar0", "1"),
    (lambda: A <= B, "_lesser_equal", "_lesser_equal0", None),
    (lambda: 1 <= A, "_greater_equal_scalar", "_greater_equal_scalar0", "1"),  # noqa: SIM300
    (lambda: A + 1.5, "_plus_scalar", "_plusscalar0", "1.5"),
    (lambda: A * 1e-10, "_mul_scalar", "_mulscalar0", "1e-10"),
    (lambda: A * 1e20, "_mul_scalar", "_mulscalar0", "1e+20"),
    (lambda: A * float("inf"), "_mul_scalar", "_mulscalar0", "inf"),
    (lambda: A + np.float32(0.1), "_plus_scalar", "_plusscalar0", "0.1"),
    (lambda: np.float32(2) + A, "_plus_scalar", "_plusscalar0", "2.0"),
    (lambda: A + np.int64(3), "_plus_scalar", "_plusscalar0", "3"),
    (lambda: sym.maximum(A, B), "_maximum", "_maximum0", None),
    (lambda: sym.maximum(A, 2), "_maximum_scalar", "_maximumscalar0", "2"),
    (lambda: sym.maximum(2, A), "_maximum_scalar", "_maximumscalar0", "2"),
    (lambda: sym.minimum(2, A), "_minimum_scalar", "_minimumscalar0", "2"),
    (lambda: sym.hypot(A, B), "_hypot", "_hypot0", None),
    (lambda: sym.hypot(A, 2), "_hypot_scalar", "_hypotscalar0", "2"),
    (lambda: sym.power(A, 2), "_power_scalar", "_powerscalar0", "2"),
    (lambda: sym.pow(2, A), "_rpower_scalar", "_rpowerscalar0", "2"),
]


@pytest.mark.parametrize("write, op, name, scalar", ARITHMETIC)
def test_arithmetic(write, op, name, scalar):
    assert last(write()) == (op, name, {} if scalar is None else {"scalar": scalar})


def test_numbers_alone_stay_numbers():
    assert (sym.pow(2, 3), sym.maximum(2, 3), sym.minimum(2, 3), sym.hypot(3, 4)) == (8, 3, 2, 5)


@pytest.mark.parametrize("other", [None, "x", np.ones(1), [1]])
def test_arithmetic_with_other_things(other):
    for write in (lambda: A + other, lambda: A == other, lambda: sym.maximum(A, other)):  # noqa: SIM300
        with pytest.raises(TypeError, match="expected a Symbol or a number") as caught:
            write()
        assert isinstance(caught.value, MXNetError)


def test_symbols_hold_no_data():
    with pytest.raises(NotImplementedForSymbol, match="neither true nor false"):
        bool(A)
    with pytest.raises(TypeError, match="unhashable"):
        hash(A)
    with pytest.raises(MXNetError, match="<Symbol A> holds no data, so it has no asnumpy"):
        A.asnumpy()
    assert A in [A, B]


# The name that was used, and the stem of the automatic name it gives.
ALIASES = [
    ("flatten", "Flatten", "flatten0"),
    ("Flatten", "Flatten", "flatten0"),
    ("relu", "relu", "relu0"),
    ("broadcast_plus", "broadcast_add", "broadcast_plus0"),
    ("elemwise_add", "elemwise_add", "elemwise_add0"),
    ("concat", "Concat", "concat0"),
    ("Concat", "Concat", "concat0"),
    ("ElementWiseSum", "add_n", "elementwisesum0"),
    ("stop_gradient", "BlockGrad", "stop_gradient0"),
    ("BlockGrad", "BlockGrad", "blockgrad0"),
    ("sum_axis", "sum", "sum_axis0"),
]


@pytest.mark.parametrize("word, op, name", ALIASES)
def test_automatic_names_come_from_the_word_used(word, op, name):
    inputs = (A, B) if word in ("broadcast_plus", "elemwise_add") else (A,)
    assert last(getattr(sym, word)(*inputs))[:2] == (op, name)


def test_internal_names():
    assert last(sym._internal._plus(A, B))[:2] == ("elemwise_add", "_plus0")
    assert last(sym._internal._plus_scalar(A, scalar=3)) == ("_plus_scalar", "_plus_scalar0", {"scalar": "3"})


# Constants: operator, name, and every setting as 1.9.1 writes it.
CONSTANTS = [
    (lambda: sym.zeros((2, 3)), "_zeros", {"dtype": "float32", "shape": "(2, 3)"}),
    (lambda: sym.zeros(3), "_zeros", {"dtype": "float32", "shape": "3"}),
    (lambda: sym.ones((2, 3), dtype="int32"), "_ones", {"dtype": "int32", "shape": "(2, 3)"}),
    (lambda: sym.full((2, 3), 4), "_full", {"dtype": "float32", "shape": "(2, 3)", "value": "4.0"}),
    (
        lambda: sym.arange(5),
        "_arange",
        {"dtype": "float32", "infer_range": "False", "repeat": "1", "start": "5", "step": "1.0", "stop": "None"},
    ),
    (
        lambda: sym.arange(2, 8, 2, infer_range=True),
        "_arange",
        {"dtype": "float32", "infer_range": "True", "repeat": "1", "start": "2", "step": "2", "stop": "8"},
    ),
    (
        lambda: sym.linspace(0, 1, 5),
        "_linspace",
        {"dtype": "float32", "endpoint": "True", "num": "5", "start": "0", "stop": "1"},
    ),
    (lambda: sym.eye(3, 4, 1), "_eye", {"M": "4", "N": "3", "dtype": "float32", "k": "1"}),
]


@pytest.mark.parametrize("write, op, attrs", CONSTANTS)
def test_constants(write, op, attrs):
    assert last(write()) == (op, op + "0", attrs)
    assert write().list_arguments() == []


# Methods: operator, name and settings.
METHODS = [
    (lambda: A.sum(), "sum", "sum0", {}),
    (lambda: A.sum(1), "sum", "sum0", {"axis": "1"}),
    (lambda: A.sum(axis=1, keepdims=True), "sum", "sum0", {"axis": "1", "keepdims": "True"}),
    (lambda: A.mean(axis=1, name="m"), "mean", "m", {"axis": "1"}),
    (lambda: A.reshape((2, 3)), "Reshape", "reshape0", {"shape": "(2, 3)"}),
    (lambda: A.reshape(shape=(-1, 0)), "Reshape", "reshape0", {"shape": "(-1, 0)"}),
    (lambda: A.astype("float16"), "Cast", "cast0", {"dtype": "float16"}),
    (lambda: A.astype(np.int32), "Cast", "cast0", {"dtype": "int32"}),
    (lambda: A.flatten(inplace=True), "Flatten", "flatten0", {}),
    (lambda: A.expand_dims(1), "expand_dims", "expand_dims0", {"axis": "1"}),
    (lambda: A.transpose((1, 0)), "transpose", "transpose0", {"axes": "(1, 0)"}),
    (lambda: A.clip(0, 1), "clip", "clip0", {"a_max": "1", "a_min": "0"}),
    (lambda: A.slice_axis(0, 1, 2), "slice_axis", "slice_axis0", {"axis": "0", "begin": "1", "end": "2"}),
    (lambda: A.tile((2,)), "tile", "tile0", {"reps": "(2,)"}),
    (lambda: A.norm(2), "norm", "norm0", {"ord": "2"}),
    (lambda: A.softmax(axis=1), "softmax", "softmax0", {"axis": "1"}),
    (lambda: A.zeros_like(), "zeros_like", "zeros_like0", {}),
    (lambda: A.exp(), "exp", "exp0", {}),
    (lambda: A.broadcast_to((2, 3)), "broadcast_to", "broadcast_to0", {"shape": "(2, 3)"}),
]


@pytest.mark.parametrize("write, op, name, attrs", METHODS)
def test_methods_are_functions(write, op, name, attrs):
    assert last(write()) == (op, name, attrs)
