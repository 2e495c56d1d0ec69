"""What a call costs the program that makes it: the time until it returns, not until the GPU has done it."""

from .. import nets
from ..workload import Workload
from ..workloads import mlp_step, small_add
from .devices import Mx, Torch, returning


def mlp_mx(mx, x):
    gpu = Mx(mx)
    symbol = nets.mlp(nets.Symbols(mx), mx.sym.var("data"))
    executor = symbol.bind(gpu.context, {k: gpu.array(v) for k, v in {"data": x["data"], **x["params"]}.items()})
    return returning(executor.forward, gpu, lambda outputs: outputs)


def mlp_torch(compiled):
    def job(torch, x):
        gpu = Torch(torch, x)
        data, weights = gpu.array(x["data"]), {k: gpu.array(v) for k, v in x["params"].items()}
        network = lambda weights, data: nets.mlp(nets.Eager(torch, weights, False), data)
        network = torch.compile(network) if compiled else network

        def run():
            with torch.inference_mode():
                return [network(weights, data)]

        return returning(run, gpu, lambda outputs: outputs)

    return job


def add_mx(mx, x):
    gpu = Mx(mx)
    a, b = gpu.array(x["a"]), gpu.array(x["b"])
    return returning(lambda: a + b, gpu, lambda c: [c])


def add_torch(torch, x):
    gpu = Torch(torch, x)
    a, b = gpu.array(x["a"]), gpu.array(x["b"])
    return returning(lambda: a + b, gpu, lambda c: [c])


WORKLOADS = [
    Workload(
        "gpu_mlp_forward",
        "MLP, batch 64, replayed forward, host time",
        mlp_step.make,
        {"cymx": mlp_mx, "torch": mlp_torch(False), "compile": mlp_torch(True)},
        at_most=10e-6,
        tolerance=1e-3,
    ),
    Workload(
        "gpu_small_add",
        "c = a + b, ten float32, eager, host time",
        small_add.make,
        {"cymx": add_mx, "torch": add_torch},
        at_most=5e-6,
    ),
]
