"""A product of square matrices in each precision; PyTorch's is cuBLAS."""

from ..workload import Workload, tiled
from .devices import OF_MATMUL, PRECISIONS, Mx, Torch, queued


def make(tiny):
    n = 40 if tiny else 8192
    return {"a": tiled(n, n), "b": tiled(n, n, seed=8)}


def with_mx(precision):
    def job(mx, x):
        gpu = Mx(mx, precision)
        a, b = gpu.array(x["a"]), gpu.array(x["b"])
        return queued(lambda: mx.nd.dot(a, b), gpu)

    return job


def with_torch(precision):
    def job(torch, x):
        gpu = Torch(torch, x, precision)
        a, b = gpu.array(x["a"]), gpu.array(x["b"])
        return queued(lambda: a @ b, gpu)

    return job


WORKLOADS = [
    Workload(
        "gpu_matmul_" + precision,
        "matmul 8192^3, " + precision,
        make,
        {"cymx": with_mx(precision), "torch": with_torch(precision)},
        limits={"torch": 1 / OF_MATMUL},
        tolerance=tolerance,
    )
    for precision, tolerance in reversed(list(PRECISIONS.items()))
]
