"""A training step of ResNet-18 on 64 x 64 images."""

import numpy as np

from .. import nets, training
from ..workload import Workload, uniform


def make(tiny):
    network = nets.resnet(18, 10, 4) if tiny else nets.resnet(18)
    shape = (4, 3, 64, 64) if tiny else (16, 3, 64, 64)
    params, aux = nets.weights_of(network, shape)
    label = np.random.default_rng(5).integers(0, 10, shape[0]).astype("float32")
    return {"network": network, "data": uniform(*shape), "label": label, "params": params, "aux": aux}


def symbol_of(mx, network):
    """Return the symbol with its loss."""
    return mx.sym.SoftmaxOutput(network(nets.Symbols(mx), mx.sym.var("data")), name="softmax")


def with_mx(mx, x):
    return training.with_module(mx, symbol_of(mx, x["network"]), x)


def with_torch(torch, x):
    return training.with_torch(torch, lambda tensors, data: x["network"](nets.Eager(torch, tensors, True), data), x)


WORKLOADS = [
    Workload(
        "resnet18_step",
        "ResNet-18, batch 16, 64 x 64, training step",
        make,
        {"cymx": with_mx, "torch": with_torch, "mxnet": with_mx},
        limits={"torch": 0.9},
        tolerance=1e-2,
    )
]
