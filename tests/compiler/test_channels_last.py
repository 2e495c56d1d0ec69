"""Convolution networks give the same answers whichever way their images lie, folded or not, on both libraries."""

import itertools

import numpy as np
import pytest
from compiler.support import compiled, run

import cymx as mx
from cymx import _ops
from cymx.compiler import Options
from cymx.compiler.prepare import WAYS

PLAIN = Options(fold=False, channels_last=False, join=False)
RNG = np.random.default_rng


def conv(x, name, filters, kernel=3, **settings):
    return mx.sym.Convolution(
        x, name=name, kernel=(kernel,) * 2, num_filter=filters, pad=(kernel // 2,) * 2, **settings
    )


def norm(x, name, **settings):
    return mx.sym.BatchNorm(x, name=name, eps=1e-3, **settings)


def relu(x):
    return mx.sym.Activation(x, act_type="relu")


def residual():
    """A small ResNet: strides, a skip by convolution and one without, both kinds of normalization, global pooling."""
    x = relu(norm(conv(mx.sym.var("data"), "c0", 8, 5, stride=(2, 2), no_bias=True), "b0", fix_gamma=False))
    x = mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    y = norm(conv(relu(norm(conv(x, "c1", 6), "b1")), "c2", 8, no_bias=True), "b2", fix_gamma=False)
    x = relu(y + x)
    y = relu(norm(conv(x, "c3", 12, stride=(2, 2)), "b3", fix_gamma=False))
    y = norm(conv(y, "c4", 12, 1), "b4", fix_gamma=False)
    x = relu(norm(conv(x, "c5", 12, 1, stride=(2, 2), no_bias=True), "b5") + y)
    x = mx.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg")
    return mx.sym.FullyConnected(mx.sym.flatten(x), num_hidden=5, name="fc")


def joined():
    """Branches joined by channels and cut again, gates, groups, deconvolution, an output of images."""
    data = mx.sym.var("data")
    a, b = conv(data, "c0", 6), mx.sym.Activation(conv(data, "c1", 4, 1), act_type="tanh")
    x = mx.sym.concat(a, b, relu(data), dim=1)
    gate = mx.sym.sigmoid(mx.sym.mean(x, axis=(2, 3), keepdims=True))
    x = mx.sym.broadcast_sub(mx.sym.broadcast_mul(x, gate), mx.sym.mean(x, axis=1, keepdims=True))
    x = mx.sym.slice_axis(x, axis=1, begin=2, end=10)
    x = conv(x * mx.sym.var("map"), "c2", 8, num_group=4)
    x = mx.sym.broadcast_add(x, mx.sym.var("row"))
    x = mx.sym.Pooling(x, kernel=(2, 3), stride=(2, 1), pool_type="avg", pooling_convention="full")
    x = mx.sym.Deconvolution(x, kernel=(3, 3), stride=(2, 2), num_filter=4, name="d0")
    return mx.sym.Group([x, mx.sym.sum(x, axis=2), mx.sym.max(x, axis=(1, 3))])


def loss():
    """LeNet's kind: one channel, tanh, biases, a loss, and dropout-free training."""
    x = mx.sym.Activation(conv(mx.sym.var("data"), "c0", 5), act_type="tanh")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.Pooling(mx.sym.tanh(conv(x, "c1", 7)), kernel=(2, 2), stride=(2, 2), pool_type="sum")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=4, name="fc"), name="softmax")


NETWORKS = {
    "residual": (residual, {"data": (3, 3, 18, 14)}),
    "joined": (joined, {"data": (2, 3, 9, 7), "map": (2, 8, 9, 7), "row": (7,)}),
    "loss": (loss, {"data": (2, 1, 12, 12), "softmax_label": (2,)}),
}


def arrays(symbol, shapes, seed=0):
    """Return a value for every variable."""
    rng = RNG(seed)
    found, _, aux = symbol.infer_shape(**shapes)
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    values = {n: rng.uniform(-1, 1, s).astype("float32") for n, s in zip(names, [*found, *aux], strict=True)}
    values.update({n: np.abs(v) + 0.5 for n, v in values.items() if n.endswith(("var", "gamma"))})
    values.update({n: np.arange(len(v), dtype="float32") for n, v in values.items() if n.endswith("label")})
    return values


def answers(symbol, values, train, gradients, options):
    """Return outputs, gradients and states of one run."""
    wanted = {n: "write" for n in symbol.list_arguments() if "label" not in n} if gradients else None
    plan = compiled(symbol, train, wanted, options, **{n: v.shape for n, v in values.items()})
    heads = {
        int(name[5:]): RNG(int(name[5:])).uniform(-1, 1, type_.shape)
        for name, type_ in plan.arrays
        if name.startswith("head:")
    }
    outputs, grads, states = run(plan, values, heads)
    return {**{f"out{i}": y for i, y in enumerate(outputs)}, **grads, **{"state " + n: v for n, v in states.items()}}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        allowed = 3e-4 * max(1.0, np.abs(value).max())
        assert np.abs(found[name] - value).max() <= allowed, name


@pytest.fixture(params=[True, False], ids=["oneDNN", "portable"])
def library(request):
    before = _ops.onednn()
    if request.param and not before:
        pytest.skip("oneDNN is not installed, or not wanted")
    _ops.onednn(request.param)
    yield request.param
    _ops.onednn(before)


@pytest.mark.parametrize("mode", ["inference", "training", "gradients", "gradients of inference"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree(name, mode, library):
    make, shapes = NETWORKS[name]
    symbol = make()
    values = arrays(symbol, shapes)
    train, gradients = mode in ("training", "gradients"), mode.startswith("gradients")
    _ops.onednn(False)
    wanted = answers(symbol, values, train, gradients, Options(False, False, False, False, False, join=False))
    _ops.onednn(library)
    for fold, last, fuse, way in itertools.product((True, False), (True, False), (True, False), (None, *WAYS)):
        if way and not last:
            continue
        options = Options(fuse=fuse, fold=fold, channels_last=last, convolution=way)
        assert_same(answers(symbol, values, train, gradients, options), wanted)


def test_only_the_border_is_transposed():
    symbol, shapes = residual(), NETWORKS["residual"][1]
    values = {n: v.shape for n, v in arrays(symbol, shapes).items()}
    grads = {n: "write" for n in symbol.list_arguments() if n != "data"}
    for train, wanted in ((False, None), (True, grads)):
        text = compiled(symbol, train, wanted, Options(channels_last=True), **values).dump()
        assert text.count(" transpose ") == 1, text
    # Nothing stands between the convolutions of the inference plan but pooling.
    text = compiled(symbol, False, None, Options(channels_last=True), **values).dump()
    kernels = [line.split()[3] for line in text.splitlines() if line.startswith("step")]
    assert kernels.count("conv_fwd") == 6
    first, last = kernels.index("conv_fwd"), len(kernels) - kernels[::-1].index("conv_fwd")
    assert set(kernels[first:last]) <= {"conv_fwd", "pool_fwd", "map"}


@pytest.mark.parametrize("last", [True, False])
def test_a_normalization_is_folded_in_two_steps(last):
    symbol = norm(conv(mx.sym.var("data"), "c0", 4), "b0")
    values = {n: v.shape for n, v in arrays(symbol, {"data": (2, 3, 8, 8)}).items()}
    text = compiled(symbol, False, None, Options(channels_last=last), **values).dump()
    kernels = [line.split()[3] for line in text.splitlines() if line.startswith("step")]
    # Scale and offset of the channels, then the weight.
    assert kernels.count("map") == 2 and "mul(1.0" not in text, text


def test_a_shared_intermediate_is_not_folded():
    c = conv(mx.sym.var("data"), "c0", 4)
    symbol = mx.sym.Group([relu(norm(c, "b0")), c])
    values = arrays(symbol, {"data": (2, 3, 5, 5)})
    wanted = answers(symbol, values, False, False, PLAIN)
    assert_same(answers(symbol, values, False, False, Options(channels_last=True)), wanted)


def test_a_vector_from_data_is_not_folded_into_weights():
    x = conv(mx.sym.var("data"), "c0", 4)
    gate = mx.sym.mean(conv(mx.sym.var("data"), "c1", 4, 1), axis=(0, 2, 3), keepdims=True)
    symbol = mx.sym.broadcast_mul(x, gate)
    values = arrays(symbol, {"data": (1, 3, 5, 5)})
    wanted = answers(symbol, values, False, False, PLAIN)
    assert_same(answers(symbol, values, False, False, Options(channels_last=True)), wanted)


def test_not_a_number_passes_a_folded_relu(library):
    x = relu(conv(mx.sym.var("data"), "c0", 16))
    symbol = relu(conv(x, "c1", 16, 1) + x)
    values = arrays(symbol, {"data": (1, 16, 8, 8)})
    values["data"][0, 3, 4, 4] = np.nan
    found = answers(symbol, values, False, False, Options(channels_last=True))["out0"]
    wanted = answers(symbol, values, False, False, PLAIN)["out0"]
    assert np.isnan(wanted).sum() == 16 * 9
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed):
    """Random chains of layers over images, with joins; all options, forward and backward."""
    rng = RNG(seed)
    x = conv(mx.sym.var("data"), "first", int(rng.integers(2, 9)), 3)
    made = [x]
    for i in range(6):
        x = made[int(rng.integers(max(0, len(made) - 2), len(made)))]
        kind = rng.choice(["conv", "norm", "relu", "tanh", "add", "join", "pool", "scale", "mean"])
        if kind == "conv":
            x = conv(x, f"c{i}", int(rng.integers(2, 9)), int(rng.choice([1, 3])), no_bias=bool(rng.integers(2)))
        elif kind == "norm":
            x = norm(x, f"b{i}", fix_gamma=bool(rng.integers(2)))
        elif kind == "add":
            x = relu(conv(x, f"c{i}", 4) + conv(made[-1], f"k{i}", 4, 1))
        elif kind == "join":
            x = mx.sym.concat(x, x * 2, dim=1)
        elif kind == "pool":
            x = mx.sym.Pooling(x, kernel=(3, 3), pad=(1, 1), pool_type=str(rng.choice(["max", "avg"])))
        elif kind == "scale":
            x = mx.sym.broadcast_div(x, mx.sym.sqrt(mx.sym.sum(mx.sym.square(x), axis=1, keepdims=True) + 1))
        elif kind == "mean":
            x = mx.sym.broadcast_sub(x, mx.sym.mean(x, axis=(0, 2, 3), keepdims=True))
        else:
            x = getattr(mx.sym, str(kind))(x)
        made.append(x)
    symbol = mx.sym.Group([made[-1], mx.sym.sum(made[-2])])
    values = arrays(symbol, {"data": (2, 3, 6, 5)}, seed)
    for train, gradients in ((False, False), (True, True)):
        wanted = answers(symbol, values, train, gradients, PLAIN)
        options = Options(channels_last=True, convolution=(None, *WAYS)[seed % 4])
        assert_same(answers(symbol, values, train, gradients, options), wanted)
