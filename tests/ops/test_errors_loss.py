"""What the ends of networks refuse, and in which words."""

import pytest
from ops.refusals import refusal

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("SoftmaxOutput", [(3, 4), (2,)], {}, (), "label is (2,), expected (3,) from data (3, 4)"),
    ("SoftmaxOutput", [(3, 4), (3, 1)], {}, (), "label is (3, 1), expected (3,) from data (3, 4)"),
    ("SoftmaxOutput", [(2, 3, 4), (2, 3)], {"multi_output": True}, (),
     "label is (2, 3), expected (2, 4) from multi_output=True and data (2, 3, 4)"),
    ("SoftmaxOutput", [(4,), (1,)], {}, (), "data is (4,), expected samples and classes: at least 2 dimensions"),
    ("SoftmaxOutput", [(3, 4), (3,)], {"normalization": "mean"}, (),
     "normalization is 'mean', expected one of 'batch', 'null', 'valid'"),
    ("SoftmaxOutput", [(3, 4), (3,)], {"smooth_alpha": -1}, (), "smooth_alpha is -1, expected a number of at least 0"),
    ("SoftmaxOutput", [(3, 4), (3,)], {}, ("int32",),
     "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("LinearRegressionOutput", [(3, 4), (3,)], {}, (), "label is (3,), expected 12 elements as in data (3, 4)"),
    ("LogisticRegressionOutput", [(3, 4), (4, 4)], {}, (), "label is (4, 4), expected 12 elements as in data (3, 4)"),
    ("MAERegressionOutput", [(3,), (2,)], {}, (), "label is (2,), expected 3 elements as in data (3,)"),
    ("softmax_cross_entropy", [(3, 4), (4,)], {}, (), "label is (4,), expected (3,) from data (3, 4)"),
    ("MakeLoss", [(3,)], {"normalization": "sum"}, (),
     "normalization is 'sum', expected one of 'batch', 'null', 'valid'"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{op} 'n': {words}"
