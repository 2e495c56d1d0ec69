"""The kernel of one functor on whole arrays, against a map program of the same functor; what it refuses."""

import struct

import ml_dtypes
import numpy as np
import pytest
from kernels.map_support import apply

from cymx import _ops
from cymx.base import MXNetError

FLOATS = [np.dtype(t) for t in ("float32", "float64", "float16", ml_dtypes.bfloat16)]


def flat(name, operands, out, number_at=-1):
    """Run the kernel; the operand at number_at is a Python number."""
    number = float(operands[number_at]) if number_at >= 0 else 0.0
    arrays = [x for i, x in enumerate(operands) if i != number_at]
    _ops.launch("map_flat", arrays, [out], struct.pack("=qqd", _ops.functor(name), number_at, number))
    return out


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("n", [1, 15, 1024, 1025, 70001])
def test_equals_a_program(portable, dtype, n):
    rng = np.random.default_rng(n)
    x, y = (rng.uniform(0.5, 2, n).astype(dtype) for _ in range(2))
    number = np.full(n, 0.3, "float64" if dtype == np.float64 else "float32")
    for name in ("sub", "power"):
        np.testing.assert_array_equal(flat(name, [x, y], np.empty_like(x)), apply(name, x, y))
        if dtype.itemsize > 2:
            np.testing.assert_array_equal(flat(name, [x, 0.3], np.empty_like(x), 1), apply(name, x, number))
            np.testing.assert_array_equal(flat(name, [0.3, x], np.empty_like(x), 0), apply(name, number, x))
    np.testing.assert_array_equal(flat("identity", [x], np.empty_like(x)), x)


@pytest.mark.parametrize("dtype", FLOATS[2:], ids=str)
def test_halves_beside_a_number_are_rounded_once(portable, dtype):
    x = np.random.default_rng(3).uniform(0.5, 2, 3000).astype(dtype)
    expected = (x.astype("float32") * np.float32(0.3)).astype(dtype)
    np.testing.assert_array_equal(flat("mul", [x, 0.3], np.empty_like(x), 1), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int64"])
def test_in_place(portable, dtype):
    x = np.arange(5000).astype(dtype)
    expected = x + x
    np.testing.assert_array_equal(flat("add", [x, x], x), expected)


def test_refuses_what_it_cannot_run():
    x = np.ones(4, "float32")
    with pytest.raises(MXNetError, match="takes 2 operands, 1 came"):
        flat("add", [x], x.copy())
    with pytest.raises(MXNetError, match="takes 2 operands, 2 came with a number at 1"):
        flat("add", [x.astype(int), 1], np.empty(4, int), 1)
    with pytest.raises(MXNetError, match="does not compute in dtype 4"):
        flat("exp", [x.astype("int32")], np.empty(4, "int32"))
