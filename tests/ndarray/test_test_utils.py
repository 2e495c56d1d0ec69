"""mx.test_utils finds right what is right and wrong what is wrong."""

import os

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


def test_it_comes_with_the_package():
    assert mx.test_utils is utils


def test_comparisons_that_forgive():
    a, b = np.ones(10), np.array([1.0] * 9 + [2.0])
    utils.assert_almost_equal_with_err(a, b, etol=0.1)
    with pytest.raises(AssertionError, match="mismatch 10"):
        utils.assert_almost_equal_with_err(a, b, etol=0.05)
    utils.assert_almost_equal_ignore_nan(np.array([1, np.nan]), np.array([1, 3.0]))
    with pytest.raises(AssertionError):
        utils.assert_almost_equal_ignore_nan(np.array([1, np.nan, 2]), np.array([1, 3.0, 3.0]))
    utils.compare_ndarray_tuple((nd.ones(2), (None, nd.zeros(1))), (nd.ones(2), (nd.ones(1), nd.zeros(1))))
    with pytest.raises(AssertionError):
        utils.compare_ndarray_tuple((nd.ones(2),), (nd.zeros(2),))


def test_reductions_and_samples():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(utils.np_reduce(x, (0, -1), 1, np.sum), x.sum((0, 2), keepdims=True))
    assert utils.np_reduce(x, None, False, np.max) == 23
    assert sorted(utils.random_sample([5, 6, 7], 3)) == [5, 6, 7] and len(utils.random_sample([5, 6, 7], 2)) == 2
    (drawn,) = utils.random_uniform_arrays((50,), low=2, high=3)
    assert drawn.dtype == np.float32 and drawn.min() >= 2 and drawn.max() <= 3
    assert utils.create_2d_tensor(3, 2).asnumpy().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert utils.create_vector(3).dtype is np.int64
    assert all(1 <= x < 3 <= y < 5 for x, y in [utils.rand_coord_2d(1, 3, 3, 5) for _ in range(20)])


def test_the_process_around_a_test(capfd, monkeypatch):
    monkeypatch.setenv("CYMX_ONEDNN", "1")
    with utils.environment("CYMX_ONEDNN", "0"):
        assert not mx.config.onednn_wanted()
    with utils.environment({"CYMX_ONEDNN": None}):
        assert mx.config.onednn_wanted()
    assert mx.config.onednn_wanted()
    with utils.discard_stderr():
        os.write(2, b"lost")
    os.write(2, b"kept")
    assert capfd.readouterr().err == "kept"


def dense():
    return mx.sym.FullyConnected(mx.sym.var("x"), num_hidden=3, name="fc")


def test_consistency():
    bindings = [{"ctx": mx.cpu(), "x": (2, 4), "type_dict": {"x": t}} for t in ("float64", "float32", "float16")]
    truth = utils.check_consistency(dense(), bindings, scale=0.5)
    assert set(truth) == {"fc_output", "x", "fc_weight", "fc_bias"} and truth["x"].dtype == np.float64
    assert set(utils.check_consistency(dense(), bindings[:2], grad_req="null")) == {"fc_output"}
    variables = [mx.sym.var(name) for name in ("x", "fc_weight", "fc_bias")]
    inner = mx.sym.FullyConnected(*variables, num_hidden=3, name="inner")
    alike = [dense(), mx.sym._internal._plus_scalar(inner, scalar=0.5, name="fc")]
    with pytest.raises(AssertionError, match="fc_output"):
        utils.check_consistency(alike, [{"ctx": mx.cpu(), "x": (2, 4)}] * 2)
    with pytest.raises(AssertionError, match="fc_output_0"):
        utils.check_consistency(dense(), bindings[1:2], ground_truth={"fc_output": np.full((2, 3), 9.0)})


def test_speed_structure_and_optimizers():
    assert 0 < utils.check_speed(dense(), N=2, x=(2, 4)) < 60
    assert (
        0
        < utils.check_speed(
            dense(), {"x": np.ones((2, 4)), "fc_weight": np.ones((3, 4)), "fc_bias": np.ones(3)}, N=2, typ="forward"
        )
        < 60
    )
    with pytest.raises(ValueError, match="expected 'whole' or 'forward'"):
        utils.check_speed(dense(), typ="half", x=(2, 4))
    assert utils.same_symbol_structure(dense(), dense()) and not utils.same_symbol_structure(dense(), dense() + 1)
    make = mx.optimizer.create
    utils.compare_optimizer(make("sgd", momentum=0.9), make("sgd", momentum=0.9), [(2, 3), (4,)], "float32")
    with pytest.raises(AssertionError):
        utils.compare_optimizer(make("sgd"), make("sgd", learning_rate=0.5), (2, 3), "float32")
