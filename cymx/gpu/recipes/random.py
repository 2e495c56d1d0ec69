"""random_uniform, random_normal, random_bernoulli, random_randint, arange.  Kernels: kernels/random.cuh."""

import struct

from ..recipe import Out, RandomState, Work, ceil_div, recipe
from .common import CPP, FLOATING, count, kernel, numbers, one_dtype, refuse, spread

WHOLE = 2.0**53


def _uniform(row, dtype, a, b):
    return f"cymx::{row}<{'double' if dtype == 'float64' else 'float'}>", struct.pack("=dd", a, b)


def _bernoulli(row, dtype, a, b):
    refuse(not 0 <= a <= 1, f"{row}: the probability of 1 is {a}, expected 0 to 1")
    return f"cymx::{row}", struct.pack("=Q", int(a * 4294967296.0))


def _randint(row, dtype, a, b):
    refuse(not (a < b and a >= -WHOLE and b <= WHOLE), f"{row}: [{a}, {b}) holds no whole number, or some beyond 2**53")
    return f"cymx::{row}", struct.pack("=qQ", int(a), int(b) - int(a))


MAKERS = {
    "random_uniform": _uniform, "random_normal": _uniform, "random_bernoulli": _bernoulli, "random_randint": _randint,
}  # fmt: skip


@recipe(*MAKERS)
def random(row, ins, outs, params, device):
    """Return the launch that fills an array with random numbers, four to a counter."""
    y = outs[0]
    one_dtype(row, outs, FLOATING if row in ("random_uniform", "random_normal") else tuple(CPP))
    maker, block = MAKERS[row](row, y.dtype, *numbers(params, "dd"))
    n = count(y.shape)
    if n == 0:
        return Work()
    k = kernel("random.cuh", "random_fill", CPP[y.dtype], maker)
    return Work((spread(k, ceil_div(n, 4), device, Out(0), n, RandomState(), block),))


@recipe("arange")
def arange(row, ins, outs, params, device):
    """Return the launch that counts from start by steps, each number `repeat` times."""
    start, step, repeat = numbers(params, "ddq")
    refuse(repeat < 1, f"arange: each number is repeated {repeat} times, expected at least once")
    n = count(outs[0].shape)
    if n == 0:
        return Work()
    k = kernel("random.cuh", "arange", CPP[outs[0].dtype])
    return Work((spread(k, n, device, Out(0), n, start, step, repeat),))
