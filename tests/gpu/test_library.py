"""cuBLASLt and cuDNN as we call them: stand-ins that check our calls take the libraries' places on the emulated driver.

They compute on the host in float64 when the stream's turn comes.  On a real GPU the libraries themselves are used.
"""

import numpy as np
import pytest

import cymx as mx
from cymx.gpu import driver as cuda
from cymx.gpu import library

GPU = mx.gpu(0)


def uniform(*shape, seed=0, dtype="float32"):
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype(dtype)


def on(context, *values, dtype=None):
    return [mx.nd.array(v, ctx=context, dtype=dtype or v.dtype) for v in values]


def both(function, *values, dtype=None):
    """Return what a function of arrays gives on the CPU and on the GPU."""
    return [function(*on(context, *values, dtype=dtype)).astype("float32").asnumpy() for context in (mx.cpu(), GPU)]


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-6), ("float16", 4e-3)])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_products(made, dtype, rtol, transpose_a, transpose_b):
    a, b = uniform(*((5, 7) if transpose_a else (7, 5))), uniform(*((9, 5) if transpose_b else (5, 9)), seed=1)
    dot = lambda a, b: mx.nd.dot(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    want, found = both(dot, a, b, dtype=dtype)
    np.testing.assert_allclose(found, want, rtol=rtol, atol=rtol)
    assert made == [("cublaslt", True)]


def test_batches_of_products(made):
    want, found = both(mx.nd.batch_dot, uniform(3, 4, 5), uniform(3, 5, 6, seed=1))
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
    assert made == [("cublaslt", True)]


def test_what_a_library_has_nothing_for_goes_to_the_plain_kernels(made):
    want, found = both(mx.nd.dot, uniform(13, 5), uniform(5, 9, seed=1))
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
    conv = lambda x, w: mx.nd.Convolution(x, w, kernel=(3, 3), num_filter=13, no_bias=True)
    want, found = both(conv, uniform(2, 3, 6, 6), uniform(13, 3, 3, 3, seed=1))
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
    assert made == [("cublaslt", False), ("cudnn", False)]


CONVOLUTIONS = [
    {"kernel": (3, 3), "pad": (1, 1)},
    {"kernel": (3, 2), "stride": (2, 1), "dilate": (1, 2)},
    {"kernel": (3, 3), "num_group": 2},
    {"kernel": (3,), "stride": (2,), "pad": (1,)},
    {"kernel": (2, 3, 2), "pad": (0, 1, 1)},
]


@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("no_bias", [False, True])
def test_convolutions_and_their_gradients(made, settings, no_bias):
    n = len(settings["kernel"])
    symbol = mx.sym.Convolution(mx.sym.var("x"), num_filter=4, no_bias=no_bias, name="conv", **settings)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(x=(2, 6, *(7, 8, 5)[:n]))[0]))
    found = []
    for context in (mx.cpu(), GPU):
        values = {name: uniform(*shape) for name, shape in shapes.items()}
        args = {name: mx.nd.array(value, ctx=context) for name, value in values.items()}
        grads = {name: mx.nd.zeros(shape, ctx=context) for name, shape in shapes.items()}
        executor = symbol.bind(context, args, grads)
        for _ in range(3):  # queued, then captured and replayed
            executor.forward(is_train=True)
            executor.backward(mx.nd.array(uniform(*executor.outputs[0].shape, seed=2), ctx=context))
        found.append([executor.outputs[0].asnumpy(), *(grads[name].asnumpy() for name in shapes)])
    for want, value in zip(*found):
        np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-5)
    assert made.count(("cudnn", True)) == 3 and ("cudnn", False) not in made


@pytest.mark.parametrize("no_bias", [False, True])
def test_inference_adds_bias_residual_and_relu_in_the_call(made, no_bias):
    x = mx.sym.var("x")
    y = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=4, no_bias=no_bias, name="conv")
    symbol = mx.sym.Activation(y + mx.sym.var("other"), act_type="relu")
    values = {"x": uniform(2, 3, 6, 6), "conv_weight": uniform(4, 3, 3, 3), "other": uniform(2, 4, 6, 6)}
    values.update({} if no_bias else {"conv_bias": uniform(4)})
    found = []
    for context in (mx.cpu(), GPU):
        args = {name: mx.nd.array(value, ctx=context) for name, value in values.items()}
        executor = symbol.bind(context, args)
        found.append(executor.forward()[0].asnumpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)
    assert made == [("cudnn", True)] and len(executor._runs[False, False].plan.make_text().split("\nstep ")) == 2


def test_a_library_is_looked_for_when_somebody_multiplies(driver, monkeypatch):
    asked = []
    monkeypatch.setattr(cuda, "library_path", asked.append)
    monkeypatch.setenv("CYMX_GPU_LIBRARIES", "cublaslt")
    library._loaded.cache_clear()
    mx.nd._invoke.clear_plans()
    (a,) = on(GPU, uniform(4, 4))
    mx.nd.softmax(a + 1).asnumpy()
    assert not asked
    with pytest.warns(RuntimeWarning, match="cublasLt is not installed"):
        mx.nd.dot(a, a).asnumpy()
    assert asked == ["cublasLt"]
    library._loaded.cache_clear()
    mx.nd._invoke.clear_plans()


@pytest.mark.parametrize("mode", ["rnn_tanh", "lstm", "gru"])
def test_recurrent_layers(made, mode):
    states = {"state": mx.sym.var("state"), **({"state_cell": mx.sym.var("cell")} if mode == "lstm" else {})}
    symbol = mx.sym.RNN(mx.sym.var("x"), mx.sym.var("weight"), **states, mode=mode, state_size=5, num_layers=1)
    found = []
    for context in (mx.cpu(), GPU):
        executor = symbol.simple_bind(context, x=(4, 3, 6))
        for i, array in enumerate(executor.arg_arrays):
            array[:] = uniform(*array.shape, seed=i)
        for _ in range(3):
            executor.forward(is_train=True)
            executor.backward(mx.nd.array(uniform(4, 3, 5, seed=9), ctx=context))
        found.append([v.asnumpy() for v in (*executor.outputs, *executor.grad_arrays)])
    for want, value in zip(*found):
        np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-5)
    assert len(made) > 8 and set(made) == {("cublaslt", True)}


def test_a_missing_library_is_one_warning(driver, monkeypatch):
    monkeypatch.setattr(cuda, "library_path", lambda name: None)
    monkeypatch.setenv("CYMX_GPU_LIBRARIES", "cublaslt")
    library._loaded.cache_clear()
    mx.nd._invoke.clear_plans()
    a, b = on(GPU, uniform(4, 5), uniform(5, 6, seed=1))
    with pytest.warns(RuntimeWarning, match=r"cublasLt is not installed.*cymx\[cuda13\]") as noted:
        first = mx.nd.dot(a, b).asnumpy()
        mx.nd.dot(b, a, transpose_a=True, transpose_b=True).asnumpy()
    assert len(noted) == 1
    np.testing.assert_allclose(first, uniform(4, 5) @ uniform(5, 6, seed=1), rtol=1e-5, atol=1e-6)
    library._loaded.cache_clear()
    mx.nd._invoke.clear_plans()


def test_plain_kernels_alone_warn_of_nothing(driver, monkeypatch, recwarn):
    monkeypatch.setenv("CYMX_GPU_LIBRARIES", "off")
    mx.nd._invoke.clear_plans()
    mx.nd.dot(*on(GPU, uniform(4, 5), uniform(5, 6))).asnumpy()
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
