"""Reductions and argmax, argmin: every set of axes, accuracy, nan, empties, and any number of threads."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from kernels.nn_support import threads

from cymx import _ops
from cymx.base import MXNetError

HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
DTYPES = [np.dtype(d) for d in ("float32", "float64", "int32", "int64", "uint8", "int8", "bool")] + HALVES
REDUCERS = {"reduce_sum": np.sum, "reduce_prod": np.prod, "reduce_max": np.max, "reduce_min": np.min}


def reduce(name, x, axes):
    """Reduce x over axes with a kernel."""
    shape = [s for d, s in enumerate(x.shape) if d not in axes]
    y = np.full(shape, 7, x.dtype)
    _ops.launch(name, [x], [y], (sum(1 << d for d in axes),))
    return y


def arg(name, x, axis, dtype="int64"):
    """Find the largest or smallest of x along an axis."""
    shape = () if axis < 0 else x.shape[:axis] + x.shape[axis + 1 :]
    y = np.full(shape, 7, dtype)
    _ops.launch(name, [x], [y], (axis,))
    return y


def sample(rng, shape, dtype):
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        return rng.integers(max(ends.min, -(2**40)), min(ends.max, 2**40), shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_set_of_axes(portable, name, dtype):
    rng = np.random.default_rng(0)
    for shape in [(7,), (3, 40), (300, 5), (4, 1, 5, 6), (2, 3, 1, 4, 2, 3), (1, 1), ()]:
        x = sample(rng, shape, dtype)
        for n in range(len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), n):
                got = reduce(name, x, axes)
                if dtype.kind == "b":
                    want = {"reduce_sum": np.any, "reduce_prod": np.all}.get(name, REDUCERS[name])(x, axis=axes)
                elif dtype.kind in "iu":
                    want = REDUCERS[name](x.astype(np.int64), axis=axes).astype(dtype)
                else:
                    want = REDUCERS[name](x.astype(np.float64), axis=axes)
                rtol = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3, "bfloat16": 1e-2}.get(dtype.name, 0)
                np.testing.assert_allclose(got.astype(want.dtype), want, rtol=rtol, atol=rtol, err_msg=str(axes))


@pytest.mark.parametrize("shape", [(1000003,), (3, 300001), (200000, 5), (5, 70000, 3), (2000, 700), (40, 64, 300)])
def test_sums_are_as_exact_as_pairwise_ones(portable, shape):
    rng = np.random.default_rng(1)
    for dtype in ("float32", "float64"):
        x = rng.uniform(0, 1, shape).astype(dtype)
        for axes in ((0,), (len(shape) - 1,), tuple(range(len(shape)))):
            exact = np.sum(x.astype(np.longdouble), axis=axes)
            error = np.abs(reduce("reduce_sum", x, axes) - exact) / exact
            assert error.max() < (3e-7 if dtype == "float32" else 1e-15), (dtype, axes)


def test_a_million_halves_do_not_stall(portable):
    for dtype in HALVES:
        x = np.full(60000, 0.25, dtype)
        assert abs(float(reduce("reduce_sum", x, (0,))) - 15000) <= 64
        assert np.abs(reduce("reduce_sum", x.reshape(12000, 5), (0,)).astype(float) - 3000).max() <= 16


@pytest.mark.parametrize("shape", [(1000003,), (3, 300001), (200000, 5), (70, 900, 4)])
def test_results_do_not_depend_on_threads(portable, shape):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    for name in ("reduce_sum", "reduce_prod", "reduce_max"):
        for axes in ((0,), (len(shape) - 1,), tuple(range(len(shape)))):
            results = []
            for n in (1, 2, 3):
                with threads(n):
                    results.append(reduce(name, x, axes).tobytes())
            assert len(set(results)) == 1


def test_nan_wins_maxima_and_minima(portable):
    for dtype in (np.float32, np.float64, *HALVES):
        for n in (3, 40, 3000):
            for at in (0, n // 2, n - 1):
                x = np.arange(n * 4).reshape(n, 4).astype(dtype)
                x[at, 1] = np.nan
                for name in ("reduce_max", "reduce_min"):
                    assert np.isnan(reduce(name, x, (0, 1)).astype(float))
                    assert np.isnan(reduce(name, x, (0,)).astype(float)).tolist() == [False, True, False, False]
                for name in ("argmax", "argmin"):
                    assert arg(name, x, 0)[1] == at and arg(name, np.ascontiguousarray(x.T), 1)[1] == at
                    assert arg(name, x, -1) == at * 4 + 1


def test_infinities(portable):
    x = np.float32([[np.inf, 1, 2], [np.inf, -np.inf, 0]])
    assert reduce("reduce_sum", x, (1,)).tolist()[0] == np.inf and np.isnan(reduce("reduce_sum", x, (1,))[1])
    assert reduce("reduce_max", np.full(5000, -np.inf), (0,)) == -np.inf


def test_nothing_to_reduce(portable):
    x = np.zeros((3, 0, 2), np.float32)
    assert reduce("reduce_sum", x, (1,)).tolist() == [[0, 0]] * 3
    assert reduce("reduce_prod", x, (1,)).tolist() == [[1, 1]] * 3
    assert reduce("reduce_max", x, (0,)).shape == (0, 2)
    for name in ("reduce_max", "reduce_min"):
        with pytest.raises(MXNetError, match="of no elements"):
            reduce(name, x, (1,))
    with pytest.raises(MXNetError, match="of no elements"):
        arg("argmax", x, 1)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arguments_of_extremes(portable, name, dtype):
    rng = np.random.default_rng(4)
    for shape in [(1,), (5000,), (3, 40), (40, 3), (5, 6, 300), (2, 3000, 7)]:
        x = rng.integers(0, 2 if dtype.kind == "b" else 50, shape).astype(dtype)  # many ties: the first one counts
        reference = getattr(np, name)
        for axis in range(len(shape)):
            for out in ("float32", "int32", "int64"):
                np.testing.assert_array_equal(arg(name, x, axis, out), reference(x.astype(float), axis=axis))
        assert arg(name, x, -1) == reference(x.astype(float))


def test_refuses_what_does_not_fit():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(MXNetError, match="expected 3 of dtype 0"):
        _ops.launch("reduce_sum", [x], [np.zeros(2, np.float32)], (1,))
    with pytest.raises(MXNetError, match="axis 2 is out of range for 2 dimensions"):
        _ops.launch("argmax", [x], [np.zeros(2, np.float32)], (2,))
    assert math.isfinite(reduce("reduce_sum", x, (0, 1)))
