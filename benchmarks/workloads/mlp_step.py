"""A training step of a perceptron: many small operators, so mostly what lies between them."""

import numpy as np

from .. import nets, training
from ..workload import Workload, uniform


def make(tiny):
    shape = (3, 20) if tiny else (64, 784)
    params, aux = nets.weights_of(nets.mlp, shape)
    label = np.random.default_rng(5).integers(0, 10, shape[0]).astype("float32")
    return {"data": uniform(*shape), "label": label, "params": params, "aux": aux}


def with_mx(mx, x):
    return training.with_module(
        mx, mx.sym.SoftmaxOutput(nets.mlp(nets.Symbols(mx), mx.sym.var("data")), name="softmax"), x
    )


def with_torch(torch, x):
    return training.with_torch(torch, lambda tensors, data: nets.mlp(nets.Eager(torch, tensors, True), data), x)


def with_compile(torch, x):
    return training.with_torch(
        torch, torch.compile(lambda tensors, data: nets.mlp(nets.Eager(torch, tensors, True), data)), x
    )


WORKLOADS = [
    Workload(
        "mlp_step",
        "MLP 784-128-64-10, batch 64, training step",
        make,
        {"cymx": with_mx, "torch": with_torch, "compile": with_compile, "mxnet": with_mx},
        limits={"torch": 0.5},
        at_most=190e-6,
        tolerance=1e-3,
    )
]
