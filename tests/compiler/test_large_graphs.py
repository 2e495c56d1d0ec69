"""Deep and wide graphs: no recursion, and time that grows with the graph and not with its square."""

import time

import numpy as np
import pytest
from compiler.support import compiled, run

import cymx as mx
from cymx.compiler import infer
from cymx.ir import Graph

v = mx.sym.Variable


def test_a_chain_of_5000_nodes():
    y = v("x")
    for _ in range(5000):
        y = mx.sym.relu(y)
    plan = compiled(y, True, {"x": "write"}, x=(3,))
    outputs, grads, _ = run(plan, {"x": np.array([-1, 0, 2], "float32")}, [np.ones(3)])
    assert outputs[0].tolist() == [0, 0, 2] and grads["x"].tolist() == [0, 0, 1]
    assert infer(Graph(tuple(y._entries)), {"x": (3,)}, {}).shape_of(y._entries[0]) == (3,)


def residual(x):
    return mx.sym.broadcast_add(mx.sym.tanh(x), mx.sym.sum(x, axis=1, keepdims=True))


def dense(x):
    return mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=4), act_type="relu")


@pytest.mark.parametrize("layer", [mx.sym.tanh, residual, dense])
def test_time_grows_with_the_graph(layer):
    def seconds(n):
        y = v("x")
        for _ in range(n):
            y = layer(y)
        names = y.list_arguments()
        shapes = dict(zip(names, y.infer_shape(x=(3, 4))[0]))
        start = time.process_time()
        compiled(y, True, dict.fromkeys(names, "write"), **shapes)
        return time.process_time() - start

    seconds(10)
    # Eight times the layers take eight times as long, and 64 times where a pass is quadratic.
    assert seconds(800) < 24 * max(seconds(100), 0.01)
