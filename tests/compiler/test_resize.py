"""Another number of examples: no pass runs again where a network works example by example, and results stay right."""

import gc
import weakref

import numpy as np
import pytest

import cymx as mx
from cymx import _ops
from cymx.compiler import compile as compiler


@pytest.fixture
def passes(monkeypatch):
    """Count the runs of the passes."""
    runs, lower = [], compiler.lower
    monkeypatch.setattr(compiler, "lower", lambda graph, *rest: (runs.append(graph), lower(graph, *rest))[1])
    return runs


def convolutions():
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), pad=(1, 1), num_filter=8, no_bias=True, name="c0")
    x = mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, name="b0")
    x = mx.sym.Activation(x, act_type="relu")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    y = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=8, name="c1")
    x = mx.sym.Activation(x + y, act_type="relu") * 0.5
    x = mx.sym.Concat(x, mx.sym.LeakyReLU(y, slope=0.1), dim=1)
    x = mx.sym.Deconvolution(x, kernel=(2, 2), stride=(2, 2), num_filter=4, name="d0")
    x = mx.sym.Pooling(mx.sym.Dropout(x), global_pool=True, pool_type="avg", kernel=(1, 1))
    x = mx.sym.FullyConnected(x, num_hidden=5, name="f0")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def perceptron():
    x = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=7), act_type="tanh")
    x = mx.sym.softmax(mx.sym.elemwise_mul(x, mx.sym.exp(x)), axis=-1)
    return mx.sym.Group([mx.sym.sum(x, axis=1), mx.sym.max(x, axis=1, keepdims=True), x])


def bound(symbol, shape, source=None):
    """Return an executor on arrays of random numbers, or on another's weights."""
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=shape)
    rng = np.random.default_rng(0)
    for name, x in {**executor.arg_dict, **executor.aux_dict}.items():
        value = rng.uniform(0.5, 1.5, x.shape) - (name not in executor.aux_dict)
        x[:] = np.random.default_rng(shape).standard_normal(shape) if name == "data" else value
    return executor


def answers(executor):
    return [y.asnumpy() for y in executor.forward()]


def check(make, shapes, passes, n_runs):
    symbol = make()
    for shape in shapes:
        found = answers(bound(symbol, shape))
        seen = len(passes)
        for x, want in zip(found, answers(bound(make(), shape)), strict=True):
            np.testing.assert_allclose(x, want, rtol=1e-5, atol=1e-6)
        del passes[seen:]
    assert len(passes) == n_runs


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("numbers", [(3, 5, 1, 2), (8, 4, 16), (5, 7, 5)])
def test_convolutions(passes, numbers, onednn):
    was = _ops.onednn()
    try:
        _ops.onednn(onednn)
        check(convolutions, [(n, 3, 16, 16) for n in numbers], passes, 1)
    finally:
        _ops.onednn(was)


def test_perceptron(passes):
    check(perceptron, [(7, 7), (4, 7), (7, 7), (2, 7)], passes, 1)
    check(lambda: mx.sym.broadcast_add(data, mx.sym.arange(0, 4)), [(4, 4), (6, 4)], passes, 2)


def test_many_times_as_many_may_take_another_way(passes):
    check(perceptron, [(3, 7), (13, 7), (3, 7)], passes, 3)


def test_images_cut_and_normalized(passes):
    x = mx.sym.LRN(data, nsize=3)
    left, right = mx.sym.SliceChannel(x, num_outputs=2)
    x = mx.sym.InstanceNorm(left - mx.sym.slice_axis(x, axis=1, begin=2, end=4) * right, name="i0")
    pooled = mx.sym.mean(x, axis=(2, 3), keepdims=True)
    rows = mx.sym.Reshape(mx.sym.SwapAxis(x, dim1=1, dim2=3), shape=(0, -1))
    ends = [mx.sym.squeeze(pooled, axis=(2, 3)), mx.sym.expand_dims(rows, axis=2), mx.sym.BlockGrad(rows)]
    symbol = mx.sym.Group([*ends, mx.sym.LogisticRegressionOutput(rows, name="label")])
    check(lambda: mx.sym.load_json(symbol.tojson()), [(6, 4, 5, 5), (4, 4, 5, 5), (2, 4, 5, 5)], passes, 1)


def test_normalized_rows(passes):
    check(lambda: mx.sym.LayerNorm(data, name="n"), [(4, 6), (8, 6), (3, 6)], passes, 1)


def test_one_example_is_no_model_for_many(passes):
    check(perceptron, [(1, 4), (3, 4), (5, 4), (1, 4)], passes, 2)
    check(perceptron, [(3, 4), (1, 4), (5, 4)], passes, 3)


def test_other_changes_run_the_passes(passes):
    check(convolutions, [(3, 3, 16, 16), (3, 3, 18, 18), (4, 3, 16, 16)], passes, 3)


data = mx.sym.var("data")


@pytest.mark.parametrize(
    "symbol",
    [
        mx.sym.broadcast_sub(data, mx.sym.mean(data, axis=0, keepdims=True)),
        mx.sym.softmax(data, axis=0),
        mx.sym.broadcast_div(data, mx.sym.Cast(mx.sym.shape_array(data), dtype="float32").slice_axis(0, 0, 1)),
        mx.sym.Reshape(data, shape=(-1, 2)),
        mx.sym.Reshape(data, shape=(2, -1)),
        mx.sym.squeeze(mx.sym.slice_axis(data, axis=1, begin=0, end=1)),
        mx.sym.SwapAxis(data, dim1=0, dim2=1),
        mx.sym.expand_dims(data, axis=0),
        mx.sym.transpose(mx.sym.transpose(data) + 1),
        mx.sym.dot(data, mx.sym.transpose(data)),
        mx.sym.Concat(data, data, dim=0),
        mx.sym.slice_axis(data, axis=0, begin=0, end=2),
        mx.sym.FullyConnected(mx.sym.expand_dims(data, 0), num_hidden=3, flatten=False),
    ],
    ids=lambda s: s.get_internals().list_outputs()[-1],
)
def test_what_mixes_examples_is_compiled_anew(symbol, passes):
    check(lambda: mx.sym.load_json(symbol.tojson()), [(4, 4), (6, 4), (2, 4)], passes, 3)


def test_weights_may_have_the_length_of_the_batch(passes):
    check(lambda: mx.sym.FullyConnected(data, num_hidden=6), [(6, 6), (4, 6)], passes, 1)
    check(lambda: mx.sym.broadcast_add(data, mx.sym.var("bias", shape=(4, 4))), [(4, 4)], passes, 2)


def test_weights_written_later_are_seen():
    symbol = convolutions()
    for n in (4, 6):
        executor = bound(symbol, (n, 3, 16, 16))
        first = answers(executor)[0]
        executor.arg_dict["c0_weight"][:] = -executor.arg_dict["c0_weight"]
        second = answers(executor)[0]
        assert abs(first - second).max() > 1e-3
        fresh = bound(convolutions(), (n, 3, 16, 16))
        fresh.arg_dict["c0_weight"][:] = -fresh.arg_dict["c0_weight"]
        np.testing.assert_allclose(second, answers(fresh)[0], rtol=1e-5, atol=1e-6)


def test_other_kernels_run_the_passes(passes):
    symbol, was = convolutions(), _ops.onednn()
    try:
        for n, on in ((3, False), (4, True), (5, True), (6, False)):
            _ops.onednn(on)
            answers(bound(symbol, (n, 3, 16, 16)))
    finally:
        _ops.onednn(was)
    assert len(passes) == (3 if was else 1)


def test_training_is_compiled_for_each_batch(passes):
    symbol = perceptron()
    for n in (4, 6):
        executor = symbol.simple_bind(mx.cpu(), data=(n, 3))
        executor.forward(is_train=True)
    assert len(passes) == 2


def test_nothing_outlives_the_symbol():
    symbol = perceptron()
    answers(bound(symbol, (4, 3)))
    graph = weakref.ref(symbol.graph)
    del symbol
    gc.collect()
    assert graph() is None
