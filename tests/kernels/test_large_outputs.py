"""Outputs that are larger than the caches are stored past them: the same values, at every size of rows and edges."""

import numpy as np
import pytest

import cymx as mx

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
@pytest.mark.parametrize("shape", [(3072, 3104), (2999, 3072), (3072, 3001)])
def test_transpose(shape, dtype):
    x = RNG.integers(0, 200, shape).astype(dtype)
    np.testing.assert_array_equal(mx.nd.transpose(mx.nd.array(x, dtype=dtype)).asnumpy(), x.T)


@pytest.mark.parametrize("width", [16, 48, 1024, 1040, 1033])
def test_take(width):
    x = RNG.standard_normal((1000, width)).astype("float32")
    rows = RNG.integers(0, 1000, 9_000_000 // width)
    found = mx.nd.take(mx.nd.array(x), mx.nd.array(rows, dtype="int32"))
    np.testing.assert_array_equal(found.asnumpy(), x[rows])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(3000, 3072), (1000, 9024), (3000, 3001)])
def test_softmax(name, shape):
    x = RNG.standard_normal(shape).astype("float32")
    found = getattr(mx.nd, name)(mx.nd.array(x)).asnumpy()
    shifted = x.astype("float64") - x.max(1, keepdims=True)
    wanted = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    np.testing.assert_allclose(found, np.exp(wanted) if name == "softmax" else wanted, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(3000, 3072), (1000, 9024), (3000, 3001)])
def test_layer_norm(shape):
    x, gamma, beta = (RNG.standard_normal(s).astype("float32") for s in (shape, shape[1], shape[1]))
    found = mx.nd.LayerNorm(*map(mx.nd.array, (x, gamma, beta))).asnumpy()
    x = x.astype("float64")
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * gamma + beta
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_first_of_equals(name, axis):
    x = RNG.integers(0, 50, (700, 3001)).astype("float32")
    x[5, 77] = np.nan
    found = getattr(mx.nd, name)(mx.nd.array(x), axis=axis).asnumpy()
    np.testing.assert_array_equal(found, getattr(np, name)(x, axis=axis))
