"""From a kernel's text to an image that a device loads: memory, then the disk cache, then the toolchain.

The toolchain is NVRTC, or what a test gives to `use`.  Kernels include headers by bare name; those of include/cymx and
gpu/kernels are passed in memory, and only those that a kernel reads, so only they decide what it is.  Called by:
gpu/plan.py, gpu/warm.py, the compile tests.
"""

import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import Protocol

from .. import config
from ..base import MXNetError
from . import cache
from .nvrtc import Nvrtc
from .recipe import Kernel

OPTIONS = ("-std=c++17", "--ptxas-options=-v")
MAX_THREADS = 8


class Toolchain(Protocol):
    """What makes images."""

    @property
    def identity(self) -> str:
        """Everything that decides what is made of a text: name, full version, build."""

    def archs(self) -> list[int]:
        """Return the architectures that it makes images for."""

    def build(
        self, source: str, name: str, headers: Mapping[str, str], arch: int, options: Sequence[str]
    ) -> tuple[bytes, str, str]:
        """Return (image, symbol, log); raises ValueError with the log for a text that it refuses."""


class CompileError(MXNetError):
    """Report a kernel that the toolchain refused: its name, where its text lies, and the toolchain's log."""


@dataclass(frozen=True)
class Image:
    """What a device loads: the code, the symbol of the kernel in it, and what the toolchain said."""

    code: bytes
    symbol: str
    log: str = ""

    @property
    def registers(self) -> int | None:
        """Registers of one thread, or None where the log does not say."""
        found = re.search(r"Used (\d+) registers", self._own_log())
        return int(found.group(1)) if found else None

    @property
    def spill_bytes(self) -> int:
        """Bytes that a thread stores to memory because registers ran out."""
        return sum(map(int, re.findall(r"(\d+) bytes spill stores", self._own_log())))

    def _own_log(self) -> str:
        """Return what the log says of this kernel; one text may hold several."""
        return self.log.partition(f"entry function '{self.symbol}'")[2].partition("entry function")[0]


_toolchain: Toolchain | None = None
_images: dict[str, Image] = {}
_pending: dict[tuple[int, str], Future] = {}  # by process: a fork's child must not wait for its parent's threads
_pools: dict[int, ThreadPoolExecutor] = {}


def toolchain() -> Toolchain:
    """Return the toolchain in use: NVRTC, unless another was given."""
    return _toolchain or _nvrtc()


def use(chain: Toolchain | None) -> None:
    """Replace the toolchain; None brings NVRTC back."""
    global _toolchain
    _toolchain = chain


@functools.cache
def _nvrtc() -> Toolchain:
    return Nvrtc()


@functools.cache
def headers() -> dict[str, str]:
    """Return the text of every header that a kernel can include, by its bare name."""
    package = resources.files(__package__.rpartition(".")[0])
    folders = (package / "include" / "cymx", package / "gpu" / "kernels")
    files = [f for folder in folders for f in folder.iterdir() if f.name.endswith((".h", ".cuh"))]
    found = {f.name: f.read_text(encoding="utf-8") for f in files}
    if len(found) != len(files):
        raise MXNetError("two headers of include/cymx and gpu/kernels have one name")
    return found


def headers_of(source: str) -> dict[str, str]:
    """Return the headers that a text reads, directly or through another, by name."""
    read: dict[str, str] = {}
    texts = [source]
    while texts:
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', texts.pop(), re.MULTILINE):
            if name not in read and name in headers():
                read[name] = headers()[name]
                texts.append(read[name])
    return dict(sorted(read.items()))


@functools.cache
def _digest(kernel: Kernel) -> str:
    """Return the digest of all text that a kernel is made of."""
    digest = hashlib.sha256()
    for part in (
        kernel.name,
        *kernel.options,
        kernel.source,
        *(p for item in headers_of(kernel.source).items() for p in item),
    ):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def key_of(kernel: Kernel, arch: int) -> str:
    """Return the key of a kernel's image: what it is made of, by what, and for what."""
    parts = (str(cache.SCHEMA), toolchain().identity, str(arch), *OPTIONS, _digest(kernel))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def build(kernel: Kernel, arch: int) -> Image:
    """Return a kernel's image for an architecture (90 for sm_90), compiled if nothing holds it yet.

    Threads that ask for one kernel at once compile it once.  Raises CompileError for a text that is refused,
    MXNetError for an architecture that the toolchain does not know.
    """
    key = key_of(kernel, arch)
    image = _images.get(key)
    if image is not None:
        return image
    mine: Future = Future()
    place = (os.getpid(), key)
    future = _pending.setdefault(place, mine)
    if future is not mine:
        return future.result()
    try:
        image = Image(*cache.fetch(_folder(arch), key, lambda: _make(kernel, arch)))
        _images[key] = image
        mine.set_result(image)
        return image
    except BaseException as error:
        mine.set_exception(error)
        raise
    finally:
        del _pending[place]


def rebuild(kernel: Kernel, arch: int) -> Image:
    """Return a new image of a kernel whose old one a device refused, and forget that one everywhere."""
    key = key_of(kernel, arch)
    _images.pop(key, None)
    cache.remove(_folder(arch), key)
    return build(kernel, arch)


def start(kernels: Iterable[Kernel], arch: int) -> "list[Future[Image]]":
    """Compile kernels in the background, side by side; return the images to come, in the kernels' order."""
    pool = _pools.get(os.getpid())
    if pool is None:
        workers = min(MAX_THREADS, os.cpu_count() or 1)
        pool = _pools.setdefault(os.getpid(), ThreadPoolExecutor(workers, thread_name_prefix="cymx-compile"))
    return [pool.submit(build, kernel, arch) for kernel in kernels]


def build_all(kernels: Iterable[Kernel], arch: int) -> list[Image]:
    """Return the images of kernels in their order, compiled side by side.  Raises the first kernel's error."""
    kernels = list(kernels)
    if len(kernels) < 2:
        return [build(kernel, arch) for kernel in kernels]
    return [future.result() for future in start(kernels, arch)]


def _folder(arch: int) -> str:
    """Return the name of the folder that holds a toolchain's images for one architecture."""
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', toolchain().identity)[:60]}-sm_{arch}"


def _make(kernel: Kernel, arch: int) -> tuple[bytes, str, str]:
    """Compile a kernel; return (code, symbol, log)."""
    folder = config.dump_kernels()
    try:
        text, options = (kernel.source, kernel.name, headers_of(kernel.source), arch), OPTIONS + kernel.options
        made = toolchain().build(*text, options)
        if Image(*made).spill_bytes:
            made = toolchain().build(*text, (*options, "-DCYMX_ONE_BLOCK"))
    except ValueError as error:
        folder = folder or os.path.join(tempfile.gettempdir(), f"cymx-kernels-{os.getuid()}")
        path = _dump(kernel, arch, folder, {"log": str(error).encode()})
        raise CompileError(
            f"GPU kernel {kernel.name} for sm_{arch} is refused by {toolchain().identity}; "
            f"its text is in {path}\n{error}"
        ) from None
    if folder:
        _dump(kernel, arch, folder, {"log": made[2].encode(), "image": made[0]})
    return made


def _dump(kernel: Kernel, arch: int, folder: str, parts: Mapping[str, bytes]) -> str:
    """Write a kernel's text, and parts beside it, into a folder; return the text's path."""
    stem = re.sub(r"\W+", "_", kernel.name)[:80].strip("_")
    path = os.path.join(folder, f"{stem}-{_digest(kernel)[:12]}-sm_{arch}")
    os.makedirs(folder, exist_ok=True)
    text = f"// {kernel.name}\n{kernel.source}".encode()
    for suffix, data in {"cu": text, **parts}.items():
        with open(f"{path}.{suffix}", "wb") as file:
            file.write(data)
    return f"{path}.cu"
