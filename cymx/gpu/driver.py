"""NVIDIA's driver: whether there is one, what it shows, and its cold calls, through cuda-python.

The only importer of cuda.bindings.driver, and only at a call: importing cymx touches neither CUDA nor a driver.  It
opens libcuda itself before anything else does: some of cuda-python's calls never return where there is no driver.  Hot
calls go through the table of addresses that `addresses` returns.  Refuses what cannot work, and says what to do.
Called by: gpu/_device, compiler, plan, and mx.num_gpus.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from .. import config
from ..base import MXNetError, NotBuiltError

__all__ = [
    "DeviceInfo", "RefusedImage", "addresses", "allow_shared", "attributes", "check_compiler", "count", "device_of",
    "function", "load", "open", "version",
]  # fmt: skip

# The first driver with all functions of csrc/gpu/driver.h, and the form of them that is asked for.
_LEAST = (12, 0)
_NO_DEVICE, _SYSTEM_NOT_READY, _DRIVER_MISMATCH, _COMPAT_NOT_SUPPORTED = 100, 802, 803, 804
_INVALID_IMAGE, _NO_BINARY, _UNSUPPORTED_PTX = 200, 209, 222
_CPU_WORKS = "mx.cpu() works without"


class RefusedImage(MXNetError):
    """Report an image that the driver does not load: damaged, or made for another device or a newer driver."""


@dataclass(frozen=True)
class DeviceInfo:
    """A GPU that is open.

    arch: compute capability as one number, 90 for 9.0.   n_sm: multiprocessors.   total_bytes: its memory.
    max_shared_bytes: of shared memory, that a block can have.   context, pool, streams: the driver's handles; pool is 0
    where the device has no memory pools.
    """

    device_id: int
    name: str
    arch: int
    n_sm: int
    total_bytes: int
    max_shared_bytes: int
    context: int = field(repr=False)
    pool: int = field(repr=False)
    streams: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class _Driver:
    version: tuple[int, int]
    n_devices: int
    pid: int


_lock = threading.RLock()
_driver: _Driver | None = None
_opened: dict[int, DeviceInfo] = {}
_module_device: dict[int, int] = {}


def _started() -> _Driver:
    """Return the driver after its initialisation.  Raises NotBuiltError saying what is wrong and what to do."""
    global _driver
    with _lock:
        if _driver is None:
            _driver = _start()
        return _driver


def _start() -> _Driver:
    import ctypes  # 5 ms that only the first use needs to spend

    try:
        # RTLD_GLOBAL is of no use to anybody; but a library of this name that is loaded is what cuda-python finds.
        library = ctypes.CDLL("libcuda.so.1")
    except OSError as e:
        raise NotBuiltError(
            f"there is no NVIDIA driver here ({e}).  {_CPU_WORKS}; on a machine with a GPU, install the driver; in a "
            "container, pass the GPU in (docker run --gpus all)"
        ) from None
    result = library.cuInit(0)
    if result:
        raise NotBuiltError(_why_no_start(result))
    number, n_devices = ctypes.c_int(), ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(number))
    result = library.cuDeviceGetCount(ctypes.byref(n_devices))
    if result not in (0, _NO_DEVICE):
        raise NotBuiltError(_why_no_start(result))
    if n_devices.value == 0:
        raise NotBuiltError(_why_no_start(_NO_DEVICE))
    driver_version = (number.value // 1000, number.value % 1000 // 10)
    if driver_version < _LEAST:
        raise NotBuiltError(
            f"the NVIDIA driver supports CUDA {_dotted(driver_version)}, expected {_dotted(_LEAST)} or newer: update "
            f"the driver (R525 or newer).  {_CPU_WORKS}"
        )
    return _Driver(driver_version, n_devices.value, os.getpid())


def _why_no_start(result: int) -> str:
    if result == _NO_DEVICE:
        visible = config.cuda_visible_devices()
        told = "is not set" if visible is None else f"is {visible!r}"
        return f"the NVIDIA driver is here but shows no GPU (CUDA_VISIBLE_DEVICES {told}).  {_CPU_WORKS}"
    if result in (_DRIVER_MISMATCH, _COMPAT_NOT_SUPPORTED):
        return (
            f"the NVIDIA driver and its library libcuda.so.1 do not fit together (error {result}): restart the machine "
            "after an update of the driver, or remove the CUDA compatibility package from the library path.  "
            f"{_CPU_WORKS}"
        )
    if result == _SYSTEM_NOT_READY:
        return f"the GPUs are not ready yet (error {result}): start NVIDIA's fabric manager.  {_CPU_WORKS}"
    return f"the NVIDIA driver does not start (cuInit gave error {result}; nvidia-smi may say more).  {_CPU_WORKS}"


def _dotted(pair: tuple[int, int]) -> str:
    return f"{pair[0]}.{pair[1]}"


def _extra(major: int) -> str:
    return f"pip install 'cymx[cuda{12 if major < 13 else 13}]'"


def count() -> int:
    """Return the number of GPUs that the driver shows; 0 where there is no driver that works."""
    try:
        return _started().n_devices
    except NotBuiltError:
        return 0


def version() -> tuple[int, int]:
    """Return the newest CUDA that the driver supports, (major, minor).  Raises NotBuiltError."""
    return _started().version


def _bindings() -> ModuleType:
    """Return cuda.bindings.driver, once the driver is known to work and to be no older.  Raises NotBuiltError."""
    driver = _started()
    if driver.pid != os.getpid():
        raise MXNetError(
            "GPUs were first used before this process was forked, and a driver does not survive a fork; start "
            "processes that use GPUs by 'spawn' or 'forkserver', or fork before the first use"
        )
    try:
        from cuda.bindings import driver as module
    except ImportError as e:
        raise NotBuiltError(f"mx.gpu needs cuda-python, which is not here ({e}): {_extra(driver.version[0])}") from None
    made_for = int(module.CUDA_VERSION) // 1000
    if made_for > driver.version[0]:
        raise NotBuiltError(_too_new(f"cuda-python is for CUDA {made_for}", driver.version))
    return module


def _too_new(what: str, driver_version: tuple[int, int]) -> str:
    advice = _extra(driver_version[0])
    update = "; or update the driver to R580 or newer" if driver_version[0] < 13 else "; or update the driver"
    return f"{what}, and the NVIDIA driver supports CUDA {_dotted(driver_version)}: {advice}{update}"


def check_compiler(nvrtc_version: tuple[int, int], archs: Sequence[int], arch: int) -> None:
    """Check that what NVRTC makes for a device of this arch will load.  Raises NotBuiltError saying what to install.

    archs: those that NVRTC compiles for.   A newer device is fine: it takes the newest arch's PTX.
    """
    if nvrtc_version[0] > version()[0]:
        raise NotBuiltError(_too_new(f"NVRTC is of CUDA {_dotted(nvrtc_version)}", version()))
    if arch < min(archs):
        raise NotBuiltError(
            f"NVRTC {_dotted(nvrtc_version)} knows devices from sm_{min(archs)} on, and this one is sm_{arch}"
            + (f": {_extra(12)} brings one that knows older devices" if nvrtc_version[0] > 12 else "")
        )


# ---- cold calls ----


def _call(name: str, *args: Any) -> Any:
    """Call a function of the driver's; return its result, or the results as a tuple.  Raises MXNetError naming it."""
    bindings = _bindings()
    error, *results = getattr(bindings, name)(*args)
    if int(error):
        raise MXNetError(f"{name}: {_text(bindings, error)}")
    return results[0] if len(results) == 1 else tuple(results)


def _text(bindings: ModuleType, error: Any) -> str:
    _, said = bindings.cuGetErrorString(error)
    return f"{getattr(error, 'name', int(error))} ({(said or b'').decode()})"


def _within(context: Any, name: str, *args: Any) -> Any:
    """Call with a context current."""
    _call("cuCtxPushCurrent", context)
    try:
        return _call(name, *args)
    finally:
        _call("cuCtxPopCurrent")


def open(device_id: int = 0) -> DeviceInfo:
    """Return GPU `device_id`, opened at its first use: primary context, streams, memory pool.

    Raises NotBuiltError where there is no such GPU or no driver, saying what to do; MXNetError for other failures.
    """
    with _lock:
        info = _opened.get(device_id)
        if info is None or (_driver and _driver.pid != os.getpid()):
            info = _opened[device_id] = _open(device_id)
        return info


def _open(device_id: int) -> DeviceInfo:
    n = _started().n_devices
    if not 0 <= device_id < n:
        names = "gpu(0)" if n == 1 else f"gpu(0) to gpu({n - 1})"
        raise NotBuiltError(f"gpu({device_id}) is not there: the driver shows {n} GPU{'s' * (n > 1)}, {names}")
    bindings = _bindings()
    device = _call("cuDeviceGet", device_id)

    def attribute(name: str) -> int:
        return int(_call("cuDeviceGetAttribute", getattr(bindings.CUdevice_attribute, name), device))

    major = attribute("CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR")
    minor = attribute("CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR")
    context = _call("cuDevicePrimaryCtxRetain", device)
    flags = int(bindings.CUstream_flags.CU_STREAM_NON_BLOCKING)
    streams = tuple(int(_within(context, "cuStreamCreate", flags)) for _ in range(3))
    has_pools = attribute("CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED")
    return DeviceInfo(
        device_id=device_id,
        name=_call("cuDeviceGetName", 256, device).split(b"\0")[0].decode(),
        arch=10 * major + minor,
        n_sm=attribute("CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT"),
        total_bytes=int(_call("cuDeviceTotalMem", device)),
        max_shared_bytes=attribute("CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
        context=int(context),
        pool=_make_pool(bindings, device_id) if has_pools else 0,
        streams=streams,
    )


def _make_pool(bindings: ModuleType, device_id: int) -> int:
    """Return a memory pool of our own on a device: one that keeps what is freed."""
    wanted = bindings.CUmemPoolProps()
    wanted.allocType = bindings.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    wanted.location.type = bindings.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    wanted.location.id = device_id
    pool = _call("cuMemPoolCreate", wanted)
    threshold = bindings.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
    _call("cuMemPoolSetAttribute", pool, threshold, bindings.cuuint64_t(2**64 - 1))
    return int(pool)


def addresses(names: Iterable[str]) -> list[int]:
    """Return the addresses of the driver's functions, in their forms of CUDA 12.0.

    Raises MXNetError for a missing one.
    """
    asked = 1000 * _LEAST[0] + 10 * _LEAST[1]
    found = []
    for name in names:
        address, status = _call("cuGetProcAddress", name.encode(), asked, 0)
        if int(status) or not int(address):
            raise MXNetError(f"the NVIDIA driver has no function {name} of CUDA {_dotted(_LEAST)}")
        found.append(int(address))
    return found


def library_path(name: str) -> str | None:
    """Return the path of one of NVIDIA's libraries ("cublasLt", "cudnn"), or None where it is not here."""
    from cuda import pathfinder

    try:
        return pathfinder.load_nvidia_dynamic_lib(name).abs_path
    except pathfinder.DynamicLibNotFoundError:
        return None


def load(device_id: int, code: bytes) -> int:
    """Return the handle of an image (cubin, or PTX text ending with a zero byte), loaded on a device.

    Raises RefusedImage for one that the driver does not take.
    """
    context = open(device_id).context
    bindings = _bindings()
    _call("cuCtxPushCurrent", bindings.CUcontext(context))
    try:
        error, library = bindings.cuLibraryLoadData(code, None, None, 0, None, None, 0)
    finally:
        _call("cuCtxPopCurrent")
    if int(error):
        known = int(error) in (_INVALID_IMAGE, _NO_BINARY, _UNSUPPORTED_PTX)
        kind: Callable[[str], MXNetError] = RefusedImage if known else MXNetError
        raise kind(f"gpu({device_id}) does not load an image of {len(code)} bytes: {_text(bindings, error)}")
    _module_device[int(library)] = device_id
    return int(library)


def function(module: int, symbol: str) -> int:
    """Return the handle (CUfunction) of a kernel in a loaded image.  Raises MXNetError for an unknown symbol."""
    bindings = _bindings()
    kernel = _call("cuLibraryGetKernel", bindings.CUlibrary(module), symbol.encode())
    context = bindings.CUcontext(open(_module_device[module]).context)
    return int(_within(context, "cuKernelGetFunction", kernel))


def attributes(handle: int) -> dict[str, int]:
    """Return what a kernel needs of a multiprocessor.

    n_registers: of each thread.   local_bytes: of each thread, spilled ones among them.   shared_bytes: static, of a
    block.   max_threads: the largest block.
    """
    bindings = _bindings()
    words = {
        "n_registers": "NUM_REGS",
        "local_bytes": "LOCAL_SIZE_BYTES",
        "shared_bytes": "SHARED_SIZE_BYTES",
        "max_threads": "MAX_THREADS_PER_BLOCK",
    }
    kind, kernel = bindings.CUfunction_attribute, bindings.CUfunction(handle)
    return {
        name: int(_call("cuFuncGetAttribute", getattr(kind, f"CU_FUNC_ATTRIBUTE_{word}"), kernel))
        for name, word in words.items()
    }


def device_of(address: int) -> int:
    """Return the GPU that holds an address.  Raises MXNetError for memory of the host."""
    which = _bindings().CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    return int(_call("cuPointerGetAttribute", which, address))


def allow_shared(handle: int, n_bytes: int) -> None:
    """Let a kernel be launched with up to n_bytes of dynamic shared memory: needed above 48 KiB."""
    bindings = _bindings()
    which = bindings.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _call("cuFuncSetAttribute", bindings.CUfunction(handle), which, n_bytes)
