"""mx.test_utils finds right what is right and wrong what is wrong."""

import numpy as np
import pytest

import cymx as mx
from cymx import nd
from cymx import test_utils as utils


def test_comparisons():
    utils.assert_almost_equal(nd.array([1, 2]), np.array([1, 2.0001]))
    with pytest.raises(AssertionError, match=r"mismatch 66.6.*\n.*maximum error: \(2,\), a=3.0+, b=4.0+"):
        utils.assert_almost_equal(np.array([1.0, 2, 3]), np.array([1.0, 2.5, 4]))
    with pytest.raises(AssertionError):
        utils.assert_almost_equal(np.array([np.nan]), np.array([np.nan]))
    utils.assert_almost_equal(np.array([np.nan]), np.array([np.nan]), equal_nan=True)
    assert utils.almost_equal(np.ones((2, 2)), np.ones((1, 2)))
    assert not utils.almost_equal(np.ones((2, 2)), np.ones((1, 2)), use_broadcast=False)
    assert utils.same(nd.ones(2), np.ones(2)) and not utils.same(np.ones(2), np.ones(3))
    a = nd.ones((2, 2))
    assert utils.same_array(a, a.reshape((2, 2))) and not utils.same_array(a, a.copy())
    utils.assert_exception(nd.load, TypeError, 1)


def test_random_arrays():
    assert utils.rand_ndarray((2, 3), dtype="float64").dtype is np.float64
    assert all(1 <= n <= 4 for n in utils.rand_shape_nd(5, 4)) and len(utils.rand_shape_3d()) == 3
    assert [x.shape for x in utils.random_arrays((2,), (3,))] == [(2,), (3,)]


def test_symbols():
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")
    points = {"x": np.random.rand(2, 3), "y": np.random.rand(2, 3)}
    both = mx.sym.tanh(x * y) + x
    utils.check_numeric_gradient(both, points)
    utils.check_numeric_gradient(both, points, grad_nodes={"x": "add", "y": "null"})
    utils.check_symbolic_forward(x * y, points, [points["x"] * points["y"]])
    grads = {"x": points["y"], "y": points["x"]}
    for request in ("write", "add", "null"):
        utils.check_symbolic_backward(x * y, points, [np.ones((2, 3))], grads, grad_req=request)
    assert utils.simple_forward(x + 1, x=np.zeros(2)).tolist() == [1, 1]


def test_wrong_gradients_are_found():
    x = mx.sym.Variable("x")
    with pytest.raises(AssertionError, match="BACKWARD_x"):
        utils.check_numeric_gradient(mx.sym.BlockGrad(x) * 2, [np.ones(2)])
    with pytest.raises(AssertionError, match="BACKWARD_x"):
        utils.check_symbolic_backward(x * 2, [np.ones(2)], [np.ones(2)], [np.full(2, 3.0)])
    with pytest.raises(AssertionError, match="FORWARD_"):
        utils.check_symbolic_forward(x * 2, [np.ones(2)], [np.ones(2)])
