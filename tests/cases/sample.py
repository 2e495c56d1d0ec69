"""Rows of draws by probability; where one category has all of it, the draw is known."""

import numpy as np

from ._row import Row

SURE = np.array([[0.0, 1, 0], [0, 0, 1]])
ODDS = np.array([[0.2, 0.3, 0.5], [0.6, 0.0, 0.4]])

ROWS = [
    Row("_sample_multinomial", [SURE], {}, lambda x, **_: x.argmax(1),
        dtypes=("float32", "float64", "float16"), wrt=()),
    Row("_sample_multinomial", [SURE], {"shape": (2,), "get_prob": True, "dtype": "float32"},
        lambda x, **_: (np.stack([x.argmax(1)] * 2, 1), np.zeros((2, 2))), dtypes=("float32",), wrt=()),
    Row("_sample_multinomial", [SURE[0] * 7], {"dtype": "uint8"}, lambda x, **_: np.array([1]),
        dtypes=("float32",), wrt=()),
    Row("_sample_multinomial", [ODDS], {"shape": (4, 5)}, None, dtypes=("float32",), wrt=()),
]  # fmt: skip
