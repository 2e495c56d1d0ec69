"""The map kernel: every functor against NumPy in every type, layouts, fused programs, in-place outputs, errors."""

import math
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from kernels.map_support import apply, register_dtype, run

import cymx
from cymx import _ops
from cymx.base import MXNetError

FLOATING = ["float32", "float64"]
INTEGERS = ["int32", "int64", "uint8", "int8"]
NUMERIC, ALL = FLOATING + INTEGERS, [*FLOATING, *INTEGERS, "bool"]
vectorize = np.vectorize


def fits(function):
    """Return a reference whose result has the type of its first argument."""
    return lambda *xs: np.asarray(function(*xs)).astype(xs[0].dtype)


def whole(function):
    """Return a reference that leaves integers alone: NumPy would round them through floats."""
    return lambda x: x if x.dtype.kind in "iu" else function(x)


def c_divide(x, y):
    if x.dtype.kind == "f":
        return x / y
    pairs = zip(x.tolist(), y.tolist(), strict=True)
    quotients = [0 if b == 0 else (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) for a, b in pairs]
    return np.array([q & 0xFFFFFFFFFFFFFFFF for q in quotients], np.uint64)


def floor_mod(x, y):
    return np.where(y == 0, 0, np.mod(x, np.where(y == 0, 1, y)))


def smooth_l1(x, sigma):
    s = sigma * sigma
    return np.where(abs(x) > 1 / s, abs(x) - 0.5 / s, 0.5 * s * x * x)


def smooth_l1_grad(x, sigma):
    s = sigma * sigma
    return np.where(abs(x) > 1 / s, np.sign(x), s * x)


UNARY = {
    "identity": (ALL, lambda x: x),
    "negative": (NUMERIC, np.negative),
    "abs": (NUMERIC, np.abs),
    "sign": (NUMERIC, lambda x: (x > 0) * 1 - (x < 0)),
    "round": (NUMERIC, whole(lambda x: np.trunc(x + np.copysign(0.5, x)))),
    "rint": (NUMERIC, whole(lambda x: np.ceil(x - x.dtype.type(0.5)))),
    "ceil": (NUMERIC, whole(np.ceil)),
    "floor": (NUMERIC, whole(np.floor)),
    "trunc": (NUMERIC, whole(np.trunc)),
    "fix": (NUMERIC, whole(np.trunc)),
    "square": (NUMERIC, np.square),
    "sqrt": (FLOATING, np.sqrt),
    "rsqrt": (FLOATING, lambda x: 1 / np.sqrt(x)),
    "cbrt": (FLOATING, np.cbrt),
    "rcbrt": (FLOATING, lambda x: 1 / np.cbrt(x)),
    "exp": (FLOATING, np.exp),
    "exp2": (FLOATING, np.exp2),
    "expm1": (FLOATING, np.expm1),
    "log": (FLOATING, np.log),
    "log2": (FLOATING, np.log2),
    "log10": (FLOATING, np.log10),
    "log1p": (FLOATING, np.log1p),
    "sin": (FLOATING, np.sin),
    "cos": (FLOATING, np.cos),
    "tan": (FLOATING, np.tan),
    "arcsin": (FLOATING, np.arcsin),
    "arccos": (FLOATING, np.arccos),
    "arctan": (FLOATING, np.arctan),
    "sinh": (FLOATING, np.sinh),
    "cosh": (FLOATING, np.cosh),
    "tanh": (FLOATING, np.tanh),
    "arcsinh": (FLOATING, np.arcsinh),
    "arccosh": (FLOATING, np.arccosh),
    "arctanh": (FLOATING, np.arctanh),
    "degrees": (FLOATING, np.degrees),
    "radians": (FLOATING, np.radians),
    "reciprocal": (NUMERIC, lambda x: c_divide(np.ones_like(x), x)),
    "erf": (FLOATING, vectorize(math.erf)),
    "erfinv": (FLOATING, None),  # test_math.py
    "gamma": (FLOATING, None),
    "gammaln": (FLOATING, None),
    "digamma": (FLOATING, None),
    "sigmoid": (FLOATING, lambda x: 1 / (1 + np.exp(-x))),
    "relu": (NUMERIC, lambda x: np.maximum(x, 0)),
    "softsign": (FLOATING, lambda x: x / (1 + abs(x))),
    "softrelu": (FLOATING, lambda x: np.logaddexp(x, 0)),
    "gelu": (FLOATING, lambda x: 0.5 * x * (1 + vectorize(math.erf)(x / math.sqrt(2)))),
    "logical_not": (ALL, np.logical_not),
    "isnan": (FLOATING, np.isnan),
    "isinf": (FLOATING, np.isinf),
    "isfinite": (FLOATING, np.isfinite),
}
BINARY = {
    "add": (NUMERIC, np.add),
    "sub": (NUMERIC, np.subtract),
    "mul": (NUMERIC, np.multiply),
    "div": (NUMERIC, c_divide),
    "mod": (NUMERIC, floor_mod),
    "power": (NUMERIC, None),  # test_math.py and below
    "maximum": (ALL, np.maximum),
    "minimum": (ALL, np.minimum),
    "hypot": (FLOATING, np.hypot),
    "arctan2": (FLOATING, np.arctan2),
    "ldexp": (FLOATING, lambda x, y: x * np.exp2(y)),
    "copysign": (FLOATING, np.copysign),
    "equal": (ALL, np.equal),
    "not_equal": (ALL, np.not_equal),
    "greater": (ALL, np.greater),
    "greater_equal": (ALL, np.greater_equal),
    "lesser": (ALL, np.less),
    "lesser_equal": (ALL, np.less_equal),
    "logical_and": (ALL, np.logical_and),
    "logical_or": (ALL, np.logical_or),
    "logical_xor": (ALL, np.logical_xor),
    "smooth_l1": (FLOATING, smooth_l1),
    "smooth_l1_grad": (FLOATING, smooth_l1_grad),
}
TERNARY = {
    "where": (ALL, lambda c, x, y: np.where(c != 0, x, y)),
    "clip": (NUMERIC, lambda x, low, high: np.where(x > high, high, np.where(x < low, low, x))),
    "muladd": (NUMERIC, lambda x, y, z: x * y + z),
}
ROWS = [(name, n, *row) for n, table in ((1, UNARY), (2, BINARY), (3, TERNARY)) for name, row in table.items()]


def values(rng, dtype, n):
    """Return n elements of a type: small and large numbers, zeros, ends of the range, and special values of floats."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        x = rng.integers(-20 if ends.min else 0, 21, n).astype(dtype)
        x[:: n // 7] = rng.choice(np.array([ends.min, ends.max, 0, 1], dtype), x[:: n // 7].size)
        return x
    x = (rng.standard_normal(n) * rng.choice([0.3, 3, 30], n)).astype(dtype)
    x[:: n // 9] = rng.choice(np.array([0, -0.0, 1, -1, 0.5, np.inf, -np.inf, np.nan], dtype), x[:: n // 9].size)
    return x


def test_there_is_a_row_for_every_functor():
    text = (Path(cymx.__path__[0]) / "include/cymx/map.h").read_text()
    assert set(re.findall(r"^    F\((\w+),", text, re.MULTILINE)) == {row[0] for row in ROWS}


@pytest.mark.parametrize(("name", "arity", "dtypes", "reference"), ROWS, ids=[r[0] for r in ROWS])
def test_functor(portable, name, arity, dtypes, reference):
    rng = np.random.default_rng(len(name))
    for dtype in ALL:
        xs = [values(rng, dtype, 1500) for _ in range(arity)]
        if dtype not in dtypes:
            with pytest.raises(MXNetError, match="does not compute in dtype"):
                apply(name, *xs)
        elif reference:
            with np.errstate(all="ignore"):
                want = fits(reference)(*xs)
            rtol = {"float32": 2e-6, "float64": 1e-13}.get(dtype, 0)
            # gelu and muladd cancel, and a processor may fuse the latter.
            atol = 10 * rtol if name in ("gelu", "muladd", "tan") else 1e-38 if dtype == "float32" else 0
            np.testing.assert_allclose(apply(name, *xs), want, rtol=rtol, atol=atol, err_msg=f"{name} {dtype}")


def test_integer_division_never_traps(portable):
    for dtype in ("int32", "int64", "int8"):
        low = np.iinfo(dtype).min
        x, y = np.array([[low, low, 7, -7, 7, -7, 0], [-1, 0, 0, 2, -2, 7, 5]], dtype)
        assert apply("div", x, y).tolist() == [low, 0, 0, -3, -3, -1, 0]
        assert apply("mod", x, y).tolist() == [0, 0, 0, 1, -1, 0, 0]
        assert apply("reciprocal", np.array([0, 1, -1, 2, low], dtype)).tolist() == [0, 1, -1, 0, 0]
        assert apply("power", np.array([2, 3, -2], dtype), np.array([3, 0, 5], dtype)).tolist() == [8, 1, -32]


def test_modulus_takes_the_divisors_sign(portable):
    x = np.float32([5, -5, 5, -5, 5, 5.5, -5.5, np.inf, 5, -5, np.nan, -6])
    y = np.float32([3, 3, -3, -3, 0, 2, 2, 3, np.inf, np.inf, 2, 3])
    want = np.float32([2, 1, -1, -2, 0, 1.5, 0.5, np.nan, 5, np.inf, np.nan, 0])
    np.testing.assert_array_equal(apply("mod", x, y), want)


def test_nan_goes_through(portable):
    x, y = np.float32([[np.nan, 1, np.nan], [1, np.nan, np.nan]])
    assert np.isnan(apply("maximum", x, y)).all() and np.isnan(apply("minimum", x, y)).all()
    assert np.isnan(apply("relu", x)).tolist() == [True, False, True] and apply("sign", x).tolist() == [0, 1, 0]
    assert np.isnan(apply("clip", x, np.zeros_like(x), np.ones_like(x)))[0]
    assert not np.signbit(apply("relu", np.float32([-0.0, -1]))).any()


def test_softrelu_keeps_its_ends(portable):
    x = np.float32([-100, -20, 0, 20, 100, np.inf, -np.inf])
    np.testing.assert_allclose(apply("softrelu", x), np.logaddexp(x.astype(float), 0).astype(np.float32), rtol=3e-7)


# ---- casts and 16-bit types ----


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize("target", ALL)
def test_cast(portable, source, target):
    rng = np.random.default_rng(3)
    x = values(rng, source, 2000)
    if np.dtype(source).kind == "f":
        x = np.where(np.isfinite(x), x, 1).astype(source)
        if target == "uint8":
            x = np.abs(x)
    y = run([x], [], [("cast", target, 0)], [1], [target])[0]
    np.testing.assert_array_equal(y, x.astype(target))


def test_cast_saturates_what_does_not_fit(portable):
    x = np.array([1e20, -1e20, np.nan, np.inf, -np.inf, 300, -1.5])
    low, high = -(2**31), 2**31 - 1
    for dtype in FLOATING:
        as_int32 = run([x.astype(dtype)], [], [("cast", "int32", 0)], [1], ["int32"])[0]
        assert as_int32.tolist() == [high, low, 0, high, low, 300, -1]
        as_int64 = run([x.astype(dtype)], [], [("cast", "int64", 0)], [1], ["int64"])[0]
        assert as_int64.tolist() == [2**63 - 1, -(2**63), 0, 2**63 - 1, -(2**63), 300, -1]
        as_uint8 = run([x.astype(dtype)], [], [("cast", "uint8", 0)], [1], ["uint8"])[0]
        assert as_uint8.tolist()[5:] == [44, 255]  # as MXNet 1.9.1 has it


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)], ids=str)
def test_every_16_bit_value_is_widened_and_rounded_right(portable, dtype):
    every = np.arange(65536, dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore"):
        want = every.astype(np.float32)
    widened = run([every], [], [("identity", "float32", 0)], [1], ["float32"])[0]
    np.testing.assert_array_equal(widened, want)
    np.testing.assert_array_equal(np.signbit(widened), np.signbit(want))
    back = apply("identity", every)
    np.testing.assert_array_equal(np.isnan(back.astype(np.float32)), np.isnan(want))
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(back.view(np.uint16)[numbers], every.view(np.uint16)[numbers])
    rng = np.random.default_rng(1)
    finer = rng.integers(0, 2**32, 100000, dtype=np.uint32).view(np.float32)
    ties = ((np.arange(0, 0x7F80, dtype=np.uint32) << 16) | 0x8000).view(np.float32)
    for x in (finer, ties, want[numbers] * np.float32(1.0009765625)):
        with np.errstate(all="ignore"):
            rounded = x.astype(dtype)
        y = run([x], [], [], [0], [dtype])[0]
        np.testing.assert_array_equal(y.astype(np.float32), rounded.astype(np.float32))


# ---- layouts ----


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 1023, 1024, 1025, 4096, 70001])
def test_sizes_around_blocks(portable, n):
    x, y = np.arange(n, dtype=np.float32), np.arange(n, dtype=np.float32)[::-1].copy()
    out = run([x, y], [(3.0, "float32")], [("mul", "float32", 0, 2), ("add", "float32", 3, 1)], [4], ["float32"])[0]
    np.testing.assert_array_equal(out, x * 3 + y)


def layouts(rng, shape, dtype):
    """Yield views of one shape: whole, scalar, each way to broadcast, and transposed ones."""

    def fresh(s):
        return np.ascontiguousarray(values(rng, dtype, max(16, math.prod(s)))[: math.prod(s)].reshape(s))

    n = len(shape)
    yield fresh(shape)
    for mask in range(2**n):
        yield np.broadcast_to(fresh([s if mask >> d & 1 else 1 for d, s in enumerate(shape)]), shape)
    for _ in range(3):
        order = rng.permutation(n)
        yield fresh([shape[d] for d in order]).transpose(np.argsort(order))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "bool"])
@pytest.mark.parametrize(
    "shape", [(3, 5), (40, 70), (2, 3, 4, 5), (7, 1, 300), (2, 2, 2, 2, 2, 2, 2, 3), (3000, 3), (1100, 60)]
)
def test_layouts(portable, shape, dtype):
    rng = np.random.default_rng(5)
    whole = rng.integers(0, 2, shape).astype(dtype)
    for view in layouts(rng, shape, dtype):
        got = run([view, whole], [], [("maximum", register_dtype(dtype), 0, 1)], [2], [dtype])[0]
        np.testing.assert_array_equal(got, np.maximum(view, whole).astype(dtype))


@pytest.mark.parametrize("n", [1023, 1024, 1025, 2048, 3000, 4096, 4097])
def test_rows_that_repeat_and_are_longer_than_blocks(portable, n):
    row = np.arange(n, dtype=np.float32)
    view = np.broadcast_to(row, (3, n))
    np.testing.assert_array_equal(run([view], [], [], [0], ["float32"])[0], view)
    doubled = run([view, row + np.zeros((3, 1), np.float32)], [], [("add", "float32", 0, 1)], [2], ["float32"])[0]
    np.testing.assert_array_equal(doubled, 2 * view)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_that_repeat_at_different_lengths(portable, dtype):
    rng = np.random.default_rng(6)
    shape = (50, 30, 20)
    inputs = [
        np.ascontiguousarray(rng.integers(0, 9, s).astype(dtype)) for s in [shape, (20,), (30, 20), (1, 20), (30, 1)]
    ]
    views = [np.broadcast_to(x, shape) for x in inputs]
    steps = [("add", "float32", 0, 1), *[("add", "float32", 3 + i, i) for i in range(2, 5)]]
    np.testing.assert_array_equal(run(views, [], steps, [8], [dtype])[0], sum(inputs, np.zeros(shape)))


# ---- programs ----

OPS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}


@pytest.mark.parametrize("seed", range(30))
def test_random_programs(portable, seed):
    rng = np.random.default_rng(seed)
    n_in, n_const, n_instr, n_out = rng.integers(1, 9), rng.integers(0, 4), rng.integers(0, 30), rng.integers(1, 6)
    shape = (int(rng.choice([1, 3, 40, 700])), int(rng.choice([1, 7, 64, 130])))
    views = [rng.standard_normal(shape).astype(np.float32) for _ in range(n_in)]
    for i in range(1, n_in):
        kind = rng.integers(0, 4)
        if kind == 1:
            views[i] = np.broadcast_to(rng.standard_normal((1, shape[1])).astype(np.float32), shape)
        elif kind == 2:
            views[i] = np.broadcast_to(rng.standard_normal((shape[0], 1)).astype(np.float32), shape)
        elif kind == 3:
            views[i] = rng.standard_normal(shape[::-1]).astype(np.float32).T
    constants = [(float(np.float32(rng.standard_normal())), "float32") for _ in range(n_const)]
    registers = [np.array(v) for v in views] + [np.full(shape, c, np.float32) for c, _ in constants]
    instructions = []
    for _ in range(n_instr):
        name, sources = str(rng.choice(list(OPS))), rng.integers(0, len(registers), 2)
        instructions.append((name, "float32", *sources))
        registers.append(np.clip(OPS[name](registers[sources[0]], registers[sources[1]]), -1e30, 1e30))
    stores = rng.integers(0, len(registers), n_out)
    # Some outputs take the memory of inputs that are whole.
    outputs, free = [], [v for v in views if v.flags.c_contiguous and v.base is None]
    for _ in range(n_out):
        take = free and rng.integers(0, 2)
        outputs.append(free.pop(rng.integers(0, len(free))) if take else np.full(shape, 77, np.float32))
    got = run(views, constants, instructions, stores, None, outputs)
    for k, r in enumerate(stores):
        np.testing.assert_allclose(got[k], registers[r], rtol=1e-4, atol=1e-4)


def test_two_inputs_swap_in_place(portable):
    x, y = np.arange(5000.0), np.arange(5000.0)[::-1].copy()
    run([x, y], [], [], [1, 0], None, [x, y])
    assert x[0] == 4999 and y[0] == 0 and x[-1] == 0 and y[-1] == 4999


def test_output_in_place_of_an_input_that_is_read_later(portable):
    x = np.arange(1, 6000, dtype=np.float32)
    want = x.copy()
    out = np.empty_like(x)
    run([x], [(2.0, "float32")], [("mul", "float32", 0, 1), ("add", "float32", 0, 2)], [2, 3], None, [x, out])
    np.testing.assert_array_equal(x, want * 2)
    np.testing.assert_array_equal(out, want * 3)


def test_types_mix_through_casts(portable):
    x = np.arange(-2000, 3000, dtype=np.int32)
    half = np.linspace(-4, 4, 5000).astype(np.float16)
    steps = [("cast", "float64", 0), ("cast", "float64", 1), ("mul", "float64", 2, 3)]
    steps += [("greater", "float64", 4, 2), ("cast", "bool", 5)]
    product, flag = run([x, half], [], steps, [4, 6], ["float64", "bool"])
    np.testing.assert_array_equal(product, x * half.astype(float))
    np.testing.assert_array_equal(flag, product > x)


def test_as_many_registers_as_there_may_be(portable):
    x = [np.full(3000, i, np.float64) for i in range(32)]
    steps = [("add", "float64", 0, 1)] + [("add", "float64", 32 + i, i + 1) for i in range(1, 31)]
    out = run(x, [(0.5, "float64")], steps, [63], ["float64"])[0]
    np.testing.assert_array_equal(out, sum(range(32)))


def test_refuses_what_it_cannot_run():
    x = np.zeros(4, np.float32)
    with pytest.raises(MXNetError, match="beyond 32, 16 and 64"):
        run([x] * 33, [], [], [0], ["float32"])
    with pytest.raises(MXNetError, match="reads register 5"):
        run([x], [], [("add", "float32", 0, 5)], [1], ["float32"])
    with pytest.raises(MXNetError, match="reads a register of dtype 0"):
        run([x], [], [("add", "float64", 0, 0)], [1], ["float64"])
    with pytest.raises(MXNetError, match="takes a register of dtype 0"):
        run([x], [], [("add", "float32", 0, 0)], [1], ["int32"])
    with pytest.raises(MXNetError, match="takes register 9"):
        run([x], [], [], [9], ["float32"])
    with pytest.raises(MXNetError, match="do not fit its header"):
        _ops.launch("map", [x], [x.copy()], (1, 0, 1, 1, 4, 1))
    with pytest.raises(MXNetError, match="no functor 'no_such_functor'"):
        _ops.functor("no_such_functor")
