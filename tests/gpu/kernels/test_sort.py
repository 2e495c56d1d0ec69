"""sort on the emulator, against the CPU's kernel, to the bit."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device
from cymx.gpu.recipes.sort import TILE, passes

DTYPES = ("float32", "float64", "float16", "bfloat16", "uint8", "int8", "int32", "int64", "bool")
SMALL = Device(n_sm=1)


def numbers(shape, dtype):
    """Return numbers with many ties, and, of floats, zeros of both signs, infinities and nans of both signs."""
    x = np.random.default_rng(1).standard_normal(shape) * 20
    if dtype == "bool":
        return x > 0
    if not dtype.startswith(("float", "bfloat")):
        return (abs(x) if dtype == "uint8" else x).astype(dtype)
    flat = x.reshape(-1)
    flat[::7], flat[1::5], flat[2::9], flat[3::11], flat[4::13] = np.nan, 0.0, -0.0, np.inf, -np.inf
    flat[5::17] = -np.float64(np.nan)
    return x.astype(NUMPY_DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_short_rows(dtype):
    x = numbers((3, 77), dtype)
    for ascending in (0, 1):
        compare_row("sort", [x], [((3, 50), x.dtype), ((3, 50), np.int64)], (ascending, 50), device=SMALL)


@pytest.mark.parametrize("k", (2 * TILE + 100, 1500, 7))
@pytest.mark.parametrize("dtype", ("float32", "int64"))
def test_long_rows(dtype, k):
    x = numbers((2, 2 * TILE + 100), dtype)
    compare_row("sort", [x], [((2, k), x.dtype), ((2, k), np.int64)], (1, k))


def test_one_tile_and_other_indices():
    x = numbers((TILE,), "float32")
    compare_row("sort", [x], [(x.shape, x.dtype), (x.shape, np.float32)], (0, TILE), misaligned=True)


def test_few_items_go_on_where_few_are_wanted():
    assert [p.n for p in passes(1 << 20, 5)] == [1 << 20, 2560, 10]
    assert [p.kept for p in passes(1 << 20, 1 << 20)] == [1 << 20] * 10
    assert passes(3, 2) == [(False, 3, 3, 2)]


def test_scalars_and_nothing():
    compare_row("sort", [np.float32(3).reshape(())], [((1,), np.float32), ((1,), np.int64)], (1, 1))
    for shape, k in (((0, 4), 2), ((3, 4), 0), ((3, 0), 0)):
        made = run_row(
            "sort", [np.zeros(shape, np.int32)], [((shape[0], k), np.int32), ((shape[0], k), np.int64)], (1, k)
        )
        assert made[0].size == 0


def test_more_than_there_is_is_refused():
    with pytest.raises(MXNetError, match="k is 5, expected 0 to 4"):
        run_row("sort", [np.zeros((2, 4), np.int32)], [((2, 5), np.int32), ((2, 5), np.int64)], (1, 5))
