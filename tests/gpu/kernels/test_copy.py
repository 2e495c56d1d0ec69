"""Kernels that move elements against the CPU's: every element size, order of axes, step and mode; aligned and not."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from gpu.kernel_support import run_row

from cymx import _ops
from cymx.base import MXNetError
from cymx.gpu.recipes.copy import divisor

DTYPES = ["bool", "int8", "float16", "float32", "int64"]


def counted(shape, dtype):
    """Return an array whose elements tell their places apart."""
    return (np.arange(np.prod(shape, dtype=int)) % (2 if dtype == "bool" else 251)).reshape(shape).astype(dtype)


def padded(values, fill=0):
    return (*values, *[fill] * (8 - len(values)))


def same(row, inputs, shape, params=(), **settings):
    """Run a row on both and compare the bytes."""
    want = np.full(shape, 1, inputs[0].dtype)
    _ops.launch(row, inputs, [want], params)
    (got,) = run_row(row, inputs, [(shape, inputs[0].dtype)], params, **settings)
    assert got.tobytes() == want.tobytes()


def test_division_by_multiplication():
    rng = np.random.default_rng(0)
    sizes = [1, 2, 3, 5, 7, 10, 641, 2**16, 2**16 + 1, 2**30 + 3, 2**31 - 1, *rng.integers(1, 2**31, 200).tolist()]
    numbers = [0, 1, 2, 2**31 - 1, 2**31 - 2, *rng.integers(0, 2**31, 200).tolist()]
    for size in sizes:
        multiplier, shift = divisor(size)
        assert multiplier < 2**32
        for x in [*numbers, size - 1, size, 2**31 // size * size - 1]:
            low = (x * multiplier >> 32) + x
            assert low < 2**32 and low >> shift == x // size


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize("n", [0, 1, 17, 1000, 70001])
def test_copy(n, misaligned):
    for dtype in DTYPES:
        same("copy", [counted((n,), dtype)], (n,), misaligned=misaligned)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_in_every_order(dtype):
    for shape in [(), (5,), (17, 33), (3, 1, 5), (2, 3, 4, 5), (2, 1, 3, 2, 4)]:
        x = counted(shape, dtype)
        for axes in itertools.permutations(range(len(shape))):
            same("transpose", [x], x.transpose(axes).shape, padded(axes))


TILED = [
    ((128, 256), (1, 0)), ((70, 200), (1, 0)), ((3, 64, 136), (0, 2, 1)), ((9, 8, 16), (2, 0, 1)),
    ((2, 24, 3, 40), (0, 3, 2, 1)), ((2, 64, 8, 9), (0, 2, 3, 1)), ((12, 30, 64), (1, 0, 2)), ((7, 300), (1, 0)),
]  # fmt: skip


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize(("shape", "axes"), TILED, ids=str)
def test_transpose_in_tiles(shape, axes, misaligned):
    for dtype in DTYPES:
        x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 120, shape).astype(dtype)
        same("transpose", [x], x.transpose(axes).shape, padded(axes), misaligned=misaligned)


@pytest.mark.parametrize("dtype", DTYPES)
def test_concat(dtype):
    for shape in [(4,), (3, 5), (2, 3, 4), (6, 7, 32)]:
        for axis in range(len(shape)):
            lengths = (2, 0, 1, 5)
            xs = [counted((*shape[:axis], n, *shape[axis + 1 :]), dtype) for n in lengths]
            same("concat", xs, np.concatenate(xs, axis).shape, (axis,))


SLICES = [
    (np.s_[1:4], (9,)), (np.s_[::-1], (9,)), (np.s_[7:1:-2, ::3], (9, 20)), (np.s_[:, 5:6], (9, 20)),
    (np.s_[2:2], (9,)), (np.s_[1:, ::2, ::-1], (4, 5, 6)), (np.s_[:, :, 16:], (4, 5, 80)),
    (np.s_[::2, :, ::4], (4, 5, 20)), (np.s_[0:1, 0:1], (3, 3)), (np.s_[1:3, 2:], (4, 6, 16)), (np.s_[:], (50,)),
]  # fmt: skip


@pytest.mark.parametrize(("where", "shape"), SLICES, ids=str)
def test_slice_and_back(where, shape):
    for dtype in DTYPES:
        x = counted(shape, dtype)
        part = np.ascontiguousarray(x[where])
        ranges = [s.indices(n) for s, n in zip(where if isinstance(where, tuple) else (where,), shape, strict=False)]
        ranges += [(0, n, 1) for n in shape[len(ranges) :]]
        params = (*padded([r[0] for r in ranges]), *padded([r[2] for r in ranges], 1))
        for misaligned in (False, True):
            same("slice", [x], part.shape, params, misaligned=misaligned)
            same("slice_scatter", [part], shape, params, misaligned=misaligned)


PADS = [
    ((5,), (2,), (3,)), ((3, 4, 5), (0, 1, 2), (1, 0, 4)), ((1, 6), (2, 3), (0, 9)),
    ((2, 3, 4, 5), (0, 0, 1, 1), (0, 0, 1, 2)),
]  # fmt: skip


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("dtype", [*DTYPES, "uint8", "bfloat16"])
def test_pad(mode, dtype):
    for shape, lo, hi in PADS:
        x = counted(shape, ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        out = tuple(n + a + b for n, a, b in zip(shape, lo, hi))
        for value in (0.0, 1.0, 3.3):
            same("pad", [x], out, (mode, *padded(lo), value))


def test_pad_of_nothing():
    x = np.zeros((0, 3), np.float32)
    same("pad", [x], (2, 3), (0, *padded((2,)), 7.0))
    same("pad", [x], (0, 3), (0, *padded((0,)), 7.0))
    with pytest.raises(MXNetError, match="nothing that mode 'edge' could repeat"):
        run_row("pad", [x], [((2, 3), "float32")], (1, *padded((2,)), 7.0))
