"""layer_norm on the emulator, against the CPU's kernel."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device

# Of 1 + |y|: a few units in the last place, for sums in another order.
TOLERANCE = {"float32": 4e-6, "float64": 8e-15, "float16": 4e-3, "bfloat16": 3e-2}
SMALL = Device(n_sm=1)


def operands(shape, dtype, axis, seed=0):
    """Return x, gamma and beta, and the outputs' types."""
    rng, dtype = np.random.default_rng(seed), NUMPY_DTYPES[dtype]
    arrays = [rng.standard_normal(s).astype(dtype) for s in (shape, shape[axis], shape[axis])]
    small = tuple(1 if i == axis else n for i, n in enumerate(shape))
    return arrays, [(shape, dtype), (small, dtype), (small, dtype)]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_rows_of_a_warp(dtype):
    arrays, outs = operands((9, 77), dtype, 1)
    compare_row("layer_norm", arrays, outs, (1, 1e-5), tolerance=TOLERANCE[dtype], device=SMALL)


@pytest.mark.parametrize("n", (1, 4, 130, 1000, 1030, 17000, 33000))
def test_rows_of_every_length(n):
    arrays, outs = operands((5 if n < 2000 else 1, n), "float32", 1, n)
    compare_row("layer_norm", arrays, outs, (1, 1e-3), tolerance=TOLERANCE["float32"])


def test_what_is_no_number_stays_in_its_row():
    arrays, outs = operands((4, 70), "float32", 1)
    arrays[0][1, 3], arrays[0][2, 69] = np.nan, np.inf
    y, mean, std = compare_row("layer_norm", arrays, outs, (1, 1e-5), tolerance=TOLERANCE["float32"])
    assert np.isnan(y[1:3]).all() and np.isfinite(y[[0, 3]]).all()
    assert np.isnan(mean[1]) and mean[2] == np.inf and np.isnan(std[1:3]).all()


def test_views_and_rows_that_no_vector_fits():
    arrays, outs = operands((3, 64), "float16", 1)
    compare_row("layer_norm", arrays, outs, (1, 1e-5), tolerance=TOLERANCE["float16"], misaligned=True)


@pytest.mark.parametrize("dtype", ("float32", "float16"))
@pytest.mark.parametrize("shape", ((2, 5, 3), (1, 100, 40), (3, 600, 2)))
def test_columns(shape, dtype):
    arrays, outs = operands(shape, dtype, 1)
    compare_row("layer_norm", arrays, outs, (1, 1e-5), tolerance=TOLERANCE[dtype], device=SMALL)


@pytest.mark.parametrize("shape", ((6, 200), (3, 20, 7)))
def test_the_output_may_be_the_input(shape):
    arrays, outs = operands(shape, "float32", 1)
    apart = run_row("layer_norm", arrays, outs, (1, 1e-5))
    same = run_row("layer_norm", arrays, outs, (1, 1e-5), in_place={0: 0})
    assert [x.tobytes() for x in same] == [x.tobytes() for x in apart]


@pytest.mark.parametrize("shape", ((0, 3), (4, 2, 0)))
def test_nothing(shape):
    arrays, outs = operands(shape, "float32", 1)
    assert run_row("layer_norm", arrays, outs, (1, 1e-5))[0].shape == shape


def test_what_does_not_fit_is_refused():
    arrays, outs = operands((2, 3), "float32", 1)
    with pytest.raises(MXNetError, match="axis is 2, expected 0 to 1"):
        run_row("layer_norm", arrays, outs, (2, 1e-5))
    with pytest.raises(MXNetError, match=r"\[2, 3, 6\] elements, expected \[3, 3, 6\]"):
        run_row("layer_norm", [arrays[0], arrays[1][:2], arrays[2]], outs, (1, 1e-5))
