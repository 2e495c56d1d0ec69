"""Work whose only cost is memory, on arrays of 1 GiB: fused E, sums, softmax, layer norm, transpose."""

from ..device import copying
from ..workload import Workload, tiled
from ..workloads.fused_e import NAMES
from ..workloads.reductions import OPERATORS
from .devices import OF_COPY, Mx, Torch, queued

N = 16384
LIMITS = {"copy": 1 / OF_COPY, "compile": 1.0}


def _n(tiny):
    return 24 if tiny else N


def make_products(tiny):
    return {k: tiled(_n(tiny), _n(tiny), seed=i) for i, k in enumerate(NAMES)}


def fused_mx(mx, x):
    gpu = Mx(mx)
    a, b, c, d = (mx.sym.var(k) for k in NAMES)
    executor = (a * b + c * d).bind(gpu.context, {k: gpu.array(x[k]) for k in NAMES})
    return queued(executor.forward, gpu, lambda outputs: outputs)


def fused_torch(compiled):
    def job(torch, x):
        gpu = Torch(torch, x)
        tensors = [gpu.array(x[k]) for k in NAMES]
        multiply_add = lambda a, b, c, d: a * b + c * d
        multiply_add = torch.compile(multiply_add) if compiled else multiply_add
        return queued(lambda: multiply_add(*tensors), gpu)

    return job


def make_matrix(tiny):
    """Positive, so that a sum over all keeps its digits."""
    n = _n(tiny)
    return {name: tiled(*shape, low=0.1, seed=8) for name, shape in (("x", (n, n)), ("gamma", (n,)), ("beta", (n,)))}


def with_mx(function):
    def job(mx, x):
        gpu = Mx(mx)
        arrays = {k: gpu.array(x[k]) for k in ("x", "gamma", "beta")}
        return queued(lambda: function(mx, arrays), gpu)

    return job


def with_torch(function, compiled):
    def job(torch, x):
        gpu = Torch(torch, x)
        tensors = {k: gpu.array(x[k]) for k in ("x", "gamma", "beta")}
        compute = torch.compile(lambda tensors: function(torch, tensors)) if compiled else lambda t: function(torch, t)
        return queued(lambda: compute(tensors), gpu)

    return job


def with_copy(n_arrays):
    """Copy as many bytes as reading and writing n_arrays moves."""
    return lambda device, x: copying(next(v for v in x.values() if getattr(v, "ndim", 0) == 2).nbytes * n_arrays // 2)


WORKLOADS = [
    Workload(
        "gpu_fused",
        "E = A*B + C*D, 1 GiB each",
        make_products,
        {"cymx": fused_mx, "torch": fused_torch(False), "compile": fused_torch(True), "copy": with_copy(5)},
        limits=LIMITS,
    ),
    *(
        Workload(
            "gpu_" + name,
            "{} of 1 GiB".format(name.replace("_", " ")),
            make_matrix,
            {
                "cymx": with_mx(mx),
                "torch": with_torch(torch, False),
                "compile": with_torch(torch, True),
                "copy": with_copy(touched),
            },
            limits=LIMITS,
            tolerance=1e-3,
        )
        for name, (touched, _, torch, _, mx) in OPERATORS.items()
        if name != "gather"
    ),
]
