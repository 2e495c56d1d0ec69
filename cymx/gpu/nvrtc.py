"""NVRTC: makes machine code for one architecture from a kernel's text, with no GPU and no driver.

The one place that names cuda.bindings.nvrtc; nothing of it is imported before the first use.  Called by:
gpu/compiler.py.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from .. import config
from ..base import MXNetError, NotBuiltError


@functools.cache
def _library() -> Any:
    """Return cuda.bindings.nvrtc with its library loaded.  Raises NotBuiltError where one is missing."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except Exception as error:  # what a missing library raises differs between versions of cuda-bindings
        raise NotBuiltError(
            f"no NVRTC, which compiles kernels for GPUs: pip install 'cymx[cuda13]' (drivers from R580 on) "
            f"or 'cymx[cuda12]' ({error})"
        ) from error
    return nvrtc


def _checked(answer: tuple, what: str) -> Any:
    """Return what an NVRTC call gave, without its status.  Raises MXNetError with NVRTC's word for a failure."""
    status, *values = answer
    if int(status):
        raise MXNetError(f"NVRTC: {what}: {_library().nvrtcGetErrorString(status)[1].decode()}")
    return values[0] if len(values) == 1 else tuple(values)


def _file_identity() -> str:
    """Return the size and time of the library's file, for one that came in no wheel."""
    from cuda import pathfinder

    path = pathfinder.load_nvidia_dynamic_lib("nvrtc").abs_path
    found = os.stat(path) if path else None
    return f"{found.st_size}-{found.st_mtime_ns}" if found else "unknown"


class Nvrtc:
    """A toolchain on NVRTC.  Its calls release the GIL, so threads compile side by side."""

    @functools.cached_property
    def version(self) -> tuple[int, int]:
        """Major and minor version."""
        return _checked(_library().nvrtcVersion(), "nvrtcVersion")

    @functools.cached_property
    def identity(self) -> str:
        """The whole version, as the cache needs it: that of the wheel, or the size and time of the library."""
        major, minor = self.version
        return f"nvrtc-{config.nvrtc_wheel(major) or f'{major}.{minor}-{_file_identity()}'}"

    def archs(self) -> list[int]:
        """Return the architectures that this NVRTC makes code for, ascending: 90 for sm_90."""
        return sorted(_checked(_library().nvrtcGetSupportedArchs(), "nvrtcGetSupportedArchs"))

    def build(
        self, source: str, name: str, headers: Mapping[str, str], arch: int, options: Sequence[str]
    ) -> tuple[bytes, str, str]:
        """Compile one kernel; return (image, lowered name, log).

        The image is a cubin; for an architecture that is newer than this NVRTC, PTX of the newest one that it knows.
        Raises ValueError with the log where the text is refused, MXNetError where the architecture is too old.
        """
        nvrtc = _library()
        known = self.archs()
        if arch < known[0]:
            raise MXNetError(
                f"NVRTC {self.version} starts at sm_{known[0]}, the GPU is sm_{arch}: install cymx[cuda12]"
            )
        exact = arch in known
        target = f"sm_{arch}" if exact else f"compute_{max(a for a in known if a < arch)}"
        program = _checked(
            nvrtc.nvrtcCreateProgram(
                source.encode(),
                b"kernel.cu",
                len(headers),
                [text.encode() for text in headers.values()],
                [header.encode() for header in headers],
            ),
            "nvrtcCreateProgram",
        )
        try:
            _checked(nvrtc.nvrtcAddNameExpression(program, name.encode()), "nvrtcAddNameExpression")
            flags = [option.encode() for option in (f"--gpu-architecture={target}", *options)]
            (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
            n_log = _checked(nvrtc.nvrtcGetProgramLogSize(program), "nvrtcGetProgramLogSize")
            log = self._text(nvrtc.nvrtcGetProgramLog, program, n_log).rstrip(b"\0").decode(errors="replace")
            if int(status):
                raise ValueError(log.strip() or nvrtc.nvrtcGetErrorString(status)[1].decode())
            symbol = _checked(nvrtc.nvrtcGetLoweredName(program, name.encode()), "nvrtcGetLoweredName").decode()
            kind = "CUBIN" if exact else "PTX"
            size = _checked(getattr(nvrtc, f"nvrtcGet{kind}Size")(program), f"nvrtcGet{kind}Size")
            return self._text(getattr(nvrtc, f"nvrtcGet{kind}"), program, size), symbol, log
        finally:
            nvrtc.nvrtcDestroyProgram(program)

    @staticmethod
    def _text(get: Any, program: Any, n_bytes: int) -> bytes:
        """Return the n_bytes that an NVRTC call writes."""
        room = bytearray(n_bytes)
        _checked(get(program, room), get.__name__)
        return bytes(room)
