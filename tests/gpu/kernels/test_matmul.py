"""Matrix products on the emulator, against the CPU's kernel."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device
from cymx.gpu.recipes.matmul import tiling

# Of 1 + |c|: sums in another order, in the type that the CPU sums in.
TOLERANCE = {"float32": 1e-5, "float64": 1e-13, "float16": 1e-2, "bfloat16": 4e-2}
FEW, MANY = Device(n_sm=1), Device(n_sm=16)


def check(batches, m, n, k, transposes=(0, 0), dtype="float32", device=FEW, **settings):
    """Compare a product of `batches` matrices (of c, of a, of b)."""
    rng = np.random.default_rng(k)
    batch, a_batch, b_batch = batches
    shapes = [(a_batch, *((k, m) if transposes[0] else (m, k))), (b_batch, *((n, k) if transposes[1] else (k, n)))]
    scale = 1 if dtype in TOLERANCE else 40
    a, b = ((rng.standard_normal(s) * scale).astype(np.int64 if scale > 1 else np.float64) for s in shapes)
    a, b = a.astype(NUMPY_DTYPES[dtype]), b.astype(NUMPY_DTYPES[dtype])
    settings = {"tolerance": TOLERANCE.get(dtype, 0), "device": device, **settings}
    compare_row("matmul", [a, b], [((batch, m, n), a.dtype)], transposes, **settings)


@pytest.mark.parametrize("transposes", ((0, 0), (0, 1), (1, 0), (1, 1)))
def test_tiles_of_every_size(transposes):
    check((1, 1, 1), 150, 130, 36, transposes)
    check((2, 2, 1), 37, 45, 50, transposes, device=MANY)
    assert tiling(1, 150, 130, 36, "float32", FEW).tile == 128


@pytest.mark.parametrize("dtype", ("float64", "float16", "bfloat16", "uint8", "int8", "int32", "int64"))
def test_dtypes(dtype):
    check((2, 1, 2), 33, 20, 37, (0, 1), dtype)


@pytest.mark.parametrize("dtype", ("float32", "float16", "int32"))
def test_a_long_depth_is_cut_into_parts(dtype):
    assert tiling(1, 5, 7, 2000, dtype, MANY).n_parts > 1
    check((1, 1, 1), 5, 7, 2000, (1, 0), dtype, MANY, **({"tolerance": 1e-4} if dtype == "float32" else {}))


def test_views_vectors_and_nothing():
    check((1, 1, 1), 40, 36, 20, misaligned=True)
    check((3, 3, 3), 1, 9, 5)
    check((1, 1, 1), 6, 1, 5)
    check((2, 2, 2), 3, 4, 0)
    assert run_row("matmul", [np.zeros((0, 3)), np.zeros((3, 2))], [((0, 2), np.float64)], (0, 0))[0].size == 0


def test_tiles_fill_the_device():
    large = tiling(1, 8192, 8192, 8192, "float32", Device(n_sm=132))
    assert (large.tile, large.n_parts, large.n_blocks) == (128, 1, 64 * 64)
    assert tiling(1, 8192, 8192, 8192, "float64", Device(n_sm=132)).tile == 64
    assert tiling(1, 64, 64, 1 << 20, "float32", Device(n_sm=132)).n_blocks >= 132


def test_what_does_not_fit_is_refused():
    a = np.zeros((2, 3), np.float32)
    with pytest.raises(MXNetError, match="do not fit each other"):
        run_row("matmul", [a, a], [((2, 3), np.float32)], (0, 0))
    with pytest.raises(MXNetError, match="bool"):
        run_row("matmul", [a > 0, a.T > 0], [((2, 2), np.bool_)], (0, 0))
