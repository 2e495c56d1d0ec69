"""Rows of the ends of networks.  Their gradients are not those of their outputs: test_loss_gradient.py has them."""

import numpy as np

from ._row import FLOATS, NUMBERS, Row
from .nn import softmax


def _output(op, shapes, ref, **params):
    return Row(op, shapes, params, ref, wrt=())


def _softmax_output(x, label, multi_output=False, preserve_shape=False, **_):
    if multi_output:
        return softmax(x, axis=1)
    return softmax(x) if preserve_shape else softmax(x.reshape(len(x), -1)).reshape(x.shape)


def _identity(x, *_, **__):
    return x


ROWS = [
    _output("SoftmaxOutput", [(3, 4), (3,)], _softmax_output),
    _output("SoftmaxOutput", [(3, 4), (3, 4)], _softmax_output),
    _output("SoftmaxOutput", [(2, 3, 4), (2, 3)], _softmax_output),
    _output("SoftmaxOutput", [(2, 3, 4), (2, 3)], _softmax_output, preserve_shape=True),
    _output("SoftmaxOutput", [(2, 3, 2, 2), (2, 4)], _softmax_output, multi_output=True),
    _output("SoftmaxOutput", [(2, 3, 2, 2), (2, 2, 2)], _softmax_output, multi_output=True),
    _output("LinearRegressionOutput", [(3, 4), (3, 4)], _identity),
    _output("LinearRegressionOutput", [(3, 1), (3,)], _identity),
    _output("LogisticRegressionOutput", [(3, 4), (3, 4)], lambda x, _: 1 / (1 + np.exp(-x))),
    _output("MAERegressionOutput", [(3, 4), (3, 4)], _identity),
    Row(
        "softmax_cross_entropy", [(3, 4), np.array([1, 0, 3])], {},
        lambda x, label: -np.log(softmax(x))[np.arange(3), label.astype(int)].sum().reshape(1), wrt=[0],
    ),
    Row("BlockGrad", [(3, 4)], {}, _identity, dtypes=NUMBERS, low=0, high=100, wrt=()),
    Row("make_loss", [(3, 4)], {}, _identity, dtypes=NUMBERS, low=0, high=100, wrt=()),
    Row("MakeLoss", [(3, 4)], {"grad_scale": 2.0}, _identity, dtypes=FLOATS, wrt=()),
]  # fmt: skip
