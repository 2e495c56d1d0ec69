"""What the matrix products refuse, and in which words."""

import pytest
from ops.refusals import refusal

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("FullyConnected", [(100, 3), (3, 2), (2,)], {"num_hidden": 2}, (),
     "weight is (3, 2), expected (2, 3) from num_hidden=2, data (100, 3) and bias (2,)"),
    ("FullyConnected", [(2, 3), (4, 3), (3,)], {"num_hidden": 4}, (),
     "bias is (3,), expected (4,) from num_hidden=4, data (2, 3) and weight (4, 3)"),
    ("FullyConnected", [(2, 3), (4, 3)], {"no_bias": True}, (),
     "num_hidden is missing, expected an integer of at least 1"),
    ("FullyConnected", [(2, 3), (4, 3), (4,)], {"num_hidden": 0}, (),
     "num_hidden is 0, expected an integer of at least 1"),
    ("FullyConnected", [(2, 3), (4, 3), (4,)], {"num_hidden": "four"}, (),
     "num_hidden is 'four', expected an integer of at least 1"),
    ("FullyConnected", [(2, 3), (4, 3), (4,)], {"num_hidden": 4}, ("float32", "float64"),
     "weight is float64, expected float32"),
    ("FullyConnected", [(2, 3), (4, 3), (4,)], {"num_hidden": 4}, ("int32", "int32", "int32"),
     "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("dot", [(2, 3), (2, 3)], {}, (), "lhs (2, 3) and rhs (2, 3): the dimensions to sum over are 3 and 2"),
    ("dot", [(2, 3), (4,)], {}, (), "lhs (2, 3) and rhs (4,): the dimensions to sum over are 3 and 4"),
    ("dot", [(3, 2), (4, 2)], {"transpose_a": True}, (),
     "lhs (3, 2) and rhs (4, 2): the dimensions to sum over are 3 and 4"),
    ("dot", [(3,), (3,)], {}, ("int32", "int32"),
     "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("batch_dot", [(2, 3, 4), (3, 4, 5)], {}, (), "lhs (2, 3, 4) and rhs (3, 4, 5): the leading dimensions differ"),
    ("batch_dot", [(2, 3, 4), (2, 3, 5)], {}, (), "lhs (2, 3, 4) and rhs (2, 3, 5): inner dimensions 4 and 3 differ"),
    ("batch_dot", [(3, 4), (4, 5)], {}, (), "lhs is (3, 4) and rhs (4, 5), expected at least 3 dimensions"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{op} 'n': {words}"
