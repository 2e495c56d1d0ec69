"""What the random operators draw: moments, ranges, dtypes, and the same numbers from the same seed."""

import math

import numpy as np
import pytest

import cymx as mx

N = 40000
# operator, settings, mean, deviation, least, bound
DRAWS = [
    ("_random_uniform", {}, 0.5, 12**-0.5, 0, 1),
    ("_random_uniform", {"low": -3, "high": 5}, 1, 8 / 12**0.5, -3, 5),
    ("_random_normal", {}, 0, 1, -7, 7),
    ("_random_normal", {"loc": 2, "scale": 3}, 2, 3, -19, 23),
    ("_random_exponential", {}, 1, 1, 0, 20),
    ("_random_exponential", {"lam": 4}, 0.25, 0.25, 0, 5),
    ("_bernoulli", {"prob": 0.3}, 0.3, 0.21**0.5, 0, 1),
]  # fmt: skip


def _drawn(op, seed=1, **params):
    mx.random.seed(seed)
    return getattr(mx.nd._internal, op)(**params).asnumpy()


def _check(x, mean, deviation, least, bound):
    """Compare moments within five deviations of their own."""
    x = x.astype("float64").ravel()
    assert x.min() >= least and x.max() <= bound
    assert abs(x.mean() - mean) < 5 * deviation / math.sqrt(x.size)
    assert abs(x.std() - deviation) < 8 * deviation / math.sqrt(x.size)


@pytest.mark.parametrize("op, params, mean, deviation, least, bound", DRAWS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_moments(op, params, mean, deviation, least, bound, dtype):
    x = _drawn(op, shape=(200, N // 200), dtype=dtype, **params)
    assert x.shape == (200, N // 200) and x.dtype.name == dtype
    slack = 0.02 * deviation if dtype == "bfloat16" else 0
    _check(x, mean, deviation + slack, least, bound)


def test_what_is_drawn_is_float32_and_one_number_by_default():
    assert [_drawn(op).shape for op, *_ in DRAWS] == [(1,)] * len(DRAWS)
    assert all(_drawn(op).dtype == "float32" for op, *_ in DRAWS)


def test_normal_numbers_are_normal():
    x = np.sort(_drawn("_random_normal", shape=(N,)).astype("float64"))
    below = np.array([0.5 * (1 + math.erf(v / 2**0.5)) for v in x])
    assert np.abs(below - (np.arange(N) + 0.5) / N).max() < 1.95 / math.sqrt(N)  # Kolmogorov, p = 0.001


def test_randint_draws_every_number_alike():
    for dtype in (None, "int32", "int64"):
        x = _drawn("_random_randint", low=-3, high=4, shape=(N,), dtype=dtype)
        assert x.dtype.name == (dtype or "int32")
        counts = np.bincount(x + 3, minlength=7)
        assert counts.size == 7 and ((counts - N / 7) ** 2 / (N / 7)).sum() < 30  # chi squared, p = 4e-5
    wide = _drawn("_random_randint", low=0, high=2**40, shape=(N,), dtype="int64")
    assert wide.min() >= 0 and 0.99 * 2**40 < wide.max() < 2**40


def test_the_seed_decides():
    for op, params, *_ in [*DRAWS, ("_random_randint", {"low": 0, "high": 2**20})]:
        first, again, other = (_drawn(op, seed, shape=(500,), **params) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        function = getattr(mx.nd._internal, op)
        assert (function(shape=(500,), **params).asnumpy() != function(shape=(500,), **params).asnumpy()).any()


def test_two_equal_draws_of_a_graph_differ():
    symbol = mx.sym.random.uniform(shape=(50,)) - mx.sym.random.uniform(shape=(50,))
    executor = symbol.bind(mx.cpu(), {})
    first = executor.forward()[0].asnumpy()
    assert (first != 0).all()
    assert (executor.forward()[0].asnumpy() != first).all()


def test_draws_like_an_array_take_its_shape_and_dtype():
    for dtype in ("float32", "float64", "float16"):
        data = mx.nd.zeros((200, N // 200), dtype=dtype)
        uniform = mx.nd.random_uniform_like(data, low=-1, high=3).asnumpy()
        normal = mx.nd.random_normal_like(data, loc=1, scale=2).asnumpy()
        assert uniform.dtype == normal.dtype == dtype and uniform.shape == normal.shape == data.shape
        _check(uniform, 1, 4 / 12**0.5, -1, 3)
        _check(normal, 1, 2, -14, 16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_pair_of_parameters_has_its_own_draws(dtype):
    mx.random.seed(3)
    low, high = mx.nd.array([[0.0, 10]], dtype=dtype), mx.nd.array([[1.0, 30]], dtype=dtype)
    uniform = mx.nd.sample_uniform(low, high, shape=(100, N // 100)).asnumpy()
    normal = mx.nd.sample_normal(low, high, shape=N).asnumpy()
    assert uniform.shape == (1, 2, 100, N // 100) and normal.shape == (1, 2, N) and uniform.dtype == dtype
    for k, (a, b) in enumerate(((0, 1), (10, 30))):
        _check(uniform[0, k], (a + b) / 2, (b - a) / 12**0.5, a, b)
        _check(normal[0, k], a, b, a - 7 * b, a + 7 * b)
    assert mx.nd.sample_normal(low, high).shape == (1, 2)
    assert mx.nd.sample_uniform(low, high, dtype="float16").dtype == np.float16
