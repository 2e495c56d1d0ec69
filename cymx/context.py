"""Devices: the names of mx.context.   Called by: users."""

from .base import Context, cpu, cpu_pinned, current_context, gpu
from .gpu import _device, driver

__all__ = ["Context", "cpu", "cpu_pinned", "current_context", "gpu", "gpu_memory_info", "num_gpus"]


def num_gpus() -> int:
    """Return the number of GPUs that arrays can be on; 0 where there is none, or no driver that works."""
    return driver.count()


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Return the free and the total bytes of a GPU's memory, as its driver tells them.

    Raises MXNetError where there is no such GPU, saying what is missing.
    """
    return _device.memory_info(device_id)
