"""Where the tests of the GPU keep what they compile."""

import os

from gpu import emulator


def pytest_configure(config):
    os.environ.setdefault("CYMX_KERNEL_CACHE", str(emulator.BUILDS / "kernels"))
