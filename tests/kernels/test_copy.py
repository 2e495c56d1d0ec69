"""copy, transpose, concat, slice, slice_scatter and pad against NumPy, in every element size."""

import itertools

import numpy as np
import pytest

from cymx import _ops
from cymx.base import MXNetError

DTYPES = ["bool", "int8", "float16", "float32", "int64"]


def counted(shape, dtype):
    """Return an array whose elements tell their places apart."""
    return (np.arange(np.prod(shape, dtype=int)) % (2 if dtype == "bool" else 251)).reshape(shape).astype(dtype)


def launch(name, inputs, shape, params):
    out = np.full(shape, 1, inputs[0].dtype)
    _ops.launch(name, inputs, [out], params)
    return out


def padded(values, fill=0):
    return (*values, *[fill] * (8 - len(values)))


@pytest.mark.parametrize("n", [0, 1, 1000, 300001])
def test_copy(portable, n):
    for dtype in DTYPES:
        x = counted((n,), dtype)
        np.testing.assert_array_equal(launch("copy", [x], (n,), ()), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_in_every_order(portable, dtype):
    for shape in [(), (5,), (17, 33), (3, 1, 5), (2, 3, 4, 5), (2, 1, 3, 2, 4)]:
        x = counted(shape, dtype)
        for axes in itertools.permutations(range(len(shape))):
            want = x.transpose(axes)
            np.testing.assert_array_equal(launch("transpose", [x], want.shape, padded(axes)), want)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((1000, 700), (1, 0)), ((8, 32, 50, 3), (0, 3, 1, 2)), ((64, 3, 1000), (2, 0, 1)), ((4, 600, 130), (1, 0, 2))],
)
def test_transpose_of_large_arrays(portable, shape, axes):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    want = x.transpose(axes)
    np.testing.assert_array_equal(launch("transpose", [x], want.shape, padded(axes)), want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_concat(portable, dtype):
    for shape in [(4,), (3, 5), (2, 3, 4), (60, 70, 30)]:
        for axis in range(len(shape)):
            lengths = (2, 0, 1, 5)
            xs = [counted((*shape[:axis], n, *shape[axis + 1 :]), dtype) for n in lengths]
            want = np.concatenate(xs, axis)
            np.testing.assert_array_equal(launch("concat", xs, want.shape, (axis,)), want)


SLICES = [
    (np.s_[1:4], (9,)), (np.s_[::-1], (9,)), (np.s_[7:1:-2, ::3], (9, 20)), (np.s_[:, 5:6], (9, 20)),
    (np.s_[2:2], (9,)), (np.s_[1:, ::2, ::-1], (4, 5, 6)), (np.s_[:, :, 3:], (40, 50, 200)),
    (np.s_[::2, :, ::4], (40, 50, 200)), (np.s_[0:1, 0:1], (3, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("where", "shape"), SLICES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_slice_and_back(portable, where, shape, dtype):
    x = counted(shape, dtype)
    part = np.ascontiguousarray(x[where])
    ranges = [s.indices(n) for s, n in zip(where if isinstance(where, tuple) else (where,), shape, strict=False)]
    ranges += [(0, n, 1) for n in shape[len(ranges) :]]
    params = (*padded([r[0] for r in ranges]), *padded([r[2] for r in ranges], 1))
    np.testing.assert_array_equal(launch("slice", [x], part.shape, params), part)
    back = np.zeros_like(x)
    back[where] = part
    np.testing.assert_array_equal(launch("slice_scatter", [part], shape, params), back)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pad(portable, mode, dtype):
    for shape, widths in [
        ((5,), [(2, 1)]),
        ((4, 6), [(0, 3), (3, 0)]),
        ((2, 3, 4, 5), [(0, 0), (0, 0), (2, 2), (4, 1)]),
        ((1, 40, 50), [(1, 1), (9, 2), (3, 70)]),
    ]:
        if mode == "reflect" and dtype == "bool":
            continue
        x = counted(shape, dtype)
        want = np.pad(x, widths, mode, **({"constant_values": 1} if mode == "constant" else {}))
        number = {"constant": 0, "edge": 1, "reflect": 2}[mode]
        got = launch("pad", [x], want.shape, (number, *padded([w[0] for w in widths]), 1.0))
        np.testing.assert_array_equal(got, want)


def test_pad_may_cut_nothing_and_add_nothing(portable):
    x = counted((3, 4), "float32")
    np.testing.assert_array_equal(launch("pad", [x], (3, 4), (0, *padded([0, 0]), 5.0)), x)
    np.testing.assert_array_equal(
        launch("pad", [np.zeros((0, 2), np.float32)], (2, 3), (0, *padded([1, 0]), 5.0)), np.full((2, 3), 5)
    )


def test_refuses_what_does_not_fit():
    x = np.zeros((2, 3), np.float32)
    cases = [
        ("copy", (5,), (), "6 elements of dtype 0 cannot be copied to 5"),
        ("transpose", (3, 2), padded((1, 1)), "axes repeat"),
        ("transpose", (2, 3), padded((1, 0)), "does not fit axis"),
        ("concat", (2, 4), (1,), "the inputs have 3 elements along axis 1 and the output 4"),
        ("concat", (2, 3), (2,), "axis 2 is out of range"),
        ("slice", (2, 3), (*padded((0, 1)), *padded((1, 1), 1)), "runs from 1 to 3 along axis 1, which has length 3"),
        ("pad", (2, 2), (0, *padded((0, 0)), 0.0), "but the output 2"),
    ]
    for name, shape, params, message in cases:
        with pytest.raises(MXNetError, match=message):
            launch(name, [x], shape, params)
