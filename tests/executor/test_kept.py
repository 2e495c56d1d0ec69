"""What an inference plan keeps between runs follows every way of writing a weight."""

import numpy as np
import pytest

import cymx as mx


def network():
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="c0")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, name="b0"), act_type="relu")
    x = mx.sym.Convolution(x, kernel=(1, 1), num_filter=3, no_bias=True, name="c1")
    return mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, name="b1")


def draw(shape, seed):
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype("float32")


def bound(symbol, shape=(2, 3, 6, 6)):
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=shape)
    for i, array in enumerate((*executor.arg_arrays, *executor.aux_arrays)):
        array[:] = mx.nd.array(draw(array.shape, i))
    return executor


def answer(executor):
    """Return what an executor that never ran before makes of the same arrays."""
    fresh = executor._symbol.bind(
        mx.cpu(),
        {n: mx.nd.array(v.asnumpy()) for n, v in executor.arg_dict.items()},
        grad_req="null",
        aux_states={n: mx.nd.array(v.asnumpy()) for n, v in executor.aux_dict.items()},
    )
    return fresh.forward()[0].asnumpy()


def assign(executor, name, value):
    (executor.arg_dict | executor.aux_dict)[name][:] = mx.nd.array(value)


def write_part(executor, name, value):
    array = (executor.arg_dict | executor.aux_dict)[name]
    array[0:1] = mx.nd.array(value[0:1])


def copy_params(executor, name, value):
    inside = {name: mx.nd.array(value)}
    executor.copy_params_from(inside if name in executor.arg_dict else {}, inside if name in executor.aux_dict else {})


def update(executor, name, value):
    array = (executor.arg_dict | executor.aux_dict)[name]
    array += mx.nd.array(value)


def from_host(executor, name, value):
    (executor.arg_dict | executor.aux_dict)[name][:] = value


def through_memory(executor, name, value):
    np.asarray(memoryview((executor.arg_dict | executor.aux_dict)[name]))[...] = value


WAYS = [assign, write_part, copy_params, update, from_host, through_memory]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    "name", ["c0_weight", "c0_bias", "b0_gamma", "b0_beta", "b0_moving_mean", "b0_moving_var", "c1_weight"]
)
def test_every_write_is_seen(way, name):
    executor = bound(network())
    before = executor.forward()[0].asnumpy()
    assert np.array_equal(executor.forward()[0].asnumpy(), before)
    shape = (executor.arg_dict | executor.aux_dict)[name].shape
    for seed in (100, 101):
        way(executor, name, draw(shape, seed))
        after = executor.forward()[0].asnumpy()
        assert not np.allclose(after, before)
        np.testing.assert_array_equal(after, answer(executor))
        before = after


def test_memory_handed_out_is_watched_for_good():
    executor = bound(network())
    view = np.asarray(memoryview(executor.arg_dict["c0_weight"]))
    for value in (1.0, 2.0, 3.0):
        executor.forward()[0].wait_to_read()
        view[...] = value
        np.testing.assert_array_equal(executor.forward()[0].asnumpy(), answer(executor))


def test_training_between_inference_runs():
    executor = network().simple_bind(mx.cpu(), data=(2, 3, 6, 6))
    for i, array in enumerate((*executor.arg_arrays, *executor.aux_arrays)):
        array[:] = mx.nd.array(draw(array.shape, i))
    for _ in range(3):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones(executor.outputs[0].shape))
        for name, grad in executor.grad_dict.items():
            if name != "data":
                executor.arg_dict[name][:] = executor.arg_dict[name] - 0.01 * grad
        np.testing.assert_array_equal(executor.forward(is_train=False)[0].asnumpy(), answer(executor))


def test_new_data_leaves_weights_alone():
    executor = bound(network())
    plan_text = executor.debug_str()
    assert " kept" in plan_text or "conv_weights" not in plan_text
    for seed in (7, 8):
        executor.forward(data=mx.nd.array(draw((2, 3, 6, 6), seed)))
        np.testing.assert_array_equal(executor.outputs[0].asnumpy(), answer(executor))


def test_an_executor_for_another_batch_keeps_its_own():
    executor = bound(network())
    executor.forward()
    other = executor.reshape(data=(1, 3, 6, 6), partial_shaping=True)
    other.forward()
    executor.arg_dict["c0_weight"][:] = 2
    np.testing.assert_array_equal(other.forward()[0].asnumpy(), answer(other))
    np.testing.assert_array_equal(executor.forward()[0].asnumpy(), answer(executor))


@pytest.mark.parametrize("n_filters", [4, 16])
def test_weights_are_packed_only_where_the_whole_convolution_takes_them(n_filters):
    """oneDNN has no kernel that adds a residual to few channels; the portable one reads weights as they are."""
    x = mx.sym.Convolution(mx.sym.var("x"), kernel=(3, 3), pad=(1, 1), num_filter=n_filters, name="conv")
    symbol = mx.sym.Activation(x + mx.sym.var("other"), act_type="relu")
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(x=(2, 3, 6, 6), other=(2, n_filters, 6, 6))[0]))
    executor = symbol.bind(mx.cpu(), {name: mx.nd.ones(shape) for name, shape in shapes.items()})
    inside = executor.forward()[0].asnumpy()[:, :, 1:-1, 1:-1]
    assert (inside == 3 * 9 + 1 + 1).all()
