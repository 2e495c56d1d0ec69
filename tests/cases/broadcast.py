"""Rows of the elementwise operators of several inputs, their strict forms, and their forms with a number.

Recorded: what MXNet 1.9.1 answers where NumPy answers otherwise: integers beside fractions, modulo 0, nan.
"""

import math

import numpy as np

from ._row import FLOATS, NUMBERS, Row

INTEGERS = ("int32", "int64", "int8")
NAN, INF = math.nan, math.inf


def _divide(x, y):
    if np.asarray(x).dtype.kind not in "iu":
        return x / y
    return (np.sign(x) * np.sign(y) * (np.abs(x) // np.maximum(np.abs(y), 1))).astype(x.dtype)


def _modulo(x, y):
    return np.where(y == 0, 0, np.mod(x, np.where(y == 0, 1, y)))


def _hypot(x, y):
    return np.hypot(x, y) if x.dtype.kind == "f" else np.hypot(x.astype("float64"), y.astype("float64")).astype(x.dtype)


# word, reference, word of the form with a number on the left
ARITHMETIC = [
    ("add", np.add, None), ("sub", np.subtract, "rminus"), ("mul", np.multiply, None), ("div", _divide, "rdiv"),
    ("mod", _modulo, "rmod"), ("maximum", np.maximum, None), ("minimum", np.minimum, None),
]  # fmt: skip
COMPARISONS = [
    ("equal", np.equal), ("not_equal", np.not_equal), ("greater", np.greater), ("greater_equal", np.greater_equal),
    ("lesser", np.less), ("lesser_equal", np.less_equal), ("logical_and", np.logical_and),
    ("logical_or", np.logical_or), ("logical_xor", np.logical_xor),
]  # fmt: skip
STRICT = {"add": "elemwise_add", "sub": "elemwise_sub", "mul": "elemwise_mul", "div": "elemwise_div"}
SCALAR = {"add": "plus", "sub": "minus"}


def _apart(n, ratio):
    """Return (2, n) numbers whose quotients stay away from whole numbers, and from each other, in every dtype."""
    x = np.linspace(-3.1, 4.3, n)
    return x, np.where(np.arange(n) % 2, -1, 1) * ratio


def _pair(op, ref, **fields):
    x, y = _apart(12, 1.3)
    return Row(op, [x.reshape(3, 4), y.reshape(3, 4)], {}, ref, **fields)


def _number(op, ref, scalar, left=False, dtypes=FLOATS, low=0.3, high=2.3, **fields):
    def with_number(x, scalar, **_):
        # As MXNet: the number takes data's dtype.
        number = np.asarray(scalar, "float64").astype(x.dtype)
        return ref(number, x) if left else ref(x, number)

    return Row(op, [(3, 4)], {"scalar": scalar}, with_number, dtypes=dtypes, low=low, high=high, **fields)


def _recorded(op, inputs, expected, dtype="float32", **params):
    return Row(op, [np.array(x) for x in inputs], params, expect=[np.array(expected)], dtypes=(dtype,), wrt=())


SHAPES = ([(3, 4), (3, 4)], [(2, 3, 4), (1, 3, 1)], [(3, 1), (1, 4)], [(2, 1, 3), (4, 3)], [(3, 4), (1, 1)])
# Whole numbers, some of them equal.
LATTICE = (
    np.array([[-1.0, 0, 2, 0], [3, 1, 0, -2], [1, -2, 2, 5]]),
    np.array([[-1.0, 1, 0, 0], [0, 4, 3, -2], [2, 0, 2, 1]]),
)

arithmetic = [
    row
    for word, ref, reverse in ARITHMETIC
    for row in (
        _pair(f"broadcast_{word}", ref),
        _pair(STRICT.get(word, f"_{word}"), ref),
        Row(f"broadcast_{word}", [(3, 4), (3, 4)], {}, ref, dtypes=INTEGERS, low=1, high=11),
        Row(f"broadcast_{word}", [(3, 4), (3, 4)], {}, ref, dtypes=("uint8",), low=1, high=200),
        _number(f"_{SCALAR.get(word, word)}_scalar", ref, 0.7, tol=4e-5),
        _number(f"_{SCALAR.get(word, word)}_scalar", ref, 2.5, dtypes=INTEGERS, low=1, high=11),
        *([_number(f"_{reverse}_scalar", ref, 5.3, left=True, tol=4e-5)] if reverse else ()),
        *([_number(f"_{reverse}_scalar", ref, 7.9, left=True, dtypes=INTEGERS, low=1, high=11)] if reverse else ()),
    )
]
ROWS = [
    *arithmetic,
    *(
        Row(f"broadcast_{word}", shapes, {}, ref, low=0.5)
        for word, ref in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide))
        for shapes in SHAPES
    ),
    *(
        Row(f"broadcast_{word}", [(2, 3, 4), (1, 3, 1)], {}, ref, low=0.3)
        for word, ref in (("power", np.power), ("hypot", np.hypot), ("maximum", np.maximum), ("minimum", np.minimum))
    ),
    Row("_power", [(3, 4), (3, 4)], {}, np.power, low=0.3),
    Row("_hypot", [(3, 4), (3, 4)], {}, np.hypot),
    Row("broadcast_hypot", [(3, 4), (3, 4)], {}, _hypot, dtypes=("int32", "int64"), low=1, high=11),
    _number("_power_scalar", np.power, 2.5),
    _number("_power_scalar", np.power, -1.0),
    _number("_power_scalar", np.power, 3.0, low=-2),
    _number("_rpower_scalar", np.power, 2.5, left=True, low=-2),
    _number("_hypot_scalar", np.hypot, 1.5),
    *(
        Row(op, LATTICE, {}, ref, dtypes=(*FLOATS, "int32", "int64", "int8"), wrt=())
        for word, ref in COMPARISONS
        for op in (f"broadcast_{word}", f"_{word}")
    ),
    *(Row(f"broadcast_{word}", [(3, 4), (4,)], {}, ref, dtypes=("float64",)) for word, ref in COMPARISONS),
    *(
        Row(
            f"broadcast_{word}",
            [np.array([True, False, True, False]), np.array([True, True, False, False])],
            {},
            ref,
            dtypes=("bool",),
        )
        for word, ref in COMPARISONS
    ),
    *(
        Row(
            f"_{word}_scalar",
            [LATTICE[0]],
            {"scalar": 2.0},
            lambda x, scalar, ref=ref: ref(x, 2),
            dtypes=(*FLOATS, "int32"),
            wrt=(),
        )
        for word, ref in COMPARISONS
    ),
    Row("_plus_scalar", [(3, 4)], {"scalar": "1.5", "is_int": "False"}, lambda x, **_: x + 1.5),
    _recorded("_plus_scalar", [[1, 2, 3]], [2, 3, 4], "int32", scalar=1.5),
    _recorded("_mul_scalar", [[1, 2, 3]], [2, 4, 6], "int32", scalar=2.5),
    _recorded("_div_scalar", [[-3, 2, 3]], [-1, 1, 1], "int32", scalar=2),
    _recorded("_rdiv_scalar", [[1, 2, 3]], [2, 1, 0], "int32", scalar=2),
    _recorded("_plus_scalar", [[250, 2, 3]], [4, 12, 13], "uint8", scalar=10),
    _recorded("_mul_scalar", [[250, 2, 3]], [244, 4, 6], "uint8", scalar=2),
    _recorded("_equal_scalar", [[1, 2, 3]], [1, 0, 0], "int32", scalar=1.5),
    _recorded("_minimum_scalar", [[2, 1, 3, 250, 7]], [2, 1, 3, 250, 7], "uint8", scalar=-2),
    _recorded("_maximum_scalar", [[1.0, -3]], [NAN, NAN], scalar=NAN),
    _recorded("broadcast_add", [[250, 7], [10, 3]], [4, 10], "uint8"),
    _recorded("broadcast_sub", [[3, 0], [5, 4]], [254, 252], "uint8"),
    _recorded("broadcast_mul", [[250, 3], [10, 5]], [196, 15], "uint8"),
    _recorded("broadcast_div", [[7, -7, 7, -7, 2], [3, 3, -3, -3, -1]], [2, -2, -2, 2, -2], "int32"),
    _recorded("broadcast_div", [[0.0, 3, -0.0], [0, 0, 5]], [NAN, INF, 0]),
    _recorded(
        "broadcast_mod",
        [[7.0, -7, 7, -7, 3, NAN, INF, 2, 0, -2], [3, 3, -3, -3, 0, 1, 2, INF, -1, 0.5]],
        [1, 2, -2, -1, 0, NAN, NAN, 2, 0, 0],
    ),
    _recorded("broadcast_mod", [[7, -7, 7, -7, 0, -2], [3, 3, -3, -3, 1, -1]], [1, 2, -2, -1, 0, 0], "int32"),
    _recorded(
        "broadcast_power",
        [[7.0, -7, 0, 3, 1, -INF, 2, 0, -2, -2], [3, -3, 0, 0, NAN, 3, INF, -1, 0.5, 3]],
        [343, -0.0029154520016163588, 1, 1, 1, -INF, INF, INF, NAN, -8],
    ),
    _recorded("broadcast_power", [[7, -7, 7, 1, 3, 1], [3, 3, -3, 0, 2, -1]], [343, -343, 0, 1, 9, 1], "int32"),
    _recorded("broadcast_maximum", [[NAN, 1.0, INF], [1, NAN, 2]], [NAN, NAN, INF]),
    _recorded("broadcast_minimum", [[NAN, 1.0, INF], [1, NAN, 2]], [NAN, NAN, 2]),
    _recorded("broadcast_hypot", [[7, -7, 0, 3], [3, -3, 1, 2]], [7, 7, 1, 3], "int32"),
    _recorded("broadcast_equal", [[NAN, 1.0], [NAN, 1]], [0, 1]),
    _recorded("broadcast_logical_and", [[NAN, 0.0], [1, NAN]], [1, 0]),
    *(
        Row("_where3", [np.array([[1.0], [0], [-2]]), *shapes], {}, lambda c, x, y: np.where(c != 0, x, y), wrt=(1, 2))
        for shapes in ([(3, 4), (3, 4)], [(1, 4), (2, 1, 4)])
    ),
    *(
        Row(
            "where",
            [condition, (3, 4), (3, 4)],
            {},
            lambda c, x, y: np.where(c.reshape(3, -1) != 0, x, y),
            wrt=(1, 2),
            dtypes=(*FLOATS, "int32", "int64", "uint8", "int8"),
            input_dtypes=(dtype,),
            high=100,
            low=0,
        )
        for condition in (np.array([[1.0, 0, 0.5, -1]] * 3), np.array([1.0, 0, NAN]))
        for dtype in ("float32", "float64")
    ),
    Row(
        "where",
        [np.array([0, 1, 2]), (3, 2), (3, 2)],
        {},
        lambda c, x, y: np.where(c[:, None] != 0, x, y),
        wrt=(1, 2),
        input_dtypes=("int32",),
    ),
    *(
        Row("add_n", [(3, 4)] * n, {"num_args": n}, lambda *xs, **_: sum(xs), dtypes=NUMBERS, low=0, high=40)
        for n in (1, 2, 5)
    ),
    *(
        Row(
            "broadcast_to",
            [x],
            {"shape": shape},
            lambda x, shape: np.broadcast_to(x, [a or b for a, b in zip(shape, x.shape)] if 0 in shape else shape),
            dtypes=NUMBERS,
            low=0,
            high=100,
        )
        for x, shape in (((1, 3), (2, 3)), ((2, 1, 1), (0, 3, 4)), ((3, 4), (3, 4)), ((4,), (3, 4)))
    ),
    Row("broadcast_axis", [(1, 3, 1)], {"axis": (0, 2), "size": (2, 4)}, lambda x, **_: np.broadcast_to(x, (2, 3, 4))),
    Row("broadcast_axis", [(1, 3)], {"axis": 0, "size": 2}, lambda x, **_: np.broadcast_to(x, (2, 3))),
    Row("broadcast_axis", [(3, 1)], {"axis": -1, "size": 2}, lambda x, **_: np.broadcast_to(x, (3, 2))),
    Row("broadcast_like", [(1, 3), (2, 3)], {}, lambda x, like: np.broadcast_to(x, like.shape), wrt=(0,)),
    Row("broadcast_like", [(2, 3), (2, 3)], {}, lambda x, like: x, wrt=(0,)),
    Row(
        "broadcast_like",
        [(1, 3), (5, 2)],
        {"lhs_axes": (0,), "rhs_axes": (-1,)},
        lambda x, like, **_: np.broadcast_to(x, (2, 3)),
        wrt=(0,),
    ),
]
