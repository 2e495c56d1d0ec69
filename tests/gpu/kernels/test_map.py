"""Generated kernels of map programs against the CPU's kernel: dtypes, functors, broadcasts, sizes, alignments."""

import ml_dtypes
import numpy as np
import pytest
from gpu.kernel_support import run_row
from kernels.map_support import memoryview_of, program, register_dtype, strides_of

from cymx import _ops
from cymx.base import DTYPE_FLAGS, MXNetError
from cymx.gpu import recipe

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(d) for d in ("float32", "float64", "float16")] + [BFLOAT16]
DTYPES = [*FLOATS, *(np.dtype(d) for d in ("int32", "int64", "uint8", "int8", "bool"))]
# Functors whose CPU form is an own polynomial: both are within 2 ulp of the truth.
ULP = 4
# These subtract what is nearly equal, or raise to a power: what one rounding or a fused addition changes grows.
AMPLIFYING = ("muladd", "power", "gelu", "digamma", "erfinv", "arctanh")


def sample(rng, shape, dtype):
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -100, 100, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def both(views, constants, instructions, stores, dtypes, in_place=None, **settings):
    """Run a program on the CPU and on the emulator; return both outputs."""
    shape = views[0].shape if views else (100,)
    arrays = [v if v.flags.c_contiguous else np.frombuffer(memoryview_of(v), v.dtype) for v in views]
    words = program(shape, [strides_of(v) for v in views], constants, instructions, stores)
    want = [np.full(shape, 77, d) for d in dtypes]
    _ops.launch("map", arrays, want, words)
    got = run_row("map", arrays, [(shape, d) for d in dtypes], words, in_place=in_place, **settings)
    return got, want


def assert_close(got, want, ulp=ULP):
    for g, w in zip(got, want, strict=True):
        assert g.dtype == w.dtype and g.shape == w.shape
        if g.dtype.kind in "biu":
            np.testing.assert_array_equal(g, w)
            continue
        eps = {"float32": 2**-23, "float64": 2**-52, "float16": 2**-10, "bfloat16": 2**-7}[g.dtype.name]
        tiny = {"float16": 2**-24}.get(g.dtype.name, 2**-133)
        g, w = g.astype(np.float64), w.astype(np.float64)
        np.testing.assert_allclose(g, w, rtol=ulp * eps, atol=ulp * tiny)


def functors(arity):
    """Yield (name, types) of every functor with so many arguments."""
    number = 0
    while True:
        try:
            name, n, types = _ops.describe_functor(number)
        except MXNetError:
            return
        if n == arity and name != "cast":
            yield name, types
        number += 1


@pytest.mark.parametrize("arity", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "int8", "bool"])
def test_every_functor(arity, dtype):
    rng = np.random.default_rng(0)
    views = [sample(rng, (40,), np.dtype(dtype)) for _ in range(arity)]
    names = [name for name, types in functors(arity) if types >> DTYPE_FLAGS[dtype] & 1]
    for start in range(0, len(names), 12):  # 12 in one kernel: g++ starts once for all of them
        part = names[start : start + 12]
        code = [(name, dtype, *range(arity)) for name in part]
        with np.errstate(all="ignore"):
            got, want = both(views, [], code, [arity + i for i in range(len(part))], [dtype] * len(part))
        for name, g, w in zip(part, got, want, strict=True):
            assert_close([g], [w], 64 if name in AMPLIFYING else ULP)


@pytest.mark.parametrize("source", DTYPES, ids=str)
def test_every_cast(source):
    rng = np.random.default_rng(1)
    x = sample(rng, (70,), source)
    if source.kind not in "biu":
        x[:6] = np.array([np.nan, np.inf, -np.inf, 3e4, -3e4, -0.0]).astype(source)
        x[6:8] *= 60000
    targets = [d for d in DTYPES if d not in (np.dtype(np.float16), BFLOAT16)]
    halves = [np.dtype(np.float16), BFLOAT16]
    code = [("cast", d.name, 0) for d in targets]
    stores = [*range(1, len(targets) + 1), 1, 1]
    with np.errstate(all="ignore"):
        got, want = both([x], [], code, stores, [*targets, *halves])
    assert [g.tobytes() for g in got] == [w.tobytes() for w in want]


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sizes_and_alignments(dtype, misaligned):
    rng = np.random.default_rng(2)
    register = register_dtype(dtype)
    for n in (1, 3, 31, 1024, 5003):
        x, y = sample(rng, (n,), dtype), sample(rng, (n,), dtype)
        code = [("maximum", register, 0, 1), ("not_equal", register, 2, 0)]
        got, want = both([x, y], [], code, [2, 3, 0], [dtype] * 3, misaligned=misaligned)
        assert [g.tobytes() for g in got] == [w.tobytes() for w in want]


BROADCASTS = [
    ((5, 12), (12,)), ((5, 12), (5, 1)), ((5, 10), (10,)), ((3, 4, 20), (4, 1)), ((3, 4, 20), (3, 1, 20)),
    ((2, 3, 4, 5), (3, 1, 5)), ((2, 3, 4, 8), (2, 1, 4, 1)), ((7,), (1,)), ((2, 3, 1, 16), (1, 3, 1, 16)),
    ((40, 70), ()),
]  # fmt: skip


@pytest.mark.parametrize("misaligned", [False, True])
@pytest.mark.parametrize(("shape", "small"), BROADCASTS, ids=str)
def test_broadcast_inputs(shape, small, misaligned):
    rng = np.random.default_rng(3)
    for dtype in (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.uint8)):
        x = sample(rng, shape, dtype)
        y = np.broadcast_to(sample(rng, small, dtype), shape)
        got, want = both([x, y], [], [("sub", register_dtype(dtype), 0, 1)], [2], [dtype], misaligned=misaligned)
        assert [g.tobytes() for g in got] == [w.tobytes() for w in want]
        got, want = both([y, x], [], [("sub", register_dtype(dtype), 0, 1)], [2], [dtype], misaligned=misaligned)
        assert [g.tobytes() for g in got] == [w.tobytes() for w in want]


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (0, 2, 1), (2, 0, 1)])
def test_transposed_inputs(axes):
    rng = np.random.default_rng(4)
    base = rng.standard_normal((4, 6, 8)).astype(np.float32)
    view = base.transpose(axes)
    other = rng.standard_normal(view.shape).astype(np.float32)
    got, want = both([view, other], [], [("mul", "float32", 0, 1)], [2], [np.float32])
    np.testing.assert_array_equal(got[0], want[0])


def test_constants_of_every_dtype_and_no_input():
    values = [
        ("float32", 0.1), ("float32", 1e300), ("float32", -np.inf), ("float32", np.nan), ("float64", 0.1),
        ("int32", -7),
        ("int64", -(2**63)), ("int64", 2**62), ("uint8", 255), ("int8", -128), ("bool", True), ("bool", False),
    ]  # fmt: skip
    got, want = both([], [(v, d) for d, v in values], [], list(range(len(values))), [d for d, _ in values])
    assert [g.tobytes() for g in got] == [w.tobytes() for w in want]


@pytest.mark.parametrize("dtypes", [("float16", "float64"), ("uint8", "float32"), ("bool", "bfloat16", "int64")])
def test_mixed_widths(dtypes):
    rng = np.random.default_rng(5)
    dtypes = [BFLOAT16 if d == "bfloat16" else np.dtype(d) for d in dtypes]
    for n in (64, 67):
        xs = [sample(rng, (n,), d) for d in dtypes]
        code = [("cast", "float64", i) for i in range(len(xs))]
        got, want = both(xs, [], code, list(range(2 * len(xs))), [*dtypes, *["float64"] * len(xs)])
        assert [g.tobytes() for g in got] == [w.tobytes() for w in want]


def test_an_output_in_an_inputs_memory():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 3001)).astype(np.float32)
    code = [("mul", "float32", 0, 1), ("add", "float32", 2, 0)]
    got, want = both([x, y], [], code, [3, 2], [np.float32] * 2, in_place={0: 0, 1: 1})
    assert_close(got, want)


def test_as_many_inputs_as_there_may_be():
    rng = np.random.default_rng(7)
    xs = [rng.standard_normal(33).astype(np.float32) for _ in range(32)]
    code = [("add", "float32", 0, 1)] + [("add", "float32", 32 + i, i + 2) for i in range(16)]
    got, want = both(xs, [], code, list(range(16, 32)), [np.float32] * 16)
    assert_close(got, want)
    tensors = [recipe.Tensor((33,), "float32")] * 33
    with pytest.raises(MXNetError, match="33 inputs, expected at most 32"):
        recipe.find("map")("map", tensors, tensors[:1], (0, 0, 0, 1, 0), recipe.Device())


def test_nothing_is_launched_for_an_empty_array():
    tensor = recipe.Tensor((0, 3), "float32")
    words = program((0, 3), [(3, 1)], [], [("exp", "float32", 0)], [1])
    assert recipe.find("map")("map", [tensor], [tensor], words, recipe.Device()) == recipe.Work()


def test_one_text_serves_every_size_and_says_what_it_does():
    def text(shape, strides):
        tensors = [recipe.Tensor(shape, "float32"), recipe.Tensor(shape[1:], "float32")]
        words = program(shape, strides, [(2.5, "float32")], [("mul", "float32", 0, 2), ("add", "float32", 3, 1)], [4])
        return recipe.find("map")("map", tensors, tensors[:1], words, recipe.Device()).launches[0].kernel

    assert text((4, 8), [(8, 1), (8, 1)]) == text((100, 3), [(3, 1), (3, 1)])
    assert text((4, 8), [(8, 1), (0, 1)]) == text((64, 8), [(8, 1), (0, 1)]) != text((4, 12), [(12, 1), (0, 1)])
    for line in ("const float r2 = float_of(0x40200000u); // 2.5", "r3 = fn::mul::f<float>(r0, r2);", "in1 + i % 8u"):
        assert line in text((4, 8), [(8, 1), (0, 1)]).source
    assert text((2**16, 2**15), [(2**15, 1)] * 2).name == "cymx::fused<cymx::u64>"
