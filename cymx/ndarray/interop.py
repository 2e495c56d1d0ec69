"""Arrays on memory of other libraries: NumPy, DLPack, and __cuda_array_interface__.   Called by: users."""

from typing import Any

import numpy as np

from ..base import ArgumentError
from ..gpu import _exchange
from .creation import array
from .ndarray import NDArray

_DLPACK_CPU = (1, 0)


class _Capsule:
    """Offer a bare DLPack capsule the way that NumPy wants to be offered one."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CPU


class _Writable:
    """Offer the memory of a NumPy array for writing: NumPy marks what comes from a bare capsule as read-only."""

    def __init__(self, values: np.ndarray):
        self.values = values
        self.__array_interface__ = {**values.__array_interface__, "data": (values.ctypes.data, False)}


def from_dlpack(dlpack: Any) -> NDArray:
    """Return an array on the memory of a DLPack capsule, or of anything that offers one; it lives as long as the array.

    GPU memory may be offered by __cuda_array_interface__ as well.  What its owner has queued comes before our work; of
    a bare capsule, what is on the legacy default stream.  Raises ArgumentError for memory of another device.
    """
    stream = _exchange.LEGACY_STREAM
    if hasattr(dlpack, "__dlpack__"):
        device = tuple(map(int, dlpack.__dlpack_device__()))
        if device[0] == _exchange.GPU:
            stream = _exchange.compute_stream(device[1])
            dlpack = dlpack.__dlpack__(stream=stream)
        else:
            _check_device(device)
            dlpack = dlpack.__dlpack__()
    elif hasattr(dlpack, "__cuda_array_interface__"):
        return _exchange.from_interface(NDArray, dlpack)
    device = _exchange.capsule_device(dlpack)
    if device[0] == _exchange.GPU:
        return _exchange.from_dlpack(NDArray, dlpack, stream)
    _check_device(device)
    values = np.from_dlpack(_Capsule(dlpack))
    return NDArray.wrap(np.ascontiguousarray(np.asarray(_Writable(values))))


def _check_device(device: tuple[int, ...]) -> None:
    if device != _DLPACK_CPU:
        raise ArgumentError(f"from_dlpack: the memory is on device {device}, expected {_DLPACK_CPU}, the CPU, or a GPU")


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True, array_cls: type[NDArray] = NDArray) -> NDArray:
    """Return an array on the memory of a NumPy array, which becomes read-only, or with zero_copy=False a copy.

    Raises ArgumentError (a ValueError) for one that is not C-contiguous.
    """
    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    if not ndarray.flags.c_contiguous:
        raise ArgumentError("Only c-contiguous arrays are supported for zero-copy")
    shared = array_cls.wrap(ndarray)
    ndarray.flags.writeable = False
    return shared


def to_dlpack_for_read(data: NDArray) -> Any:
    """Return a DLPack capsule on the same memory, for reading."""
    return data.to_dlpack_for_read()


def to_dlpack_for_write(data: NDArray) -> Any:
    """Return a DLPack capsule on the same memory, for writing."""
    return data.to_dlpack_for_write()
