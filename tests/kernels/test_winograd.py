"""Winograd's convolution against a sum over taps in float64, on every instruction set."""

import numpy as np
import pytest
from kernels.nn_support import random, threads

from cymx import _ops

FLOAT = np.dtype(np.float32)
# image, channels, filters, padding: remainders of tiles, of vectors and of panels; one pixel; no margin and a wide one
CASES = {
    "whole tiles": ((8, 12), 32, 32, (1, 1)),
    "remainders": ((9, 7), 19, 37, (1, 1)),
    "no padding": ((11, 6), 5, 3, (0, 0)),
    "uneven padding": ((5, 10), 16, 33, (2, 0)),
    "one pixel": ((1, 1), 7, 65, (1, 1)),
    "many tiles": ((37, 43), 6, 16, (1, 1)),
    "many channels": ((6, 6), 130, 70, (1, 1)),
}


def reference(x, w, pad):
    """Return y (N, P, Q, O) and the sum of the products' sizes, which bounds what rounding does."""
    wide = np.pad(x.astype(np.float64), [(0, 0), (pad[0],) * 2, (pad[1],) * 2, (0, 0)])
    w = w.astype(np.float64)
    p, q = wide.shape[1] - 2, wide.shape[2] - 2
    windows = [(wide[:, i : i + p, j : j + q], w[:, :, i, j].T) for i in range(3) for j in range(3)]
    return sum(v @ t for v, t in windows), sum(np.abs(v) @ np.abs(t) for v, t in windows)


def transformed(w, tile, turned=False):
    inputs, outputs = (w.shape[0], w.shape[1]) if turned else (w.shape[1], w.shape[0])
    u = np.full(((tile + 2) ** 2, -(-outputs // 32), inputs, 32), np.nan, FLOAT)
    _ops.launch("winograd_weights", [w], [u], (tile, 0, 0, 0, 0, int(turned)))
    return u


def convolve(inputs, tile, pad, residual=False, relu=False, filters=0, in_scratch=False):
    n, h, w, _ = inputs[0].shape
    y = np.full((n, h + 2 * pad[0] - 2, w + 2 * pad[1] - 2, filters), np.nan, FLOAT)
    params = (tile, *pad, int(residual), int(relu), 0)
    scratch_bytes = wanted_scratch(inputs, y, params) if in_scratch else 0
    _ops.launch("winograd_fwd", inputs, [y], params, scratch_bytes=scratch_bytes)
    return y


def wanted_scratch(inputs, y, params):
    ins, outs = ([(a.shape, a.dtype.name) for a in arrays] for arrays in (inputs, [y]))
    return _ops.scratch_bytes("winograd_fwd", params, ins, outs)


def assert_near(got, want, scale):
    error = np.abs(got - want).max(initial=0)
    assert error <= 2e-6 * scale.max(initial=1), error


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_forward(portable, name, tile):
    size, c, o, pad = CASES[name]
    rng = np.random.default_rng(c)
    x, w = random(rng, (3, *size, c), FLOAT), random(rng, (o, c, 3, 3), FLOAT)
    y, scale = reference(x, w, pad)
    bias, residual, u = random(rng, (o,), FLOAT), random(rng, y.shape, FLOAT), transformed(w, tile)
    assert_near(convolve([x, u], tile, pad, filters=o), y, scale)
    assert_near(convolve([x, u, bias], tile, pad, filters=o), y + bias, scale)
    assert_near(convolve([x, u, residual], tile, pad, residual=True, filters=o), y + residual, scale)
    finished = convolve([x, u, bias, residual], tile, pad, residual=True, relu=True, filters=o)
    assert_near(finished, np.maximum(y + bias + residual, 0), scale)


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_turned_weights_give_the_gradient_by_the_input(portable, name, tile):
    size, c, o, pad = CASES[name]
    rng = np.random.default_rng(o)
    dy_shape = (2, size[0] + 2 * pad[0] - 2, size[1] + 2 * pad[1] - 2, o)
    dy, w = random(rng, dy_shape, FLOAT), random(rng, (o, c, 3, 3), FLOAT)
    back = tuple(2 - n for n in pad)
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
    dx, scale = reference(dy, turned, back)
    got = convolve([dy, transformed(w, tile, turned=True)], tile, back, filters=c)
    assert got.shape == (2, *size, c)
    assert_near(got, dx, scale)
    np.testing.assert_array_equal(transformed(w, tile, turned=True), transformed(turned, tile))


def test_unused_columns_of_a_weight_are_zeros(portable):
    u = transformed(random(np.random.default_rng(0), (35, 4, 3, 3), FLOAT), 4)
    assert u.shape == (36, 2, 4, 32)
    assert not u[:, 1, :, 3:].any()
    assert np.isfinite(u).all()


@pytest.mark.parametrize("shape", [(1, 9, 70, 24), (5, 30, 30, 24)])
def test_the_same_bits_for_any_number_of_threads(portable, shape):
    rng = np.random.default_rng(1)
    x, w = random(rng, shape, FLOAT), random(rng, (70, 24, 3, 3), FLOAT)
    answers = []
    for n in (1, 2, 3):
        with threads(n):
            answers.append(convolve([x, transformed(w, 4)], 4, (1, 1), filters=70))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_works_in_the_scratch_that_it_asks_for(portable):
    rng = np.random.default_rng(1)
    x, u = random(rng, (2, 12, 12, 24), FLOAT), transformed(random(rng, (70, 24, 3, 3), FLOAT), 4)
    y = convolve([x, u], 4, (1, 1), filters=70)
    assert wanted_scratch([x, u], y, (4, 1, 1, 0, 0, 0)) > 36 * 2 * 9 * (24 + 70) * 4
    np.testing.assert_array_equal(convolve([x, u], 4, (1, 1), filters=70, in_scratch=True), y)
    assert wanted_scratch([x, u], y[..., :5].copy(), (4, 1, 1, 0, 0, 0)) == 0  # what does not fit is refused when run


def test_not_a_number_passes_relu(portable):
    x, w = np.ones((1, 8, 8, 4), FLOAT), np.ones((4, 4, 3, 3), FLOAT)
    x[0, 0, 0, 0] = np.nan
    y = convolve([x, transformed(w, 4)], 4, (1, 1), relu=True, filters=4)
    assert np.isnan(y[0, :2, :2]).all()
    assert np.isfinite(y[0, 4:, 4:]).all()


def test_an_empty_batch_gives_nothing(portable):
    w = np.ones((4, 4, 3, 3), FLOAT)
    assert convolve([np.ones((0, 5, 5, 4), FLOAT), transformed(w, 4)], 4, (1, 1), filters=4).shape == (0, 5, 5, 4)


def test_refuses_shapes_and_types_that_do_not_fit(portable):
    x, w = np.ones((1, 6, 6, 4), FLOAT), np.ones((4, 4, 3, 3), FLOAT)
    u = transformed(w, 4)
    with pytest.raises(Exception, match="do not fit"):
        convolve([x, u], 2, (1, 1), filters=4)
    with pytest.raises(Exception, match="do not fit"):
        convolve([x, u, np.ones(5, FLOAT)], 4, (1, 1), filters=4)
    with pytest.raises(Exception, match="do not fit"):
        convolve([x.astype(np.float64), u], 4, (1, 1), filters=4)
    with pytest.raises(Exception, match="do not fit"):
        _ops.launch("winograd_weights", [w[:, :, :2].copy()], [u], (4, 0, 0, 0, 0, 0))
