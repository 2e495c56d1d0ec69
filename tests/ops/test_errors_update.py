"""What the optimizer updates refuse, and in which words."""

import pytest
from ops.refusals import refusal

from cymx.ops import find

# operator, inputs' shapes, settings, inputs' dtypes, what the error says after "operator 'n': ".
REFUSED = [
    ("sgd_update", [(2,), (3,)], {"lr": 0.1}, (), "grad is (3,), expected (2,) from lr=0.1 and weight (2,)"),
    ("sgd_update", [(2,), (2,)], {}, (), "lr is missing, expected a number"),
    ("sgd_update", [(2,), (2,)], {"lr": "fast"}, (), "lr is 'fast', expected a number"),
    ("sgd_update", [(2,), (2,)], {"lr": 0.1, "momentum": 0.1}, (),
     "there is no setting 'momentum'; known settings: lr, wd, rescale_grad, clip_gradient, lazy_update"),
    ("sgd_update", [(2,), (2,)], {"lr": 0.1}, ("float32", "float16"), "grad is float16, expected float32"),
    ("sgd_update", [(2,), (2,)], {"lr": 0.1}, ("int32", "int32"),
     "dtype is int32, expected one of float32, float64, float16, bfloat16"),
    ("adam_update", [(2,), (2,), (2,), (3,)], {"lr": 0.1}, (),
     "mean is (1,), expected (2,) from lr=0.1, weight (2,) and grad (2,)"),
    ("mp_sgd_update", [(2,), (2,), (2,)], {"lr": 0.1}, ("float16", "float16", "float16"),
     "weight32 is (1,), expected (2,) from lr=0.1, weight (2,) and grad (2,)"),
    ("mp_sgd_update", [(2,), (2,), (2,)], {"lr": 0.1}, ("float16", "float32", "float32"),
     "weight32 is (1,), expected (2,) from lr=0.1, weight (2,) and grad (2,)"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, dtypes, words", REFUSED)
def test_refuses(op, shapes, params, dtypes, words):
    assert refusal(op, shapes, params, dtypes) == f"{find(op).name} 'n': {words}"
