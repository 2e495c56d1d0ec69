"""A dtype given to an operator may be a name, a NumPy type or a NumPy dtype."""

import json

import numpy as np
import pytest

import cymx as mx


@pytest.mark.parametrize("given", ["float64", np.float64, np.dtype("float64")])
def test_names_and_types_mean_the_same(given):
    x = mx.nd.array([3, 1, 2])
    assert mx.nd.topk(x, k=2, dtype=given).dtype is np.float64
    assert mx.nd.argsort(x, dtype=given).dtype is np.float64
    nodes = json.loads(mx.sym.topk(mx.sym.var("x"), dtype=given).tojson())["nodes"]
    assert nodes[-1]["attrs"] == {"dtype": "float64"}


def test_types_that_an_operator_does_not_give_are_refused():
    with pytest.raises(mx.MXNetError, match="topk: dtype is .*int8.*, expected one of"):
        mx.nd.topk(mx.nd.array([3, 1, 2]), dtype=np.int8)
