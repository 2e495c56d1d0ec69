"""What the elementwise operators of one input refuse, and in which words."""

import pytest
from ops.refusals import refusal

from cymx.ops import find

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("exp", [(2,)], {}, ("bool",),
     "dtype is bool, expected one of float32, float64, float16, bfloat16, int32, int64, uint8, int8"),
    ("exp", [(2,)], {"axis": 1}, (), "there is no setting 'axis'; known settings: none"),
    ("clip", [(2,)], {"a_min": 0}, (), "a_max is missing, expected a number"),
    ("clip", [(2,)], {"a_min": 0, "a_max": "high"}, (), "a_max is 'high', expected a number"),
    ("clip", [(2,)], {"a_min": 0, "a_max": None}, (), "a_max is None, expected a number"),
    ("Cast", [(2,)], {"dtype": "complex64"}, (), "dtype is 'complex64', expected the name of a dtype"),
    ("Cast", [(2,)], {}, (), "dtype is missing, expected the name of a dtype"),
    ("hard_sigmoid", [(2,)], {}, ("int32",), "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("_view", [(2, 3)], {"shape": (4,)}, (), "data is (2, 3), expected as many elements as shape=(4,) holds"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{find(op).name} 'n': {words}"
