"""The only reader of environment variables and of the places where libraries lie.  Imports base alone; read by whoever
needs a setting.

CYMX_ISA            x86-64-v2, x86-64-v3 or x86-64-v4: the instruction set of the CPU kernels (default: the best of this
machine)
CYMX_DUMP_KERNELS   a folder that receives the source, image and log of every GPU kernel that is compiled
CYMX_GPU_LIBRARIES  those of NVIDIA's libraries that are used where they are installed, or off (default: cublaslt,cudnn)
CYMX_KERNEL_CACHE   the folder that keeps compiled GPU kernels, or off (default: cymx/kernels where caches go)
CYMX_ONEDNN         0 switches oneDNN off and the portable kernels on (default 1)
CUDA_VISIBLE_DEVICES is the driver's own; it is read to say why there is no GPU
MXNET_CUDA_TENSOR_OP_MATH_ALLOW_CONVERSION  1 lets GPUs multiply float32 in TF32, which keeps 10 bits (default 0)
MXNET_ENGINE_TYPE   NaiveEngine runs every task at once in the calling thread (default ThreadedEnginePerDevice)
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import glob


def isa() -> str:
    """Return the forced instruction set, or '' for the best."""
    return os.environ.get("CYMX_ISA", "")


def engine_type() -> str:
    """Return the engine's type by MXNet's name."""
    return os.environ.get("MXNET_ENGINE_TYPE", "ThreadedEnginePerDevice")


def cuda_visible_devices() -> str | None:
    """Return what the driver was told of the GPUs that it may show, or None."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def onednn_wanted() -> bool:
    """Return whether oneDNN's kernels may be used."""
    return os.environ.get("CYMX_ONEDNN", "1") != "0"


def onednn_path() -> str | None:
    """Return the path of oneDNN's shared library, from the wheel it came in, or None."""
    name = "libdnnl.so.3"
    candidates = []
    # The wheel's own list of files; importlib.metadata would read it as well, after 20 ms of imports.
    for record in (r for folder in sys.path for r in glob(f"{folder}/onednn_cpu_gomp-*.dist-info/RECORD")):
        with open(record, encoding="utf-8") as lines:
            files = [line.split(",")[0] for line in lines]
        base = os.path.dirname(os.path.dirname(record))
        candidates += [os.path.join(base, f) for f in files if os.path.basename(f) == name]
    candidates.append(os.path.join(sys.prefix, "lib", name))
    return next((os.path.realpath(c) for c in candidates if os.path.exists(c)), None)


def kernel_cache() -> str | None:
    """Return the folder that keeps compiled GPU kernels, or None for none."""
    place = os.environ.get("CYMX_KERNEL_CACHE", "")
    if place == "off":
        return None
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return place or os.path.join(caches, "cymx", "kernels")


def dump_kernels() -> str | None:
    """Return the folder that receives what is compiled for GPUs, or None."""
    return os.environ.get("CYMX_DUMP_KERNELS") or None


def nvrtc_wheel(major: int) -> str | None:
    """Return the full version of the wheel that brought NVRTC of this major version, or None."""
    from importlib import metadata

    try:
        return metadata.version("nvidia-cuda-nvrtc-cu12" if major == 12 else "nvidia-cuda-nvrtc")
    except metadata.PackageNotFoundError:
        return None


def gpu_libraries() -> tuple[str, ...]:
    """Return the names of NVIDIA's libraries that may be used."""
    names = os.environ.get("CYMX_GPU_LIBRARIES", "cublaslt,cudnn")
    return () if names in ("off", "0", "") else tuple(name.strip().lower() for name in names.split(","))


def allows_tf32() -> bool:
    """Return whether products of float32 on a GPU may be made in TF32."""
    return os.environ.get("MXNET_CUDA_TENSOR_OP_MATH_ALLOW_CONVERSION", "0") == "1"


@contextmanager
def environment(name: str | Mapping[str, str | None], value: str | None = None) -> Iterator[None]:
    """Set environment variables within the block: a name and its value, or a dict of them; None takes one away."""
    wanted = {name: value} if isinstance(name, str) else name
    had = {key: os.environ.get(key) for key in wanted}
    _set_environment(wanted)
    try:
        yield
    finally:
        _set_environment(had)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
