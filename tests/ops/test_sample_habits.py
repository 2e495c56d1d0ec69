"""What a row cannot say of draws by probability: how often each category comes, and where the gradient goes."""

import numpy as np

import cymx as mx


def test_categories_come_as_often_as_they_should():
    mx.random.seed(3)
    odds = np.array([[0.2, 0.3, 0.5], [0.6, 0.0, 0.4]])
    drawn = mx.nd.sample_multinomial(mx.nd.array(odds * 4), shape=(20000,)).asnumpy()
    for row, p in zip(drawn, odds):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / len(row), p, atol=0.015)
    assert (drawn[1] != 1).all()


def test_the_gradient_of_the_logarithm_flows_into_what_was_drawn():
    data = mx.nd.array([[0.0, 0.5, 0.0], [0.0, 0.0, 0.25]])
    net = mx.sym.sample_multinomial(mx.sym.Variable("data"), get_prob=True)
    found = mx.nd.zeros((2, 3))
    executor = net.bind(mx.cpu(), {"data": data}, args_grad={"data": found})
    drawn, _ = executor.forward(is_train=True)
    executor.backward([mx.nd.zeros((2,), dtype="int32"), mx.nd.array([1.0, 3.0])])
    np.testing.assert_array_equal(drawn.asnumpy(), [1, 2])
    np.testing.assert_allclose(found.asnumpy(), [[0, 2, 0], [0, 0, 12]])


def test_a_shuffle_moves_whole_slices():
    mx.random.seed(4)
    data = np.arange(60).reshape(20, 3)
    found = mx.nd.shuffle(mx.nd.array(data))
    found = found.asnumpy()
    assert (found != data).any()
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], data)
