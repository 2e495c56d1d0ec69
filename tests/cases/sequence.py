"""Rows of the operators over sequences and along an axis."""

import numpy as np

from ._row import NUMBERS, Row

LENGTHS = np.array([2, 4, 1])


def _last(x, length=None, axis=0, **_):
    x = np.moveaxis(x, axis, 0)
    return x[-1] if length is None else np.stack([x[int(n) - 1, i] for i, n in enumerate(length)])


def _reverse(x, length=None, **_):
    length = np.full(x.shape[1], len(x)) if length is None else length
    y = x.copy()
    for i, n in enumerate(length.astype(int)):
        y[:n, i] = x[:n, i][::-1]
    return y


def _arange_like(x, start=0.0, step=1.0, repeat=1, axis=None):
    n = x.size if axis is None else x.shape[axis]
    made = start + step * (np.arange(n) // repeat)
    return made.reshape(x.shape) if axis is None else made


def _diag(x, k=0, axis1=0, axis2=1):
    return np.diag(x, k) if x.ndim == 1 else np.diagonal(x, k, axis1, axis2)


def _depth_to_space(x, block_size):
    n, c, h, w = x.shape
    y = x.reshape(n, block_size, block_size, -1, h, w).transpose(0, 3, 4, 1, 5, 2)
    return y.reshape(n, -1, h * block_size, w * block_size)


def _space_to_depth(x, block_size):
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // block_size, block_size, w // block_size, block_size).transpose(0, 3, 5, 1, 2, 4)
    return y.reshape(n, -1, h // block_size, w // block_size)


LENGTH = {"use_sequence_length": True}
ROWS = [
    Row("SequenceLast", [(4, 3, 2)], {}, _last, dtypes=NUMBERS),
    Row("SequenceLast", [(4, 3, 2)], {"axis": 1}, _last),
    Row("SequenceLast", [(4, 3, 2), LENGTHS], LENGTH, _last, wrt=[0]),
    Row("SequenceLast", [(3, 4), LENGTHS], {**LENGTH, "axis": 1}, _last, wrt=[0], input_dtypes=(None, "int32")),
    Row("SequenceReverse", [(4, 3, 2)], {}, _reverse, dtypes=NUMBERS),
    Row("SequenceReverse", [(4, 3, 2), LENGTHS], LENGTH, _reverse, wrt=[0]),
    Row("SequenceReverse", [(5, 3), LENGTHS], LENGTH, _reverse, wrt=[0], input_dtypes=(None, "int64")),
    Row("_contrib_arange_like", [(2, 5)], {}, _arange_like),
    Row("_contrib_arange_like", [(2, 5)], {"start": 1.0, "step": -0.5, "repeat": 3}, _arange_like),
    Row("_contrib_arange_like", [(2, 5)], {"axis": -1, "repeat": 2}, _arange_like,
        dtypes=("float32", "int32", "int64")),
    Row("cumsum", [(3, 7)], {"axis": 1}, lambda x, axis: np.cumsum(x, axis), tol=4e-5),
    Row("cumsum", [(3, 2, 2)], {"axis": 0}, lambda x, axis: np.cumsum(x, axis), dtypes=("float32", "int32", "int64")),
    Row("cumsum", [(3, 4)], {}, lambda x: np.cumsum(x), tol=4e-5),
    Row("cumsum", [(1, 2)], {"axis": 0, "dtype": "float64"}, lambda x, **_: x, dtypes=("float32", "int32")),
    Row("diag", [(3,)], {}, _diag, dtypes=NUMBERS),
    Row("diag", [(3,)], {"k": 2}, _diag),
    Row("diag", [(3,)], {"k": -1}, _diag),
    *(Row("diag", [(3, 4)], {"k": k}, _diag) for k in (0, 1, 3, -1, -2)),
    Row("diag", [(2, 3, 4)], {"k": 1, "axis1": 2, "axis2": 0}, _diag, dtypes=NUMBERS),
    Row("depth_to_space", [(2, 8, 2, 3)], {"block_size": 2}, _depth_to_space, dtypes=NUMBERS),
    Row("space_to_depth", [(2, 2, 4, 6)], {"block_size": 2}, _space_to_depth, dtypes=NUMBERS),
]  # fmt: skip
