"""The matmul kernel against NumPy, on every road."""

import numpy as np
import pytest
from kernels.nn_support import FLOATS, assert_close, random, threads

INTEGERS = [np.dtype(t) for t in (np.int8, np.uint8, np.int32, np.int64)]
# Around every edge of the register tile, the blocks and the short ways.
SIZES = [
    (1, 1, 1),
    (1, 40, 9),
    (40, 1, 9),
    (2, 3, 300),
    (3, 5, 7),
    (6, 16, 8),
    (12, 32, 256),
    (13, 33, 257),
    (7, 70, 600),
    (97, 301, 513),
    (1, 700, 300),
]


def swap(x, wanted):
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)) if wanted else x


@pytest.mark.parametrize("m, n, k", SIZES)
def test_every_transposition_and_dtype(road, m, n, k):
    rng = np.random.default_rng(m + n + k)
    for dtype in FLOATS:
        a, b = random(rng, (m, k), dtype), random(rng, (k, n), dtype)
        want = a.astype(np.float64) @ b.astype(np.float64)
        for ta, tb in np.ndindex(2, 2):
            got = road("matmul", [swap(a, ta), swap(b, tb)], (m, n), (ta, tb))
            assert_close(got, want, what=f"{dtype} {ta} {tb}")
    for dtype in INTEGERS:
        a, b = (rng.integers(-128, 128, shape).astype(dtype) for shape in ((m, k), (k, n)))
        for ta, tb in np.ndindex(2, 2):
            got = road("matmul", [swap(a, ta), swap(b, tb)], (m, n), (ta, tb))
            assert np.array_equal(got, a @ b), f"{dtype} {ta} {tb}"


BATCHES = [((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (1, 1)), ((2, 3), ()), ((1,), (4,)), ((), (4,)), ((0,), (0,))]


@pytest.mark.parametrize("a_batch, b_batch", BATCHES)
@pytest.mark.parametrize("m, n, k", [(5, 6, 4), (33, 40, 21), (1, 1, 3)])
def test_batches_and_a_shared_matrix(road, a_batch, b_batch, m, n, k):
    rng = np.random.default_rng(1)
    for dtype in FLOATS:
        a, b = random(rng, (*a_batch, m, k), dtype), random(rng, (*b_batch, k, n), dtype)
        want = a.astype(np.float64) @ b.astype(np.float64)
        for ta, tb in np.ndindex(2, 2):
            got = road("matmul", [swap(a, ta), swap(b, tb)], want.shape, (ta, tb))
            assert_close(got, want, what=f"{dtype} {ta} {tb}")


@pytest.mark.parametrize("m, n, k", [(3, 4, 0), (0, 4, 5), (3, 0, 5), (0, 0, 0)])
def test_empty_sums_are_zero(road, m, n, k):
    for dtype in FLOATS + INTEGERS:
        got = road("matmul", [np.ones((m, k), dtype), np.ones((k, n), dtype)], (m, n), (0, 0))
        assert np.array_equal(got, np.zeros((m, n), dtype)), dtype


def test_integers_wrap(road):
    a = np.full((2, 3), 2**31 - 1, np.int32)
    assert np.array_equal(road("matmul", [a, a], (2, 2), (0, 1)), a @ a.T)


def test_not_a_number_stays(road):
    a = np.array([[np.nan, 1.0], [np.inf, 1.0], [2.0, 1.0]], np.float32)
    got = road("matmul", [a, np.zeros((2, 3), np.float32)], (3, 3), (0, 0))
    assert np.isnan(got[:2]).all() and not got[2].any()


def test_the_same_bits_for_any_number_of_threads(portable):
    rng = np.random.default_rng(0)
    for shape in ((150, 300, 700), (1, 900, 900)):
        m, n, k = shape
        a, b = random(rng, (m, k), np.float32), random(rng, (k, n), np.float32)
        results = []
        for n_threads in (1, 2, 3):
            with threads(n_threads):
                results.append(portable("matmul", [a, b], (m, n), (0, 0)))
        assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


def test_refuses_shapes_and_types_that_do_not_fit(road):
    a = np.zeros((2, 3), np.float32)
    others = [(a, 0), (a.astype(np.float64), 1), (np.zeros((3, 2, 3), np.float32), 1), (np.zeros(3, np.float32), 1)]
    for other, transpose_b in others:
        with pytest.raises(Exception, match="do not fit|wants two matrices"):
            road("matmul", [a, other], (2, 2), (0, transpose_b))
