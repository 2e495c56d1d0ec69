"""What the random operators refuse, and in which words."""

import pytest
from ops.refusals import refusal

from cymx.ops import find

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("_random_uniform", [], {"low": 2, "high": 1, "shape": (2,)}, (), "low is 2.0, expected at most high=1.0"),
    ("_random_uniform", [], {"dtype": "int32", "shape": (2,)}, (),
     "dtype is 'int32', expected one of 'float16', 'float32', 'float64', 'bfloat16', 'None'"),
    ("_random_normal", [], {"scale": -1, "shape": (2,)}, (), "scale is -1, expected a number of at least 0"),
    ("_random_exponential", [], {"lam": 0, "shape": (2,)}, (), "lam is 0.0, expected a number above 0"),
    ("_random_randint", [], {"low": 4, "high": 4, "shape": (2,)}, (), "low is 4, expected less than high=4"),
    ("_random_randint", [], {"high": 4}, (), "low is missing, expected an integer"),
    ("_random_randint", [], {"low": 0, "high": 1152921504606846976, "shape": (2,), "dtype": "int64"}, (),
     "the range of whole numbers is empty, or beyond 2**53"),
    ("_random_randint", [], {"low": 0, "high": 1099511627776, "shape": (2,)}, (),
     "low is 0 and high is 1099511627776, expected numbers of int32, or dtype='int64'"),
    ("_bernoulli", [], {"prob": 2, "shape": (2,)}, (), "prob is 2.0, expected at most 1"),
    ("sample_uniform", [(2,), (3,)], {}, (), "high is (3,), expected (2,) from low (2,)"),
    ("sample_normal", [(2,), (2,)], {"dtype": "int32"}, (),
     "dtype is 'int32', expected one of 'float16', 'float32', 'float64', 'None'"),
    ("sample_normal", [(2,), (2,)], {}, ("float32", "float64"), "sigma is float64, expected float32"),
    ("random_uniform_like", [(2,)], {}, ("int32",),
     "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("random_uniform_like", [(2,)], {"low": 2, "high": 1}, (), "low is 2.0, expected at most high=1.0"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{find(op).name} 'n': {words}"
