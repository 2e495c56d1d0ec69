"""What convolution and pooling refuse, and in which words."""

import pytest
from ops.refusals import refusal

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("Convolution", [(2, 3, 5), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4}, (),
     "data is (2, 3, 5), expected 4 dimensions for kernel=(3, 3)"),
    ("Convolution", [(2, 3, 2, 2), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4}, (),
     "data is (2, 3, 2, 2), too small for kernel=(3, 3), dilate=(1, 1) with pad=(0, 0)"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4, "stride": (1,)}, (),
     "stride is (1,), expected 2 numbers as in kernel=(3, 3)"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4, "num_group": 2}, (),
     "num_group=2 does not divide data's 3 channels and num_filter=4"),
    ("Convolution", [(2, 3, 5, 5), (4, 2, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4}, (),
     "weight is (4, 2, 3, 3), expected (4, 3, 3, 3) from kernel=(3, 3), num_filter=4, data (2, 3, 5, 5) and bias (4,)"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (3,)], {"kernel": (3, 3), "num_filter": 4}, (),
     "bias is (3,), expected (4,) from kernel=(3, 3), num_filter=4, data (2, 3, 5, 5) and weight (4, 3, 3, 3)"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4, "layout": "NHWC"}, (),
     "layout is 'NHWC', expected NCW, NCHW or NCDHW on this device"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4, "stride": (0, 1)}, (),
     "stride is (0, 1), expected a tuple of integers of at least 1"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (4,)], {"num_filter": 4}, (),
     "kernel is missing, expected a tuple of integers of at least 1"),
    ("Convolution", [(1, 1, 1, 1, 1, 1), (4, 1, 1, 1, 1, 1), (4,)], {"kernel": (1, 1, 1, 1), "num_filter": 4}, (),
     "kernel is (1, 1, 1, 1), expected 1 to 3 numbers"),
    ("Convolution", [(2, 3, 5, 5), (4, 3, 3, 3), (4,)], {"kernel": (3, 3), "num_filter": 4}, ("float32", "float16"),
     "weight is float16, expected float32"),
    ("Deconvolution", [(1, 3, 3, 3), (3, 2, 3, 3)], {"kernel": (3, 3), "num_filter": 2, "adj": (1, 1)}, (),
     "adj is (1, 1), expected 2 numbers less than stride=(1, 1)"),
    ("Deconvolution", [(1, 3, 3, 3), (3, 2, 3, 3)], {"kernel": (3, 3), "num_filter": 2, "target_shape": (8, 8)}, (),
     "target_shape is (8, 8), expected at most (5, 5)"),
    ("Deconvolution", [(1, 3, 3, 3), (2, 3, 3, 3)], {"kernel": (3, 3), "num_filter": 2}, (),
     "weight is (2, 3, 3, 3), expected (3, 2, 3, 3) from kernel=(3, 3), num_filter=2 and data (1, 3, 3, 3)"),
    ("Deconvolution", [(1, 3, 3, 3), (3, 1, 3, 3)], {"kernel": (3, 3), "num_filter": 2, "num_group": 2}, (),
     "num_group=2 does not divide data's 3 channels and num_filter=2"),
    ("Deconvolution", [(1, 3, 3), (3, 2, 3, 3)], {"kernel": (3, 3), "num_filter": 2}, (),
     "data is (1, 3, 3), expected 4 dimensions for kernel=(3, 3)"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (8, 8)}, (),
     "kernel=(8, 8) is larger than data (1, 2, 5, 6) with pad=(0, 0)"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (3,)}, (), "kernel is (3,), expected 2 numbers for data (1, 2, 5, 6)"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (2, 2), "stride": (2,)}, (),
     "stride is (2,), expected 2 numbers as in kernel=(2, 2)"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (2, 2), "pad": (2, 2)}, (),
     "pad is (2, 2), expected less than kernel=(2, 2): a window of margin only has no maximum"),
    ("Pooling", [(1, 2, 5, 6)], {}, (), "kernel is (), expected 2 numbers for data (1, 2, 5, 6)"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (2, 2), "pool_type": "lp"}, (),
     "p_value is missing, expected the power of pool_type='lp'"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (2, 2), "pool_type": "median"}, (),
     "pool_type is 'median', expected one of 'max', 'avg', 'sum', 'lp'"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (2, 2), "pad": (1, 1), "pooling_convention": "same"}, (),
     "pad is (1, 1), expected none with pooling_convention='same'"),
    ("Pooling", [(1, 2, 5, 6)], {"kernel": (2, 2), "layout": "CHW"}, (),
     "layout is 'CHW', expected one of 'None', 'NCW', 'NCHW', 'NCDHW', 'NWC', 'NHWC', 'NDHWC'"),
    ("Pooling", [(2, 3)], {"kernel": (2,)}, (), "data is (2, 3), expected 3 to 5 dimensions"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{op} 'n': {words}"
