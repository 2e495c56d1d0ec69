"""Kernels that index against the CPU's: dtypes of values and indices, modes, repeated and missing ones, many, few."""

import ml_dtypes
import numpy as np
import pytest
from gpu.kernel_support import run_row

from cymx import _ops
from cymx.base import MXNetError
from cymx.gpu import recipe
from cymx.gpu.recipes import index

CLIP, WRAP, RAISE = 0, 1, 2
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(d) for d in ("float32", "float64", "float16", "int32", "int64", "uint8", "int8", "bool")] + [
    BFLOAT16
]


def both(row, inputs, shape, params=(), dtype=None, **settings):
    """Return the outputs of the emulator and of the CPU."""
    dtype = np.dtype(dtype or inputs[0].dtype)
    want = np.full(shape, 7, dtype)
    _ops.launch(row, inputs, [want], params)
    (got,) = run_row(row, inputs, [(shape, dtype)], params, **settings)
    return got, want


def same(*args, **settings):
    got, want = both(*args, **settings)
    assert got.tobytes() == want.tobytes()


TABLES = [((6,), 0), ((5, 3), 0), ((5, 3), 1), ((2, 7, 48), 1), ((40, 64), 0)]


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_take_and_its_gradient(dtype, misaligned):
    rng = np.random.default_rng(0)
    for shape, axis in TABLES:
        x = rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
        indices = rng.integers(-9, 12, (4, 5)).astype(np.float32)
        out = (*shape[:axis], 4, 5, *shape[axis + 1 :])
        dy = rng.integers(0, 2 if dtype.kind == "b" else 5, out).astype(dtype)
        for mode in (CLIP, WRAP):
            same("take", [x, indices], out, (axis, mode), misaligned=misaligned)
            same("take_grad", [dy, indices], shape, (axis, mode), misaligned=misaligned)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_indices_of_every_dtype(dtype):
    rng = np.random.default_rng(1)
    indices = rng.integers(0, 2 if dtype.kind == "b" else 9, (3, 4)).astype(dtype)
    if dtype.kind not in "biu":
        indices[0, :4] = np.array([np.nan, -3.7, 2.9, 8]).astype(dtype)
    x = rng.standard_normal((7, 4)).astype(np.float32)
    same("take", [x, indices], (3, 4, 4), (0, WRAP))
    same("one_hot", [indices], (3, 4, 6), (5.0, 2.0), np.int32)
    same("pick", [x[:3], indices[:, 0].copy()], (3,), (1, WRAP))


@pytest.mark.parametrize("rank_sort", [0, 4096])
@pytest.mark.parametrize("kind", ["uniform", "few rows", "one row", "sorted"])
def test_gradient_of_many_takes(kind, rank_sort, monkeypatch):
    """Rows that reach over many tiles, and both ways of sorting; sums in the order of the indices, to the bit."""
    monkeypatch.setattr(index, "RANK_SORT", rank_sort)
    rng = np.random.default_rng(2)
    n, length = 3000, 700
    at = {
        "uniform": rng.integers(0, length, n),
        "few rows": rng.integers(0, 3, n) * 300,
        "one row": np.full(n, 699),
        "sorted": np.sort(rng.integers(0, length, n)),
    }[kind].astype(np.int32)
    for dtype, inner in ((np.float32, 8), (np.int64, 3)):
        dy = rng.integers(-50, 50, (n, inner)).astype(dtype)  # whole numbers add exactly in any order
        same("take_grad", [dy, at], (length, inner), (0, CLIP))


def test_gradient_sums_agree_with_those_of_the_cpu():
    rng = np.random.default_rng(3)
    dy, at = rng.standard_normal((2000, 16)).astype(np.float32), rng.integers(0, 9, 2000).astype(np.float32)
    got, want = both("take_grad", [dy, at], (30, 16), (0, CLIP))
    np.testing.assert_allclose(got, want, atol=3e-5)
    for dtype in (np.dtype(np.float16), BFLOAT16):
        got, _ = both("take_grad", [np.ones((5000, 1), dtype), np.zeros(5000, np.int32)], (2, 1), (0, CLIP))
        assert abs(float(got[0, 0]) - 5000) < 20 and got[1, 0] == 0


@pytest.mark.parametrize("length", [255, 256, 257, 70000])
def test_sorting_takes_as_many_passes_as_rows_need(length, monkeypatch):
    monkeypatch.setattr(index, "RANK_SORT", 0)
    rng = np.random.default_rng(4)
    at = np.concatenate([rng.integers(0, length, 1500), [length - 1, 0, length - 1]])
    dy = rng.integers(-9, 9, (at.size, 2)).astype(np.float32)
    same("take_grad", [dy, at], (length, 2), (0, CLIP))


@pytest.mark.parametrize("mode", [CLIP, WRAP])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pick_and_its_gradient(mode, axis):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((4, 5, 6))
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    at = rng.integers(-8, 9, shape).astype(np.float32) + np.float32(0.5)
    for dtype in DTYPES:
        same("pick", [x.astype(dtype), at], shape, (axis, mode))
        same("pick_grad", [rng.standard_normal(shape).astype(dtype), at], x.shape, (axis, mode))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_hot(dtype):
    indices = np.float32([[1, -1, 3], [0, 2, np.nan]])
    same("one_hot", [indices], (2, 3, 3), (5.0, 2.0), dtype)
    same("one_hot", [indices], (2, 3, 1), (0.1, 0.7), dtype)


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gather_nd_scatter_nd_and_gradient(dtype, misaligned):
    rng = np.random.default_rng(6)
    x = rng.integers(0, 2 if dtype.kind == "b" else 100, (4, 5, 8)).astype(dtype)
    for m in (1, 2, 3):
        at = np.stack([rng.integers(-s, s, (3, 7)) for s in x.shape[:m]]).astype(np.int32)
        shape = (3, 7, *x.shape[m:])
        same("gather_nd", [x, at], shape, misaligned=misaligned)
        dy = rng.integers(0, 2 if dtype.kind == "b" else 5, shape).astype(dtype)
        same("scatter_nd", [dy, at], x.shape, misaligned=misaligned)
        same("gather_nd_grad", [dy, at], x.shape, misaligned=misaligned)


@pytest.mark.parametrize("rank_sort", [0, 4096])
def test_coordinates_out_of_range_read_zeros_and_write_nothing(rank_sort, monkeypatch):
    monkeypatch.setattr(index, "RANK_SORT", rank_sort)
    x = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    at = np.array([[0, 3, -4, 2, 2], [1, 0, 0, -1, -1]])
    dy = np.float32([10, 20, 30, 40, 50])
    (got,) = run_row("gather_nd", [x, at], [((5,), "float32")])
    np.testing.assert_array_equal(got, [2, 0, 0, 12, 12])
    (put,) = run_row("scatter_nd", [dy, at], [((3, 4), "float32")])
    (added,) = run_row("gather_nd_grad", [dy, at], [((3, 4), "float32")])
    assert put[0, 1] == added[0, 1] == 10 and put[2, 3] == 50 and added[2, 3] == 90
    assert np.count_nonzero(put) == np.count_nonzero(added) == 2


def test_of_nothing():
    x, none = np.ones((3, 4), np.float32), np.zeros((0,), np.int32)
    same("take", [x, none], (0, 4), (0, CLIP))
    same("take_grad", [np.zeros((0, 4), np.float32), none], (3, 4), (0, CLIP))
    same("pick", [x[:, :0].copy(), none], (0,), (0, CLIP))
    same("pick_grad", [np.zeros(0, np.float32), none], (3, 0), (0, CLIP))
    same("one_hot", [none], (0, 5), (1.0, 0.0), np.float32)
    same("gather_nd", [x, np.zeros((1, 0), np.int32)], (0, 4))
    same("scatter_nd", [np.zeros((0, 4), np.float32), np.zeros((1, 0), np.int32)], (3, 4))
    same("gather_nd_grad", [np.zeros((0, 4), np.float32), np.zeros((1, 0), np.int32)], (3, 4))


def test_refuses_what_a_gpu_cannot_do():
    x, at = recipe.Tensor((2, 3), "float32"), recipe.Tensor((4,), "float32")
    for row in ("take", "pick"):
        with pytest.raises(MXNetError, match=f"{row}: mode 'raise' needs the CPU.* use 'clip' or 'wrap'"):
            recipe.find(row)(row, [x, at], [at], (0, RAISE), recipe.Device())
    with pytest.raises(MXNetError, match="take: 4 indices point into an axis of length 0"):
        recipe.find("take")("take", [recipe.Tensor((0, 3), "float32"), at], [x], (0, CLIP), recipe.Device())
    with pytest.raises(MXNetError, match="4 coordinates do not fit an array of 2"):
        recipe.find("gather_nd")("gather_nd", [x, at], [at], (), recipe.Device())
