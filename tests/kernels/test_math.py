"""Elementary functions: errors in units in the last place against float64, over the whole range, and special values."""

import math

import numpy as np
import pytest
from kernels.map_support import apply

erf = np.vectorize(math.erf, otypes=[float])
FUNCTIONS = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": erf,
    "sin": np.sin,
    "cos": np.cos,
}


def in_ulps(got, want):
    """Return the error of each float32 in units in the last place; equal infinities and nans have none."""
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = want.astype(np.float32)
        error = np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(rounded)).astype(np.float64)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(same, 0, np.where(np.isnan(error), np.inf, error))


def samples(n, low=1e-45, high=3.4e38):
    """Return float32 numbers spread over all exponents, with both signs, and the special ones."""
    rng = np.random.default_rng(7)
    ends = np.array([low, high], np.float32).view(np.int32)
    wide = rng.integers(*ends, n, dtype=np.int32).view(np.float32)
    usual = rng.uniform(-12, 12, n).astype(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 88.7, -88.7, -103.9, 0.9375], np.float32)
    return np.concatenate([wide, -wide, usual, special])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_is_within_two_ulps(portable, name):
    x = samples(3000 if name == "erf" else 50000)
    with np.errstate(all="ignore"):
        want = FUNCTIONS[name](x.astype(np.float64))
    error = in_ulps(apply(name, x), want)
    worst = error.argmax()
    assert error[worst] <= 2, f"{name}({x[worst]}): {error[worst]} ulps"


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_moderate_angles_take_the_fast_reduction(portable, name):
    x = samples(50000, 1e-10, 2e8)[:100000]
    assert in_ulps(apply(name, x), FUNCTIONS[name](x.astype(np.float64))).max() <= 1


def test_power(portable):
    rng = np.random.default_rng(8)
    x = samples(50000, 1e-40, 1e38)[:50000]
    y = rng.uniform(-30, 30, x.size).astype(np.float32)
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float64), y.astype(np.float64))
    assert in_ulps(apply("power", x, y), want).max() <= 1


def test_power_of_special_values(portable):
    edges = [0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, np.inf, -np.inf, np.nan, 1e38, 1e-40, 16777217, -16777216, 1e10]
    x, y = (np.ascontiguousarray(g.ravel()) for g in np.meshgrid(np.float32(edges), np.float32(edges)))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = apply("power", x, y)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


def test_float64_functions(portable):
    x = np.linspace(-5, 5, 1001)
    for name, reference in FUNCTIONS.items():
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(apply(name, x), reference(x), rtol=1e-13, atol=1e-300, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inverse_error_function(portable, dtype):
    x = np.linspace(-1, 1, 2001, dtype=dtype)
    x[1000] = 0
    y = apply("erfinv", x)
    assert y[0] == -np.inf and y[-1] == np.inf and np.isnan(apply("erfinv", np.array([2, -1.5, np.nan], dtype))).all()
    np.testing.assert_allclose(erf(y[1:-1].astype(float)), x[1:-1], rtol=1e-6 if dtype == "float32" else 1e-14)


def test_special_functions(portable):
    mpmath = pytest.importorskip("mpmath")
    x = np.array([0.001, 0.5, 1, 1.5, 2, 3.7, 9.99, 10, 35.5, 120.25, -0.5, -1.5, -7.25])
    rows = {
        "digamma": mpmath.digamma,
        "gamma": mpmath.gamma,
        "gammaln": lambda v: mpmath.log(abs(mpmath.gamma(v))),
    }
    for name, reference in rows.items():
        want = np.array([float(reference(float(v))) for v in x])
        np.testing.assert_allclose(apply(name, x), want, rtol=1e-13, err_msg=name)
        with np.errstate(over="ignore"):
            rounded = want.astype(np.float32)
        np.testing.assert_allclose(apply(name, x.astype(np.float32)), rounded, rtol=2e-6, err_msg=name)
    assert np.isnan(apply("digamma", np.float32([0, -3, np.nan]))).all()
