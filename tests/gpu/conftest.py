"""What the tests of this folder run on: the emulated driver and g++, or, with --device=real, a GPU and NVRTC."""

import ctypes
import os

import pytest
from gpu import driver as emulated
from gpu import emulator, kernel_support

import cymx as mx
from cymx.gpu import compiler, library
from cymx.gpu import driver as cuda


@pytest.fixture(scope="session")
def real(request):
    """Return whether the tests run on a real GPU."""
    return request.config.getoption("--device") == "real"


@pytest.fixture(scope="session", autouse=True)
def device(real):
    """Put the emulated driver and its toolchain in place for the whole process, unless the device is real."""
    os.environ.setdefault("CYMX_KERNEL_CACHE", str(emulator.BUILDS / "kernels"))
    kernel_support.ON_DEVICE = real
    if not real:
        emulated.install()


@pytest.fixture
def driver(real):
    """Return the emulated driver, as new before and after the test; tests that need it are skipped on a real one."""
    if real:
        pytest.skip("asks the emulated driver")
    emulated.reset()
    yield emulated
    emulated.reset()


@pytest.fixture
def nvrtc():
    """Have the compiler use NVRTC within a test."""
    before = compiler.toolchain()
    compiler.use(None)
    yield compiler.toolchain()
    compiler.use(before)


@pytest.fixture
def libraries(driver, monkeypatch):
    """Put stand-ins in the libraries' places, make every plan of the test anew, and return the stand-ins by name."""
    names, sources = {"cublasLt": "cublaslt", "cudnn": "cudnn"}, emulator.HERE.parent / "libraries"
    paths = {k: str(emulator.build_library(f"lib{v}.so", [sources / f"{v}.cpp"])) for k, v in names.items()}
    monkeypatch.setattr(cuda, "library_path", paths.get)
    monkeypatch.setenv("CYMX_GPU_LIBRARIES", "cublaslt,cudnn")
    caches = (library._loaded.cache_clear, library._handle.cache_clear, library._answers.clear)
    for clear in caches:
        clear()
    mx.nd._invoke.clear_plans()
    found = {names[k]: ctypes.CDLL(path) for k, path in paths.items()}
    yield found
    found["cublaslt"].standin_refuse(0)
    mx.nd._invoke.clear_plans()
    for clear in caches:
        clear()


@pytest.fixture
def made(libraries, monkeypatch):
    """Return the calls that are made, as (library, whether it had something for them)."""
    found = []
    make = library.make

    def noted(device_id, call):
        result = make(device_id, call)
        found.append((call.library, result is not None))
        return result

    monkeypatch.setattr(library, "make", noted)
    return found
