"""Generated reductions, and argmax and argmin, against the CPU's kernels: axes, dtypes, split work, alignments."""

import itertools
import struct

import ml_dtypes
import numpy as np
import pytest
from gpu.kernel_support import run_row
from kernels.map_support import memoryview_of, program, register_dtype, strides_of

from cymx import _ops
from cymx.base import MXNetError
from cymx.gpu import recipe

KINDS = ["plain", "sum", "prod", "max", "min"]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(d) for d in ("float32", "float64", "float16", "int32", "int64", "uint8", "int8", "bool")]
DTYPES.append(BFLOAT16)
# Sums are joined in another order than on the CPU, both in float32 for 32 elements and in float64 from there.
RTOL = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3, "bfloat16": 1e-2}
SMALL = recipe.Device(80, 1)  # so few multiprocessors that little work fills it
LARGE = recipe.Device(90, 132)


def sample(rng, shape, dtype):
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        return rng.integers(max(ends.min, -(2**40)), min(ends.max, 2**40), shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def assert_alike(got, want, n_joined=1):
    """Compare; sums of n_joined numbers that cancel may be off by what was rounded on the way."""
    for g, w in zip(got, want, strict=True):
        assert g.dtype == w.dtype and g.shape == w.shape
        rtol = RTOL.get(g.dtype.name, 0)
        if rtol:
            g, w = g.astype(np.float64), w.astype(np.float64)
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * np.sqrt(n_joined))


def both(views, instructions, stores, axes, dtypes, constants=(), **settings):
    """Run a program on both; stores: (register, kind) of each output."""
    shape = views[0].shape
    kept = [n for d, n in enumerate(shape) if d not in axes]
    arrays = [v if v.flags.c_contiguous else np.frombuffer(memoryview_of(v), v.dtype) for v in views]
    outs = [(shape if kind == "plain" else kept, d) for (_, kind), d in zip(stores, dtypes, strict=True)]
    words = program(shape, [strides_of(v) for v in views], constants, instructions, [r for r, _ in stores])
    words += (sum(1 << a for a in axes), *(KINDS.index(kind) for _, kind in stores))
    want = [np.full(s, 7, d) for s, d in outs]
    _ops.launch("map_reduce", arrays, want, words)
    return run_row("map_reduce", arrays, outs, words, **settings), want


def reduce_both(row, x, axes, **settings):
    kept = [n for d, n in enumerate(x.shape) if d not in axes]
    mask = sum(1 << a for a in axes)
    want = np.full(kept, 7, x.dtype)
    _ops.launch(row, [x], [want], (mask,))
    return run_row(row, [x], [(kept, x.dtype)], (mask,), **settings), [want]


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_reductions_of_every_dtype(kind, dtype):
    rng = np.random.default_rng(0)
    for shape, axes in [((3, 40), (0,)), ((3, 40), (1,)), ((3, 4, 5, 16), (1, 3))]:
        x = sample(rng, shape, dtype)
        assert_alike(*reduce_both(f"reduce_{kind}", x, axes), x.size)


@pytest.mark.parametrize(
    ("shape", "axes"), [((37,), (0,)), ((1, 1), ()), ((1, 1), (0, 1)), ((), ()), ((5, 1, 4), (1,))]
)
def test_reductions_of_little(shape, axes):
    for dtype in (np.dtype(np.float32), BFLOAT16):
        x = sample(np.random.default_rng(0), shape, dtype)
        assert_alike(*reduce_both("reduce_sum", x, axes), x.size)


@pytest.mark.parametrize("shape", [(300, 5), (3, 1, 700), (3, 2, 4, 2, 3), (6, 130)])
def test_every_set_of_axes(shape):
    x = sample(np.random.default_rng(1), shape, np.dtype(np.float32))
    for n in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), n):
            assert_alike(*reduce_both("reduce_sum", x, axes), x.size)


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.int8)], ids=str)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((70001,), (0,)),
        ((3, 80000), (1,)),
        ((5000, 12), (0,)),
        ((4, 3000, 36), (1,)),
        ((6000, 7), (0,)),
    ],
)
def test_cells_that_many_blocks_share(shape, axes, dtype, misaligned):
    x = sample(np.random.default_rng(2), shape, dtype)
    kept = tuple(n for d, n in enumerate(shape) if d not in axes)
    tensors = (recipe.Tensor(shape, dtype.name), recipe.Tensor(kept, dtype.name))
    work = recipe.find("reduce_sum")("reduce_sum", tensors[:1], tensors[1:], (sum(1 << a for a in axes),), LARGE)
    assert len(work.launches) == 2 and work.launches[0].grid[1] > 1 and work.scratch_bytes > 0
    for row in ("reduce_sum", "reduce_min"):
        assert_alike(*reduce_both(row, x, axes, device=LARGE, misaligned=misaligned), x.size)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 31, 64, 100, 257, 1200, 5000])
def test_runs_of_every_length(length):
    rng = np.random.default_rng(3)
    for rows, dtype in ((1, "float32"), (9, "float16"), (70, "float32")):
        x = sample(rng, (rows, length), np.dtype(dtype))
        assert_alike(*reduce_both("reduce_sum", x, (1,), device=SMALL), length)


def test_sums_are_as_accurate_as_pairwise_ones():
    x = np.full((1, 200000), 0.1, np.float32)
    for axes, y in ((1, x), (0, x.T.copy())):
        (got,), _ = reduce_both("reduce_sum", y, (axes,), device=SMALL)
        assert abs(float(got[0]) - float(x.sum(dtype=np.float64))) < 0.01


def test_nan_wins_and_infinities_count():
    x = np.zeros((4, 3000), np.float32)
    x[0, 17] = np.nan
    x[1, 5], x[2, 2999] = np.inf, -np.inf
    for row in ("reduce_max", "reduce_min"):
        for axes in ((0,), (1,), (0, 1)):
            assert_alike(*reduce_both(row, x, axes))


def test_of_nothing():
    x = np.zeros((3, 0, 2), np.float32)
    for dtype in DTYPES:
        assert_alike(*reduce_both("reduce_sum", x.astype(dtype), (1,)))
        assert_alike(*reduce_both("reduce_prod", x.astype(dtype), (1,)))
    with pytest.raises(MXNetError, match="maximum or minimum of no elements"):
        run_row("reduce_max", [x], [((3, 2), "float32")], (2,))
    assert run_row("reduce_max", [x], [((0, 2), "float32")], (1,))[0].shape == (0, 2)


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize("shape", [(5, 6, 8), (3, 5, 130), (200, 3, 16), (4, 300)])
def test_plain_and_reduced_outputs_of_broadcast_inputs(shape, misaligned):
    rng = np.random.default_rng(4)
    x = rng.standard_normal(shape).astype(np.float32)
    for small in [(shape[-1],), (*shape[:-1], 1), (*shape[:1], *(1,) * (len(shape) - 1))]:
        y = np.broadcast_to(rng.standard_normal(small).astype(np.float32), shape)
        code = [("sub", "float32", 0, 1), ("mul", "float32", 2, 2)]
        stores = [(2, "plain"), (3, "sum"), (2, "max"), (3, "plain"), (0, "sum")]
        for n in range(1, len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), n):
                assert_alike(*both([x, y], code, stores, axes, ["float32"] * 5, misaligned=misaligned), x.size)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_programs_of_every_dtype(dtype):
    rng = np.random.default_rng(5)
    x, y = sample(rng, (6, 48), dtype), sample(rng, (6, 48), dtype)
    code = [("maximum", register_dtype(dtype), 0, 1)]
    stores = [(2, "sum"), (2, "min"), (2, "plain")]
    for axes in ((0,), (1,), (0, 1)):
        assert_alike(*both([x, y], code, stores, axes, [dtype] * 3), x.size)


def test_eight_reductions_at_once_and_a_packed_block():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((64, 96)).astype(np.float16)
    stores = [(0, kind) for kind in ("sum", "prod", "max", "min")] * 2
    for axes in ((0,), (1,)):
        assert_alike(*both([x], [], stores, axes, ["float32"] * 8, device=SMALL), x.size)
    words = (*program((64, 96), [(96, 1)], [], [], [0]), 2, KINDS.index("sum"))
    (got,) = run_row("map_reduce", [x], [((64,), "float32")], struct.pack(f"={len(words)}q", *words))
    np.testing.assert_allclose(got, x.astype(np.float64).sum(1), rtol=1e-4)


@pytest.mark.parametrize("row", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arg(row, dtype):
    rng = np.random.default_rng(7)
    for shape, axis in [((7,), 0), ((3, 50), 1), ((3, 50), 0), ((4, 3, 5), 1), ((3, 2000), 1), ((3, 4), -1), ((1,), 0)]:
        x = rng.integers(0, 9, shape).astype(dtype)  # with many equal ones: the first counts
        out = () if axis < 0 else shape[:axis] + shape[axis + 1 :]
        for index in ("float32", "int64"):
            want = np.zeros(out, index)
            _ops.launch(row, [x], [want], (axis,))
            (got,) = run_row(row, [x], [(out, index)], (axis,))
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("shape", "axis"), [((30000,), 0), ((2, 20000), 1), ((9000, 3), 0), ((5, 900, 40), 1)])
def test_arg_that_many_blocks_share(shape, axis):
    rng = np.random.default_rng(8)
    x = rng.integers(0, 200, shape).astype(np.float32)
    x[rng.integers(0, 2, shape) == 0] *= -1
    for nan in (False, True):
        if nan:
            x[rng.integers(0, 3000, shape) == 0] = np.nan
        for row in ("argmax", "argmin"):
            out = shape[:axis] + shape[axis + 1 :]
            want = np.zeros(out, np.float32)
            _ops.launch(row, [x], [want], (axis,))
            (got,) = run_row(row, [x], [(out, "float32")], (axis,), device=LARGE)
            np.testing.assert_array_equal(got, want)


def test_arg_of_nothing():
    assert run_row("argmax", [np.zeros((0, 3), np.float32)], [((0,), "float32")], (1,))[0].shape == (0,)
    with pytest.raises(MXNetError, match="no elements has no index"):
        run_row("argmin", [np.zeros((0, 3), np.float32)], [((3,), "float32")], (0,))
