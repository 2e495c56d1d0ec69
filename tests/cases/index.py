"""Rows of the operators that look elements up by index.

MXNet's habits: fractions are cut off, what is outside is clipped or wrapped.
"""

import numpy as np

from ._row import FLOATS, Row

ANY = (*FLOATS, "int32", "int64", "uint8", "int8")
INDEX = ("float32", "int32", "int64", "float64", "uint8")


def _places(index, n, mode="clip"):
    index = np.trunc(np.asarray(index, "float64")).astype("int64")
    return index % n if mode == "wrap" else np.clip(index, 0, n - 1)


def _take(a, indices, axis=0, mode="clip"):
    return np.take(a, _places(indices, a.shape[axis], mode), axis)


def _pick(x, index, axis=-1, keepdims=False, mode="clip"):
    index = index if index.ndim == x.ndim else np.expand_dims(index, axis)
    y = np.take_along_axis(x, _places(index, x.shape[axis], mode), axis)
    return y if keepdims else y.squeeze(axis)


def _one_hot(index, depth, on_value=1.0, off_value=0.0, **_):
    return np.where(np.trunc(index)[..., None] == np.arange(depth), on_value, off_value)


def _gather(x, index):
    return x[tuple(index.astype(int))]


def _mask(x, lengths=None, use_sequence_length=False, value=0.0, axis=0):
    if lengths is None:
        return x
    steps = np.arange(x.shape[axis])[:, None] < lengths
    steps = steps if axis == 0 else steps.T
    return np.where(steps.reshape(steps.shape + (1,) * (x.ndim - 2)), x, value)


def _row(op, data, index, ref, index_dtype="float32", **params):
    index = np.asarray(index, "float64")
    dtypes = FLOATS if op == "SequenceMask" else ANY
    return Row(
        op, [data, index], params, ref, dtypes=dtypes, low=0, high=100, wrt=[0], input_dtypes=(None, index_dtype)
    )  # fmt: skip


def _one_hot_row(index, dtypes=INDEX, **params):
    return Row("one_hot", [np.array(index)], params, _one_hot, dtypes=dtypes, wrt=())


OUTSIDE = [-1, 0, 5, 2.7, -7]

ROWS = [
    *(_row("take", (4, 3, 2), [[0, 3], [1, 1]], _take, dtype) for dtype in INDEX),
    *(_row("take", (4, 3, 2), OUTSIDE, _take, axis=a, mode=m) for a in (0, 1, -1) for m in ("clip", "wrap")),
    _row("take", (4, 3), [0, 3], _take, mode="raise"),
    *(
        Row("Embedding", [np.array(data), (5, 3)], {"input_dim": 5, "output_dim": 3},
            lambda i, w, **_: w[_places(i, 5)], wrt=[1], input_dtypes=(dtype, None))
        for data, dtype in (
            ([0, 4, 2], "float32"), ([[0, 1], [1, 1]], "int32"), ([-1, 7, 2.9], "float32"), ([[[3]]], "int64")
        )
    ),
    *(
        Row("batch_take", [(3, 4), np.array(i)], {}, _pick,
            dtypes=ANY, low=0, high=100, wrt=(), input_dtypes=(None, "int32"))
        for i in ([0, 3, 1], [0, 9, -1])
    ),
    _one_hot_row([0, 2, 1], depth=3),
    _one_hot_row([[0, 2], [1, 3]], depth=3, on_value=2.0, off_value=-1.0),
    _one_hot_row([-1, 5, 1.0], dtypes=("float32", "int32"), depth=3),
    _one_hot_row([0, 2, 1], dtypes=("float32",), depth=4, dtype="int32"),
    *(_row("pick", (3, 4), [0, 3, 1], _pick, dtype) for dtype in INDEX),
    _row("pick", (3, 4), [-1, 7, 1.8], _pick),
    _row("pick", (3, 4), [-1, 7, 1.8], _pick, mode="wrap"),
    _row("pick", (3, 4), [[0], [3], [1]], _pick, axis=1),
    _row("pick", (3, 4), [0, 2, 1, 1], _pick, axis=0),
    _row("pick", (4, 3, 2), [[0, 2], [1, 1], [1, 0], [2, 2]], _pick, axis=1),
    _row("pick", (4, 3, 2), [[0, 1, 0]] * 4, _pick, axis=2, keepdims=True),
    _row("gather_nd", (4, 3, 2), [[0, 3, 1], [1, 2, 0]], _gather),
    _row("gather_nd", (4, 3, 2), [[0, 3, 1], [1, 2, 0], [0, 1, 1]], _gather, "int32"),
    _row("gather_nd", (4, 3, 2), [[0, 3, 0]], _gather),
    _row("gather_nd", (4, 3, 2), [[[0, 3], [1, 1]], [[1, 2], [1, 1]]], _gather, "int64"),
    _row("gather_nd", (4, 3, 2), [[0, -1], [1, -3]], _gather),
    Row("SequenceMask", [(3, 2, 2)], {}, _mask),
    _row("SequenceMask", (3, 2, 2), [1, 3], _mask, use_sequence_length=True),
    _row("SequenceMask", (3, 2, 2), [-1, 9], _mask, use_sequence_length=True, value=-1.0),
    _row("SequenceMask", (3, 2, 2), [0, 2, 1], _mask, "int32", use_sequence_length=True, axis=1, value=5.0),
    _row("SequenceMask", (3, 2), [1, 2], _mask, use_sequence_length=True),
]  # fmt: skip
