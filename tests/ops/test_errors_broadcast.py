"""What the elementwise operators of several inputs refuse, and in which words."""

import pytest
from ops.refusals import refusal

from cymx.ops import find

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("elemwise_add", [(2, 3), (3,)], {}, (), "rhs is (3,), expected (2, 3) from lhs (2, 3)"),
    ("elemwise_add", [(2, 3), (2, 4)], {}, (), "rhs is (2, 4), expected (2, 3) from lhs (2, 3)"),
    ("broadcast_add", [(2, 3), (2, 4)], {}, (), "shapes (2, 3) and (2, 4) do not broadcast: axis -1 has sizes [3, 4]"),
    ("broadcast_add", [(2, 3), (2, 3)], {}, ("int32",), "rhs is float32, expected int32"),
    ("broadcast_add", [(2,), (2,)], {}, ("bool", "bool"),
     "dtype is bool, expected one of float32, float64, float16, bfloat16, int32, int64, uint8, int8"),
    ("_plus_scalar", [(2,)], {"scalar": "x"}, (), "scalar is 'x', expected a number"),
    ("_plus_scalar", [(2,)], {"scalar": float("inf")}, ("int32",),
     "the number is inf, expected a finite one for int32"),
    ("_hypot_scalar", [(2,)], {"scale": 1}, (), "there is no setting 'scale'; known settings: scalar, is_int"),
    ("where", [(3,), (2, 2), (2, 2)], {}, (), "condition is (3,), expected (2,) from x (2, 2) and y (2, 2)"),
    ("where", [(2,), (2, 2), (2, 3)], {}, (), "y is (2, 3), expected (2, 2) from condition (2,) and x (2, 2)"),
    ("where", [(2, 2), (2, 2), (2, 2)], {}, ("float32", "int32"), "y is float32, expected int32"),
    ("add_n", [(2,), (3,)], {}, (), "args1 is (3,), expected (2,) from num_args=2 and args0 (2,)"),
    ("broadcast_to", [(1, 3)], {"shape": (2, 4)}, (), "data (1, 3) does not broadcast to shape=(2, 4)"),
    ("broadcast_to", [(1, 3)], {"shape": (2,)}, (), "data (1, 3) does not broadcast to shape=(2,)"),
    ("broadcast_to", [(1, 3)], {"shape": (0, 0, 3)}, (),
     "shape is (0, 0, 3), expected 2 dimensions, as data (1, 3) has"),
    ("broadcast_to", [(1, 3)], {}, (), "data (1, 3) does not broadcast to shape=()"),
    ("broadcast_axis", [(1, 3)], {"axis": 1, "size": 2}, (),
     "data is (1, 3), expected size 1 at axis 1 to broadcast it to 2"),
    ("broadcast_axis", [(1, 3)], {"axis": 2, "size": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("broadcast_axis", [(1, 3)], {"axis": (0, 1), "size": 2}, (),
     "axis is (0, 1) and size is 2, expected as many of each"),
    ("broadcast_like", [(1, 3), (2, 4)], {}, (), "lhs is (1, 3), expected size 1 at axis 1 to broadcast it to 4"),
    ("broadcast_like", [(1, 3), (2, 4)], {"lhs_axes": (0,)}, (),
     "lhs_axes is (0,) and rhs_axes is None, expected as many of each"),
    ("broadcast_like", [(1, 3), (2, 4)], {"lhs_axes": (2,), "rhs_axes": (0,)}, (),
     "lhs_axes is 2, expected -2 to 1 for 2 dimensions"),
    ("broadcast_like", [(1, 3), (2, 4)], {"lhs_axes": (1,), "rhs_axes": (1,)}, (),
     "lhs is (1, 3), expected size 1 at axis 1 to broadcast it to 4"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{find(op).name} 'n': {words}"
