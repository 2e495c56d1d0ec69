"""Rows of the matrix products."""

import numpy as np

from ._row import Row


def dot(a, b, transpose_a=False, transpose_b=False, **_):
    """Sum over lhs's last and rhs's first axis; transposed: over its first, over its last."""
    y = np.tensordot(a, b, ((0 if transpose_a else -1,), (-1 if transpose_b else 0,)))
    return y.reshape(1) if y.ndim == 0 else y


def batch_dot(a, b, transpose_a=False, transpose_b=False):
    """Multiply matrix by matrix."""
    return (a.swapaxes(-1, -2) if transpose_a else a) @ (b.swapaxes(-1, -2) if transpose_b else b)


def fully_connected(x, w, b=0, flatten=True, **_):
    """x W^T + b."""
    return (x.reshape(len(x), -1) if flatten else x) @ w.T + b


def _dot(a, b, **params):
    return Row("dot", [a, b], params, dot)


ROWS = [
    _dot((3,), (3,)),
    _dot((2, 3), (3,)),
    _dot((3,), (3, 2)),
    _dot((2, 3), (3, 4)),
    _dot((2, 3, 4), (4, 5)),
    _dot((2, 3), (3, 2, 2)),
    _dot((2, 2, 3), (3, 2, 2)),
    _dot((3, 2), (3, 4), transpose_a=True),
    _dot((2, 3), (4, 3), transpose_b=True),
    _dot((3, 2), (4, 3), transpose_a=True, transpose_b=True),
    _dot((3, 2, 2), (2, 4, 3), transpose_a=True, transpose_b=True),
    _dot((3, 2), (3,), transpose_a=True),
    _dot((33, 65), (65, 17)),
    Row("batch_dot", [(2, 3, 4), (2, 4, 5)], {}, batch_dot),
    Row("batch_dot", [(2, 4, 3), (2, 4, 5)], {"transpose_a": True}, batch_dot),
    Row("batch_dot", [(2, 3, 4), (2, 5, 4)], {"transpose_b": True}, batch_dot),
    Row("batch_dot", [(2, 4, 3), (2, 5, 4)], {"transpose_a": True, "transpose_b": True}, batch_dot),
    Row("batch_dot", [(2, 2, 3, 4), (2, 2, 4, 1)], {}, batch_dot),
    Row("FullyConnected", [(5, 6), (4, 6), (4,)], {"num_hidden": 4}, fully_connected),
    Row("FullyConnected", [(5, 6), (4, 6)], {"num_hidden": 4, "no_bias": True}, fully_connected),
    Row("FullyConnected", [(2, 3, 2), (4, 6), (4,)], {"num_hidden": 4}, fully_connected),
    Row("FullyConnected", [(2, 3, 2), (4, 2), (4,)], {"num_hidden": 4, "flatten": False}, fully_connected),
    Row("FullyConnected", [(3,), (4, 3), (4,)], {"num_hidden": 4, "flatten": False}, fully_connected),
    Row("FullyConnected", [(1, 1), (1, 1), (1,)], {"num_hidden": 1}, fully_connected),
]  # fmt: skip
