"""The plans of a small network as text: matrix products, bias and activation in one fused step, gradients."""

from pathlib import Path

import pytest
from compiler.support import compiled

import cymx as mx

WEIGHTS = {"fc1_weight": (3, 5), "fc1_bias": (3,), "fc2_weight": (2, 3), "fc2_bias": (2,)}


@pytest.mark.parametrize("name, train", [("mlp-inference", False), ("mlp-training", True)])
def test_plan_of_a_small_network(name, train):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=2, name="fc2"), name="softmax")
    requests = dict.fromkeys(WEIGHTS, "write") if train else None
    plan = compiled(net, train, requests, data=(4, 5), softmax_label=(4,), **WEIGHTS)
    assert plan.dump() + "\n" == (Path(__file__).parent / f"{name}.txt").read_text()
