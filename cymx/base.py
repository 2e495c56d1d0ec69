"""Errors, dtypes and contexts: the words that every other room uses.  Imports nothing of cymx."""

import threading

import ml_dtypes
import numpy as np

__all__ = ["MXNetError", "Context", "cpu", "gpu", "cpu_pinned", "current_context"]

string_types = (str,)
numeric_types = (float, int, np.generic)
integer_types = (int, np.integer)
mx_real_t = np.float32


class MXNetError(RuntimeError):
    """Report that an operator, a graph or a file was used wrongly.  The root of all errors that cymx raises."""


class ArgumentError(MXNetError, ValueError):
    """Report a value that an operator or function cannot take; also a ValueError."""


class ArgumentTypeError(MXNetError, TypeError):
    """Report an argument of the wrong kind; also a TypeError."""


class NotImplementedForSymbol(ArgumentTypeError):
    """Report that a symbol was asked for what only arrays, which hold data, can give."""


class IndexRangeError(MXNetError, IndexError):
    """Report an index outside its axis; also an IndexError, so that iteration protocols end."""


class NotBuiltError(MXNetError):
    """Report that something was asked of a device or library that is not there."""


# MXNet's type flags, as they stand in .params files, and the NumPy dtypes they mean.
DTYPE_FLAGS = {
    "float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7, "bfloat16": 12,
}  # fmt: skip
DTYPE_NAMES = {flag: name for name, flag in DTYPE_FLAGS.items()}
NUMPY_DTYPES = {name: np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name) for name in DTYPE_FLAGS}
ITEM_BYTES = {name: dtype.itemsize for name, dtype in NUMPY_DTYPES.items()}

_DTYPE_OF = {dtype: name for name, dtype in NUMPY_DTYPES.items()}


def dtype_name(dtype) -> str:
    """Return the name of a dtype given as a name, a NumPy type or a Python type (float is float32, as in MXNet).

    Raises ArgumentTypeError for a dtype that arrays cannot have.
    """
    if isinstance(dtype, str) and dtype in DTYPE_FLAGS:
        return dtype
    if dtype is None or dtype is float:
        return "float32"
    try:
        return _DTYPE_OF[np.dtype(dtype)]
    except (TypeError, KeyError):
        raise ArgumentTypeError(f"dtype {dtype!r} is not one of {', '.join(DTYPE_FLAGS)}") from None


class Context:
    """Name a device: ``Context('cpu', 0)``.  As a ``with`` block it is the default of what is created inside.

    Devices are 'cpu', 'gpu', 'cpu_pinned' and 'cpu_shared'; contexts with different ids are distinct even where they
    share memory.
    """

    devtype2str = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    devstr2type = {name: number for number, name in devtype2str.items()}
    _stack = threading.local()

    __slots__ = ("device_typeid", "device_id", "_outer")

    def __init__(self, device_type, device_id: int = 0):
        if isinstance(device_type, Context):
            self.device_typeid: int = device_type.device_typeid
            self.device_id: int = device_type.device_id
        else:
            if device_type not in self.devstr2type:
                raise ArgumentError(f"Context: device type {device_type!r} is not one of {', '.join(self.devstr2type)}")
            self.device_typeid, self.device_id = self.devstr2type[device_type], int(device_id)
        self._outer: list[Context] = []

    @property
    def device_type(self) -> str:
        """The device's kind: 'cpu', 'gpu', ..."""
        return self.devtype2str[self.device_typeid]

    def __hash__(self):
        return hash((self.device_typeid, self.device_id))

    def __eq__(self, other):
        if not isinstance(other, Context):
            return NotImplemented
        return self.device_typeid == other.device_typeid and self.device_id == other.device_id

    def __repr__(self):
        return f"{self.device_type}({self.device_id})"

    def __enter__(self):
        self._outer.append(current_context())
        Context._stack.current = self
        return self

    def __exit__(self, *exc):
        Context._stack.current = self._outer.pop()

    def __reduce__(self):
        return Context, (self.device_type, self.device_id)


_CPU0 = Context("cpu", 0)


def cpu(device_id: int = 0) -> Context:
    """Return the context of CPU `device_id`."""
    return _CPU0 if device_id == 0 else Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Return the context of page-locked host memory."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """Return the context of GPU `device_id`; touches no driver until something is created there."""
    return Context("gpu", device_id)


def current_context() -> Context:
    """Return the context of the innermost ``with`` block of this thread, or cpu(0)."""
    return getattr(Context._stack, "current", _CPU0)
