"""What layers refuse, and in which words."""

import pytest
from ops.refusals import refusal

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("Activation", [(2,)], {"act_type": "foo"}, (),
     "act_type is 'foo', expected one of 'relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'"),
    ("Activation", [(2,)], {}, (),
     "act_type is missing, expected one of 'relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'"),
    ("Activation", [(2,)], {"act_type": "relu"}, ("int32",),
     "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("LeakyReLU", [(2, 3), (2,)], {"act_type": "prelu"}, (),
     "gamma is (2,), expected (3,) from act_type=prelu and data (2, 3)"),
    ("BatchNorm", [(2, 3, 4), (2,), (3,)], {}, (), "gamma is (2,), expected (3,) from data (2, 3, 4) and beta (3,)"),
    ("BatchNorm", [(2, 3, 4), (3,), (3,)], {"axis": 3}, (), "axis is 3, expected -3 to 2 for 3 dimensions"),
    ("LayerNorm", [(2, 3), (2,), (3,)], {}, (), "gamma is (2,), expected (3,) from data (2, 3) and beta (3,)"),
    ("LayerNorm", [(2, 3), (3,), (3,)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("Dropout", [(2,)], {"p": 1.5}, (), "p is 1.5, expected a fraction from 0 to 1"),
    ("Dropout", [(2,)], {"p": -0.5}, (), "p is -0.5, expected a number of at least 0"),
    ("Dropout", [(2,)], {"mode": "never"}, (), "mode is 'never', expected one of 'always', 'training'"),
    ("softmax", [(2, 3)], {"axis": 2}, (), "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("softmax", [(2, 3)], {}, ("int32",), "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("softmax", [(2, 3)], {"dtype": "int32"}, (),
     "dtype is 'int32', expected one of 'float16', 'float32', 'float64', 'bfloat16'"),
    ("softmax", [(2, 3), (3,)], {"use_length": True}, (),
     "length is (3,), expected (2,) from use_length=True and data (2, 3)"),
    ("SoftmaxActivation", [(2, 3)], {"mode": "channel"}, (),
     "data is (2, 3), expected at least 3 dimensions for mode='channel'"),
    ("L2Normalization", [(2, 3)], {"mode": "all"}, (),
     "mode is 'all', expected one of 'channel', 'instance', 'spatial'"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{op} 'n': {words}"
