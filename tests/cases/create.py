"""Rows of the operators that make arrays out of settings or shapes.  What has no inputs runs once, in its own dtype."""

import numpy as np

from ._row import FLOATS, NUMBERS, Row

ONCE = ("float32",)


def _made(op, expected, **params):
    return Row(op, [], params, expect=[np.array(expected)], dtypes=ONCE)


def _filled(op, number, **params):
    return [
        Row(op, [], {"shape": shape, "dtype": dtype, **params}, dtypes=ONCE,
            expect=[np.full(shape if isinstance(shape, tuple) else (shape,), number, dtype)])
        for shape, dtype in (((2, 3), "float32"), ((2,), "int32"), (3, "float16"), ((1, 2), "float64"))
    ]  # fmt: skip


ROWS = [
    *_filled("_zeros", 0),
    *_filled("_ones", 1),
    *_filled("_full", 2.5, value=2.5),
    _made("_full", [7, 7], shape=(2,), value="7"),
    *(
        Row(op, [(2, 3)], {}, ref, dtypes=(*NUMBERS, "bool"), low=0, high=9)
        for op, ref in (("zeros_like", np.zeros_like), ("ones_like", np.ones_like))
    ),
    _made("_arange", [0, 1, 2, 3, 4], start=0, stop=5),
    _made("_arange", [0, 1, 2, 3, 4], start=5),
    _made("_arange", [1, 1.3, 1.6, 1.9], start=1, stop=2, step=0.3),
    _made("_arange", [5, 3, 1], start=5, stop=0, step=-2),
    _made("_arange", [0, 0, 1, 1, 2, 2], start=0, stop=3, repeat=2),
    _made("_arange", np.arange(10) * 0.1, start=0, stop=1, step=0.1),
    _made("_arange", np.arange(5, dtype="int32"), start=0, stop=5, dtype="int32"),
    _made("_linspace", [0, 0.25, 0.5, 0.75, 1], start=0, stop=1, num=5),
    _made("_linspace", [0, 0.2, 0.4, 0.6, 0.8], start=0, stop=1, num=5, endpoint=False),
    _made("_linspace", [2], start=2, stop=2, num=1),
    _made("_linspace", [1, 0.5, 0], start=1, stop=0, num=3),
    _made("_linspace", np.array([0, 3, 6, 10], "int32"), start=0, stop=10, num=4, dtype="int32"),
    *(
        _made("_eye", np.eye(p["N"], p.get("M"), p.get("k", 0)), **p)
        for p in ({"N": 3}, {"N": 2, "M": 4}, {"N": 3, "k": 1}, {"N": 3, "M": 2, "k": -1}, {"N": 2, "M": 3, "k": 5})
    ),
    _made("_eye", np.eye(2, dtype="int32"), N=2, dtype="int32"),
    *(
        Row("shape_array", [shape], {}, lambda x: np.array(x.shape), dtypes=(*FLOATS, "int32"))
        for shape in ((2, 3, 4), (5,))
    ),
    Row("size_array", [(2, 3, 4)], {}, lambda x: np.array([24]), dtypes=(*FLOATS, "int32")),
]
