"""Monitor: what it collects from an executor, and when."""

import numpy as np
import pytest

import cymx as mx
from cymx.monitor import Monitor


def bound():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, no_bias=True, name="fc")
    return net.bind(mx.cpu(), {"data": mx.nd.ones((1, 3)), "fc_weight": mx.nd.full((2, 3), 2)}, grad_req="null")


def collect(monitor, executor):
    monitor.tic()
    executor.forward()
    return [(step, name, float(text.strip().strip("[]"))) for step, name, text in monitor.toc()]


def test_outputs_and_arguments_are_collected_every_interval():
    executor = bound()
    monitor = Monitor(2, sort=True)
    monitor.install(executor)
    expected = [(1, "data", 1.0), (1, "fc_output", 6.0), (1, "fc_weight", 2.0)]
    assert collect(monitor, executor) == expected
    assert collect(monitor, executor) == []
    assert [entry[1:] for entry in collect(monitor, executor)] == [entry[1:] for entry in expected]


def test_pattern_and_statistic():
    executor = bound()
    monitor = Monitor(1, stat_func=lambda a: mx.nd.sum(a), pattern=".*weight")
    monitor.install(executor)
    assert collect(monitor, executor) == [(1, "fc_weight", 12.0)]
    wrong = Monitor(1, stat_func=lambda a: np.ones(1), pattern=".*weight")
    wrong.install(executor)
    wrong.tic()
    with pytest.raises(TypeError, match="fc_weight"):
        wrong.toc()
