"""Weights that convolutions read are prepared once for all executors of a network on the same arrays."""

import gc
import threading
import weakref

import numpy as np
import pytest

import cymx as mx


def network():
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=16, no_bias=True, name="c0")
    x = mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, name="b0")
    return mx.sym.Convolution(mx.sym.Activation(x, act_type="relu"), kernel=(1, 1), num_filter=4, name="c1")


def bound(symbol, n, seed=0):
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=(n, 8, 12, 12))
    rng = np.random.default_rng(seed)
    for name, x in {**executor.arg_dict, **executor.aux_dict}.items():
        x[:] = rng.uniform(0.5, 1.5, x.shape) - (name not in executor.aux_dict)
    return executor


def another(executor, n):
    """Return an executor on the same weights for n images, the first of which are the same."""
    other = executor.reshape(allow_up_sizing=True, data=(n, 8, 12, 12))
    images = np.resize(executor.arg_dict["data"].asnumpy(), other.arg_dict["data"].shape)
    other.arg_dict["data"][:] = images
    return other


def prepared(executor):
    return executor._runs[False, False].prepared


def answer(executor):
    return executor.forward()[0].asnumpy()


@pytest.mark.parametrize("n", [6, 3, 2])
def test_reshaped_executors_share_them(n):
    one = bound(network(), 3)
    other = another(one, n)
    first, second = answer(one), answer(other)
    assert prepared(one) is prepared(other) is not None
    np.testing.assert_allclose(second[:2], first[:2], rtol=1e-5, atol=1e-6)


def test_a_written_weight_is_seen_by_all():
    one = bound(network(), 3)
    other = another(one, 6)
    for name in ("c0_weight", "b0_gamma", "b0_moving_var", "c1_bias"):
        before = answer(one)
        array = (one.arg_dict | one.aux_dict)[name]
        array[:] = array * 1.5 + 0.1
        for executor in (other, one, other):
            assert abs(answer(executor)[:2] - before[:2]).max() > 1e-4
        np.testing.assert_allclose(answer(other)[:2], answer(one)[:2], rtol=1e-5, atol=1e-6)


def test_other_weights_are_prepared_apart():
    symbol = network()
    executors = [bound(symbol, 3, seed) for seed in range(3)]
    alone = [answer(bound(network(), 3, seed)) for seed in range(3)]
    for _ in range(2):
        for executor, want in zip(executors, alone):
            np.testing.assert_array_equal(answer(executor), want)
    assert len({id(prepared(executor)) for executor in executors}) == 3


def test_they_go_with_the_last_executor():
    one = bound(network(), 3)
    other = another(one, 6)
    answer(one), answer(other)
    shared = prepared(one).memory
    want = answer(other)
    del one
    np.testing.assert_array_equal(answer(other), want)
    assert prepared(other).memory is shared
    watched = weakref.ref(prepared(other))
    del other
    gc.collect()
    assert watched() is None


def test_threads_run_them_side_by_side():
    one = bound(network(), 3)
    executors = [another(one, n) for n in (3, 4, 5, 6)]
    wants = [answer(executor) for executor in executors]
    wrong = []

    def work(executor, want):
        for _ in range(30):
            if not np.array_equal(answer(executor), want):
                wrong.append(want.shape)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(executors, wants)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_training_prepares_nothing():
    executor = network().simple_bind(mx.cpu(), data=(3, 8, 12, 12))
    executor.forward(is_train=True)
    assert executor._runs[True, True].prepared is None
