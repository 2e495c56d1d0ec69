"""Convolution kernels against a sum over taps in float64, on every road."""

import itertools

import numpy as np
import pytest
from nn_support import FLOATS, assert_close, random, threads

# spatial, channels, filters, kernel, stride, dilate, pad_lo, pad_hi, groups
CASES = {
    "1d": ((9,), 3, 4, (3,), (1,), (1,), (1,), (1,), 1),
    "1d strided": ((31,), 2, 5, (4,), (3,), (2,), (2,), (1,), 1),
    "2d": ((7, 9), 3, 13, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    "2d pointwise": ((5, 6), 9, 8, (1, 1), (1, 1), (1, 1), (0, 0), (0, 0), 1),
    "2d strided pointwise": ((8, 7), 4, 6, (1, 1), (2, 2), (1, 1), (0, 0), (0, 0), 1),
    "2d uneven": ((11, 8), 5, 7, (3, 2), (2, 3), (1, 2), (2, 0), (1, 3), 1),
    "2d groups": ((6, 6), 6, 9, (3, 3), (2, 1), (1, 1), (1, 1), (1, 1), 3),
    "2d depthwise": ((9, 7), 8, 8, (3, 3), (1, 1), (2, 2), (2, 2), (2, 2), 8),
    "2d deep": ((5, 5), 40, 17, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    "2d stride skips rows": ((10, 10), 2, 3, (2, 2), (4, 3), (1, 1), (0, 0), (0, 0), 1),
    "3d": ((4, 5, 6), 2, 3, (3, 2, 3), (1, 2, 1), (1, 1, 2), (1, 0, 2), (0, 1, 2), 1),
    "3d groups": ((3, 4, 5), 4, 4, (2, 2, 2), (1, 1, 1), (1, 1, 1), (0, 1, 1), (1, 0, 1), 2),
}


def padded(values, fill, n=3):
    return (*values, *[fill] * (n - len(values)))


def layout(case, batch=2):
    """Return the shapes of x, w, y and the kernel's parameters."""
    size, c, o, kernel, stride, dilate, lo, hi, groups = case
    out = [(s + a + b - d * (k - 1) - 1) // t + 1 for s, a, b, d, k, t in zip(size, lo, hi, dilate, kernel, stride, strict=True)]
    params = (len(size), *padded(stride, 1), *padded(dilate, 1), *padded(lo, 0), *padded(hi, 0), groups)
    return (batch, c, *size), (o, c // groups, *kernel), (batch, o, *out), params


def taps(case, x, y):
    """Yield every tap with the view of padded x (N, G, C/G, *P) that it multiplies."""
    size, c, _, kernel, stride, dilate, lo, hi, groups = case
    wide = x.reshape(x.shape[0], groups, c // groups, *size)
    wide = np.pad(wide, [(0, 0)] * 3 + list(zip(lo, hi, strict=True)))
    for tap in itertools.product(*map(range, kernel)):
        window = [slice(t * d, t * d + (p - 1) * s + 1, s) for t, d, p, s in zip(tap, dilate, y[2:], stride, strict=True)]
        yield tap, wide, (slice(None), slice(None), slice(None), *window)


def forward(case, x, w, y_shape):
    groups, y = case[-1], 0
    wg = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    for tap, wide, at in taps(case, x, y_shape):
        y = y + np.einsum("ngc...,goc->ngo...", wide[at], wg[(..., *tap)])
    return y.reshape(y_shape)


def backward(case, x, w, dy):
    """Return dx and dw."""
    groups, lo = case[-1], case[6]
    wg, dw = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]), np.zeros(w.shape).reshape(groups, w.shape[0] // groups, *w.shape[1:])
    dyg, dwide = dy.reshape(dy.shape[0], groups, -1, *dy.shape[2:]), None
    for tap, wide, at in taps(case, x, dy.shape):
        dwide = np.zeros(wide.shape) if dwide is None else dwide
        dwide[at] += np.einsum("ngo...,goc->ngc...", dyg, wg[(..., *tap)])
        dw[(..., *tap)] = weight_tap(dyg, wide[at])
    inside = tuple(slice(a, a + s) for a, s in zip(lo, x.shape[2:], strict=True))
    return dwide[(..., *inside)].reshape(x.shape), dw.reshape(w.shape)


def weight_tap(dyg, seen):
    n, g = dyg.shape[:2]
    return np.einsum("ngop,ngcp->goc", dyg.reshape(n, g, dyg.shape[2], -1), seen.reshape(n, g, seen.shape[2], -1))


@pytest.mark.parametrize("name", CASES)
def test_forward_and_both_gradients(road, name):
    rng = np.random.default_rng(len(name))
    case = CASES[name]
    xs, ws, ys, params = layout(case)
    for dtype in FLOATS:
        x, w, dy = random(rng, xs, dtype), random(rng, ws, dtype), random(rng, ys, dtype)
        x64, w64, dy64 = (v.astype(np.float64) for v in (x, w, dy))
        bias = random(rng, ws[:1], dtype)
        y = forward(case, x64, w64, ys)
        dx, dw = backward(case, x64, w64, dy64)
        what = f"{name} {dtype}"
        assert_close(road("conv_fwd", [x, w], ys, params), y, what=what)
        with_bias = y + bias.astype(np.float64).reshape(-1, *[1] * (len(ys) - 2))
        assert_close(road("conv_fwd", [x, w, bias], ys, params), with_bias, what=what)
        assert_close(road("conv_bwd_data", [dy, w], xs, params), dx, what=what)
        assert_close(road("conv_bwd_weight", [dy, x], ws, params), dw, what=what)


def test_empty_batch_gives_empty_outputs_and_a_zero_weight_gradient(road):
    xs, ws, ys, params = layout(CASES["2d"], batch=0)
    x, w, dy = np.zeros(xs, np.float32), np.ones(ws, np.float32), np.zeros(ys, np.float32)
    assert road("conv_fwd", [x, w], ys, params).shape == ys
    assert road("conv_bwd_data", [dy, w], xs, params).shape == xs
    assert not road("conv_bwd_weight", [dy, x], ws, params).any()


def test_long_batches_sum_like_short_ones(road):
    """The weight gradient splits its long sum; the pieces must meet."""
    case = ((8, 8), 3, 5, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1)
    xs, ws, ys, params = layout(case, batch=70)
    rng = np.random.default_rng(3)
    for dtype in FLOATS:
        x, dy = random(rng, xs, dtype), random(rng, ys, dtype)
        _, dw = backward(case, x.astype(np.float64), np.zeros(ws), dy.astype(np.float64))
        assert_close(road("conv_bwd_weight", [dy, x], ws, params), dw, what=str(dtype))


def test_refuses_shapes_that_do_not_fit(road):
    xs, ws, ys, params = layout(CASES["2d"])
    x, w = np.zeros(xs, np.float32), np.zeros(ws, np.float32)
    with pytest.raises(Exception, match="do not fit"):
        road("conv_fwd", [x, w], (*ys[:-1], ys[-1] + 1), params)
    with pytest.raises(Exception, match="do not fit"):
        road("conv_fwd", [x, w.astype(np.float64)], ys, params)


def test_the_same_bits_for_any_number_of_threads(portable):
    road = portable
    xs, ws, ys, params = layout(((14, 14), 16, 24, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1), batch=4)
    rng = np.random.default_rng(0)
    x, dy = random(rng, xs, np.float32), random(rng, ys, np.float32)
    with threads(1):
        one = road("conv_bwd_weight", [dy, x], ws, params)
    with threads(3):
        assert np.array_equal(one, road("conv_bwd_weight", [dy, x], ws, params))
