"""Rows of the operators that cut pieces out of arrays."""

import numpy as np

from ._row import FLOATS, Row

ANY = (*FLOATS, "int32", "int64", "uint8", "int8", "bool")


def _row(op, inputs, ref, wrt=None, **params):
    return Row(op, inputs, params, ref, dtypes=ANY, low=0, high=100, wrt=wrt)


def _slice(x, begin, end, step=None):
    return x[tuple(slice(b, e, s) for b, e, s in zip(begin, end, step or (None,) * len(begin)))]


def _slice_axis(x, axis, begin, end):
    return np.moveaxis(np.moveaxis(x, axis, 0)[begin:end], 0, axis)


def _split(x, num_outputs, axis=1, squeeze_axis=False):
    parts = np.split(x, num_outputs, axis)
    return tuple(p.squeeze(axis) for p in parts) if squeeze_axis else tuple(parts)


def _cut(begin, end, **step):
    return _row("slice", [(2, 3, 4)], _slice, begin=begin, end=end, **step)


ROWS = [
    _cut((0, 1), (2, 3)),
    _cut((None, 1), (None, None)),
    _cut((-1, -2), (None, None)),
    _cut((0, -2, 0), (2, None, 2)),
    _cut((0, 0), (9, 9)),
    _cut((-9,), (2,)),
    _cut((None, None, None), (None, None, None), step=(1, 1, -1)),
    _cut((1, None), (None, None), step=(-1, 2)),
    _cut((0, 0, 3), (2, 3, 0), step=(1, 1, -2)),
    _cut((None, None, -1), (None, None, None), step=(None, None, -2)),
    _row("slice_axis", [(2, 3, 4)], _slice_axis, axis=0, begin=1, end=2),
    _row("slice_axis", [(2, 3, 4)], _slice_axis, axis=1, begin=0, end=None),
    _row("slice_axis", [(2, 3, 4)], _slice_axis, axis=-1, begin=-3, end=-1),
    _row("slice_like", [(2, 3, 4), (1, 2, 3)], lambda x, y: x[:1, :2, :3], wrt=[0]),
    _row("slice_like", [(2, 3, 4), (9, 9, 2)], lambda x, y, **_: x[:, :, :2], wrt=[0], axes=(-1,)),
    _row("slice_like", [(2, 3, 4), (1, 2)], lambda x, y, **_: x[:1, :2], wrt=[0], axes=(0, 1)),
    _row("SliceChannel", [(2, 3, 4)], _split, num_outputs=3),
    _row("SliceChannel", [(2, 3, 4)], _split, num_outputs=2, axis=-1),
    _row("SliceChannel", [(2, 3, 4)], _split, num_outputs=3, squeeze_axis=True),
    _row("SliceChannel", [(2, 3, 4)], _split, num_outputs=1),
    _row("reverse", [(2, 3, 4)], np.flip, axis=1),
    _row("reverse", [(2, 3, 4)], np.flip, axis=(0, 2)),
    _row("reverse", [(2, 3, 4)], np.flip, axis=-1),
    _row("reverse", [(2, 3, 4)], np.flip, axis=()),
]
