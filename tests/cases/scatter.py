"""Rows of the operators that write at places, and of flat indices."""

import numpy as np

from ._row import NUMBERS, Row

AT = np.array([[0, 2, 1], [3, 0, 3]])


def _scatter_nd(data, indices, shape):
    y = np.zeros(shape)
    np.add.at(y, tuple(indices.astype(int)), data)
    return y


def _index_copy(old, index, new):
    y = old.copy()
    y[index.astype(int)] = new
    return y


def _slices(begin, end, step=()):
    return tuple(slice(b, e, s) for b, e, s in zip(begin, end, step or (None,) * len(begin)))


def _slice_assign(x, part, **where):
    y = x.copy()
    y[_slices(**where)] = part
    return y


def _slice_assign_scalar(x, scalar=0.0, **where):
    return _slice_assign(x, scalar, **where)


def _fill(x, values, at):
    y = x.copy()
    y[np.arange(len(x)), at.astype(int)] = values
    return y


FLAT = np.array([[22, 41], [37, 0]])
ROWS = [
    Row("scatter_nd", [(3,), AT], {"shape": (3, 4)}, _scatter_nd, wrt=[0], dtypes=("float32", "float64", "int32")),
    Row("scatter_nd", [(3, 2), AT], {"shape": (3, 4, 2)}, _scatter_nd, wrt=[0], input_dtypes=(None, "int64")),
    Row("scatter_nd", [(3, 4), AT[:1] * 0], {"shape": (2, 4)}, _scatter_nd, wrt=[0], dtypes=("float32",)),
    Row("_contrib_index_copy", [(4, 2), np.array([2, 0]), (2, 2)], {}, _index_copy, wrt=[0, 2],
        dtypes=("float32", "int32")),
    Row("_slice_assign", [(3, 4), (2, 2)], {"begin": (0, 1), "end": (2, None), "step": (1, 2)}, _slice_assign,
        dtypes=NUMBERS),
    Row("_slice_assign", [(3, 4), (3, 1)], {"begin": (None, -1), "end": (None, None)}, _slice_assign),
    Row("_slice_assign_scalar", [(3, 4)], {"scalar": 5.0, "begin": (1,), "end": (3,)}, _slice_assign_scalar,
        dtypes=NUMBERS),
    Row("ravel_multi_index", [np.array([[3, 6, 6], [4, 5, 1]])], {"shape": (7, 6)},
        lambda x, shape: x[0] * shape[1] + x[1], dtypes=("float32", "int32", "int64")),
    Row("unravel_index", [FLAT], {"shape": (7, 6)},
        lambda x, shape: np.stack(np.unravel_index(x.astype(int), shape)), dtypes=("float32", "int32", "int64")),
    Row("fill_element_0index", [(3, 4), (3,), np.array([2, 0, 3])], {}, _fill, dtypes=("float32", "float64")),
]  # fmt: skip
