"""What the operators that make arrays refuse, and in which words."""

import pytest
from ops.refusals import refusal

from cymx.ops import find

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("_arange", [], {"start": 0, "stop": 5, "step": 0}, (), "step is 0, expected another number"),
    ("_arange", [], {"start": 3, "stop": 1}, (), "start=3.0, stop=1.0, step=1.0 hold no number"),
    ("_arange", [], {}, (), "start is missing, expected a number"),
    ("_arange", [], {"start": 0, "stop": 5, "repeat": 0}, (), "repeat is 0, expected an integer of at least 1"),
    ("_eye", [], {"N": -1}, (), "N is -1, expected an integer of at least 1"),
    ("_eye", [], {"N": 2, "M": -1}, (), "M is -1, expected an integer of at least 0"),
    ("_zeros", [], {"dtype": "f128"}, (), "dtype is 'f128', expected the name of a dtype"),
    ("_full", [], {"shape": (2,)}, (), "value is missing, expected a number"),
    ("_linspace", [], {"start": 0, "num": 3}, (), "stop is missing, expected a number"),
    ("_linspace", [], {"start": 0, "stop": 1, "num": -3}, (), "num is -3, expected an integer of at least 0"),
    ("_full", [], {"shape": (2,), "value": float("nan"), "dtype": "int32"}, (),
     "the number is nan, expected a finite one for int32"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{find(op).name} 'n': {words}"
