"""From a symbol that was never run to its first result on the GPU: compiled, and found in the cache on disk.

Another group has run before, so that neither the device nor NVRTC is opened within the time.
"""

import os
import tempfile

from ..workload import Job, Workload, seconds, uniform


def make(tiny):
    return {"x": uniform(64, 64), "folder": tempfile.TemporaryDirectory()}


def _first_result(mx, x, scale):
    value = mx.sym.var("x")
    symbol = mx.sym.tanh(value * scale) + value
    executor = symbol.bind(mx.gpu(0), {"x": mx.nd.array(x["x"], ctx=mx.gpu(0))})
    executor.forward()
    executor.outputs[0].wait_to_read()


def _in_another_process(run):
    """Run in a child that ends without a word, and wait for it.  Raises RuntimeError where it failed."""
    child = os.fork()
    if not child:
        status = 1
        try:
            run()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the process that was to fill the cache failed")


def with_mx(cached):
    def job(mx, x):
        os.environ["CYMX_KERNEL_CACHE"] = x["folder"].name
        run = lambda scale: _first_result(mx, x, scale)
        if cached:  # before this process opens the device, which a child could not use
            _in_another_process(lambda: (run(2.0), run(3.0)))
        run(2.0)
        return Job(value=lambda: seconds(lambda: run(3.0)))

    return job


WORKLOADS = [
    Workload(
        "gpu_first_run", "first run of a new fused group", make, {"cymx": with_mx(False)}, at_most=0.1, fresh=True
    ),
    Workload("gpu_cached_run", "the same in a second process", make, {"cymx": with_mx(True)}, at_most=5e-3, fresh=True),
]
