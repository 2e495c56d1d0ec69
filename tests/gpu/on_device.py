"""Launches through cuda.bindings, for kernel_support on a real GPU: operands are pinned host memory, which host and
device reach by one address.
"""

import ctypes
import functools

import numpy as np

from cymx.gpu import compiler
from cymx.gpu.recipe import Kernel, Launch


def checked(answer):
    """Return what a driver's call gave; raises RuntimeError where it failed."""
    status, *values = answer
    if int(status):
        raise RuntimeError(f"the driver says {status}")
    return values[0] if len(values) == 1 else values


@functools.cache
def cuda():
    """Return cuda.bindings.driver, after cuInit."""
    from cuda.bindings import driver

    checked(driver.cuInit(0))
    return driver


def enter():
    """Make device 0's context current in this thread, and return its compute capability as one number."""
    d = cuda()
    checked(d.cuCtxSetCurrent(_context()))
    wanted = (f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{part}" for part in ("MAJOR", "MINOR"))
    major, minor = (checked(d.cuDeviceGetAttribute(getattr(d.CUdevice_attribute, name), 0)) for name in wanted)
    return 10 * major + minor


@functools.cache
def _context():
    return checked(cuda().cuDevicePrimaryCtxRetain(0))


def memory(n_bytes: int) -> np.ndarray:
    """Return bytes that a kernel can use; they live as long as the process."""
    enter()
    address = int(checked(cuda().cuMemHostAlloc(n_bytes, 0)))
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(address), np.uint8)


@functools.cache
def _function(kernel: Kernel, arch: int):
    image = compiler.build(kernel, arch)
    return checked(cuda().cuModuleGetFunction(checked(cuda().cuModuleLoadData(image.code)), image.symbol.encode()))


def run(launch: Launch, args: list[bytes]) -> None:
    """Run a launch to its end; args are the bytes of its parameters."""
    d, arch = cuda(), enter()
    function = _function(launch.kernel, arch)
    if launch.shared > 48 << 10:
        attribute = d.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        checked(d.cuFuncSetAttribute(function, attribute, launch.shared))
    buffers = [ctypes.create_string_buffer(a, len(a)) for a in args]
    pointers = (ctypes.c_void_p * max(1, len(args)))(*[ctypes.addressof(b) for b in buffers])
    checked(d.cuLaunchKernel(function, *launch.grid, *launch.block, launch.shared, 0, ctypes.addressof(pointers), 0))
    checked(d.cuCtxSynchronize())
