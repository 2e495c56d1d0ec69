"""A training step of LeNet on 28 x 28 images."""

import numpy as np

from .. import nets, training
from ..workload import Workload, uniform


def make(tiny):
    shape = (2 if tiny else 64, 1, 28, 28)
    params, aux = nets.weights_of(nets.lenet, shape)
    label = np.random.default_rng(5).integers(0, 10, shape[0]).astype("float32")
    return {"data": uniform(*shape), "label": label, "params": params, "aux": aux}


def with_mx(mx, x):
    return training.with_module(
        mx, mx.sym.SoftmaxOutput(nets.lenet(nets.Symbols(mx), mx.sym.var("data")), name="softmax"), x
    )


def with_torch(torch, x):
    return training.with_torch(torch, lambda tensors, data: nets.lenet(nets.Eager(torch, tensors, True), data), x)


WORKLOADS = [
    Workload(
        "lenet_step",
        "LeNet, batch 64, training step",
        make,
        {"cymx": with_mx, "torch": with_torch, "mxnet": with_mx},
        limits={"torch": 0.5},
        tolerance=1e-3,
    )
]
