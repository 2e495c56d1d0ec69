"""Convolution kernels against a sum over taps in float64, on every road."""

import itertools

import numpy as np
import pytest
from kernels.nn_support import CONVOLUTIONS, FLOATS, assert_close, convolution, random, threads, to_last

from cymx import _ops


def taps(case, x, y):
    """Yield every tap with the view of padded x (N, G, C/G, *P) that it multiplies."""
    size, c, _, kernel, stride, dilate, lo, hi, groups = case
    wide = x.reshape(x.shape[0], groups, c // groups, *size)
    wide = np.pad(wide, [(0, 0)] * 3 + list(zip(lo, hi, strict=True)))
    for tap in itertools.product(*map(range, kernel)):
        per_dimension = zip(tap, dilate, y[2:], stride, strict=True)
        window = [slice(t * d, t * d + (p - 1) * s + 1, s) for t, d, p, s in per_dimension]
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
    wg = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    dw = np.zeros(wg.shape)
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


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_forward_and_both_gradients(road, name):
    rng = np.random.default_rng(len(name))
    case = CONVOLUTIONS[name]
    xs, ws, ys, params = convolution(case)
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


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_channels_last_residual_and_relu(road, name):
    rng = np.random.default_rng(len(name))
    case = CONVOLUTIONS[name]
    xs, ws, ys, params = convolution(case)
    last = (*params[:-6], 1, *params[-5:])
    finished = (*last[:-2], 1, 1)
    for dtype in FLOATS:
        x, w, dy, residual = (random(rng, shape, dtype) for shape in (xs, ws, ys, ys))
        bias = random(rng, ws[:1], dtype)
        x64, w64, dy64, r64 = (v.astype(np.float64) for v in (x, w, dy, residual))
        y = forward(case, x64, w64, ys)
        dx, dw = backward(case, x64, w64, dy64)
        xl, dyl, rl = to_last(x), to_last(dy), to_last(residual)
        assert_close(road("conv_fwd", [xl, w], dyl.shape, last), to_last(y), what=str(dtype))
        assert_close(road("conv_bwd_data", [dyl, w], xl.shape, last), to_last(dx), what=str(dtype))
        assert_close(road("conv_bwd_weight", [dyl, xl], ws, last), dw, what=str(dtype))
        y += bias.astype(np.float64).reshape(-1, *[1] * (y.ndim - 2)) + r64
        assert_close(
            road("conv_fwd", [xl, w, bias, rl], dyl.shape, finished), to_last(np.maximum(y, 0)), what=str(dtype)
        )
        first = (*params[:-2], 1, 1)
        assert_close(road("conv_fwd", [x, w, bias, residual], ys, first), np.maximum(y, 0), what=str(dtype))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_packed_weights(road, name):
    rng = np.random.default_rng(len(name))
    xs, ws, ys, params = convolution(CONVOLUTIONS[name])
    for dtype in FLOATS:
        for last in (0, 1):
            x, w = random(rng, xs, dtype), random(rng, ws, dtype)
            settings = (*params[:-6], last, *params[-5:])
            x_shape, y_shape = ((s[0], *s[2:], s[1]) if last else s for s in (xs, ys))
            launch = (*settings, *x_shape, *y_shape)
            n_bytes = _ops.conv_weight_bytes(launch, ws, dtype.name) or w.nbytes
            packed = np.empty(n_bytes, np.uint8)
            _ops.launch("conv_weights", [w], [packed], launch)
            image = to_last(x) if last else x
            wanted = road("conv_fwd", [image, w], y_shape, settings)
            assert_close(road("conv_fwd", [image, packed], y_shape, settings), wanted.astype(np.float64))


def test_empty_batch_gives_empty_outputs_and_a_zero_weight_gradient(road):
    xs, ws, ys, params = convolution(CONVOLUTIONS["2d"], batch=0)
    x, w, dy = np.zeros(xs, np.float32), np.ones(ws, np.float32), np.zeros(ys, np.float32)
    assert road("conv_fwd", [x, w], ys, params).shape == ys
    assert road("conv_bwd_data", [dy, w], xs, params).shape == xs
    assert not road("conv_bwd_weight", [dy, x], ws, params).any()


def test_long_batches_sum_like_short_ones(road):
    """The weight gradient splits its long sum; the pieces must meet."""
    case = ((8, 8), 3, 5, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1)
    xs, ws, ys, params = convolution(case, batch=70)
    rng = np.random.default_rng(3)
    for dtype in FLOATS:
        x, dy = random(rng, xs, dtype), random(rng, ys, dtype)
        _, dw = backward(case, x.astype(np.float64), np.zeros(ws), dy.astype(np.float64))
        assert_close(road("conv_bwd_weight", [dy, x], ws, params), dw, what=str(dtype))


def test_refuses_shapes_that_do_not_fit(road):
    xs, ws, ys, params = convolution(CONVOLUTIONS["2d"])
    x, w = np.zeros(xs, np.float32), np.zeros(ws, np.float32)
    with pytest.raises(Exception, match="do not fit"):
        road("conv_fwd", [x, w], (*ys[:-1], ys[-1] + 1), params)
    with pytest.raises(Exception, match="do not fit"):
        road("conv_fwd", [x, w.astype(np.float64)], ys, params)


def test_leaves_filters_with_channels_last_to_gpus(road):
    x, w, params = np.zeros((1, 5, 5, 3), np.float32), np.zeros((3, 3, 3, 3), np.float32), [2, *[1] * 6, *[0] * 6, 1]
    road("conv_fwd", [x, w], (1, 3, 3, 3), [*params, 1, 3, 3, 1, 0, 0])
    with pytest.raises(Exception, match="do not fit"):
        road("conv_fwd", [x, w], (1, 3, 3, 3), [*params, 2, 3, 3, 1, 0, 0])


def test_the_same_bits_for_any_number_of_threads(portable):
    road = portable
    xs, ws, ys, params = convolution(((14, 14), 16, 24, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1), batch=4)
    rng = np.random.default_rng(0)
    x, dy = random(rng, xs, np.float32), random(rng, ys, np.float32)
    with threads(1):
        one = road("conv_bwd_weight", [dy, x], ws, params)
    with threads(3):
        assert np.array_equal(one, road("conv_bwd_weight", [dy, x], ws, params))


def channels_last(params, w_shape):
    """Return the parameters for images with their channels last and a weight of this shape."""
    return (*params[:14], 1, *w_shape[2:], *[1] * (5 - len(w_shape)), 0, 0)


@pytest.mark.parametrize("name", [n for n in CONVOLUTIONS if CONVOLUTIONS[n][-1] == 1])
def test_windows_are_what_a_weight_meets(portable, name):
    case = CONVOLUTIONS[name]
    xs, ws, ys, params = convolution(case)
    depth = int(np.prod(ws[1:]))
    rng = np.random.default_rng(len(name))
    for dtype in FLOATS:
        x, w = random(rng, xs, dtype), random(rng, ws, dtype)
        shape = (ys[0], *ys[2:], depth)
        windows = portable("conv_windows", [to_last(x)], shape, channels_last(params, ws))
        y = windows.astype(np.float64) @ w.reshape(ws[0], depth).T.astype(np.float64)
        wanted = to_last(forward(case, x.astype(np.float64), w.astype(np.float64), ys))
        np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", [n for n in CONVOLUTIONS if CONVOLUTIONS[n][-1] == 1])
def test_the_sum_of_windows_hands_back_what_they_read(portable, name):
    case = CONVOLUTIONS[name]
    xs, ws, ys, params = convolution(case)
    depth = int(np.prod(ws[1:]))
    rng = np.random.default_rng(len(name))
    for dtype in FLOATS:
        dy, w = random(rng, ys, np.float64), random(rng, ws, np.float64)
        handed = (to_last(dy) @ w.reshape(ws[0], depth)).astype(dtype)
        dx, _ = backward(case, np.zeros(xs), w, dy)
        got = portable("conv_windows_sum", [handed], (xs[0], *xs[2:], xs[1]), channels_last(params, ws))
        assert_close(got, to_last(dx), what=str(dtype))


def test_windows_refuse_shapes_that_do_not_fit(portable):
    xs, ws, ys, params = convolution(CONVOLUTIONS["2d"])
    x = np.zeros((xs[0], *xs[2:], xs[1]), np.float32)
    with pytest.raises(Exception, match="do not fit"):
        portable("conv_windows", [x], (ys[0], *ys[2:], 5), channels_last(params, ws))
