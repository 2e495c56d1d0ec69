"""A CUDA driver of our own: a libcuda.so.1 on which unmodified cuda.bindings runs, and what tests may ask of it.

`install` loads it before anything looks for a driver: the loader then finds it by its name.  It runs images of the
emulator's toolchain, which `install` gives to the kernel compiler.
"""

import ctypes
import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from gpu import emulator

import cymx
from cymx.gpu import compiler

HERE = emulator.HERE.parent / "driver"

OUT_OF_MEMORY, NO_DEVICE, LAUNCH_FAILED = 2, 100, 719


@functools.cache
def library() -> ctypes.CDLL:
    """Return the emulated driver, loaded so that cuda.bindings finds it."""
    emulator.library()
    flags = ["-Wl,-soname,libcuda.so.1"]
    path = emulator.build_library("libcuda.so.1", sorted(HERE.glob("*.cpp")), flags)
    lib = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    lib.emulated_calls.restype = lib.emulated_live_bytes.restype = ctypes.c_uint64
    lib.emulated_set.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
    lib.emulated_fail.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64]
    return lib


def install() -> None:
    """Put the emulated driver in the place of a real one, for this process."""
    if "cuda.bindings.driver" in sys.modules and not library.cache_info().currsize:
        raise RuntimeError("cuda.bindings has been loaded, perhaps with a real driver")
    library()
    compiler.use(emulator.Gpp())


def reset() -> None:
    """Bring settings, counts and contexts back to those of a new driver; memory that is live stays."""
    library().emulated_reset()


def configure(**settings: int) -> None:
    """Change settings: devices, memory (bytes), lazy (0: streams run at once), order, version, arch, peers."""
    for name, value in settings.items():
        if library().emulated_set(name.encode(), value):
            raise ValueError(f"the emulated driver has no setting {name!r}")


def fail(function: str, result: int, after: int = 0, times: int = 1) -> None:
    """Have calls of a driver function fail, the first `after` ones excepted; "execution" is a kernel while it runs."""
    library().emulated_fail(function.encode(), result, after, times)


def calls(function: str) -> int:
    """Return how often a driver function was called since the last reset; names are without _v2."""
    return library().emulated_calls(function.encode())


def live_bytes(device: int = 0) -> int:
    """Return the bytes that live in a device's memory."""
    return library().emulated_live_bytes(device)


START = f"""
import os, sys
sys.path.insert(0, {str(HERE.parents[1])!r})
from gpu import driver
driver.install()
import numpy as np
import cymx as mx
from cymx.base import MXNetError
"""


def run(script: str, **environment: str) -> str:
    """Run a script on the emulated driver in a process of its own; return what it printed."""
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", START + textwrap.dedent(script)]
    environment = {**os.environ, **environment}
    # Python looks where it was started first: the cymx that is tested, installed or in place, must be there.
    root = Path(cymx.__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
