"""Where arrays and NumPy's memory meet.  Called by: the rest of ndarray."""

from typing import Any

import numpy as np

from .._array import Array
from ..base import NUMPY_DTYPES


def host(x: Array) -> np.ndarray:
    """Return the memory of `x` as a NumPy array.  Whoever reads or writes it waits first."""
    return np.ndarray(x.shape, NUMPY_DTYPES[x.dtype_name], x.buffer, x.address - x.buffer.address)


def store(x: Array, values: np.ndarray) -> None:
    """Copy NumPy values of x's shape and dtype into `x`."""
    # As bytes: the buffer protocol knows no bfloat16.
    x.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8))


def scalar_like(x: Array, number: Any) -> Array:
    """Return the number as an array of shape () with the class, dtype and context of `x`.

    So an operator that takes it as an input is compiled once, whatever the number; as a setting, once a number.
    """
    scalar = type(x).empty((), x.dtype_name, x.device_type, x.device_id)
    with np.errstate(all="ignore"):
        scalar.write(np.asarray(number).astype(NUMPY_DTYPES[x.dtype_name]).tobytes())
    return scalar
