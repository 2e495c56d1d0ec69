"""The column of the GPU's own copy: bytes from one place of its memory to another, by the driver.

What a kernel that only moves memory could reach at best.  Called by the files in gpu_workloads/.
"""

from .workload import Job


def _checked(answer):
    """Return what a driver's call gave.  Raises RuntimeError where it failed."""
    status, *values = answer
    if int(status):
        raise RuntimeError(f"the driver says {status}")
    return values[0] if values else None


def copying(n_bytes):
    """Return the Job that copies n_bytes, which is to read as many and to write as many."""
    from cuda.bindings import driver as cuda

    from cymx.gpu import driver

    info = driver.open(0)  # first: some calls of cuda.bindings never return where there is no driver
    _checked(cuda.cuCtxSetCurrent(cuda.CUcontext(info.context)))
    source, target = (_checked(cuda.cuMemAlloc(n_bytes)) for _ in range(2))
    _checked(cuda.cuMemsetD8Async(source, 1, n_bytes, 0))

    def loop(n):
        for _ in range(n):
            _checked(cuda.cuMemcpyDtoDAsync(target, source, n_bytes, 0))
        _checked(cuda.cuCtxSynchronize())

    return Job(loop)
