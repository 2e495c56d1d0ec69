"""Pooling kernels against loops over windows, and against values that MXNet 1.9.1 gave, on every road."""

import itertools

import numpy as np
import pytest
from kernels.nn_support import FLOATS, assert_close, to_last

MAX, AVG, SUM, LP = range(4)
LOWEST = float(np.finfo(np.float32).min)

# spatial, kernel, stride, pad, full
CASES = {
    "1d": ((10,), (3,), (2,), (1,), False),
    "1d full": ((10,), (3,), (2,), (1,), True),
    "1d gaps": ((13,), (2,), (5,), (0,), True),
    "2d": ((6, 6), (2, 2), (2, 2), (0, 0), False),
    "2d overlap": ((9, 7), (3, 3), (2, 2), (1, 1), False),
    "2d uneven": ((8, 11), (3, 2), (1, 3), (1, 0), True),
    "2d overhang": ((5, 5), (2, 2), (2, 2), (1, 1), True),
    "2d global": ((4, 5), (4, 5), (1, 1), (0, 0), False),
    "2d wide": ((5, 40), (3, 3), (1, 1), (1, 1), False),
    "3d": ((4, 5, 6), (2, 3, 2), (2, 2, 1), (0, 1, 1), False),
}


def layout(case):
    """Return the output's extent, and the padding above that makes the kernels' windows fit it."""
    size, kernel, stride, pad, full = case
    room = [s + 2 * p - k for s, p, k in zip(size, pad, kernel, strict=True)]
    out = [(-(-r // t) if full else r // t) + 1 for r, t in zip(room, stride, strict=True)]
    above = [max(p, (o - 1) * t + k - s - p) for o, t, k, s, p in zip(out, stride, kernel, size, pad, strict=True)]
    return tuple(out), above


def block(case, kind, count_pad=1, p=2):
    size, kernel, stride, pad, _ = case
    fill = lambda values, with_: (*values, *[with_] * (3 - len(values)))
    return (
        len(size),
        kind,
        *fill(kernel, 1),
        *fill(stride, 1),
        *fill(pad, 0),
        *fill(layout(case)[1], 0),
        count_pad,
        p,
        0,
    )


def windows(case):
    """Yield each output's position, its window inside the image, and the window's size inside the padded image."""
    size, kernel, stride, pad, _ = case
    for at in itertools.product(*map(range, layout(case)[0])):
        lo = [o * t - p for o, t, p in zip(at, stride, pad, strict=True)]
        hi = [a + k for a, k in zip(lo, kernel, strict=True)]
        inside = tuple(slice(max(a, 0), max(min(b, s), max(a, 0))) for a, b, s in zip(lo, hi, size, strict=True))
        yield at, inside, int(np.prod([min(b, s + p) - a for a, b, s, p in zip(lo, hi, size, pad, strict=True)]))


def reference(case, kind, x, dy, count_pad, p):
    """Return y and dx."""
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for at, inside, n_padded in windows(case):
        here, out = (slice(None), slice(None), *inside), (slice(None), slice(None), *at)
        seen, g = x[here], dy[out]
        flat = seen.reshape(*seen.shape[:2], -1)
        n = flat.shape[2]
        if n == 0:
            y[out] = LOWEST if kind == MAX else 0
            continue
        column = g.reshape(*g.shape, *[1] * len(inside))
        if kind == MAX:
            y[out] = flat.max(2)
            first = np.eye(n)[flat.argmax(2)]
            dx[here] += column * first.reshape(seen.shape)
        elif kind == LP:
            y[out] = np.cbrt((flat**3).sum(2)) if p == 3 else (flat**p).sum(2) ** (1 / p)
            norm = y[out].reshape(column.shape)
            dx[here] += column * (seen / norm) ** (p - 1)
        else:
            share = 1 if kind == SUM else n_padded if count_pad else n
            y[out] = flat.sum(2) / share
            dx[here] += column / share
    return y, dx


KINDS = [(MAX, 1, 2), (AVG, 1, 2), (AVG, 0, 2), (SUM, 1, 2), (LP, 1, 1), (LP, 1, 2), (LP, 1, 3)]


@pytest.mark.parametrize("kind, count_pad, p", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradient(road, name, kind, count_pad, p):
    case = CASES[name]
    rng = np.random.default_rng(len(name))
    shape, out = (2, 3, *case[0]), (2, 3, *layout(case)[0])
    for dtype in FLOATS:
        # Ties for the maximum, no zero norms.
        x = (rng.uniform(1, 2, shape) if kind == LP else rng.integers(0, 5, shape)).astype(dtype)
        dy = rng.integers(-3, 4, out).astype(dtype)
        y, dx = reference(case, kind, x.astype(np.float64), dy.astype(np.float64), count_pad, p)
        params = block(case, kind, count_pad, p)
        got = road("pool_fwd", [x], out, params)
        keep = y != LOWEST
        assert_close(got[keep], y[keep], what=str(dtype))
        assert (got[~keep].astype(np.float64) <= -6e4).all()
        assert_close(road("pool_bwd", [dy, x, got], shape, params), dx, what=str(dtype))
        # With channels last, more of them than one strip holds.
        x, dy, got, dx = (to_last(np.concatenate([v] * 90, 1)) for v in (x, dy, got, dx))
        last = (*params[:-1], 1)
        np.testing.assert_allclose(
            road("pool_fwd", [x], got.shape, last).astype(np.float64), got.astype(np.float64), 1e-6
        )
        assert_close(road("pool_bwd", [dy, x, got], dx.shape, last), dx, what=str(dtype))


def test_values_of_mxnet(road):
    """Averages of 1 .. 25 under the 'full' convention, whose last windows lie outside the image."""
    x = np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5)
    case = CASES["2d overhang"]
    with_pad = road("pool_fwd", [x], (1, 1, 4, 4), block(case, AVG, 1))
    assert np.array_equal(with_pad[0, 0], [[0.25, 1.25, 2.25, 0], [4.25, 10, 12, 0], [9.25, 20, 22, 0], [0, 0, 0, 0]])
    without = road("pool_fwd", [x], (1, 1, 4, 4), block(case, AVG, 0))
    assert np.array_equal(without[0, 0], [[1, 2.5, 4.5, 0], [8.5, 10, 12, 0], [18.5, 20, 22, 0], [0, 0, 0, 0]])
    top = road("pool_fwd", [x], (1, 1, 4, 4), block(case, MAX))
    assert np.array_equal(top[0, 0], [[1, 3, 5, LOWEST], [11, 13, 15, LOWEST], [21, 23, 25, LOWEST], [LOWEST] * 4])


def test_the_first_maximum_takes_the_gradient(road):
    x = np.array([[[1, 3, 3, 2, 3, 3, 3, 1]]], np.float32)
    case = ((8,), (3,), (2,), (1,), True)
    dy = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    y = road("pool_fwd", [x], dy.shape, block(case, MAX))
    assert np.array_equal(road("pool_bwd", [dy, x, y], x.shape, block(case, MAX))[0, 0], [0, 3, 0, 0, 3, 4, 0, 5])


def test_not_a_number_wins_no_maximum(road):
    x = np.array([[[-1, -3, np.nan, -2, 3, 3, 3, 1]]], np.float32)
    case = ((8,), (3,), (2,), (1,), False)
    assert np.array_equal(road("pool_fwd", [x], (1, 1, 4), block(case, MAX))[0, 0], [-1, -2, 3, 3])


def test_norms_take_no_absolute_value_and_a_zero_norm_no_gradient(road):
    x = np.array([[[-1, -3, 0, -2, 3, 0, 0, 0, 0, 0]]], np.float32)
    case = ((10,), (3,), (2,), (1,), False)
    dy = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    wanted = {
        1: ([-4, -5, 1, 0, 0], [1, 3, 2, 5, 3, 7, 4, 9, 5, 5]),
        2: ([3.1622777, 3.6055512, 3.6055512, 0, 0], [-0.31622776, -2.612784, 0, -2.773501, 2.496151, 0, 0, 0, 0, 0]),
        3: ([-3.036589, -3.2710664, 2.6684017, 0, 0], [0.10844961, 2.658309, 0, 2.4329784, 3.7919393, 0, 0, 0, 0, 0]),
    }
    for p, (y, dx) in wanted.items():
        got = road("pool_fwd", [x], (1, 1, 5), block(case, LP, p=p))
        assert_close(got[0, 0], np.array(y))
        assert_close(road("pool_bwd", [dy, x, got], x.shape, block(case, LP, p=p))[0, 0], np.array(dx))


@pytest.mark.parametrize("shape", [(0, 3, 6, 6), (2, 0, 6, 6)])
def test_empty_batch(road, shape):
    out, params = (*shape[:2], 3, 3), block(CASES["2d"], MAX)
    x, dy = np.zeros(shape, np.float32), np.zeros(out, np.float32)
    assert road("pool_fwd", [x], out, params).shape == out
    assert road("pool_bwd", [dy, x, dy], shape, params).shape == shape


def test_refuses_integers_and_shapes_that_do_not_fit(road):
    x = np.zeros((1, 1, 6, 6), np.int32)
    with pytest.raises(Exception, match="floating"):
        road("pool_fwd", [x], (1, 1, 3, 3), block(CASES["2d"], MAX))
    with pytest.raises(Exception, match="do not fit"):
        road("pool_fwd", [x], (1, 2, 3, 3), block(CASES["2d"], MAX))
