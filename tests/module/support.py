"""A small network and data without randomness, which MXNet 1.9.1 was trained on as well."""

import numpy as np

import cymx as mx

SHAPES = {"fc1_weight": (6, 5), "fc1_bias": (6,), "fc2_weight": (3, 6), "fc2_bias": (3,)}
DATA = np.cos(np.arange(26 * 5).reshape(26, 5) * 0.7).astype("float32")
LABEL = (np.arange(26) * 7 % 3).astype("float32")


def network():
    """Return data (N, 5) -> 6 -> relu -> 3 -> softmax."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def params():
    """Return the network's first weights."""
    return {
        name: mx.nd.array(np.sin(np.arange(np.prod(shape)).reshape(shape) * 1.3 + i) * 0.5)
        for i, (name, shape) in enumerate(SHAPES.items())
    }


def forward(weights, data):
    """Return the network's output in NumPy."""
    w = {name: array.asnumpy() for name, array in weights.items()}
    hidden = np.maximum(data @ w["fc1_weight"].T + w["fc1_bias"], 0)
    score = np.exp(hidden @ w["fc2_weight"].T + w["fc2_bias"])
    return score / score.sum(1, keepdims=True)


def batch(n, with_label=True, start=0):
    """Return n samples as a DataBatch."""
    data, label = DATA[start : start + n], LABEL[start : start + n]
    return mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(label)] if with_label else None)


def bound(n=4, context=None, **kwargs):
    """Return a bound module of that batch size, with the first weights."""
    module = mx.mod.Module(network(), context=mx.cpu() if context is None else context)
    module.bind([("data", (n, 5))], [("softmax_label", (n,))], **kwargs)
    module.set_params(params(), {})
    return module
