"""The peak of resident memory that the ResNet-18 training executor adds, in MB.

Linux only: the peak is read from /proc.
"""

from pathlib import Path

from .. import nets
from ..workload import Job, Workload
from . import resnet18_step

make = resnet18_step.make
MB = 1e-3  # of the kB in /proc


def _resident(which):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) * MB


def _peak_of(run):
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    run()
    return _resident("VmHWM") - before


def with_mx(mx, x):
    symbol = resnet18_step.symbol_of(mx, x["network"])

    def run():
        executor = symbol.simple_bind(mx.cpu(), grad_req="write", data=x["data"].shape, softmax_label=x["label"].shape)
        for _ in range(3):
            executor.forward(is_train=True)
            executor.backward()
            mx.nd.waitall()

    return Job(value=lambda: _peak_of(run))


def with_torch(torch, x):
    def run():
        weights = {name: torch.tensor(value, requires_grad=True) for name, value in x["params"].items()}
        network = nets.Eager(
            torch, {**weights, **{name: torch.tensor(value) for name, value in x["aux"].items()}}, True
        )
        data, label = torch.tensor(x["data"]), torch.tensor(x["label"]).long()
        for _ in range(3):
            for w in weights.values():
                w.grad = None
            torch.nn.functional.cross_entropy(x["network"](network, data), label).backward()

    return Job(value=lambda: _peak_of(run))


WORKLOADS = [
    Workload(
        "memory",
        "ResNet-18 training executor, peak memory",
        make,
        {"cymx": with_mx, "torch": with_torch, "mxnet": with_mx},
        limits={"mxnet": 0.8},
        fresh=True,
        unit="MB",
    )
]
