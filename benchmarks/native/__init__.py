"""The peer written in C++: loops fused by hand, a copy at the machine's bandwidth, and oneDNN called directly.

Compiled for this machine at first use, into a temporary folder.  A machine without `c++`, or without oneDNN's
headers, has no such column.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..peers import Absent

Pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
SOURCES = Path(__file__).resolve().parent


def _onednn():
    """Return (include folder, library) of oneDNN.  Raises Absent."""
    from importlib import metadata

    found = {}
    for distribution, name in (("onednn-devel-cpu-gomp", "dnnl.h"), ("onednn-cpu-gomp", "libdnnl.so.3")):
        try:
            files = metadata.files(distribution) or ()
        except metadata.PackageNotFoundError:
            files = ()
        places = [Path(str(f.locate())) for f in files if f.name == name]
        places += [p for p in (Path(sys.prefix, "include", name), Path(sys.prefix, "lib", name)) if p.exists()]
        if not places:
            raise Absent(f"{distribution} is not installed")
        found[name] = places[0].resolve()
    return found["dnnl.h"].parent, found["libdnnl.so.3"]


def build(name: str, onednn: bool = False) -> ctypes.CDLL:
    """Compile NAME.cpp and load it.  Raises Absent where the compiler or oneDNN is missing."""
    compiler = shutil.which("c++")
    if compiler is None:
        raise Absent("no c++ on the path")
    target = Path(tempfile.mkdtemp()) / (name + ".so")
    command = [
        compiler,
        "-O3",
        "-march=native",
        "-ffast-math",
        "-fopenmp",
        "-shared",
        "-fPIC",
        "-o",
        str(target),
        str(SOURCES / (name + ".cpp")),
    ]
    if onednn:
        include, library = _onednn()
        command += ["-I" + str(include), str(library), "-Wl,-rpath," + str(library.parent)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(target))


def pointer(x) -> Pointer:
    """Return the address of an array's memory, which it keeps alive."""
    return x.ctypes.data_as(Pointer)
