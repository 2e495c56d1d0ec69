"""softmax and log_softmax against float64 NumPy, on every road."""

import numpy as np
import pytest
from kernels.nn_support import FLOATS, assert_close, random

from cymx import _ops


def reference(x, axis, log):
    x = x.astype(np.float64)
    shifted = x - x.max(axis, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    return y if log else np.exp(y)


# Below, at and past a vector, the block of columns, and the room for one row.
SHAPES = [(1,), (7,), (3, 10), (5, 1), (4, 33, 3), (2, 3, 100), (2, 1000), (2, 4100), (3, 17, 5, 2), (1, 70, 65)]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_axis_and_dtype(road, shape, log):
    rng = np.random.default_rng(sum(shape))
    for dtype in FLOATS:
        x = random(rng, shape, dtype) * np.array(3, dtype)
        for axis in range(len(shape)):
            got = road("log_softmax" if log else "softmax", [x], shape, (axis,))
            assert_close(got, reference(x, axis, log), what=f"{dtype} axis {axis}")


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_may_run_in_place(road, name):
    x = random(np.random.default_rng(0), (6, 11, 4), np.float32)
    for axis in range(3):
        y = x.copy()
        _ops.launch(name, [y], [y], (axis,))
        assert_close(y, reference(x, axis, name == "log_softmax"))


def test_large_numbers_do_not_overflow(road):
    for dtype in FLOATS:
        x = np.array([[3e4, 3e4, -3e4], [-3e4, -3e4, -3e4]], dtype)
        assert_close(road("softmax", [x], x.shape, (1,)), reference(x, 1, False))
        assert_close(road("log_softmax", [x], x.shape, (1,)), reference(x, 1, True))


def test_minus_infinity_gets_nothing_and_not_a_number_stays(road):
    x = np.array([[0, -np.inf, 0], [np.nan, 0, 0]], np.float32)
    y = road("softmax", [x], x.shape, (1,))
    assert np.array_equal(y[0], [0.5, 0, 0.5]) and np.isnan(y[1]).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), (2, 0, 4)])
def test_empty(road, shape):
    for axis in range(len(shape)):
        assert road("softmax", [np.zeros(shape, np.float32)], shape, (axis,)).shape == shape


def test_refuses_a_bad_axis_and_integers(road):
    with pytest.raises(Exception, match="axis"):
        road("softmax", [np.zeros((2, 3), np.float32)], (2, 3), (2,))
    with pytest.raises(Exception, match="floating"):
        road("softmax", [np.zeros((2, 3), np.int32)], (2, 3), (1,))
