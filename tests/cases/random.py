"""Rows of the operators that draw.  They have no reference: test_random.py looks at what is drawn."""

import numpy as np

from ._row import FLOATS, Row

ONCE = ("float32",)
SHAPE = {"shape": (4, 5)}


def _draw(op, *inputs, **params):
    return Row(op, [np.array(x) for x in inputs], params, dtypes=FLOATS[:3] if inputs else ONCE, wrt=())


ROWS = [
    *(_draw(op, **SHAPE, **params)
      for op, params in (
          ("_random_uniform", {}), ("_random_uniform", {"low": -3, "high": 5, "dtype": "float64"}),
          ("_random_normal", {}), ("_random_normal", {"loc": 2, "scale": 3, "dtype": "float16"}),
          ("_random_exponential", {"lam": 2}), ("_random_exponential", {"dtype": "float64"}),
          ("_random_randint", {"low": -2, "high": 9}), ("_random_randint", {"low": 0, "high": 2**40, "dtype": "int64"}),
          ("_bernoulli", {"prob": 0.3}), ("_bernoulli", {"dtype": "float16"}),
      )),
    _draw("_random_uniform_like", np.zeros((4, 5)), low=1, high=2),
    _draw("_random_normal_like", np.zeros((4, 5)), loc=1, scale=0.5),
    _draw("_sample_uniform", [0.0, 2], [1.0, 5], shape=(3,)),
    _draw("_sample_normal", [0.0, 2], [1.0, 0.5], shape=(3, 2)),
    _draw("_sample_uniform", [[0.0, 2]], [[1.0, 5]]),
]  # fmt: skip
