"""The gradient of SVMOutput against what MXNet 1.9.1 gives."""

import numpy as np
import pytest

import cymx as mx

DATA = [[0.5, -1.2, 2.0, 0.3], [0.1, 0.2, -0.3, -2.0]]
RECORDED = {
    False: [[1.3, 0.0, 0.0, 1.1], [0.9, -0.6, 0.5, 0.0]],
    True: [[0.5, 0.0, 0.0, 0.5], [0.5, -0.5, 0.5, 0.0]],
}


@pytest.mark.parametrize("use_linear", [False, True])
def test_gradient_is_that_of_mxnet(use_linear):
    net = mx.sym.SVMOutput(
        mx.sym.Variable("a"), name="s", margin=0.8, regularization_coefficient=0.5, use_linear=use_linear
    )
    arrays, found = {"a": mx.nd.array(DATA), "s_label": mx.nd.array([2, 1])}, mx.nd.zeros((2, 4))
    executor = net.bind(mx.cpu(), arrays, args_grad={"a": found}, grad_req={"a": "write", "s_label": "null"})
    executor.forward(is_train=True)
    executor.backward()
    np.testing.assert_allclose(found.asnumpy(), RECORDED[use_linear], rtol=1e-6, atol=1e-7)
