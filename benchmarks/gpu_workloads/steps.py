"""A training step in TF32, and in bfloat16 with weights in float32: Module beside PyTorch's autocast.

PyTorch has channels last and its fused SGD, as it is fastest.
"""

import numpy as np

from .. import nets, training
from ..workload import Workload, uniform
from ..workloads import lenet_step, mlp_step
from .devices import Mx, Torch

BATCH = 128
# How far apart one step may leave two libraries, in loss and sizes of the weights' changes: all layers' roundings add
# up.  PyTorch's bf16 is a tenth from its own float32 in a ResNet-50, and single outputs a third.
TOLERANCES = {"tf32": 2e-2, "bf16": 2e-1}


def make_resnet(tiny):
    network = nets.resnet(18, 10, 4) if tiny else nets.resnet(50)
    shape = (8, 3, 64, 64) if tiny else (BATCH, 3, 224, 224)
    params, aux = nets.weights_of(network, shape)
    label = np.random.default_rng(5).integers(0, 10 if tiny else 1000, shape[0]).astype("float32")
    return {"network": network, "data": uniform(*shape), "label": label, "params": params, "aux": aux}


def with_mx(network, precision):
    def job(mx, x):
        gpu, build = Mx(mx, precision), x.get("network", network)
        data = mx.sym.var("data")
        if precision == "bf16":
            logits = mx.sym.cast(
                build(nets.Symbols(mx, gpu.dtype), mx.sym.cast(data, dtype=gpu.dtype)), dtype="float32"
            )
        else:
            logits = build(nets.Symbols(mx), data)
        return training.with_module(mx, mx.sym.SoftmaxOutput(logits, name="softmax"), x, gpu.context, coarse=True)

    return job


def with_torch(network, precision, compiled):
    def job(torch, x):
        gpu, build = Torch(torch, x, precision), x.get("network", network)

        def tensor(value):
            there = gpu.array(value, torch.float32)
            return there.contiguous(memory_format=torch.channels_last) if there.ndim == 4 else there

        def forward(tensors, data):
            with torch.autocast(gpu.name, torch.bfloat16, enabled=precision == "bf16"):
                return build(nets.Eager(torch, tensors, True), data)

        forward = torch.compile(forward) if compiled else forward
        return training.with_torch(torch, forward, x, tensor, gpu.wait, coarse=True, fused=True)

    return job


WORKLOADS = [
    Workload(
        f"gpu_{name}_step_{precision}",
        f"{what}, training step, {precision}",
        make,
        {
            "cymx": with_mx(network, precision),
            "torch": with_torch(network, precision, False),
            "compile": with_torch(network, precision, True),
        },
        limits={"torch": 1.0, "compile": 1.0},
        tolerance=tolerance,
    )
    for name, what, make, network in (
        ("mlp", "MLP, batch 64", mlp_step.make, nets.mlp),
        ("lenet", "LeNet, batch 64", lenet_step.make, nets.lenet),
        ("resnet50", f"ResNet-50, batch {BATCH}", make_resnet, None),
    )
    for precision, tolerance in TOLERANCES.items()
]
