"""Rows of the elementwise operators of one input.

Recorded: how MXNet 1.9.1 takes ties, borders and integers, which NumPy takes otherwise or not at all.
"""

import math

import mpmath
import numpy as np

from ._row import FLOATS, NUMBERS, Row

INTEGERS = ("int32", "int64", "uint8", "int8")


def _each(function):
    """Return a function of arrays from one of numbers."""
    return np.vectorize(lambda x: float(function(x)), otypes=["float64"])


def _round(x):
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _cut(ref):
    """Return a reference that takes integers through floats, and cuts the fraction off again."""
    return lambda x, **p: np.trunc(ref(x.astype("float64"), **p)).astype(x.dtype) if x.dtype.kind in "iu" else ref(x)


def _whole(ref):
    """Return a reference that leaves integers as they are."""
    return lambda x: x if x.dtype.kind in "iu" else ref(x)


def _unary(op, ref, low=-2.0, high=2.0, **fields):
    return Row(op, [(3, 5)], {}, ref, low=low, high=high, **fields)


def _integers(op, ref, values=(0, 1, 2, 3, 5)):
    return Row(op, [np.array(values)], {}, _cut(ref), dtypes=INTEGERS, wrt=())


def _recorded(op, given, expected, data="float32", **params):
    """Return a row whose answer was recorded."""
    return Row(op, [np.array(given)], params, expect=[np.array(expected)], dtypes=(data,), wrt=())


NAN, INF = math.nan, math.inf
# operator, reference, and where its inputs are drawn from
SMOOTH = [
    ("negative", np.negative, -2, 2), ("square", np.square, -2, 2), ("reciprocal", np.reciprocal, 0.5, 2),
    ("sqrt", np.sqrt, 0.1, 4), ("rsqrt", lambda x: x**-0.5, 0.1, 4),
    ("cbrt", np.cbrt, -3, -0.1), ("cbrt", np.cbrt, 0.1, 3), ("rcbrt", lambda x: 1 / np.cbrt(x), -3, -0.2),
    ("exp", np.exp, -3, 3), ("expm1", np.expm1, -3, 3), ("expm1", np.expm1, -1e-3, 1e-3),
    ("log", np.log, 0.1, 4), ("log2", np.log2, 0.1, 4), ("log10", np.log10, 0.1, 4), ("log1p", np.log1p, -0.9, 3),
    ("sin", np.sin, -4, 4), ("cos", np.cos, -4, 4), ("tan", np.tan, -1.2, 1.2),
    ("arcsin", np.arcsin, -0.9, 0.9), ("arccos", np.arccos, -0.9, 0.9), ("arctan", np.arctan, -3, 3),
    ("sinh", np.sinh, -3, 3), ("cosh", np.cosh, -3, 3), ("tanh", np.tanh, -3, 3),
    ("arcsinh", np.arcsinh, -3, 3), ("arccosh", np.arccosh, 1.1, 4), ("arctanh", np.arctanh, -0.9, 0.9),
    ("degrees", np.degrees, -4, 4), ("radians", np.radians, -400, 400),
    ("erf", _each(math.erf), -2, 2), ("erfinv", _each(mpmath.erfinv), -0.9, 0.9),
    ("gamma", _each(mpmath.gamma), 0.3, 4), ("gamma", _each(mpmath.gamma), -0.9, -0.1),
    ("gammaln", _each(mpmath.loggamma), 0.3, 4), ("digamma", _each(mpmath.digamma), 0.3, 5),
    ("sigmoid", _sigmoid, -4, 4), ("softsign", lambda x: x / (1 + np.abs(x)), -4, 4),
    ("softrelu", lambda x: np.logaddexp(x, 0), -4, 4), ("relu", lambda x: np.maximum(x, 0), -2, 2),
    ("abs", np.abs, -2, 2), ("identity", np.copy, -2, 2),
]  # fmt: skip
# Their gradient is zero everywhere.
STEPS = [
    ("sign", np.sign), ("round", _whole(_round)), ("rint", _whole(np.rint)), ("ceil", _whole(np.ceil)),
    ("floor", _whole(np.floor)), ("trunc", _whole(np.trunc)), ("fix", _whole(np.trunc)),
    ("logical_not", lambda x: x == 0),
]  # fmt: skip


def _smooth_l1(x, scalar=1.0):
    near = np.abs(x) < 1 / scalar**2
    return np.where(near, (scalar * x) ** 2 / 2, np.abs(x) - 0.5 / scalar**2)


ROWS = [
    *(_unary(op, ref, low, high, wrt=() if op == "digamma" else None) for op, ref, low, high in SMOOTH),
    *(_unary(op, ref) for op, ref in STEPS),
    *(
        Row(op, [(3, 5)], {}, ref, dtypes=INTEGERS, low=0, high=11)
        for op, ref in [*STEPS, ("negative", np.negative), ("square", np.square), ("relu", np.copy), ("abs", np.abs),
                        ("identity", np.copy)]
    ),
    *(
        _integers(op, ref)
        for op, ref in [("sqrt", np.sqrt), ("cbrt", np.cbrt), ("expm1", np.expm1), ("log1p", np.log1p), ("exp", np.exp),
                        ("sin", np.sin), ("arctan", np.arctan), ("degrees", np.degrees), ("sigmoid", _sigmoid)]
        if op != "degrees"
    ),
    Row("identity", [np.array([True, False])], {}, np.copy, dtypes=("bool",)),
    Row("logical_not", [np.array([True, False])], {}, np.logical_not, dtypes=("bool",)),
    _recorded("degrees", [-7, -3, 0, 2, 5], [-401, -171, 0, 114, 286], "int32"),
    _recorded("reciprocal", [-7, -1, 1, 2], [0, -1, 1, 0], "int32"),
    _recorded("negative", [0, 1, 3, 250], [0, 255, 253, 6], "uint8"),
    _recorded("square", [0, 1, 3, 250, 7], [0, 1, 9, 36, 49], "uint8"),
    _recorded("sign", [NAN, INF, -INF, 0.0, -0.5], [0, 1, -1, 0, -1]),
    _recorded("round", [NAN, INF, 0.5, -0.5, 1.5, 2.5, -1.5], [NAN, INF, 1, -1, 2, 3, -2]),
    _recorded("rint", [NAN, INF, -INF, 0.5, -0.5, 1.5, 2.5, -1.5], [NAN, INF, -INF, 0, -1, 1, 2, -2]),
    _recorded("fix", [NAN, -INF, 1.5, -1.5], [NAN, -INF, 1, -1]),
    _recorded("relu", [NAN, INF, -INF, -0.0], [NAN, INF, 0, 0]),
    _recorded("sigmoid", [NAN, INF, -INF], [NAN, 1, 0]),
    _recorded("logical_not", [NAN, INF, -0.0], [0, 0, 1]),
    _recorded("erfinv", [NAN, 1, -1, 1.5], [NAN, INF, -INF, NAN]),
    _recorded("gamma", [NAN, INF, -INF, 0.0, -0.0, -1], [NAN, INF, NAN, INF, -INF, NAN]),
    _recorded("gammaln", [NAN, INF, -INF, 0.0, -1], [NAN, INF, INF, INF, INF]),
    _recorded("arccosh", [NAN, INF, 0.5, 1], [NAN, INF, NAN, 0]),
    _recorded("clip", [NAN, INF, -INF, 0, -0.5], [NAN, 1, -1, 0, -0.5], a_min=-1, a_max=1),
    _recorded("clip", [0, 1, -1, 2], [-1, -1, 1, -1], a_min=1, a_max=-1),
    _recorded("clip", [1, 2, 3], [1, 2, 2], "int32", a_min=1.5, a_max=2.5),
    _recorded("clip", [0, 1, 3, 250, 7], [0, 1, 3, 250, 7], "uint8", a_min=-1, a_max=300),
    Row("clip", [np.array([-3, 4, 2**53 + 1])], {"a_min": 0, "a_max": INF},
        expect=[np.array([0, 4, 2**53 + 1])], dtypes=("int64",), wrt=()),
    Row("clip", [(3, 5)], {"a_min": -1.0, "a_max": 0.5}, lambda x, a_min, a_max: np.clip(x, a_min, a_max)),
    *(Row("smooth_l1", [(3, 5)], {"scalar": s}, _smooth_l1) for s in (1.0, 2.0, 0.5)),
    *(Row("_smooth_l1_grad", [(3, 5)], {"scalar": s}, lambda x, scalar: np.clip(scalar**2 * x, -1, 1), wrt=())
      for s in (1.0, 2.0)),
    Row("hard_sigmoid", [(3, 5)], {}, lambda x: np.clip(0.2 * x + 0.5, 0, 1), low=-4, high=4),
    Row("hard_sigmoid", [(3, 5)], {"alpha": 0.5, "beta": 0.1},
        lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1)),
    *(Row("Cast", [(3, 5)], {"dtype": d}, lambda x, dtype: x.astype(dtype), wrt=()) for d in INTEGERS[:2]),
    Row("Cast", [(3, 5)], {"dtype": "float64"}, lambda x, dtype: x),
    *(Row("Cast", [(3, 5)], {"dtype": d}, lambda x, dtype: x, tol=tol, wrt=())
      for d, tol in (("float32", 1e-5), ("float16", 4e-3), ("bfloat16", 3e-2))),
    Row("Cast", [(3, 5)], {"dtype": "float32"}, lambda x, dtype: x, dtypes=(*INTEGERS, "bool"), low=0, high=9),
    Row("Cast", [(3, 5)], {"dtype": "bool"}, lambda x, dtype: x != 0, dtypes=NUMBERS, low=0, high=3, wrt=()),
    _recorded("Cast", [-2.7, 0, 0.5, 1.9, -0.1], [-2, 0, 0, 1, 0], dtype="int32"),
    _recorded("Cast", [300, -1], [44, 255], dtype="uint8"),
    Row("_view", [(2, 6)], {"shape": (3, 4)}, lambda x, shape: x.reshape(shape), dtypes=(*FLOATS, "int32")),
]  # fmt: skip
