"""Kernels on the CPU: the library that runs them, and g++ as the toolchain that makes their images.

Both are built with g++ when first asked for, into a folder of the checkout that is keyed by content.  With
``CYMX_EMULATOR_SANITIZE=1`` images carry AddressSanitizer and UBSan: see tools/gpu_sanitize.
"""

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILDS = HERE.parents[2] / ".pytest_cache" / "gpu"
ORDERS = ("forward", "reverse", "random")
SYMBOL = "cymx_entry"
SANITIZE = os.environ.get("CYMX_EMULATOR_SANITIZE") == "1"
GPP = os.environ.get("CXX", "g++").split()
FLAGS = ["-std=c++17", "-fPIC", "-shared", "-pipe", "-fvisibility=hidden", "-fno-gnu-unique"]
# The kernels' own text decides what is rounded where; static arrays of templates must not be shared between images.
IMAGE_FLAGS = [*FLAGS, "-O1", "-w", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fmax-errors=3"]
SANITIZE_FLAGS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
# Kernels need no more than libm; what lies in an image's zeroed memory then is their shared arrays alone.
LAST_FLAGS = SANITIZE_FLAGS if SANITIZE else ["-nostdlib", "-lm"]


@functools.cache
def compiler_identity() -> str:
    """Return the name and version of g++, and a digest of what every image includes."""
    version = subprocess.run([*GPP, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    flags = repr((IMAGE_FLAGS, LAST_FLAGS)).encode()
    return f"{version}, emulator {hashlib.sha256((HERE / 'emulator.h').read_bytes() + flags).hexdigest()[:16]}"


def build_library(name: str, sources: Sequence[Path], flags: Sequence[str] = ()) -> Path:
    """Return the path of a shared library made of C++ files and of this folder's headers, built if need be."""
    digest = hashlib.sha256(repr((compiler_identity(), FLAGS, flags)).encode())
    for path in [*sources, *sorted(HERE.parent.glob("*/*.h"))]:
        digest.update(path.read_bytes())
    built = BUILDS / f"{digest.hexdigest()[:24]}" / name
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent) as folder:
            made = Path(folder) / name
            define = ["-DEMULATOR_SANITIZED"] if SANITIZE else []
            warnings = ["-Wall", "-Wextra", "-Werror"]
            command = [*GPP, *FLAGS, "-O1", *warnings, *define, *map(str, sources), *flags, "-ldl", "-o", str(made)]
            ran = subprocess.run(command, capture_output=True, text=True)
            if ran.returncode:
                raise RuntimeError(f"{name} does not build:\n{ran.stderr}")
            os.replace(made, built)
    return built


@functools.cache
def library() -> ctypes.CDLL:
    """Return the emulator, loaded so that images find it."""
    lib = ctypes.CDLL(str(build_library("libcymx_emulator.so", [HERE / "emulator.cpp"])), mode=ctypes.RTLD_GLOBAL)
    lib.emulator_load.restype = lib.emulator_find.restype = ctypes.c_void_p
    lib.emulator_load.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    lib.emulator_find.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.emulator_launch.argtypes = [
        *(ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_uint), ctypes.c_uint),
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t),
    ]
    return lib


class Gpp:
    """Make images that the emulator runs: a toolchain as cymx.gpu.compiler takes it."""

    @property
    def identity(self) -> str:
        return compiler_identity()

    def archs(self) -> list[int]:
        return [75, 80, 90, 120]

    def build(self, source, name, headers, arch, options):
        """Compile one kernel; return (image, symbol, what g++ said).  Raises ValueError with its errors."""
        text = f'{source}\nEMULATOR_EXPORT({SYMBOL}, "{name}", {name})\n'
        with tempfile.TemporaryDirectory(prefix="cymx-gpp-") as folder:
            for header, content in headers.items():
                Path(folder, header).write_text(content)
            Path(folder, "kernel.cpp").write_text(text)
            macros = [word for word in options if word.startswith(("-D", "-U"))]
            files = [*macros, "-I.", "-include", str(HERE / "emulator.h"), "kernel.cpp", "-o", "kernel.so"]
            ran = subprocess.run([*GPP, *IMAGE_FLAGS, *files, *LAST_FLAGS], capture_output=True, text=True, cwd=folder)
            if ran.returncode:
                raise ValueError(ran.stderr)
            return Path(folder, "kernel.so").read_bytes(), SYMBOL, ran.stderr


class KernelInfo(ctypes.Structure):
    """The first fields of emulator::Kernel."""

    _fields_ = [
        ("entry", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("n_params", ctypes.c_uint),
        ("sizes", ctypes.c_uint * 64),
    ]


class LaunchRefused(ValueError):
    """Report a launch that a GPU would refuse."""


class LaunchFailed(RuntimeError):
    """Report a kernel that failed while it ran."""


def load(code: bytes, symbol: str) -> int:
    """Return the address of a kernel's description in an image."""
    error = ctypes.create_string_buffer(4096)
    image = library().emulator_load(code, len(code), error, len(error))
    kernel = image and library().emulator_find(image, symbol.encode())
    if not kernel:
        raise RuntimeError(f"no image with a kernel {symbol!r}: {error.value.decode()}")
    return kernel


def launch(kernel: int, grid, block, shared: int, args: Sequence[bytes], order: str = "forward") -> None:
    """Run a kernel to its end; args are the bytes of its parameters."""
    info = KernelInfo.from_address(kernel)
    wanted = list(info.sizes[: info.n_params])
    if [len(a) for a in args] != wanted:
        name = info.name.decode()
        raise LaunchRefused(f"{name}: arguments of {[len(a) for a in args]} bytes, its parameters have {wanted}")
    buffers = [ctypes.create_string_buffer(a, len(a)) for a in args]
    pointers = (ctypes.c_void_p * max(1, len(args)))(*[ctypes.addressof(b) for b in buffers])
    error = ctypes.create_string_buffer(4096)
    three = ctypes.c_uint * 3
    outcome = library().emulator_launch(
        kernel, three(*grid), three(*block), shared, pointers, ORDERS.index(order), error, len(error)
    )
    if outcome:
        raise (LaunchRefused if outcome == 1 else LaunchFailed)(error.value.decode())
