"""Random numbers and arange on the emulator, against the CPU's kernels: the same words, so the same numbers."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device

FLOATS = ("float32", "float64", "float16", "bfloat16")
STATE = {"seed": 0x123456789ABCDEF0, "counter": (1 << 32) - 5}
SMALL = Device(n_sm=1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform(dtype):
    compare_row("random_uniform", [], [((1003,), NUMPY_DTYPES[dtype])], (-1.0, 3.0), tolerance=1e-7, **STATE)


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal(dtype):
    # The logarithm and the sine are CUDA's own there, the host's here.
    tolerance = {"float32": 2e-6, "float64": 1e-14, "float16": 1e-3, "bfloat16": 1e-2}[dtype]
    compare_row("random_normal", [], [((17, 59), NUMPY_DTYPES[dtype])], (1.0, 2.0), tolerance=tolerance, **STATE)


@pytest.mark.parametrize("dtype", ("float32", "float16", "uint8", "int64", "bool"))
def test_bernoulli(dtype):
    compare_row("random_bernoulli", [], [((1001,), NUMPY_DTYPES[dtype])], (0.3, 0.0), **STATE)


@pytest.mark.parametrize("dtype", ("float32", "int8", "int32", "int64"))
def test_randint(dtype):
    compare_row("random_randint", [], [((1001,), NUMPY_DTYPES[dtype])], (-5.0, 90.0), **STATE)


def test_few_threads_and_views_make_the_same_numbers():
    for n in (1, 5, 9000):
        compare_row("random_bernoulli", [], [((n,), np.float32)], (0.5, 0.0), device=SMALL, misaligned=True, **STATE)


@pytest.mark.parametrize("dtype", ("float32", "float64", "bfloat16", "int32", "int64"))
@pytest.mark.parametrize("repeat", (1, 3))
def test_arange(dtype, repeat):
    compare_row("arange", [], [((1000,), NUMPY_DTYPES[dtype])], (1.5, 0.3, repeat))


def test_nothing():
    for row, params in (("random_normal", (0.0, 1.0)), ("arange", (0.0, 1.0, 1))):
        assert run_row(row, [], [((0, 4), np.float32)], params)[0].size == 0


@pytest.mark.parametrize(
    ("row", "dtype", "params"),
    (
        ("random_uniform", "int32", (0.0, 1.0)),
        ("random_normal", "bool", (0.0, 1.0)),
        ("random_bernoulli", "float32", (1.5, 0.0)),
        ("random_randint", "int32", (3.0, 3.0)),
        ("random_randint", "int32", (0.0, 2.0**54)),
        ("arange", "float32", (0.0, 1.0, 0)),
    ),
)
def test_what_has_no_meaning_is_refused(row, dtype, params):
    with pytest.raises(MXNetError, match=row):
        run_row(row, [], [((4,), NUMPY_DTYPES[dtype])], params)
