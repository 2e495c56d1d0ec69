"""oneDNN's rows: the same answers as the portable kernels, from many threads, past the cache's bound."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from kernels.nn_support import CONVOLUTIONS, FLOATS, TOLERANCE, WITH_ONEDNN, Road, convolution, random

from cymx import _ops

pytestmark = pytest.mark.skipif(not WITH_ONEDNN, reason="oneDNN is not installed, or not wanted")


def on_both(name, inputs, shape, params):
    """Return what oneDNN and the best portable kernel answer, in float64."""
    with Road("onednn") as road:
        fast = road(name, inputs, shape, params)
    with Road(_ops.supported_isas()[-1]) as road:
        portable = road(name, inputs, shape, params)
    return fast.astype(np.float64), portable.astype(np.float64)


def assert_agree(fast, portable, dtype):
    assert np.abs(fast - portable).max() <= TOLERANCE[dtype.name] * max(1.0, np.abs(portable).max())


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_matmul_agrees_with_portable(dtype):
    rng = np.random.default_rng(0)
    shapes = [
        ((64, 100), (100, 50), (64, 50)),
        ((3, 50, 30), (1, 30, 40), (3, 50, 40)),
        ((1, 512), (512, 300), (1, 300)),
    ]
    for a, b, c in shapes:
        assert_agree(*on_both("matmul", [random(rng, a, dtype), random(rng, b, dtype)], c, (0, 0)), dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["2d", "2d groups", "2d depthwise", "2d stride skips rows", "3d"])
def test_convolution_agrees_with_portable(name, dtype):
    rng = np.random.default_rng(0)
    xs, ws, ys, params = convolution(CONVOLUTIONS[name], batch=3)
    x, w, dy, bias = (random(rng, shape, dtype) for shape in (xs, ws, ys, ws[:1]))
    assert_agree(*on_both("conv_fwd", [x, w, bias], ys, params), dtype)
    assert_agree(*on_both("conv_bwd_data", [dy, w], xs, params), dtype)
    assert_agree(*on_both("conv_bwd_weight", [dy, x], ws, params), dtype)


def test_one_step_in_many_threads():
    rng = np.random.default_rng(0)
    xs, ws, ys, params = convolution(CONVOLUTIONS["2d deep"])
    w = random(rng, ws, np.dtype(np.float32))
    images = [random(rng, xs, np.dtype(np.float32)) for _ in range(24)]
    with Road("onednn") as road:
        alone = [road("conv_fwd", [x, w], ys, params) for x in images]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda x: road("conv_fwd", [x, w], ys, params), images))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_more_shapes_than_the_cache_holds():
    with Road("onednn") as road:
        for k in [*range(1, 1100), 1]:
            assert road("matmul", [np.ones((1, k), np.float32), np.ones((k, 1), np.float32)], (1, 1), (0, 0))[0, 0] == k


def test_switching_off_brings_the_portable_kernels_back():
    assert not _ops.onednn(False)
    try:
        a = np.ones((2, 2), np.float32)
        out = np.empty_like(a)
        _ops.launch("matmul", [a, a], [out], (0, 0))
        assert np.array_equal(out, np.full((2, 2), 2))
    finally:
        assert _ops.onednn(True)
