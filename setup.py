"""Build the extensions: the engine, arrays, the operators with every instruction set inside, and the GPU.

Metadata is in pyproject.toml.
"""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def onednn_headers():
    """Return the folder of oneDNN's headers, wherever its wheel was installed (an isolated build has a place of its
    own).
    """
    try:
        files = metadata.files("onednn-devel-cpu-gomp") or []
    except metadata.PackageNotFoundError:
        return []
    return sorted(
        {str(Path(f.locate()).resolve().parent) for f in files if f.name == "dnnl.h" and "oneapi" not in f.parts}
    )


X86 = platform.machine() in ("x86_64", "AMD64")
ISAS = {"v2": "-march=x86-64-v2", "v3": "-march=x86-64-v3", "v4": "-march=x86-64-v4"} if X86 else {"base": ""}
# Without the first two, g++ vectorizes no loop that holds a floating comparison; with unswitching the kernels are
# 1.1 MB larger and no faster.  Never -ffast-math: linking with it turns on flush-to-zero for the whole Python process.
KERNEL_FLAGS = [
    "-fno-trapping-math",
    "-fno-math-errno",
    "-fno-exceptions",
    "-fno-asynchronous-unwind-tables",
    "-fno-unswitch-loops",
    *(["-mprefer-vector-width=512"] if X86 else []),
]
COMMON_FLAGS = ["-std=c++17", "-O3", "-g0", "-fopenmp", "-fvisibility=hidden", "-Wall", "-Wno-unknown-pragmas"]
INCLUDES = ["csrc", "cymx/include", *onednn_headers()]
HEADERS = sorted(str(p) for d in ("csrc", "cymx/include") for p in Path(d).rglob("*.h"))
KERNELS = sorted(str(p) for p in Path("csrc/kernels").glob("*.cpp"))


def extension(name, sources):
    """Return the extension cymx.<name>, made of its .pyx and C++ sources; any edit of them or a header rebuilds it."""
    sources = sorted(sources)
    return Extension(
        f"cymx.{name}",
        [f"cymx/{name.replace('.', '/')}.pyx", *sources],
        include_dirs=INCLUDES,
        language="c++",
        extra_compile_args=COMMON_FLAGS,
        extra_link_args=["-fopenmp", "-Wl,--strip-all"],
        depends=[*HEADERS, *KERNELS, *sources],
    )


class BuildExt(build_ext):
    """build_ext that compiles the kernels once for each instruction set, as many files at a time as there are cores."""

    def build_extension(self, ext):
        """Compile all C++ of one extension in parallel;

        each instruction set in a folder of its own, or setuptools would share objects.
        """
        newest_header = max(Path(h).stat().st_mtime for h in HEADERS)
        jobs = [(s, COMMON_FLAGS, "common") for s in ext.sources if s.startswith("csrc")]
        if ext.name == "cymx._ops":
            for isa, march in ISAS.items():
                flags = [*COMMON_FLAGS, *KERNEL_FLAGS, *filter(None, [march]), f"-DCYMX_ISA={isa}"]
                jobs += [(s, flags, isa) for s in KERNELS]

        def build(job):
            source, flags, folder = job
            out = Path(self.build_temp, folder)
            target = out / self.compiler.object_filenames([source])[0]
            if (
                not self.force
                and target.exists()
                and target.stat().st_mtime > max(newest_header, Path(source).stat().st_mtime)
            ):
                return str(target)
            return self.compiler.compile([source], str(out), include_dirs=ext.include_dirs, extra_postargs=flags)[0]

        with ThreadPoolExecutor(
            self.parallel if isinstance(self.parallel, int) and self.parallel > 1 else os.cpu_count()
        ) as pool:
            ext.extra_objects = list(pool.map(build, jobs))
        ext.depends = [*ext.depends, *ext.extra_objects]
        ext.sources = [s for s in ext.sources if not s.startswith("csrc")]
        super().build_extension(ext)


setup(
    ext_modules=cythonize(
        [
            extension("_engine", map(str, Path("csrc/engine").glob("*.cpp"))),
            extension("_array", []),
            extension("_eager", []),
            extension("_ops", map(str, Path("csrc").glob("*.cpp"))),
            extension("gpu._device", [f"csrc/gpu/{name}.cpp" for name in ("copy", "device", "memory")]),
            extension("gpu._exchange", []),
            extension("gpu._library", [f"csrc/gpu/{name}.cpp" for name in ("cublaslt", "cudnn")]),
            extension("gpu._plan", ["csrc/gpu/plan.cpp"]),
        ],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
        },
        include_path=["."],
        build_dir="build/cython",
    ),
    cmdclass={"build_ext": BuildExt},
)
