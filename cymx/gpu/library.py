"""NVIDIA's libraries, where they are installed: cuBLASLt for matrix products, cuDNN for convolutions.

Found at run time; without them the plain kernels do the work, and one warning says so.  A shape that a library has
nothing for takes the plain kernel as well.  Called by: gpu/plan.py.
"""

import ctypes
import warnings
from functools import cache
from typing import Any

from .. import config
from . import _library, driver  # type: ignore[attr-defined]
from .recipe import Call

# Our name -> cuda.pathfinder's, and the extra that brings the library.
_LIBRARIES = {"cublaslt": ("cublasLt", "cuda"), "cudnn": ("cudnn", "cudnn")}


# (device, library, a call's settings) -> whether there is something for it.
_answers: dict[tuple[Any, ...], bool] = {}


class Available:
    """The names of the libraries that are wanted and here; one is looked for when somebody asks for it."""

    def __contains__(self, name: object) -> bool:
        return name in config.gpu_libraries() and _loaded(str(name))


@cache
def _loaded(name: str) -> bool:
    found, extra = _LIBRARIES[name]
    path = driver.library_path(found)
    if path is None:
        major = driver.version()[0]
        warnings.warn(
            f"{found} is not installed, so plain kernels do its work on the GPU, slower: pip install "
            f"'cymx[{extra}{min(major, 13)}]'",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    library = ctypes.CDLL(path)
    addresses = [ctypes.cast(getattr(library, word), ctypes.c_void_p).value for word in _library.functions(name)]
    _library.fill(name, addresses)
    return True


@cache
def _handle(name: str, device_id: int) -> int:
    return _library.open_handle(name, device_id)


def has(device_id: int, call: Call) -> bool:
    """Tell whether a library has something for a call.  It is asked once."""
    key = device_id, call.library, call.settings
    if key not in _answers:
        _answers[key] = make(device_id, call) is not None
    return _answers[key]


def make(device_id: int, call: Call) -> Any:
    """Return a library's call made ready on a device, or None where the library is not here or has nothing for it."""
    if call.library not in Available():
        return None
    build = _library.make_gemm if call.library == "cublaslt" else _library.make_conv
    return build(device_id, _handle(call.library, device_id), call.settings)
