"""What the operators that look up by index refuse, and in which words."""

import pytest
from ops.refusals import refusal

import cymx as mx

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("take", [(4, 3), (2,)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("take", [(4, 3), (2,)], {"mode": "bounce"}, (), "mode is 'bounce', expected one of 'clip', 'wrap', 'raise'"),
    ("Embedding", [(2,), (5, 3)], {"input_dim": 4, "output_dim": 3}, (),
     "weight is (5, 3), expected (4, 3) from input_dim=4, output_dim=3 and data (2,)"),
    ("Embedding", [(2,)], {"input_dim": 4}, (), "output_dim is missing, expected an integer of at least 1"),
    ("one_hot", [(2,)], {}, (), "depth is missing, expected an integer of at least 0"),
    ("pick", [(3, 4), (2,)], {}, (), "index is (2,), expected (3,) from data (3, 4)"),
    ("pick", [(3, 4), (3,)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("pick", [(3, 4), (3,)], {"mode": "raise"}, (), "mode is 'raise', expected one of 'clip', 'wrap'"),
    ("gather_nd", [(4, 3), (3, 2)], {}, (), "indices is (3, 2), expected at most 2 rows for data (4, 3)"),
    ("SequenceMask", [(3, 2), (3,)], {"use_sequence_length": True}, (),
     "sequence_length is (3,), expected (2,) from use_sequence_length=True and data (3, 2)"),
    ("batch_take", [(3, 4), (2,)], {}, (), "indices is (2,), expected (3,) from a (3, 4)"),
    ("batch_take", [(3,), (3,)], {}, (), "a is (3,), expected 2 dimensions"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{op} 'n': {words}"


def test_an_index_outside_is_refused_where_asked():
    data, index = mx.nd.zeros((4, 3)), mx.nd.array([0, 9])
    with pytest.raises(mx.MXNetError, match="index 9 is out of range for an axis of length 4"):
        mx.nd.take(data, index, mode="raise").wait_to_read()
    with pytest.raises(mx.MXNetError, match="index 9 is out of range for axis 0, which has length 4"):
        mx.nd.gather_nd(data, mx.nd.array([[0, 9]])).wait_to_read()
