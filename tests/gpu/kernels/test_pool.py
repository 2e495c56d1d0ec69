"""Pooling and its gradient on the emulator, against the CPU's kernels."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx import _ops
from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device

MAX, AVG, SUM, LP = range(4)
# Of 1 + |y|.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14, "float16": 2e-3, "bfloat16": 2e-2}
SMALL = Device(n_sm=1)


def check(
    kind, x_size, kernel, stride, pad, *, full=False, count_pad=1, p=2, dtype="float32", channels_last=False, **more
):
    """Compare both directions on whole numbers, so that many elements tie."""
    n, rng = len(kernel), np.random.default_rng(3)
    high = [pad[d] + (stride[d] - 1 if full else 0) for d in range(n)]
    size = [(x_size[d] + pad[d] + high[d] - kernel[d]) // stride[d] + 1 for d in range(n)]

    def shape(size):
        return (2, *size, 3) if channels_last else (2, 3, *size)

    x = rng.integers(1 if kind == LP else -3, 4, shape(x_size)).astype(NUMPY_DTYPES[dtype])
    if dtype == "float32" and kind == MAX:
        x.reshape(-1)[::11], x.reshape(-1)[3::13] = np.nan, -np.inf
    three = [(*v, *(fill,) * (3 - n)) for v, fill in ((kernel, 1), (stride, 1), (pad, 0), (high, 0))]
    params = (n, kind, *(v for values in three for v in values), count_pad, p, int(channels_last))
    settings = {"tolerance": TOLERANCE[dtype] if kind > MAX else 0, "device": SMALL, **more}
    compare_row("pool_fwd", [x], [(shape(size), x.dtype)], params, **settings)
    y = np.zeros(shape(size), x.dtype)
    _ops.launch("pool_fwd", [x], [y], params)
    dy = rng.integers(-4, 5, y.shape).astype(x.dtype)
    compare_row("pool_bwd", [dy, x, y], [(x.shape, x.dtype)], params, **settings)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", (MAX, AVG, SUM, LP))
def test_kinds_and_dtypes(kind, dtype):
    check(kind, (9, 7), (3, 2), (2, 1), (1, 1), dtype=dtype)


@pytest.mark.parametrize("kind", (MAX, AVG))
def test_the_full_convention_overhangs(kind):
    for count_pad in (0, 1):
        check(kind, (8, 9), (3, 3), (3, 2), (1, 0), full=True, count_pad=count_pad)


@pytest.mark.parametrize("kind", (MAX, AVG))
def test_other_numbers_of_dimensions(kind):
    check(kind, (11,), (3,), (2,), (1,))
    check(kind, (5, 4, 6), (2, 3, 2), (2, 1, 3), (0, 1, 1))


@pytest.mark.parametrize("kind", (MAX, AVG, LP))
def test_channels_last(kind):
    check(kind, (6, 7), (3, 3), (2, 2), (1, 1), channels_last=True, misaligned=True)


@pytest.mark.parametrize("kind", (MAX, AVG))
def test_one_window_over_everything(kind):
    check(kind, (6, 5), (6, 5), (1, 1), (0, 0))


@pytest.mark.parametrize("p", (1, 3))
def test_norms(p):
    check(LP, (6, 7), (2, 2), (2, 2), (0, 0), p=p)


def test_windows_with_nothing_inside():
    check(MAX, (3, 3), (2, 2), (2, 2), (3, 3))
    check(AVG, (3, 3), (2, 2), (2, 2), (3, 3), count_pad=0)


def test_nothing_and_what_does_not_fit():
    params = (2, MAX, 2, 2, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0)
    x = np.zeros((0, 3, 4, 4), np.float32)
    assert run_row("pool_fwd", [x], [((0, 3, 2, 2), np.float32)], params)[0].size == 0
    with pytest.raises(MXNetError, match="do not fit"):
        run_row("pool_fwd", [x.reshape(3, 0, 4)], [((3, 2, 2), np.float32)], params)
