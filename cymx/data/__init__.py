"""Data sets that are small enough to come along: real input for the examples and tests, as NumPy arrays.

Refuses to download anything.  Called by: examples, tests.
"""

from pathlib import Path

import numpy as np

__all__ = ["load_digits", "digits_split"]


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the 1,797 handwritten digits: x (1797, 1, 8, 8) float32, ink in [0, 1], and y (1797,) float32, 0 to 9.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, test half (CC BY 4.0).
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        images, labels = file["images"], file["labels"]
    return images[:, np.newaxis].astype(np.float32) / 16, labels.astype(np.float32)


def digits_split(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x_train (1437, 1, 8, 8), y_train (1437,), x_test (360, 1, 8, 8), y_test (360,), all float32.

    The split is a permutation that depends on the seed alone, for good: NumPy has frozen the numbers of RandomState.
    """
    x, y = load_digits()
    order = np.random.RandomState(seed).permutation(len(x))
    train, test = order[:1437], order[1437:]
    return x[train], y[train], x[test], y[test]
