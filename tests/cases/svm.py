"""Rows of the output layer of a support vector machine; its gradient is in tests/ops/test_svm_gradient.py."""

import numpy as np

from ._row import Row

ROWS = [
    Row("SVMOutput", [(3, 4), np.array([0, 2, 3])], {}, lambda x, label: x, wrt=()),
    Row("SVMOutput", [(3, 4), np.array([0, 2, 3])], {"use_linear": True}, lambda x, label, **_: x, wrt=()),
]
