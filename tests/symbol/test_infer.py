"""Shapes and dtypes of symbols: the forms of MXNet 1.9.1's answers, and errors that name node and argument."""

import ml_dtypes
import numpy as np
import pytest

import cymx.symbol as sym
from cymx.base import MXNetError

A, B = sym.Variable("A"), sym.Variable("B")
f16, f32, f64 = np.float16, np.float32, np.float64


def fc():
    return sym.FullyConnected(A, num_hidden=3, name="f")


def bn():
    return sym.BatchNorm(A, name="bn")


# (symbol, known shapes, answer)
SHAPES = [
    (fc, {"A": (2, 3)}, ([(2, 3), (3, 3), (3,)], [(2, 3)], [])),
    (bn, {"A": (2, 3)}, ([(2, 3), (3,), (3,)], [(2, 3)], [(3,), (3,)])),
    (bn, {"A": (2, 3), "bn_moving_mean": (3,)}, ([(2, 3), (3,), (3,)], [(2, 3)], [(3,), (3,)])),
    (lambda: A + B, {"A": (2, 3)}, ([(2, 3), (2, 3)], [(2, 3)], [])),
    (lambda: A + B, {"A": (2, 0), "B": (0, 3)}, ([(2, 3), (2, 3)], [(2, 3)], [])),
    (lambda: sym.Variable("q", shape=(0, 3)) + A, {"A": (2, 3)}, ([(2, 3), (2, 3)], [(2, 3)], [])),
    (lambda: sym.SoftmaxOutput(fc(), name="s"), {"A": (5, 4)}, ([(5, 4), (3, 4), (3,), (5,)], [(5, 3)], [])),
    (lambda: sym.Variable("q", shape=(2, 3)), {}, ([(2, 3)], [(2, 3)], [])),
    (lambda: sym.zeros((2, 3)) + A, {}, ([(2, 3)], [(2, 3)], [])),
]


@pytest.mark.parametrize("make, given, answer", SHAPES)
def test_infer_shape(make, given, answer):
    assert make().infer_shape(**given) == answer


def test_shapes_by_position():
    assert fc().infer_shape((2, 3)) == fc().infer_shape(A=(2, 3))
    assert (A + B).infer_shape(None, (2, 3)) == ([(2, 3), (2, 3)], [(2, 3)], [])


@pytest.mark.parametrize("given", [{}, {"A": (0, 7)}, {"A": (-1, 7)}, {"A": ()}, {"f_weight": (3, 3)}])
def test_too_little_known(given):
    with pytest.warns(UserWarning, match=r"<Symbol f>: not every shape follows .*A: \("):
        assert fc().infer_shape(**given) == (None, None, None)


def test_infer_shape_partial():
    both = sym.Group([fc(), sym.exp(B)])
    assert both.infer_shape_partial(A=(2, 3)) == ([(2, 3), (3, 3), (3,), ()], [(2, 3), ()], [])
    arguments, outputs, auxiliary = fc().infer_shape_partial(A=(0, 7))
    assert (arguments[0], arguments[2], outputs, auxiliary) == ((0, 7), (3,), [(0, 3)], [])
    assert bn().infer_shape_partial() == ([(), (), ()], [()], [(), ()])


# (symbol, known dtypes, answer)
DTYPES = [
    (fc, {"A": "float16"}, ([f16, f16, f16], [f16], [])),
    (fc, {"f_bias": np.float64}, ([f64, f64, f64], [f64], [])),
    (bn, {"A": "float16"}, ([f16, f32, f32], [f16], [f32, f32])),
    (lambda: sym.Variable("q", dtype="float16"), {}, ([f16], [f16], [])),
    (lambda: sym.Variable("q", dtype="float16") + A, {}, ([f16, f16], [f16], [])),
    (fc, {"A": "bfloat16"}, ([ml_dtypes.bfloat16] * 3, [ml_dtypes.bfloat16], [])),
]


@pytest.mark.parametrize("make, given, answer", DTYPES)
def test_infer_type(make, given, answer):
    assert make().infer_type(**given) == answer


def test_infer_type_partial():
    assert fc().infer_type_partial() == ([None, None, None], [None], [])
    both = sym.Group([fc(), sym.exp(B)])
    assert both.infer_type_partial("float16") == ([f16, f16, f16, None], [f16, None], [])
    with pytest.warns(UserWarning, match="not every type follows .*B: None"):
        assert both.infer_type(A="float16") == (None, None, None)


# (call, error, message)
REFUSED = [
    (lambda: fc().infer_shape(Z=(2, 3)), ValueError, "there is no variable 'Z'; the variables are A, f_weight, f_bias"),
    (lambda: fc().infer_shape((2, 3), A=(2, 3)), ValueError, "by position and by name"),
    (lambda: fc().infer_shape((2, 3), (3, 3), (3,), (4,)), ValueError, "4 shapes came, expected at most 3"),
    (lambda: fc().infer_shape(A=3), TypeError, "A is 3, expected a tuple"),
    (lambda: fc().infer_shape(A=[2, 3]), TypeError, r"A is \[2, 3\], expected a tuple"),
    (
        lambda: fc().infer_shape(A=(2, 3), f_weight=(3, 4)),
        ValueError,
        r"FullyConnected 'f': weight is \(3, 4\), expected \(3, 3\) from num_hidden=3 and data \(2, 3\)",
    ),
    (
        lambda: (A + B).infer_shape(A=(2, 3), B=(3, 3)),
        ValueError,
        r"elemwise_add '_plus0': rhs is \(3, 3\), expected \(2, 3\)",
    ),
    (lambda: fc().infer_type(Z="float16"), ValueError, "infer_type: there is no variable 'Z'"),
    (lambda: fc().infer_type(A="foo"), TypeError, "'foo' is not one of float32"),
    (lambda: fc().infer_type(A="float16", f_weight="float32"), TypeError, "FullyConnected 'f': weight is float32"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, MXNetError)
