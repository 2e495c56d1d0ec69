"""What the operators that change and cut shapes refuse, and in which words."""

import pytest
from ops.refusals import refusal

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("Reshape", [(2, 3, 4)], {"shape": (5, 5)}, (), "data (2, 3, 4) has 24 elements, shape=(5, 5) wants 25"),
    ("Reshape", [(2, 3, 4)], {"shape": (-1, -1)}, (), "shape=(-1, -1) leaves more than one dimension open"),
    ("Reshape", [(2, 3, 4)], {"shape": (0, 0, 0, 0)}, (),
     "shape=(0, 0, 0, 0) asks for more dimensions than data (2, 3, 4) has"),
    ("Reshape", [(2, 3, 4)], {"shape": (-3, -3)}, (),
     "shape=(-3, -3) asks for more dimensions than data (2, 3, 4) has"),
    ("Reshape", [(2, 3, 4)], {"shape": (-4, 3, -1, -2)}, (), "shape=(-4, 3, -1, -2) splits 2 into 3 and 0"),
    ("Reshape", [(2, 3, 4)], {"shape": (-4, -1, -1, -2)}, (),
     "shape=(-4, -1, -1, -2) leaves both parts of a split open"),
    ("Reshape", [(2, 3, 4)], {"shape": (-5,)}, (), "shape=(-5,) holds -5, expected a size or one of 0, -1, -2, -3, -4"),
    ("Reshape", [(2, 3, 4)], {"shape": ()}, (), "shape is missing, expected a tuple of integers"),
    ("expand_dims", [(2, 3)], {"axis": 3}, (), "axis is 3, expected -3 to 2 for 3 dimensions"),
    ("squeeze", [(2, 1, 3)], {"axis": 0}, (), "data is (2, 1, 3), expected size 1 at axis 0 to remove it"),
    ("squeeze", [(2, 1, 3)], {"axis": 3}, (), "axis is 3, expected -3 to 2 for 3 dimensions"),
    ("reshape_like", [(2, 3, 4), (5, 6)], {}, (), "lhs (2, 3, 4) has 24 elements, rhs (5, 6) makes (5, 6)"),
    ("transpose", [(2, 3)], {"axes": (0, 0)}, (), "axes is (0, 0), expected each of the 2 axes once"),
    ("transpose", [(2, 3)], {"axes": (0, 2)}, (), "axes is 2, expected -2 to 1 for 2 dimensions"),
    ("SwapAxis", [(2, 3)], {"dim1": 0, "dim2": 2}, (), "dim2 is 2, expected -2 to 1 for 2 dimensions"),
    ("Concat", [(2, 3), (3, 3)], {"dim": 1}, (),
     "arg1 is (3, 3), expected (2, 3) from dim=1, num_args=2 and arg0 (2, 3)"),
    ("Concat", [(2, 3), (2, 3, 1)], {}, (), "arg1 is (2, 3, 1), expected (2, ?) from num_args=2 and arg0 (2, 3)"),
    ("Concat", [(2, 3), (2, 3)], {"dim": 2}, (), "dim is 2, expected -2 to 1 for 2 dimensions"),
    ("Concat", [(2, 3), (2, 3)], {}, ("float32", "int32"), "arg1 is int32, expected float32"),
    ("stack", [(2, 3), (2, 4)], {}, (), "arg1 is (2, 4), expected (2, 3) from num_args=2 and arg0 (2, 3)"),
    ("stack", [(2, 3), (2, 3)], {"axis": 3}, (), "axis is 3, expected -3 to 2 for 3 dimensions"),
    ("tile", [(2,)], {"reps": (-1,)}, (), "reps is (-1,), expected a tuple of integers of at least 1"),
    ("repeat", [(2, 3)], {"repeats": 2, "axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("Pad", [(1, 1, 2, 2)], {"mode": "edge", "pad_width": (0, 0, 1, 1)}, (),
     "pad_width is (0, 0, 1, 1), expected 8 numbers for data (1, 1, 2, 2)"),
    ("Pad", [(1, 1, 2, 2)], {"mode": "reflect", "pad_width": (0, 0, 0, 0, 2, 0, 0, 0)}, (),
     "pad_width is (0, 0, 0, 0, 2, 0, 0, 0), expected less than the sizes of data (1, 1, 2, 2) for mode='reflect'"),
    ("Pad", [(1, 1, 2, 2)], {"mode": "wrap", "pad_width": (0, 0, 0, 0, 0, 0, 0, 0)}, (),
     "mode is 'wrap', expected one of 'constant', 'edge', 'reflect'"),
    ("Pad", [(1, 1, 2, 2)], {"mode": "edge", "pad_width": (0, 0, 0, 0, 0, 0, 0, -1)}, (),
     "pad_width is (0, 0, 0, 0, 0, 0, 0, -1), expected a tuple of integers of at least 0"),
    ("slice", [(2, 3)], {"begin": (0, 0), "end": (1,)}, (),
     "begin=(0, 0), end=(1,), step=(): expected as many of each, at most 2, for (2, 3)"),
    ("slice", [(2, 3)], {"begin": (0, 0, 0), "end": (1, 1, 1)}, (),
     "begin=(0, 0, 0), end=(1, 1, 1), step=(): expected as many of each, at most 2, for (2, 3)"),
    ("slice", [(2, 3)], {"begin": (0,), "end": (2,), "step": (0,)}, (), "step=(0,) holds 0"),
    ("slice_axis", [(2, 3)], {"axis": 1, "begin": 2, "end": 1}, (),
     "begin=2, end=1 do not select from the 3 along axis 1 of data (2, 3)"),
    ("slice_axis", [(2, 3)], {"axis": 1, "begin": 0, "end": 4}, (),
     "begin=0, end=4 do not select from the 3 along axis 1 of data (2, 3)"),
    ("slice_axis", [(2, 3)], {"axis": 2, "begin": 0, "end": 1}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("slice_like", [(2, 3), (3, 3)], {}, (),
     "shape_like is (3, 3), expected no more than data (2, 3) has along axes (0, 1)"),
    ("slice_like", [(2, 3), (2,)], {}, (), "shape_like is (2,), expected as many dimensions as data (2, 3) has"),
    ("SliceChannel", [(2, 3)], {"num_outputs": 2}, (),
     "data is (2, 3), expected a size at axis 1 that num_outputs=2 divides"),
    ("SliceChannel", [(2, 3)], {"num_outputs": 1, "squeeze_axis": True}, (),
     "data is (2, 3), expected a size at axis 1 that num_outputs=1 divides"),
    ("reverse", [(2, 3)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{op} 'n': {words}"
