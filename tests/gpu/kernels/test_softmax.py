"""softmax and log_softmax on the emulator, against the CPU's kernel."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device

# Of 1 + |y|: a few units in the last place, for sums in another order.
TOLERANCE = {"float32": 1e-6, "float64": 2e-15, "float16": 1e-3, "bfloat16": 8e-3}
SMALL = Device(n_sm=1)


def logits(shape, dtype, seed=0):
    """Return numbers among which whole rows are -inf, or hold a nan or inf."""
    x = (np.random.default_rng(seed).standard_normal(shape) * 3).astype(NUMPY_DTYPES[dtype])
    rows = x.reshape(-1, shape[-1])
    if len(rows) > 4:
        rows[1, ::2], rows[2], rows[3, 0], rows[4, -1] = -np.inf, -np.inf, np.nan, np.inf
    return x


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("row", ("softmax", "log_softmax"))
def test_rows_of_a_warp(row, dtype):
    x = logits((9, 77), dtype)
    compare_row(row, [x], [(x.shape, x.dtype)], (1,), tolerance=TOLERANCE[dtype], device=SMALL)


@pytest.mark.parametrize("n", (1, 4, 130, 1000, 1030, 17000, 33000))
def test_rows_of_every_length(n):
    x = logits((5 if n < 2000 else 1, n), "float32", n)
    compare_row("softmax", [x], [(x.shape, x.dtype)], (1,), tolerance=TOLERANCE["float32"])


def test_long_rows_with_infinities():
    x = logits((6, 33000), "float32")[1:5]
    compare_row("log_softmax", [x], [(x.shape, x.dtype)], (1,), tolerance=TOLERANCE["float32"])


def test_views_and_rows_that_no_vector_fits():
    x = logits((3, 64), "float16")
    compare_row("softmax", [x], [(x.shape, x.dtype)], (1,), tolerance=TOLERANCE["float16"], misaligned=True)


@pytest.mark.parametrize("shape", ((2, 5, 3), (1, 100, 40), (3, 600, 2)))
@pytest.mark.parametrize("row", ("softmax", "log_softmax"))
def test_columns(row, shape):
    x = logits(shape, "float32")
    compare_row(row, [x], [(x.shape, x.dtype)], (1,), tolerance=TOLERANCE["float32"], device=SMALL)


def test_the_output_may_be_the_input():
    x = logits((6, 200), "float32")
    apart = run_row("softmax", [x], [(x.shape, x.dtype)], (1,))
    (same,) = run_row("softmax", [x], [(x.shape, x.dtype)], (1,), in_place={0: 0})
    assert same.tobytes() == apart[0].tobytes()


@pytest.mark.parametrize(("shape", "axis"), (((0, 3), 1), ((3, 0), 1), ((4, 0, 2), 0)))
def test_nothing(shape, axis):
    assert run_row("softmax", [np.zeros(shape, np.float32)], [(shape, np.float32)], (axis,))[0].shape == shape


def test_what_does_not_fit_is_refused():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(MXNetError, match="axis is 2, expected 0 to 1"):
        run_row("softmax", [x], [(x.shape, x.dtype)], (2,))
    with pytest.raises(MXNetError, match="int32"):
        run_row("softmax", [x.astype(np.int32)], [(x.shape, np.int32)], (1,))
