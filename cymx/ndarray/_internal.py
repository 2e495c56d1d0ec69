"""The operators whose names start with an underscore, as functions of arrays."""

from .ndarray import NDArray
from .register import namespace

__getattr__, __dir__ = namespace(__name__, NDArray)
