"""Kernels that index: values in every dtype, indices of every dtype and out of range, and gradients that add."""

import ml_dtypes
import numpy as np
import pytest
from kernels.nn_support import threads

from cymx import _ops
from cymx.base import MXNetError

CLIP, WRAP, RAISE = 0, 1, 2
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(d) for d in ("float32", "float64", "float16", "int32", "int64", "uint8", "int8")] + [BFLOAT16]


def launch(name, inputs, shape, params=(), dtype=None):
    out = np.full(shape, 7, dtype or inputs[0].dtype)
    _ops.launch(name, inputs, [out], params)
    return out


def in_range(indices, n, mode):
    whole = np.trunc(indices.astype(float)).astype(np.int64)
    return whole % n if mode == WRAP else np.clip(whole, 0, n - 1)


@pytest.mark.parametrize("mode", [CLIP, WRAP])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_take_and_its_gradient(portable, mode, dtype):
    rng = np.random.default_rng(0)
    for shape, axis in [((6,), 0), ((5, 3), 0), ((5, 3), 1), ((2, 7, 300), 1), ((400, 70), 0)]:
        x = rng.integers(0, 100, shape).astype(dtype)
        for index_dtype in (np.float32, np.int32, np.int64, np.float16):
            indices = rng.integers(-9, 12, (4, 5)).astype(index_dtype)
            at = in_range(indices, shape[axis], mode)
            want = np.take(x, at, axis)
            np.testing.assert_array_equal(launch("take", [x, indices], want.shape, (axis, mode)), want)
            dy = rng.integers(0, 5, want.shape).astype(dtype)
            dx = np.zeros(shape)
            rows = np.moveaxis(dy.reshape(*shape[:axis], -1, *shape[axis + 1 :]), axis, 0)
            np.add.at(np.moveaxis(dx, axis, 0), at.ravel(), rows.astype(float))
            inside = np.abs(indices) % shape[axis]
            want = launch("take", [x, inside], want.shape, (axis, CLIP))
            np.testing.assert_array_equal(launch("take", [x, inside], want.shape, (axis, RAISE)), want)
            np.testing.assert_array_equal(launch("take_grad", [dy, indices], shape, (axis, mode)), dx.astype(dtype))


def test_gradient_of_many_takes_is_the_same_for_any_number_of_threads(portable):
    rng = np.random.default_rng(1)
    dy, indices = rng.standard_normal((20000, 16)).astype(np.float32), rng.integers(0, 30, 20000)
    results = []
    for n in (1, 2, 3):
        with threads(n):
            results.append(launch("take_grad", [dy, indices], (30, 16), (0, CLIP)))
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    want = np.zeros((30, 16))
    np.add.at(want, indices, dy)
    np.testing.assert_allclose(results[0], want, atol=1e-3)


def test_halves_add_in_float32(portable):
    for dtype in (np.dtype(np.float16), BFLOAT16):
        dx = launch("take_grad", [np.ones((5000, 1), dtype), np.zeros(5000, np.int32)], (2, 1), (0, CLIP))
        assert abs(float(dx[0, 0]) - 5000) < 20 and dx[1, 0] == 0


@pytest.mark.parametrize("mode", [CLIP, WRAP])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pick_and_its_gradient(portable, mode, axis):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((4, 5, 6)).astype(np.float32)
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    index = rng.integers(-8, 9, shape).astype(np.float32) + np.float32(0.5)
    at = np.expand_dims(in_range(index, x.shape[axis], mode), axis)
    want = np.take_along_axis(x, at, axis).squeeze(axis)
    np.testing.assert_array_equal(launch("pick", [x, index], shape, (axis, mode)), want)
    dy = rng.standard_normal(shape).astype(np.float32)
    dx = np.zeros_like(x)
    np.put_along_axis(dx, at, np.expand_dims(dy, axis), axis)
    np.testing.assert_array_equal(launch("pick_grad", [dy, index], x.shape, (axis, mode)), dx)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_hot(portable, dtype):
    indices = np.float32([[1, -1, 3], [0, 2, np.nan]])
    want = np.full((2, 3, 3), 2)
    want[0, 0, 1] = want[1, 0, 0] = want[1, 1, 2] = want[1, 2, 0] = 5
    np.testing.assert_array_equal(launch("one_hot", [indices], (2, 3, 3), (5.0, 2.0), dtype), want.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gather_nd_scatter_nd_and_gradient(portable, dtype):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 100, (4, 5, 6)).astype(dtype)
    for m in (1, 2, 3):
        indices = np.stack([rng.integers(-s, s, (3, 7)) for s in x.shape[:m]]).astype(np.int32)
        want = x[tuple(indices)]
        np.testing.assert_array_equal(launch("gather_nd", [x, indices], want.shape), want)
        dy = rng.integers(0, 5, want.shape).astype(dtype)
        added, last = np.zeros(x.shape), np.zeros(x.shape)
        np.add.at(added, tuple(indices), dy.astype(float))
        for place in np.ndindex(3, 7):
            last[tuple(indices[(slice(None), *place)])] = dy[place]
        np.testing.assert_array_equal(launch("gather_nd_grad", [dy, indices], x.shape), added.astype(dtype))
        np.testing.assert_array_equal(launch("scatter_nd", [dy, indices], x.shape), last.astype(dtype))


def test_refuses_what_does_not_fit():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(MXNetError, match="index 2 is out of range for axis 0, which has length 2"):
        launch("gather_nd", [x, np.array([[0, 2]])], (2, 3))
    with pytest.raises(MXNetError, match="index -4 is out of range for axis 1, which has length 3"):
        launch("gather_nd", [x, np.array([[0], [-4]])], (1,))
    with pytest.raises(MXNetError, match="4 coordinates do not fit an array of 2"):
        launch("gather_nd", [x, np.zeros((4, 1))], (1,))
    with pytest.raises(MXNetError, match="expected 3 of dtype 0"):
        launch("take", [x, np.zeros(1)], (2,), (0, CLIP))
    with pytest.raises(MXNetError, match="point into an axis of length 0"):
        launch("take", [np.zeros((0, 3), np.float32), np.zeros(1)], (1, 3), (0, CLIP))
    for index in (-1, 2):
        with pytest.raises(MXNetError, match=f"index {index} is out of range for an axis of length 2"):
            launch("take", [x, np.array([0, index])], (2, 3), (0, RAISE))
    with pytest.raises(MXNetError, match="1 inputs, 1 outputs and 16 bytes of parameters, expected 2, 1 and 16"):
        launch("take", [x], (2, 3), (0, CLIP))
    with pytest.raises(MXNetError, match="axis 2 is out of range"):
        launch("pick", [x, np.zeros(2)], (2,), (2, CLIP))
