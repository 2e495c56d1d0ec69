"""Convolutions and their gradients on the emulator, against the CPU's kernels."""

from dataclasses import dataclass

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx import _ops
from cymx.base import NUMPY_DTYPES, MXNetError
from cymx.gpu.recipe import Device

# Of 1 + |y|: sums in another order; 16-bit residuals are added before the one rounding, and after one on the CPU.
TOLERANCE = {"float32": 1e-4, "float64": 1e-12, "float16": 2e-2, "bfloat16": 1.5e-1}
FEW, MANY = Device(n_sm=1), Device(n_sm=40)


@dataclass
class Case:
    """A convolution.   c, o: channels of one group."""

    size: tuple
    kernel: tuple
    stride: tuple
    dilate: tuple
    pad: tuple
    batch: int = 2
    groups: int = 1
    c: int = 3
    o: int = 4
    last: bool = False
    bias: bool = True
    residual: bool = False
    relu: bool = False
    dtype: str = "float32"

    def block(self, residual=False, relu=False):
        n = len(self.size)
        lists = ((self.stride, 1), (self.dilate, 1), (self.pad, 0), (self.pad, 0))
        three = [v for values, fill in lists for v in (*values, *(fill,) * (3 - n))]
        kernel = (*self.kernel, *(1,) * (3 - n))
        return (n, *three, self.groups, int(self.last), *kernel, int(residual), int(relu))

    def image(self, channels, size):
        return (self.batch, *size, channels) if self.last else (self.batch, channels, *size)


def operands(case):
    """Return an image, a weight, an output's gradient, and a bias and a residual where the case has them."""
    rng = np.random.default_rng(5)
    zipped = zip(case.size, case.kernel, case.stride, case.dilate, case.pad)
    size = [(n + 2 * pad - (k - 1) * d - 1) // s + 1 for n, k, s, d, pad in zipped]

    def draw(shape):
        return rng.standard_normal(shape).astype(NUMPY_DTYPES[case.dtype])

    x, dy = draw(case.image(case.groups * case.c, case.size)), draw(case.image(case.groups * case.o, size))
    w = draw((case.groups * case.o, case.c, *case.kernel))
    return x, w, dy, [draw(case.groups * case.o)] * case.bias + [draw(dy.shape)] * case.residual


def check(case, device=FEW, **settings):
    """Compare all three directions."""
    x, w, dy, more = operands(case)
    settings = {"tolerance": TOLERANCE[case.dtype], "device": device, **settings}
    compare_row("conv_fwd", [x, w, *more], [(dy.shape, x.dtype)], case.block(case.residual, case.relu), **settings)
    compare_row("conv_bwd_data", [dy, w], [(x.shape, x.dtype)], case.block(), **settings)
    compare_row("conv_bwd_weight", [dy, x], [(w.shape, x.dtype)], case.block(), **settings)


SQUARE = ((9, 8), (3, 3), (1, 1), (1, 1), (1, 1))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_dtypes(dtype):
    check(Case((7, 6), (3, 3), (1, 2), (1, 1), (1, 1), dtype=dtype, residual=True, relu=True))
    check(Case((7, 6), (3, 3), (1, 2), (1, 1), (1, 1), dtype=dtype, groups=4, c=1, o=1))


@pytest.mark.parametrize(
    "case",
    (
        Case((9, 8), (3, 2), (2, 3), (1, 1), (1, 0)),
        Case((11, 12), (3, 3), (2, 2), (2, 3), (2, 1)),
        Case((11, 12), (2, 3), (4, 2), (2, 4), (2, 1), c=5),
        Case((9, 9), (1, 1), (2, 2), (1, 1), (0, 0), bias=False),
        Case((10,), (4,), (3,), (1,), (2,)),
        Case((5, 4, 6), (2, 3, 2), (2, 1, 2), (1, 1, 2), (1, 0, 1)),
    ),
    ids=str,
)
def test_strides_dilations_and_dimensions(case):
    check(case)


@pytest.mark.parametrize("last", (False, True))
def test_groups_and_channels_last(last):
    check(Case(*SQUARE, groups=2, c=5, o=3, last=last, residual=True, relu=True))
    check(Case((9, 8), (3, 3), (2, 1), (1, 2), (1, 1), groups=3, c=1, o=2, last=last, residual=True, relu=True))
    check(Case((9,), (3,), (2,), (1,), (1,), groups=2, c=3, o=1, last=last))


def last_filter(w):
    return np.ascontiguousarray(np.moveaxis(w, 1, -1))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", ({"groups": 2, "c": 5, "o": 3}, {"groups": 3, "c": 1, "o": 2}, {"c": 40, "o": 9}))
def test_filters_last(dtype, sizes):
    """The weight is turned in scratch, beside the parts of a sum; the CPU is given it channels first."""
    case = Case((9, 8), (3, 2), (2, 1), (1, 1), (1, 0), last=True, dtype=dtype, **sizes)
    x, w, dy, more = operands(case)
    for row, (a, b), out in (
        ("conv_fwd", (x, w), dy),
        ("conv_bwd_data", (dy, w), x),
        ("conv_bwd_weight", (dy, x), w),
    ):
        forward, by_filter = row == "conv_fwd", out is w
        block, rest = case.block(), more if forward else []
        wanted = [np.zeros(out.shape, out.dtype)]
        _ops.launch(row, [a, b, *rest], wanted, block)
        shape = last_filter(w).shape if by_filter else out.shape
        block = (*block[:14], 2, *block[15:])
        inputs = [a, b if by_filter else last_filter(b), *rest]
        (y,) = run_row(row, inputs, [(shape, x.dtype)], block, device=MANY)
        y = np.moveaxis(y, -1, 1) if by_filter else y
        np.testing.assert_allclose(*(v.astype(np.float64) for v in (y, wanted[0])), *2 * [TOLERANCE[dtype]])


def test_few_outputs_are_summed_in_parts():
    check(Case((12, 12), *SQUARE[1:], batch=1, c=40, o=5, residual=True, relu=True), MANY)
    check(Case((12, 12), (3, 3), (2, 2), (1, 1), (1, 1), batch=6, c=5, o=40, last=True), MANY)


def test_large_tiles_and_views():
    check(Case((20, 20), *SQUARE[1:], batch=1, c=70, o=70, bias=False), misaligned=True)


def test_nothing_and_what_does_not_fit():
    case = Case(*SQUARE)
    x, w, y = np.zeros((0, 3, 9, 8), np.float32), np.ones((4, 3, 3, 3), np.float32), (0, 4, 9, 8)
    assert run_row("conv_fwd", [x, w], [(y, x.dtype)], case.block())[0].size == 0
    assert not run_row("conv_bwd_weight", [np.zeros(y, x.dtype), x], [(w.shape, x.dtype)], case.block())[0].any()
    with pytest.raises(MXNetError, match="do not fit each other"):
        run_row("conv_fwd", [x, w[:, :2]], [(y, x.dtype)], case.block())
    with pytest.raises(MXNetError, match="bias or residual"):
        run_row("conv_fwd", [x, w, np.zeros(5, x.dtype)], [(y, x.dtype)], case.block())
