"""Rows of the operators that change shapes and move elements."""

import numpy as np

from ._row import FLOATS, Row

ANY = (*FLOATS, "int32", "int64", "uint8", "int8", "bool")


def _row(op, inputs, ref, wrt=None, **params):
    return Row(op, inputs, params, ref, dtypes=ANY, low=0, high=100, wrt=wrt)


def _reshape(data, wanted, **params):
    return _row("Reshape", [data], lambda x, **_: x.reshape(wanted), **params)


def _squeezed(x, axis=None):
    y = np.squeeze(x, axis)
    return y.reshape(1) if y.ndim == 0 else y


def _pad(x, mode, pad_width, constant_value=0.0):
    fill = {"constant_values": constant_value} if mode == "constant" else {}
    return np.pad(x, list(zip(pad_width[::2], pad_width[1::2])), mode, **fill)


def _concat(*xs, dim=1, **_):
    return np.concatenate(xs, dim)


# data, `shape`, what MXNet 1.9.1 makes of it; then the same read from the right.
CODES = [
    ((2, 3, 4), (6, 4), (6, 4)),
    ((2, 3, 4), (-1,), (24,)),
    ((2, 3, 4), (0, -1), (2, 12)),
    ((2, 3, 4), (-2,), (2, 3, 4)),
    ((2, 3, 4), (-3, 0), (6, 4)),
    ((2, 3, 4), (-3, -2), (6, 4)),
    ((2, 3, 4), (-4, 1, 2, -2), (1, 2, 3, 4)),
    ((2, 3, 4), (0, -4, -1, 3, 0), (2, 1, 3, 4)),
    ((2, 3, 4), (4, 0, 2), (4, 3, 2)),
    ((2, 3, 2, 5), (-3, -3), (6, 10)),
]
FROM_THE_RIGHT = [
    ((10, 5, 4), (-1, 0), (50, 4)),
    ((2, 3, 2, 5), (0, -1, 0), (3, 4, 5)),
    ((2, 3, 4), (0, -3), (2, 12)),
    ((2, 3, 2, 5), (-1, 0, 0), (6, 2, 5)),
]

ROWS = [
    *(_reshape(data, wanted, shape=codes) for data, codes, wanted in CODES),
    *(_reshape(data, wanted, shape=codes, reverse=True) for data, codes, wanted in FROM_THE_RIGHT),
    _reshape((2, 3, 4), (6, 4), target_shape=(0, 4)),
    _reshape((2, 3, 4), (2, 12), target_shape=(1, 12), keep_highest=True),
    _row("Flatten", [(2, 3, 4)], lambda x: x.reshape(2, 12)),
    _row("Flatten", [(3,)], lambda x: x.reshape(3, 1)),
    _row("expand_dims", [(2, 3)], np.expand_dims, axis=1),
    _row("expand_dims", [(2, 3)], np.expand_dims, axis=-1),
    _row("squeeze", [(2, 1, 3, 1)], _squeezed),
    _row("squeeze", [(2, 1, 3, 1)], _squeezed, axis=-1),
    _row("squeeze", [(2, 1, 3, 1)], _squeezed, axis=(1, 3)),
    _row("squeeze", [(1, 1)], _squeezed),
    _row("_identity_with_attr_like_rhs", [(2, 3), (2, 3)], lambda x, y: x, wrt=[0]),
    _row("reshape_like", [(2, 3, 4), (6, 4)], lambda x, y: x.reshape(y.shape), wrt=[0]),
    _row(
        "reshape_like", [(6, 4), (2, 3, 7)], lambda x, y, **_: x.reshape(2, 3, 4), wrt=[0],
        lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2,
    ),
    _row(
        "reshape_like", [(6, 4), (2, 3, 7)], lambda x, y, **_: x.reshape(2, 3, 4), wrt=[0],
        lhs_begin=-2, lhs_end=-1, rhs_begin=0, rhs_end=-1,
    ),
    _row("transpose", [(2, 3, 4)], lambda x: x.transpose()),
    _row("transpose", [(2, 3, 4)], np.transpose, axes=(1, 0, 2)),
    _row("transpose", [(2, 3, 2, 2, 3)], np.transpose, axes=(4, 1, 0, 3, 2)),
    _row("transpose", [(37, 41)], np.transpose, axes=(1, 0)),
    _row("transpose", [(5,)], lambda x: x),
    _row("SwapAxis", [(2, 3, 4)], lambda x, dim1, dim2: x.swapaxes(dim1, dim2), dim1=0, dim2=2),
    _row("SwapAxis", [(2, 3, 4)], lambda x, dim1, dim2: x.swapaxes(dim1, dim2), dim1=-1, dim2=1),
    _row("Concat", [(2, 3), (2, 1), (2, 4)], _concat),
    _row("Concat", [(2, 3), (1, 3)], _concat, dim=0),
    _row("Concat", [(2, 2, 3), (2, 2, 1)], _concat, dim=-1),
    _row("Concat", [(2, 3)], _concat, dim=0),
    _row("stack", [(2, 3), (2, 3), (2, 3)], lambda *xs, **_: np.stack(xs)),
    _row("stack", [(2, 3), (2, 3)], lambda *xs, axis, **_: np.stack(xs, axis), axis=1),
    _row("stack", [(2, 3), (2, 3)], lambda *xs, axis, **_: np.stack(xs, axis), axis=-1),
    _row("tile", [(2, 3, 2)], np.tile, reps=(2,)),
    _row("tile", [(2, 3, 2)], np.tile, reps=(2, 1, 3)),
    _row("tile", [(2, 3)], np.tile, reps=(2, 1, 1, 2)),
    _row("tile", [(2, 3)], np.tile, reps=()),
    _row("tile", [(1, 2, 1, 2, 1)], np.tile, reps=(2, 2, 1, 2, 3)),
    _row("repeat", [(2, 3)], lambda x, repeats: np.repeat(x, repeats), repeats=2),
    _row("repeat", [(2, 3)], np.repeat, repeats=3, axis=0),
    _row("repeat", [(2, 3)], np.repeat, repeats=2, axis=-1),
    _row("Pad", [(1, 2, 3, 4)], _pad, mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 2, 1), constant_value=1.0),
    _row("Pad", [(1, 2, 3, 4)], _pad, mode="edge", pad_width=(0, 0, 0, 0, 1, 5, 6, 0)),
    _row("Pad", [(1, 2, 3, 4)], _pad, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
    _row("Pad", [(1, 2, 3, 2, 3)], _pad, mode="edge", pad_width=(0, 0, 0, 0, 1, 0, 1, 1, 2, 2)),
    _row("Pad", [(1, 2, 3, 2, 3)], _pad, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 1, 1, 2, 2)),
    _row("Pad", [(2, 3)], _pad, mode="constant", pad_width=(0, 0, 1, 1)),
]  # fmt: skip
