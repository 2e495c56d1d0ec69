"""The contestants: which library each one is, how its threads are set, and how it is found.

Read by worker.py and runner.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Absent(Exception):
    """A library or an operator that is not there."""


@dataclass(frozen=True)
class Peer:
    """A contestant.

    name: as on the command line.   title: the head of its column.   module: what it imports.   distribution: where
    its version stands.
    pin: sets the number of threads that the environment variables do not.   needs: the top module without which it is
    absent, where that is not its own.
    """

    name: str
    title: str
    module: str
    distribution: str
    pin: Callable[[Any, int], Any] | None = None
    needs: str = ""

    def load(self, threads: int) -> Any:
        """Import the library.  Raises Absent."""
        try:
            library = importlib.import_module(self.module)
        except ImportError as error:
            raise Absent("not installed" if self._missing() else f"does not import: {error}") from None
        if self.pin:
            self.pin(library, threads)
        return library

    def _missing(self) -> bool:
        return importlib.util.find_spec(self.needs or self.module.split(".")[0]) is None

    def version(self) -> str | None:
        """Return the installed version without importing the library; None where it is not installed."""
        from importlib import metadata

        if self.name == "native":
            compiler = shutil.which("c++")
            return (
                compiler
                and subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
            )
        if self._missing():
            return None
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "checkout"


def _pin_torch(torch, threads):
    torch.set_num_threads(threads)


_ALL = (
    Peer("cymx", "cymx", "cymx", "cymx"),
    Peer("numpy", "NumPy", "numpy", "numpy"),
    Peer("numexpr", "numexpr", "numexpr", "numexpr", lambda numexpr, threads: numexpr.set_num_threads(threads)),
    Peer("torch", "PyTorch", "torch", "torch", _pin_torch),
    Peer("compile", "torch.compile", "torch", "torch", _pin_torch),
    Peer("jax", "JAX", "jax", "jax"),
    Peer("onnxruntime", "ONNX Runtime", "onnxruntime", "onnxruntime"),
    Peer("mxnet", "MXNet", "mxnet", "mxnet"),
    Peer("native", "C / oneDNN", "benchmarks.native", ""),
    Peer("copy", "device copy", "benchmarks.device", "cuda-bindings", needs="cuda"),
)
PEERS = {peer.name: peer for peer in _ALL}
# Who takes part on the GPU; the others know the CPU alone.
ON_GPU = ("cymx", "torch", "compile", "copy")
ON_CPU = tuple(name for name in PEERS if name != "copy")


def environment(threads: int) -> dict:
    """Return the environment of a worker: threads pinned, and bytecode kept as an installed library has it."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "PYTHONHASHSEED": "0",
        "TORCHINDUCTOR_COMPILE_THREADS": str(threads),
    }


def make_mxnet(folder: Path) -> Path:
    """Make an environment with MXNet 1.9.1 from PyPI and return its interpreter.

    MXNet 1.9.1 needs Python 3.8 to 3.11 and a NumPy before 1.24.  Raises FileNotFoundError where no such Python is on
    the path.
    """
    for minor in (11, 10, 9, 8):
        python = shutil.which(f"python3.{minor}")
        if python and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            break
    else:
        raise FileNotFoundError("MXNet 1.9.1 needs Python 3.8, 3.9, 3.10 or 3.11: none is on the path")
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "mxnet==1.9.1", "numpy==1.23.5"], check=True)
    return folder / "bin" / "python"


def interpreter(peer: str, mxnet: Path | None) -> str | None:
    """Return the Python that runs a peer: this one, but for MXNet that of its environment, if there is one."""
    if peer != "mxnet":
        return sys.executable
    return str(mxnet / "bin" / "python") if mxnet else None
