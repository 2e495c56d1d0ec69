"""What a row cannot say of layers: what Dropout and random slopes draw, how many outputs and which states there are."""

import numpy as np
import pytest

import cymx as mx

N = 20000


def _run(symbol, train, **arrays):
    """Return the outputs and the gradient by data of one run whose head gradients are 1."""
    arrays = {name: mx.nd.array(value) for name, value in arrays.items()}
    grads = {"data": mx.nd.zeros(arrays["data"].shape)}
    states = {name: mx.nd.ones((3,)) for name in symbol.list_auxiliary_states()}
    reqs = {name: "write" if name == "data" else "null" for name in arrays}
    executor = symbol.bind(mx.cpu(), arrays, args_grad=grads if train else None, grad_req=reqs, aux_states=states)
    outputs = executor.forward(is_train=train)
    if train:
        executor.backward([mx.nd.ones(y.shape) for y in outputs])
    return [y.asnumpy() for y in outputs], grads["data"].asnumpy()


def _dropout(train=True, shape=(N,), **params):
    mx.random.seed(5)
    outputs, grad = _run(mx.sym.Dropout(mx.sym.Variable("data"), **params), train, data=np.full(shape, 3.0))
    return outputs[0], grad


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_a_fraction_and_scales_it(p):
    y, dx = _dropout(p=p)
    kept = y != 0
    assert abs(kept.mean() - (1 - p)) < 4 * np.sqrt(p * (1 - p) / N)
    np.testing.assert_allclose(y[kept], 3 / (1 - p), rtol=1e-6)
    np.testing.assert_allclose(dx, y / 3, rtol=1e-6)


def test_dropout_is_the_identity_outside_training_unless_always():
    assert (_dropout(train=False, p=0.5)[0] == 3).all()
    assert (_dropout(train=False, p=0.5, mode="always")[0] == 0).any()


def test_dropout_shares_its_mask_along_axes():
    y, _ = _dropout(shape=(40, 50), p=0.5, axes=(1,))
    assert (y == y[:, :1]).all()
    assert 0 < (y[:, 0] == 0).sum() < 40


def test_dropout_draws_anew_and_follows_the_seed():
    first = _dropout(p=0.5)[0]
    np.testing.assert_array_equal(first, _dropout(p=0.5)[0])
    outputs, _ = _run(mx.sym.Dropout(mx.sym.Variable("data"), p=0.5), True, data=np.full((N,), 3.0))
    assert (outputs[0] != first).any()


def test_dropout_of_everything():
    y, dx = _dropout(p=1.0)
    assert not y.any() and not dx.any()


def test_rrelu_draws_slopes_and_shows_them():
    symbol = mx.sym.LeakyReLU(mx.sym.Variable("data"), act_type="rrelu", lower_bound=0.2, upper_bound=0.4, name="r")
    assert symbol.list_outputs() == ["r_output", "r_mask"]
    (y, mask), dx = _run(symbol, True, data=np.concatenate([np.full(N, -1.0), np.ones(5)]))
    slopes = mask[:N]
    assert 0.2 <= slopes.min() < 0.21 and 0.39 < slopes.max() <= 0.4 and abs(slopes.mean() - 0.3) < 0.005
    np.testing.assert_allclose(y, np.concatenate([-slopes, np.ones(5)]), rtol=1e-6)
    np.testing.assert_allclose(dx, mask, rtol=1e-6)


def test_prelu_gamma_and_batch_norm_states_start_as_in_mxnet():
    data = mx.sym.Variable("data")
    assert mx.sym.LeakyReLU(data, act_type="prelu", name="p").list_arguments() == ["data", "p_gamma"]
    norm = mx.sym.BatchNorm(data, name="b")
    assert norm.list_auxiliary_states() == ["b_moving_mean", "b_moving_var"]
    assert norm.list_outputs() == ["b_output"]
    assert mx.sym.BatchNorm(data, name="b", output_mean_var=True).list_outputs() == ["b_output", "b_mean", "b_var"]


def test_fixed_gamma_gets_a_gradient_of_zero():
    arrays = {"data": mx.nd.array(np.arange(6.0).reshape(2, 3)), "g": mx.nd.ones((3,)) * 5, "b": mx.nd.zeros((3,))}
    grads = {name: mx.nd.ones(x.shape) * 9 for name, x in arrays.items()}
    symbol = mx.sym.BatchNorm(*(mx.sym.Variable(n) for n in arrays), name="bn")
    executor = symbol.bind(mx.cpu(), arrays, args_grad=grads, aux_states=[mx.nd.zeros((3,)), mx.nd.ones((3,))])
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((2, 3)))
    assert not grads["g"].asnumpy().any()
    np.testing.assert_allclose(grads["b"].asnumpy(), 2)


def test_same_input_twice_is_joined_twice():
    data = mx.sym.Variable("data")
    (y,), dx = _run(mx.sym.Concat(data, data, data, dim=0), True, data=np.array([[1.0, 2]]))
    np.testing.assert_array_equal(y, [[1, 2]] * 3)
    np.testing.assert_array_equal(dx, [[3, 3]])


def test_a_slice_of_nothing_is_empty():
    assert mx.nd.slice(mx.nd.ones((2, 3, 4)), begin=(0, 5), end=(2, 9)).shape == (2, 0, 4)
