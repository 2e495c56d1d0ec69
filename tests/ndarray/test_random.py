"""Seeds and distributions of mx.random and nd.random."""

import numpy as np
import pytest

import cymx as mx
from cymx import nd


def draw(ctx=None):
    return mx.random.uniform(shape=(3,), ctx=ctx).asnumpy().tolist()


def test_a_seed_repeats_the_numbers():
    mx.random.seed(7)
    first, second = draw(), draw()
    mx.random.seed(7)
    assert draw() == first != second
    assert draw() == second


def test_a_seed_for_one_context_leaves_the_others():
    mx.random.seed(1)
    first = draw(mx.cpu(1))
    mx.random.seed(1)
    mx.random.seed(2, ctx=mx.cpu(0))
    assert draw(mx.cpu(1)) == first
    for wrong in ("a", 1.5):
        with pytest.raises(ValueError, match="must be int"):
            mx.random.seed(wrong)
    with pytest.raises(TypeError):
        mx.random.seed(1, ctx="foo")
    mx.random.seed(-1)


def test_distributions():
    mx.random.seed(0)
    u = nd.random.uniform(-1, 3, shape=(100, 100)).asnumpy()
    assert u.min() >= -1 and u.max() < 3 and abs(u.mean() - 1) < 0.05
    n = mx.random.normal(2, 0.5, shape=(100, 100), dtype="float64").asnumpy()
    assert n.dtype == np.float64 and abs(n.mean() - 2) < 0.02 and abs(n.std() - 0.5) < 0.02
    r = mx.random.randint(-2, 3, shape=(1000,)).asnumpy()
    assert r.dtype == np.int32 and set(r.tolist()) == {-2, -1, 0, 1, 2}
    e = mx.random.exponential(2, shape=(10000,)).asnumpy()
    assert e.min() >= 0 and abs(e.mean() - 2) < 0.1
    s = nd.random.uniform(nd.array([0, 10]), nd.array([1, 20]), shape=50).asnumpy()
    assert s.shape == (2, 50) and s[0].max() < 1 and s[1].min() >= 10
    out = nd.zeros((4,))
    assert nd.random.normal(5, 0.01, out=out) is out and abs(out.asnumpy() - 5).max() < 1


def test_shuffle_keeps_the_rows():
    mx.random.seed(3)
    x = nd.arange(40).reshape((20, 2))
    y = mx.random.shuffle(x).asnumpy()
    assert sorted(map(tuple, y)) == list(map(tuple, x.asnumpy()))
    assert y.tolist() != x.asnumpy().tolist()
