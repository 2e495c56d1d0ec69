"""One update of a weight of 1 GiB by an optimizer: nothing but memory."""

from ..device import copying
from ..workload import Workload, tiled
from .bandwidth import LIMITS, N
from .devices import Mx, Torch, queued

RATE, MOMENTUM, BETA1, BETA2, EPS = 1e-3, 0.9, 0.9, 0.999, 1e-8
# optimizer: (settings in cymx, arrays that an update reads and writes)
OPTIMIZERS = {
    "sgd": ({"learning_rate": RATE, "momentum": MOMENTUM}, 3 + 2),
    "adam": ({"learning_rate": RATE, "beta1": BETA1, "beta2": BETA2, "epsilon": EPS}, 4 + 3),
}


def make(tiny):
    n = 24 if tiny else N
    return {"weight": tiled(n, n), "gradient": tiled(n, n, seed=8)}


def with_mx(name):
    def job(mx, x):
        gpu = Mx(mx)
        weight, gradient = gpu.array(x["weight"]), gpu.array(x["gradient"])
        optimizer = mx.optimizer.create(name, **OPTIMIZERS[name][0])
        state = optimizer.create_state(0, weight)

        def run():
            optimizer.update(0, weight, gradient, state)
            return weight

        return queued(run, gpu)

    return job


def with_torch(name):
    """PyTorch's own optimizers, with the kernel that does a whole update at once."""

    def job(torch, x):
        gpu = Torch(torch, x)
        weight = gpu.array(x["weight"]).requires_grad_()
        weight.grad = gpu.array(x["gradient"])
        if name == "sgd":
            optimizer = torch.optim.SGD([weight], RATE, MOMENTUM, fused=True)
        else:
            optimizer = torch.optim.Adam([weight], RATE, (BETA1, BETA2), EPS, fused=True)

        def run():
            optimizer.step()
            return weight

        return queued(run, gpu)

    return job


def with_compile(name):
    """The update's definition, for the compiler to fuse."""

    def sgd(weight, gradient, momentum, rate):
        momentum.mul_(MOMENTUM).add_(gradient)
        weight.sub_(rate * momentum)

    def adam(weight, gradient, mean, variance, rate):
        mean.mul_(BETA1).add_((1 - BETA1) * gradient)
        variance.mul_(BETA2).add_((1 - BETA2) * gradient * gradient)
        weight.sub_(rate * mean / (variance.sqrt() + EPS))

    def job(torch, x):
        gpu = Torch(torch, x)
        weight, gradient = gpu.array(x["weight"]), gpu.array(x["gradient"])
        state = [torch.zeros_like(weight) for _ in range(1 if name == "sgd" else 2)]
        update = torch.compile({"sgd": sgd, "adam": adam}[name])
        steps = [0]

        def run():
            steps[0] += 1
            corrected = RATE * (1 - BETA2 ** steps[0]) ** 0.5 / (1 - BETA1 ** steps[0])
            # A tensor, since a number that changes would be compiled anew.
            rate = torch.tensor(RATE if name == "sgd" else corrected)
            update(weight, gradient, *state, rate)
            return weight

        return queued(run, gpu)

    return job


WORKLOADS = [
    Workload(
        "gpu_" + name,
        "{} update of 1 GiB".format({"sgd": "SGD with momentum", "adam": "Adam"}[name]),
        make,
        {
            "cymx": with_mx(name),
            "torch": with_torch(name),
            "compile": with_compile(name),
            "copy": lambda device, x, n=touched: copying(x["weight"].nbytes * n // 2),
        },
        limits=LIMITS,
    )
    for name, (_, touched) in OPTIMIZERS.items()
]
