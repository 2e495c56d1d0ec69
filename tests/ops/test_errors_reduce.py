"""What the reductions refuse, and in which words."""

import pytest
from ops.refusals import refusal

from cymx.ops import find

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("sum", [(2, 3)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("sum", [(2, 3)], {"axis": (0, -2)}, (), "axis is (0, -2), expected each axis once"),
    ("sum", [(2, 3)], {"axis": "first"}, (), "axis is 'first', expected an axis or a tuple of axes"),
    ("sum", [(2, 3)], {"keepdims": "maybe"}, (), "keepdims is 'maybe', expected True or False"),
    ("mean", [(2, 3)], {"axis": -3}, (), "axis is -3, expected -2 to 1 for 2 dimensions"),
    ("max", [(2, 3)], {}, ("bool",),
     "dtype is bool, expected one of float32, float64, float16, bfloat16, int32, int64, uint8, int8"),
    ("norm", [(2, 3)], {"ord": 3}, (), "ord is 3, expected 1 or 2"),
    ("norm", [(2, 3)], {"out_dtype": "uint8"}, (),
     "out_dtype is 'uint8', expected one of 'float16', 'float32', 'float64', 'int8', 'int32', 'int64', 'None'"),
    ("moments", [(2,)], {"axes": 1}, (), "axis is 1, expected -1 to 0 for 1 dimensions"),
    ("argmax", [(2, 3)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("argmax", [(2, 3)], {"axis": (0, 1)}, (), "axis is (0, 1), expected an integer or None"),
    ("argmax_channel", [(3,)], {}, (), "axis is 1, expected -1 to 0 for 1 dimensions"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{find(op).name} 'n': {words}"
