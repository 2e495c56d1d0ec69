"""The map_reduce kernel: programs that end in reductions, over every set of axes and in every type."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from kernels.map_support import memoryview_of, program, register_dtype, strides_of
from kernels.nn_support import threads

from cymx import _ops
from cymx.base import MXNetError

KINDS = {"plain": None, "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}
HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
DTYPES = [np.dtype(d) for d in ("float32", "float64", "int32", "int64", "uint8", "int8", "bool")] + HALVES
RTOL = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3, "bfloat16": 1e-2}


def run(views, constants, instructions, stores, axes, dtypes, outputs=None):
    """Run a program over views of one shape.  stores: (register, kind) for each output; axes: the reduced ones."""
    shape = views[0].shape
    kept = [n for d, n in enumerate(shape) if d not in axes]
    arrays = [v if v.flags.c_contiguous else np.frombuffer(memoryview_of(v), v.dtype) for v in views]
    if outputs is None:
        outputs = [
            np.full(shape if kind == "plain" else kept, 7, d) for (_, kind), d in zip(stores, dtypes, strict=True)
        ]
    words = program(shape, [strides_of(v) for v in views], constants, instructions, [r for r, _ in stores])
    words += (sum(1 << a for a in axes), *(list(KINDS).index(kind) for _, kind in stores))
    _ops.launch("map_reduce", arrays, outputs, words)
    return outputs


def every_axes(shape):
    return [c for n in range(len(shape) + 1) for c in itertools.combinations(range(len(shape)), n)]


def sample(rng, shape, dtype):
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        return rng.integers(max(ends.min, -(2**40)), min(ends.max, 2**40), shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def reference(kind, x, axes):
    """Return a reduction of x, kept in 64 bits and brought back to its type; a bool sum is any, a product all."""
    if x.dtype.kind == "b":
        return {"sum": np.any, "prod": np.all}.get(kind, KINDS[kind])(x, axis=axes)
    if x.dtype.kind in "iu":
        return KINDS[kind](x.astype(np.int64), axis=axes).astype(x.dtype)
    return KINDS[kind](x.astype(np.float64), axis=axes)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "plain"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_set_of_axes(portable, kind, dtype):
    rng = np.random.default_rng(0)
    for shape in [(7,), (3, 40), (300, 5), (3, 4, 5, 60), (2, 3, 2, 4, 2, 3), (3, 1, 700), (1, 1), ()]:
        x = sample(rng, shape, dtype)
        for axes in every_axes(shape):
            (y,) = run([x], [], [("identity", register_dtype(dtype), 0)], [(1, kind)], axes, [dtype])
            want = reference(kind, x, axes)
            rtol = RTOL.get(dtype.name, 0)
            np.testing.assert_allclose(y.astype(want.dtype), want, rtol=rtol, atol=rtol, err_msg=f"{shape} {axes}")


@pytest.mark.parametrize("shape", [(5, 6, 7), (3, 50, 1030), (2000, 3, 16), (9, 70, 130), (40, 3000)])
def test_plain_and_reduced_outputs_of_broadcast_inputs(portable, shape):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    smaller = [
        rng.standard_normal([n if mask >> d & 1 else 1 for d, n in enumerate(shape)]) for mask in range(2 ** len(shape))
    ]
    across = rng.standard_normal(shape[::-1]).T
    for small in [*smaller, across]:
        view = np.broadcast_to(small, shape) if small is not across else across
        centred = x - view
        for axes in every_axes(shape):
            steps = [("sub", "float64", 0, 1), ("square", "float64", 3), ("mul", "float64", 3, 2)]
            stores = [(3, "plain"), (4, "sum"), (0, "sum"), (5, "max"), (4, "plain"), (1, "min")]
            got = run([x, view], [(0.5, "float64")], steps, stores, axes, ["float64"] * 6)
            want = [
                centred,
                np.square(centred).sum(axes),
                x.sum(axes),
                (centred * 0.5).max(axes, initial=-np.inf),
                np.square(centred),
                np.broadcast_to(small, shape).min(axes, initial=np.inf),
            ]
            for y, ref in zip(got, want, strict=True):
                np.testing.assert_allclose(y, ref, rtol=1e-12, atol=1e-12, err_msg=f"{axes}")


@pytest.mark.parametrize("shape", [(1000003,), (3, 300001), (200000, 5), (16, 64, 1024), (64, 96, 49), (2000, 700)])
def test_sums_are_as_exact_as_pairwise_ones_on_any_number_of_threads(portable, shape):
    x = np.random.default_rng(2).uniform(0, 1, shape)
    for dtype in ("float32", "float64"):
        values = x.astype(dtype)
        for axes in [(0,), (len(shape) - 1,), (0, len(shape) - 1), tuple(range(len(shape)))]:
            axes = tuple(sorted(set(axes)))
            results = []
            for n in (1, 2, 3):
                with threads(n):
                    (y,) = run([values], [], [("identity", dtype, 0)], [(1, "sum")], axes, [dtype])
                    results.append(y.tobytes())
            assert len(set(results)) == 1, axes
            exact = np.sum(values.astype(np.longdouble), axis=axes)
            error = np.abs(y - exact) / exact
            assert error.max() < (3e-7 if dtype == "float32" else 1e-15), (dtype, axes)


def test_a_plain_output_may_be_an_inputs_memory(portable):
    rng = np.random.default_rng(3)
    for shape, axes in [((40, 3000), (1,)), ((3000, 40), (0,)), ((8, 12, 100), (0, 2)), ((30, 64, 16), (0, 2))]:
        x, y = rng.standard_normal(shape), rng.standard_normal(shape)
        want = x.sum(axes), x - y, (x * y).sum(axes), y.sum(axes)
        kept = want[0].shape
        outputs = [np.zeros(kept), x, np.zeros(kept), np.zeros(kept)]
        steps = [("sub", "float64", 0, 1), ("mul", "float64", 0, 1)]
        run([x, y], [], steps, [(0, "sum"), (2, "plain"), (3, "sum"), (1, "sum")], axes, None, outputs)
        for got, ref in zip(outputs, want, strict=True):
            np.testing.assert_allclose(got, ref, rtol=1e-11, atol=1e-11)


def test_halves_sum_in_float(portable):
    for dtype in HALVES:
        x = np.full((3, 60000), 0.25, dtype)
        for axes, view in (((1,), x), ((0,), np.ascontiguousarray(x.T))):
            steps = [("mul", "float32", 0, 1)]
            (y,) = run([view], [(2.0, "float32")], steps, [(2, "sum")], axes, ["float32"])
            np.testing.assert_array_equal(y, [30000] * 3)
            (y,) = run([view], [(2.0, "float32")], steps, [(2, "sum")], axes, [dtype])
            assert np.abs(y.astype(float) - 30000).max() <= 128


def test_nan_wins_maxima_and_minima(portable):
    for n in (3, 40, 3000):
        x = np.arange(n * 4, dtype=np.float32).reshape(n, 4)
        x[n // 2, 1] = np.nan
        steps = [("negative", "float32", 0)]
        for kind in ("max", "min"):
            assert np.isnan(run([x], [], steps, [(1, kind)], (0, 1), ["float32"])[0])
            columns = run([x], [], steps, [(1, kind)], (0,), ["float32"])[0]
            assert np.isnan(columns).tolist() == [False, True, False, False]


def test_nothing_to_reduce(portable):
    x = np.zeros((3, 0, 2), np.float32)
    steps = [("negative", "float32", 0)]
    assert run([x], [], steps, [(1, "sum")], (1,), ["float32"])[0].tolist() == [[0, 0]] * 3
    assert run([x], [], steps, [(1, "prod")], (1,), ["float32"])[0].tolist() == [[1, 1]] * 3
    assert run([x], [], steps, [(1, "max")], (0,), ["float32"])[0].shape == (0, 2)
    with pytest.raises(MXNetError, match="of no elements"):
        run([x], [], steps, [(1, "min")], (1,), ["float32"])


def test_refuses_what_does_not_fit():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(MXNetError, match="has 2 elements, expected 3"):
        run([x], [], [], [(0, "sum")], (0,), None, [np.zeros(2, np.float32)])
    with pytest.raises(MXNetError, match="at most 8"):
        run([x], [], [], [(0, "sum")] * 9, (0,), ["float32"] * 9)
    with pytest.raises(MXNetError, match="do not fit its header"):
        _ops.launch("map_reduce", [x], [x.copy()], (1, 0, 0, 1, 6, 1, 0))
    with pytest.raises(MXNetError, match="takes register 5"):
        run([x], [], [], [(5, "sum")], (0,), ["float32"])
