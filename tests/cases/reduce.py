"""Rows of the reductions.  Recorded: what MXNet 1.9.1 makes of nan, ties and integers."""

import math

import numpy as np

from ._row import FLOATS, NUMBERS, Row

NAN, INF = math.nan, math.inf
AXES = (
    {}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": (0, 2)}, {"axis": (-1, 0)}, {"axis": (0, 1, 2)},
    {"axis": 1, "keepdims": True}, {"keepdims": True}, {"axis": 1, "exclude": True},
    {"axis": (0, 2), "exclude": True, "keepdims": True}, {"exclude": True}, {"axis": (0, 1, 2), "exclude": True},
    {"axis": "(0, 1)", "keepdims": "True"},
)  # fmt: skip
X = np.array([[[1, 2, 3], [4, 5, 6]], [[-1, 0, 2], [7, -8, 9]]])


def _axes(x, axis, exclude):
    axis = eval(axis) if isinstance(axis, str) else axis
    if axis is None or axis == ():
        return tuple(range(x.ndim))
    chosen = [a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)]
    return tuple(a for a in range(x.ndim) if (a in chosen) != exclude)


def _reduction(function):
    """Return a reference of MXNet's settings from a NumPy reduction; a full one leaves (1,)."""

    def ref(x, axis=(), keepdims=False, exclude=False, **_):
        y = function(x, axis=_axes(x, axis, exclude), keepdims=keepdims in (True, "True"))
        return np.asarray(y).reshape(np.shape(y) or (1,)).astype(x.dtype)

    return ref


def _whole_mean(x, axis, keepdims):
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (x.size / total.size) if x.dtype.kind == "f" else np.trunc(total / (x.size / total.size))


def _norm(x, ord=2, axis=None, keepdims=False, **_):
    y = (np.abs(x) ** ord).sum(axis if axis != () else None, keepdims=keepdims) ** (1 / ord)
    return np.reshape(y, np.shape(y) or (1,))


def _moments(x, axes=None, keepdims=False):
    pair = [f(x, axis=axes, keepdims=keepdims) for f in (np.mean, np.var)]
    return tuple(np.reshape(y, np.shape(y) or (1,)) for y in pair)


def _arg(function):
    def ref(x, axis=None, keepdims=False):
        y = function(x, axis=axis, keepdims=keepdims)
        return np.reshape(y, np.shape(y) or (1,))

    return ref


def _recorded(op, given, expected, data="float32", **params):
    return Row(op, [np.array(given)], params, expect=[np.array(expected)], dtypes=(data,), wrt=())


REDUCTIONS = (("sum", np.sum), ("mean", _whole_mean), ("prod", np.prod), ("max", np.max), ("min", np.min),
              ("nansum", np.nansum), ("nanprod", np.nanprod))  # fmt: skip
WITH_NAN = np.array([[1.0, NAN, 3], [NAN, NAN, NAN]])

ROWS = [
    *(
        Row(op, [(2, 4, 3)], params, _reduction(ref), low=0.5, high=1.5, tol=3e-5)
        for op, ref in REDUCTIONS
        for params in AXES
    ),
    *(Row(op, [X], {"axis": 2}, _reduction(ref), dtypes=("int32", "int64")) for op, ref in REDUCTIONS),
    *(
        Row(op, [(2, 3)], {"axis": 1}, _reduction(ref), dtypes=("uint8", "int8"), low=0, high=5)
        for op, ref in REDUCTIONS
    ),
    # Long enough for several blocks, and for several threads.
    *(
        Row(op, [(3, 1500)], {"axis": axis}, _reduction(ref), dtypes=("float32", "float64"), wrt=(), tol=1e-4)
        for op, ref in (("sum", np.sum), ("mean", _whole_mean), ("max", np.max))
        for axis in (0, 1)
    ),
    _recorded("sum", [True, True], [True], "bool"),
    _recorded("mean", [1, 2, 4], [2], "int32"),
    _recorded("mean", [1, 2, 253], [85], "uint8"),
    _recorded("mean", [-1, -2, -4], [-2], "int32"),
    _recorded("max", [1, NAN, 2], [NAN]),
    _recorded("max", [NAN, 1, 2], [NAN]),
    _recorded("min", [1, NAN, 2], [NAN]),
    _recorded("sum", [INF, -INF], [NAN]),
    _recorded("prod", [NAN, 0], [NAN]),
    *(
        Row(op, [WITH_NAN], params, _reduction(ref), dtypes=FLOATS, wrt=())
        for op, ref in REDUCTIONS[-2:]
        for params in ({}, {"axis": 1}, {"axis": 0})
    ),
    *(
        Row("norm", [(2, 3, 4)], params, _norm)
        for params in (
            {},
            {"ord": 1},
            {"axis": 1},
            {"axis": (0, 1), "ord": 1},
            {"axis": -1, "keepdims": True},
            {"keepdims": True},
        )
    ),
    _recorded("norm", [1, 2, 3], [3], "int32"),
    _recorded("norm", [1, -2, 3], [6], "int32", ord=1),
    Row("norm", [(2, 3)], {"out_dtype": "float64"}, _norm, dtypes=("float64", "float16"), tol=1e-2),
    *(
        Row("moments", [(2, 3, 4)], params, _moments)
        for params in ({}, {"axes": 0}, {"axes": (0, 2)}, {"axes": (0, -1), "keepdims": True})
    ),
    *(
        Row(op, [X], params, _arg(ref), dtypes=NUMBERS[:6])
        for op, ref in (("argmax", np.argmax), ("argmin", np.argmin))
        for params in ({}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": 1, "keepdims": True}, {"keepdims": True})
    ),
    *(
        Row(op, [(2, 1500)], {"axis": axis}, _arg(ref), dtypes=("float32", "int32"), low=-1e6, high=1e6)
        for op, ref in (("argmax", np.argmax), ("argmin", np.argmin))
        for axis in (0, 1)
    ),
    _recorded("argmax", [3, 1, 3, 1], [0], axis=0),
    _recorded("argmin", [3, 1, 3, 1], [1], axis=0),
    _recorded("argmax_channel", [[1, 3, 3], [2, 1, 0]], [1, 0]),
    Row("argmax_channel", [X], {}, lambda x: x.argmax(1), dtypes=("float32", "int32")),
]
