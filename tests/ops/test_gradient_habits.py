"""Gradients where differences do not tell them: at corners, ties and borders, of nan, and through casts.

Recorded from MXNet 1.9.1, with 1 flowing into every output.  Two habits of its are not kept: the gradient of a norm at
0 is 0 here, not nan, and so is that of 0**y by y for y > 0.
"""

import math

import numpy as np
import pytest

import cymx as mx

NAN, INF = math.nan, math.inf
# operator, inputs, settings, gradients
RECORDED = [
    ("abs", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 1, -1, 1, -1, 0.0, 1, -1]]),
    ("sign", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("round", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("rint", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("ceil", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("floor", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("trunc", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("fix", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("logical_not", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    ("identity", [[0.0, 1, -1, 0.5, -0.5, NAN, INF, -INF]], {}, [[1, 1, 1, 1, 1, 1, 1, 1]]),
    ("relu", [[0.0, 1, -1, INF, -INF]], {}, [[0.0, 1, 0.0, 1, 0.0]]),
    ("sqrt", [[0.0, 4, -1]], {}, [[INF, 0.25, NAN]]),
    ("rsqrt", [[0.0, 4, -1]], {}, [[-INF, -0.0625, NAN]]),
    ("cbrt", [[0.0, 8, -8]], {}, [[INF, 0.0833333, 0.0833333]]),
    ("log", [[0.0, 2, -2]], {}, [[INF, 0.5, -0.5]]),
    ("reciprocal", [[0.0, 2, -2, INF]], {}, [[-INF, -0.25, -0.25, 0.0]]),
    ("arcsin", [[0.0, 1, -1, 2]], {}, [[1, INF, INF, NAN]]),
    ("arccos", [[0.0, 1, -1, 2]], {}, [[-1, -INF, -INF, NAN]]),
    ("arccosh", [[1, 2, 0.0]], {}, [[INF, 0.57735, NAN]]),
    ("arctanh", [[0.0, 1, 2]], {}, [[1, INF, -0.333333]]),
    ("erfinv", [[0.0, 1, 2]], {}, [[0.886227, INF, NAN]]),
    ("expm1", [[-30, 0.0, INF]], {}, [[9.35762e-14, 1, INF]]),
    ("sigmoid", [[-100, 100]], {}, [[0.0, 0.0]]),
    ("softsign", [[0.0, INF]], {}, [[1, 0.0]]),
    ("gammaln", [[1, 2, 0.5]], {}, [[-0.577216, 0.422784, -1.96351]]),
    ("gamma", [[1, 2, -0.5]], {}, [[-0.577216, 0.422784, -0.129353]]),
    ("clip", [[NAN, INF, -INF, 0.0, 1, -1, 2]], {"a_min": -1, "a_max": 1}, [[1, 0.0, 0.0, 1, 1, 1, 0.0]]),
    ("hard_sigmoid", [[-3, -2.5, 0.0, 1, 2.5, 3]], {}, [[0.0, 0.0, 0.2, 0.2, 0.0, 0.0]]),
    ("smooth_l1", [[-3, -1, -0.25, 0.0, 0.25, 1, 4]], {"scalar": 1.0}, [[-1, -1, -0.25, 0.0, 0.25, 1, 1]]),
    ("smooth_l1", [[-3, -1, -0.25, 0.0, 0.25, 1, 4]], {"scalar": 2.0}, [[-1, -1, -1, 0.0, 1, 1, 1]]),
    ("broadcast_maximum", [[1, 2, 1, NAN, 1], [1, 1, 2, 1, NAN]], {}, [[1, 1, 0.0, 0.0, 0.0], [0.0, 0.0, 1, 0.0, 0.0]]),
    ("broadcast_minimum", [[1, 2, 1, NAN, 1], [1, 1, 2, 1, NAN]], {}, [[1, 0.0, 1, 0.0, 0.0], [0.0, 1, 0.0, 0.0, 0.0]]),
    ("_maximum_scalar", [[1, 2, 3, NAN]], {"scalar": 2}, [[0.0, 1, 1, 0.0]]),
    ("_minimum_scalar", [[1, 2, 3, NAN]], {"scalar": 2}, [[1, 1, 0.0, 0.0]]),
    ("broadcast_mod", [[7, -7, 7, -7, 0.0, 1, 2.5], [3, 3, -3, -3, 1, 0.0, 1]],
     {}, [[1, 1, 1, 1, 1, 1, 1], [-2, 3, 3, -2, 0.0, -INF, -2]]),
    ("_mod_scalar", [[7, -7, 0.0]], {"scalar": 3}, [[1, 1, 1]]),
    ("_rmod_scalar", [[3, -3, 2, 0.0]], {"scalar": 7}, [[-2, 3, -3, -INF]]),
    ("broadcast_power", [[2, -2, -2, 0.0, 0.0, -2, 1], [3, 3, 2, 0.0, -1, 0.5, 0.0]],
     {}, [[12, 12, -4, NAN, -INF, NAN, 0.0], [5.54518, NAN, NAN, -INF, -INF, NAN, 0.0]]),
    ("_power_scalar", [[0.0, 2, -2]], {"scalar": 2}, [[0.0, 4, -4]]),
    ("_power_scalar", [[0.0, 2, -2]], {"scalar": 0}, [[NAN, 0.0, 0.0]]),
    ("_power_scalar", [[0.0, 4]], {"scalar": 0.5}, [[INF, 0.25]]),
    ("_rpower_scalar", [[0.0, 2, -1]], {"scalar": 2}, [[0.693147, 2.77259, 0.346574]]),
    ("broadcast_hypot", [[3, 0.0, 0.0], [4, 0.0, 1]], {}, [[0.6, NAN, 0.0], [0.8, NAN, 1]]),
    ("broadcast_div", [[1, 0.0, 0.0], [2, 0.0, 2]], {}, [[0.5, INF, 0.5], [-0.25, NAN, 0.0]]),
    ("broadcast_equal", [[1, NAN, INF], [1, 1, INF]], {}, [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    ("broadcast_greater", [[1, NAN, INF], [1, 1, INF]], {}, [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    ("broadcast_logical_and", [[1, NAN, INF], [1, 1, INF]], {}, [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    ("_greater_scalar", [[1, NAN, INF]], {"scalar": 1}, [[0.0, 0.0, 0.0]]),
    ("max", [[1, 3, 3, 2]], {}, [[0.0, 1, 1, 0.0]]),
    ("min", [[[1, 1], [0.0, 2]]], {"axis": 1}, [[[1, 1], [1, 0.0]]]),
    ("max", [[[1, 1], [0.0, 2]]], {"axis": 1, "keepdims": True}, [[[1, 1], [0.0, 1]]]),
    ("max", [[1, NAN]], {}, [[0.0, 0.0]]),
    ("prod", [[0.0, 2, 3]], {}, [[NAN, 0.0, 0.0]]),
    ("prod", [[[1, 2], [3, 4]]], {"axis": 0}, [[[3, 4], [1, 2]]]),
    ("mean", [[[1, 2], [3, 4]]], {"axis": 1, "exclude": True}, [[[0.5, 0.5], [0.5, 0.5]]]),
    ("norm", [[3, -4]], {}, [[0.6, -0.8]]),
    ("norm", [[3, -4, 0.0]], {"ord": 1}, [[1, -1, 0.0]]),
    ("argmax", [[1, 3, 2]], {"axis": 0}, [[0.0, 0.0, 0.0]]),
    ("nansum", [[1, NAN, 2]], {}, [[1, 0.0, 1]]),
    ("nanprod", [[1, NAN, 2]], {}, [[2, 0.0, 1]]),
    ("zeros_like", [[NAN]], {}, [[0.0]]),
    ("ones_like", [[INF]], {}, [[0.0]]),
]  # fmt: skip


def _gradients(op, inputs, params, dtype="float32", heads=None):
    arrays = {f"x{i}": mx.nd.array(x, dtype=dtype) for i, x in enumerate(inputs)}
    found = {name: mx.nd.ones(x.shape, dtype=dtype) * 9 for name, x in arrays.items()}
    function = getattr(mx.sym._internal if op.startswith("_") else mx.sym, op)
    executor = function(*map(mx.sym.Variable, arrays), **params).bind(mx.cpu(), arrays, args_grad=found)
    outputs = executor.forward(is_train=True)
    executor.backward(heads or [mx.nd.ones(y.shape, dtype=y.dtype) for y in outputs])
    return [x.asnumpy() for x in found.values()]


@pytest.mark.parametrize("op, inputs, params, expected", RECORDED, ids=lambda value: str(value).replace(" ", ""))
def test_gradient_is_that_of_mxnet(op, inputs, params, expected):
    for found, wanted in zip(_gradients(op, inputs, params), expected, strict=True):
        np.testing.assert_allclose(found, np.array(wanted), rtol=2e-5, atol=1e-6)


def test_gradient_of_a_norm_at_zero_is_zero():
    np.testing.assert_array_equal(_gradients("norm", [[0.0, 0.0]], {})[0], 0)
    np.testing.assert_array_equal(
        _gradients("norm", [[[0.0, 0], [3, 4]]], {"axis": 1})[0], [[0, 0], np.float32([0.6, 0.8])]
    )


def test_power_of_zero_does_not_depend_on_a_positive_exponent():
    np.testing.assert_array_equal(_gradients("broadcast_power", [[0.0, 0.0], [1.0, 2.5]], {})[1], 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_gradient_of_a_cast_has_the_dtype_of_its_input(dtype):
    for target in ("float16", "bfloat16", "float32", "float64"):
        head = mx.nd.array([0.5, -2], dtype=target)
        (found,) = _gradients("Cast", [[1.0, 2.0]], {"dtype": target}, dtype, [head])
        assert found.dtype == mx.nd.zeros(1, dtype=dtype).asnumpy().dtype
        np.testing.assert_array_equal(found.astype("float64"), [0.5, -2])


def test_gradients_are_written_by_backward_not_by_forward():
    x, found = mx.nd.array([1.0, 2]), mx.nd.array([9.0, 9])
    for symbol, wanted in (
        (mx.sym.identity(mx.sym.Variable("x")), [3, 4]),
        (mx.sym.sign(mx.sym.Variable("x")), [0, 0]),
    ):
        executor = symbol.bind(mx.cpu(), {"x": x}, args_grad={"x": found})
        found[:] = 9
        executor.forward(is_train=True)
        assert found.asnumpy().tolist() == [9, 9]
        executor.backward([mx.nd.array([3, 4])])
        assert found.asnumpy().tolist() == wanted
