"""What the tests of this folder run on: the emulated driver and g++, or, with --device=real, a GPU and NVRTC."""

import os

import pytest
from gpu import driver as emulated
from gpu import emulator, kernel_support

from cymx.gpu import compiler


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
