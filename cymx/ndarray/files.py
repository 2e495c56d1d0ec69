"""Arrays in `.params` files, whose bytes params_format.py knows.   Called by: users, model and module (checkpoints)."""

import os
from typing import Any

from ..base import ArgumentError, ArgumentTypeError, MXNetError
from ..files import write_atomic
from . import params_format
from .creation import array, empty
from .ndarray import NDArray


def save(fname: str | os.PathLike, data: Any) -> None:
    """Write an array, a list of arrays or a dict of names and arrays; nobody ever sees a half-written file.

    Raises MXNetError; ArgumentError (a ValueError) for anything else.
    """
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, dict):
        names, arrays = list(data), list(data.values())
    elif isinstance(data, list):
        names, arrays = [], data
    else:
        wanted = "an NDArray, a list of NDArrays or a dict of names and NDArrays"
        raise ArgumentError(f"save: data is {type(data)}, expected {wanted}")
    if not all(isinstance(name, str) for name in names) or not all(isinstance(a, NDArray) for a in arrays):
        raise ArgumentTypeError("save: data holds something else, expected dict str->NDArray or list of NDArray")
    tensors = [params_format.Tensor(a.asnumpy()) for a in arrays]
    try:
        write_atomic(fname, params_format.dump_bytes(tensors, names))
    except OSError as e:
        raise MXNetError(f"save: cannot write {os.fspath(fname)!r}: {e.strerror}") from e


def load(fname: str | os.PathLike) -> Any:
    """Return what a file holds: a list of arrays on the current context, or a dict where they have names.

    Raises MXNetError.
    """
    if not isinstance(fname, (str, os.PathLike)):
        raise ArgumentTypeError(f"load: fname is {fname!r}, expected a path")
    try:
        with open(fname, "rb") as f:
            data = f.read()
    except OSError as e:
        raise MXNetError(f"load: cannot read {os.fspath(fname)!r}: {e.strerror}") from e
    return load_frombuffer(data)


def load_frombuffer(buf: bytes) -> Any:
    """Return what the bytes of a file hold, as `load` does."""
    if not isinstance(buf, (bytes, bytearray, memoryview)):
        raise ArgumentTypeError(f"load_frombuffer: buf is of {type(buf)}, expected bytes")
    tensors, names = params_format.load_bytes(buf)
    arrays = [_loaded(tensor) for tensor in tensors]
    return dict(zip(names, arrays)) if names else arrays


def _loaded(tensor: params_format.Tensor) -> NDArray:
    if tensor.stype != "default":
        raise MXNetError(f"load: an array of shape {tensor.shape} has stype {tensor.stype!r}, expected 'default'")
    if tensor.values is None:
        return empty((0,))
    return array(tensor.values, dtype=tensor.values.dtype)
