"""layer_norm against float64 NumPy, on every road."""

import numpy as np
import pytest
from kernels.nn_support import FLOATS, assert_close, random, threads

from cymx import _ops


def reference(x, gamma, beta, axis, eps):
    """Return y, mean and std in float64."""
    x = x.astype(np.float64)
    back = [-1 if i == axis else 1 for i in range(x.ndim)]
    mean, std = x.mean(axis, keepdims=True), np.sqrt(x.var(axis, keepdims=True) + eps)
    return (x - mean) / std * gamma.reshape(back).astype(np.float64) + beta.reshape(back).astype(np.float64), mean, std


def run(x, gamma, beta, axis, eps, y=None):
    """Return what the kernel makes of y, mean and std, which start as garbage."""
    small = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    outs = [np.full(x.shape, 77, x.dtype) if y is None else y, *(np.full(small, 77, x.dtype) for _ in range(2))]
    _ops.launch("layer_norm", [x, gamma, beta], outs, (axis, eps))
    return outs


# Below, at and past a vector, the few and many lanes, a run of 4,096, and the block of columns.
SHAPES = [(1,), (7,), (3, 10), (5, 1), (4, 33, 3), (2, 3, 100), (2, 300), (3, 256), (2, 4096), (2, 9001), (3, 17, 5, 2),
          (1, 70, 65)]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_axis_and_dtype(road, shape):
    rng = np.random.default_rng(sum(shape))
    for dtype in FLOATS:
        x = random(rng, shape, dtype)
        for axis in range(len(shape)):
            gamma, beta = random(rng, shape[axis], dtype), random(rng, shape[axis], dtype)
            with road:
                made = run(x, gamma, beta, axis, 1e-2)
            for got, want in zip(made, reference(x, gamma, beta, axis, 1e-2)):
                assert_close(got, want, what=f"{dtype} axis {axis}")


@pytest.mark.parametrize("axis", [0, 1])
def test_the_variance_is_of_differences_to_the_mean(road, axis):
    # Squares less the square of the mean would leave nothing of it.
    x = (np.arange(600 * 600).reshape(600, 600) * 7919 % 601 / 600 + 3e4).astype(np.float32)
    ones = np.ones(600, np.float32)
    with road:
        _, mean, std = run(x, ones, ones, axis, 0.0)
    wanted = reference(x, ones, ones, axis, 0.0)
    np.testing.assert_allclose(mean, wanted[1], 1e-7)
    np.testing.assert_allclose(std, wanted[2], 1e-4)


def test_what_is_no_number_stays_in_its_row(road):
    x = random(np.random.default_rng(0), (5, 300), np.float32)
    x[1, 299], x[2, 0], x[3, 5] = np.nan, np.inf, -np.inf
    ones = np.ones(300, np.float32)
    with road:
        rows, columns = run(x, ones, ones, 1, 1e-5), run(x.T.copy(), ones, ones, 0, 1e-5)
    for y, mean, std in (rows, [v.T for v in columns]):
        assert np.isnan(y[1:4]).all() and np.isfinite(y[[0, 4]]).all()
        assert np.array_equal(mean[1:4], [[np.nan], [np.inf], [-np.inf]], equal_nan=True) and np.isnan(std[1:4]).all()


def test_may_run_in_place(road):
    x = random(np.random.default_rng(0), (6, 11, 4), np.float32)
    for axis in range(3):
        y, gamma = x.copy(), np.linspace(1, 2, x.shape[axis], dtype=np.float32)
        with road:
            run(y, gamma, gamma, axis, 1e-5, y)
        assert_close(y, reference(x, gamma, gamma, axis, 1e-5)[0])


@pytest.mark.parametrize("shape", [(400, 300), (20, 100, 30)])
def test_threads_change_no_bit(portable, shape):
    x = random(np.random.default_rng(0), shape, np.float32)
    gamma = random(np.random.default_rng(1), shape[1], np.float32)
    made = []
    for n in (1, 3):
        with portable, threads(n):
            made.append(b"".join(v.tobytes() for v in run(x, gamma, gamma, 1, 1e-5)))
    assert made[0] == made[1]


def test_nothing(road):
    with road:
        for shape, axis in (((0, 3), 1), ((4, 2, 0), 1)):
            n = np.ones(shape[axis], np.float32)
            assert run(np.zeros(shape, np.float32), n, n, axis, 1e-5)[0].shape == shape
        y, mean, std = run(np.zeros((2, 0), np.float32), *[np.zeros(0, np.float32)] * 2, 1, 1e-5)
        assert y.size == 0 and np.isnan(mean).all() and np.isnan(std).all()


def test_refuses_what_does_not_fit(road):
    x, n = np.zeros((2, 3), np.float32), np.ones(3, np.float32)
    with road:
        with pytest.raises(Exception, match="axis 2 is out of range for 2 dimensions"):
            _ops.launch("layer_norm", [x, n, n], [x, n[:2], n[:2]], (2, 1e-5))
        with pytest.raises(Exception, match="number 1 has 2 elements"):
            run(x, n, n[:2], 1, 1e-5)
        with pytest.raises(Exception, match="floating"):
            run(*(v.astype(np.int32) for v in (x, n, n)), 1, 1e-5)
