"""The operators whose names start with `_image_`, as functions of arrays."""

from .ndarray import NDArray
from .register import namespace

__getattr__, __dir__ = namespace(__name__, NDArray)
