"""Rows of the operators that put elements in order."""

import numpy as np

from ._row import NUMBERS, Row

DISTINCT = np.random.default_rng(3).permutation(120).reshape(4, 5, 6) - 50.0
TIED = np.random.default_rng(4).integers(-3, 3, (3, 70))
SPECIAL = np.array([[0.0, -0.0, np.inf, 1, -np.inf, np.nan, -1, 0.0], [3, 2, np.nan, 1, 0, -1, np.inf, -2]])


def _keys(x, is_ascend):
    return x if is_ascend else -x.astype("float64")


def argsort(x, axis=-1, is_ascend=True, **_):
    """Return the indices that put x in order; ties stay as they are."""
    return np.argsort(_keys(x, is_ascend), axis, kind="stable")


def sort(x, axis=-1, is_ascend=True):
    """Put x in order."""
    return np.take_along_axis(
        x.ravel() if axis is None else x, argsort(x, axis, is_ascend), 0 if axis is None else axis
    )


def topk(x, axis=-1, k=1, ret_typ="indices", is_ascend=False, **_):
    """Return the first k in order: values, indices, both, or a mask of where they are."""
    x_ = x.ravel() if axis is None else x
    axis_ = 0 if axis is None else axis
    indices = np.take(argsort(x, axis, is_ascend), np.arange(k if k > 0 else x_.shape[axis_]), axis_)
    values = np.take_along_axis(x_, indices, axis_)
    mask = np.zeros_like(x_)
    np.put_along_axis(mask, indices, 1, axis_)
    return {"value": values, "indices": indices, "both": (values, indices), "mask": mask.reshape(x.shape)}[ret_typ]


ROWS = [
    Row("sort", [DISTINCT], {}, sort, dtypes=("float32", "float64", "float16", "bfloat16", "int32", "int64", "int8")),
    Row("sort", [DISTINCT], {"axis": 1, "is_ascend": False}, sort),
    Row("sort", [DISTINCT], {"axis": None}, sort),
    Row("sort", [DISTINCT], {"axis": 0}, sort, dtypes=("float32",)),
    Row("sort", [SPECIAL], {}, lambda x: np.sort(x), dtypes=("float32", "float64", "float16", "bfloat16"), wrt=()),
    Row("sort", [(1,)], {}, sort),
    Row("argsort", [TIED], {}, argsort, dtypes=("float32", "float64", "float16", "bfloat16", "int32", "int64", "int8")),
    Row("argsort", [TIED + 3], {"axis": 0, "is_ascend": False, "dtype": "int32"}, argsort, dtypes=("uint8", "float32")),
    Row("argsort", [TIED], {"axis": None, "dtype": "int64"}, argsort, dtypes=("float32",)),
    *(
        Row("topk", [DISTINCT], {"k": k, "axis": axis, "ret_typ": kind, "is_ascend": up}, topk,
            dtypes=("float32", "float64"), wrt=[0] if kind in ("value", "both") else ())
        for k, axis, up in ((1, -1, False), (3, 1, True), (2, 0, False), (0, 2, False), (7, None, False))
        for kind in ("value", "indices", "both", "mask")
    ),
    Row("topk", [DISTINCT], {"k": 2, "dtype": "int32"}, topk, dtypes=("float32", "float16", "int32")),
    Row("topk", [TIED + 3], {"k": 30, "ret_typ": "both", "dtype": "int64"}, topk, dtypes=NUMBERS, wrt=()),
    Row("_shuffle", [(5, 3)], {}, None),
]  # fmt: skip
