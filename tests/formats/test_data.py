"""The digits: what ships is what was published, and the split never moves."""

import numpy as np

from cymx.data import digits_split, load_digits


def test_digits_are_the_published_ones():
    x, y = load_digits()
    assert x.shape == (1797, 1, 8, 8) and x.dtype == np.float32
    assert y.shape == (1797,) and y.dtype == np.float32
    assert np.bincount(y.astype(int)).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert x.min() == 0 and x.max() == 1
    assert (x * 16).sum() == 561718
    assert (x[0, 0, 0] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_split_is_fixed():
    x, y = load_digits()
    x_train, y_train, x_test, y_test = digits_split()
    assert x_train.shape == (1437, 1, 8, 8) and x_test.shape == (360, 1, 8, 8)
    assert y_train[:12].tolist() == [2, 8, 2, 6, 6, 7, 1, 9, 8, 5, 2, 8]
    assert y_test[:12].tolist() == [7, 9, 4, 7, 0, 2, 6, 1, 3, 1, 3, 7]
    together = np.concatenate([x_train, x_test]).reshape(1797, -1)
    assert (np.sort(together, axis=0) == np.sort(x.reshape(1797, -1), axis=0)).all()
    assert sorted([*y_train, *y_test]) == sorted(y)
    assert (digits_split(1)[1] != y_train).any()
