"""Random kernels: the published Philox numbers, distributions, the same numbers for any number of threads and size."""

import math

import ml_dtypes
import numpy as np
import pytest
from kernels.nn_support import threads

from cymx import _ops
from cymx.base import MXNetError

FLOATS = [np.dtype(d) for d in ("float32", "float64", "float16")] + [np.dtype(ml_dtypes.bfloat16)]


def draw(name, n, a, b, dtype="float32", seed=5, counter=0):
    out = np.full(n, 7, dtype)
    _ops.launch(name, [], [out], (float(a), float(b)), seed, counter)
    return out


def test_published_numbers(portable):
    """The known answer of Philox4x32-10 for an all-zero key and counter, from the Random123 library."""
    words = draw("random_randint", 4, 0, 2**32, "int64", 0, 0)
    assert words.tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_numbers_depend_on_nothing_but_seed_and_counter(portable):
    for name, b in (("random_uniform", 3), ("random_normal", 2), ("random_bernoulli", 0), ("random_randint", 100)):
        a = 0.3 if name == "random_bernoulli" else 0
        whole = draw(name, 50001, a, b)
        for n in (1, 3):
            with threads(n):
                np.testing.assert_array_equal(draw(name, 50001, a, b), whole)
        np.testing.assert_array_equal(draw(name, 1001, a, b), whole[:1001])
        np.testing.assert_array_equal(draw(name, 40001, a, b, counter=2500), whole[10000:])
        assert (draw(name, 50001, a, b, seed=6) != whole).mean() > 0.3


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_uniform(portable, dtype):
    x = draw("random_uniform", 200000, -2, 3, dtype).astype(float)
    assert x.min() >= -2 and x.max() <= 3 and (dtype.itemsize == 2 or x.max() < 3)
    counts = np.histogram(x, 50, (-2, 3))[0]
    assert dtype.name == "bfloat16" or ((counts - 4000) ** 2 / 4000).sum() < 110
    assert abs(x.mean() - 0.5) < 0.02 and abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_normal(portable, dtype):
    x = (draw("random_normal", 400000, 1, 2, dtype).astype(float) - 1) / 2
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    assert abs((x**3).mean()) < 0.03 and abs((x**4).mean() - 3) < 0.06
    assert abs((x > 2).mean() - 0.5 * math.erfc(2 / math.sqrt(2))) < 0.001
    assert abs(np.corrcoef(x[::2], x[1::2])[0, 1]) < 0.01


def test_bernoulli(portable):
    for dtype in ("float32", "bool", "int8", "float16"):
        x = draw("random_bernoulli", 100000, 0.2, 0, dtype)
        assert set(np.unique(x.astype(int))) == {0, 1} and abs(x.astype(float).mean() - 0.2) < 0.005
    assert draw("random_bernoulli", 1000, 0, 0).sum() == 0 and draw("random_bernoulli", 1000, 1, 0).sum() == 1000


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "float32"])
def test_randint(portable, dtype):
    x = draw("random_randint", 100000, -3, 7, dtype)
    values, counts = np.unique(x, return_counts=True)
    assert values.tolist() == list(range(-3, 7)) and ((counts - 10000) ** 2 / 10000).sum() < 35
    assert draw("random_randint", 100, 2**40, 2**40 + 1, "int64").tolist() == [2**40] * 100


def test_arange(portable):
    for dtype in ("float32", "float64", "int32", "int64", "float16"):
        out = np.full(12, 7, dtype)
        _ops.launch("arange", [], [out], (1.0, 2.0, 3))
        assert out.tolist() == [1, 1, 1, 3, 3, 3, 5, 5, 5, 7, 7, 7]
    out = np.empty(100001, np.float32)
    _ops.launch("arange", [], [out], (-1.0, 0.1, 1))
    np.testing.assert_array_equal(out, (-1 + 0.1 * np.arange(100001)).astype(np.float32))


def test_refuses_what_does_not_fit():
    with pytest.raises(MXNetError, match="floating, not of dtype 4"):
        draw("random_uniform", 3, 0, 1, "int32")
    with pytest.raises(MXNetError, match="not between 0 and 1"):
        draw("random_bernoulli", 3, 1.5, 0)
    with pytest.raises(MXNetError, match="empty"):
        draw("random_randint", 3, 5, 5)
    with pytest.raises(MXNetError, match="repeated 0 times"):
        _ops.launch("arange", [], [np.zeros(3)], (0.0, 1.0, 0))
