"""What the operators over images, sequences and places refuse, and in which words."""

import pytest
from ops.refusals import refusal

# operator, inputs' shapes, settings, what the error says in the end.
REFUSED = [
    ("UpSampling", [(2, 3, 4)], {"scale": 2, "sample_type": "nearest"},
     "data is (2, 3, 4), expected (batch, channels, height, width)"),
    ("UpSampling", [(1, 2, 2, 3), (1, 1, 3, 6)], {"scale": 2, "sample_type": "nearest"},
     "data1 is (1, 1, 3, 6), expected height and width that divide 4 and 6"),
    ("Crop", [(1, 2, 5, 6)], {"h_w": (4, 3), "offset": (2, 0)},
     "data is (1, 2, 5, 6), expected it to hold a window of (4, 3) at (2, 0)"),
    ("LRN", [(1, 2, 5, 6)], {"nsize": 4}, "nsize is 4, expected an odd number"),
    ("InstanceNorm", [(2, 3, 4), (4,), (3,)], {}, "gamma is (4,), expected (3,) from data (2, 3, 4) and beta (3,)"),
    ("GroupNorm", [(2, 3, 4), (2,), (2,)], {"num_groups": 2},
     "data is (2, 3, 4), expected (batch, channels, ...) with channels in multiples of num_groups=2"),
    ("SequenceReverse", [(3, 2)], {"axis": 1}, "axis is 1, expected 0"),
    ("SequenceLast", [(3, 2), (3,)], {"use_sequence_length": True},
     "sequence_length is (3,), expected (2,) from use_sequence_length=True and data (3, 2)"),
    ("diag", [(3, 4)], {"k": 4}, "k is 4, expected a diagonal of data (3, 4) over axes 0 and 1"),
    ("depth_to_space", [(1, 6, 2, 2)], {"block_size": 2},
     "data is (1, 6, 2, 2), expected channels in multiples of block_size**2 = 4"),
    ("space_to_depth", [(1, 6, 3, 2)], {"block_size": 2},
     "data is (1, 6, 3, 2), expected height and width in multiples of block_size = 2"),
    ("scatter_nd", [(3,), (2, 3)], {"shape": (4,)}, "indices is (2, 3), expected at most 1 rows for shape=(4,)"),
    ("ravel_multi_index", [(3, 2)], {"shape": (7, 6)}, "data is (3, 2), expected 2 rows for shape=(7, 6)"),
    ("linalg_gemm2", [(2, 3), (2, 3)], {}, "A (2, 3) and B (2, 3): inner dimensions 3 and 2 differ"),
    ("linalg_gemm2", [(2, 3), (1, 3, 4)], {}, "A is (2, 3) and B (1, 3, 4), expected as many dimensions, at least 2"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, words", REFUSED)
def test_refuses(op, shapes, params, words):
    assert refusal(op, shapes, params).endswith(words)
