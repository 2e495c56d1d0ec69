"""What a row cannot say of recurrent networks: dropout between layers, the order of the packed parameters, names."""

import numpy as np

import cymx as mx


def _bound(**params):
    params = {"state_size": 4, "num_layers": 2, "name": "r", **params}
    net = mx.sym.RNN(mx.sym.Variable("data"), **params)
    executor = net.simple_bind(mx.cpu(), data=(6, 3, 5))
    rng = np.random.default_rng(2)
    for array in executor.arg_dict.values():
        array[:] = rng.uniform(-0.5, 0.5, array.shape)
    return net, executor


def test_dropout_falls_between_layers_in_training_only():
    outputs = []
    for p in (0.0, 1.0):
        _, executor = _bound(mode="lstm", p=p, state_outputs=True)
        outputs.append([[y.asnumpy() for y in executor.forward(is_train=train)] for train in (False, True)])
    (plain, plain_train), (calm, dropped) = outputs
    for y, y_train, y_calm in zip(plain, plain_train, calm):
        np.testing.assert_array_equal(y, y_train)
        np.testing.assert_array_equal(y, y_calm)
    assert np.abs(dropped[0] - plain[0]).max() > 1e-3
    np.testing.assert_array_equal(dropped[1][0], plain[1][0])  # the first layer's state has seen no dropout
    assert np.abs(dropped[1][1] - plain[1][1]).max() > 1e-3


def test_dropout_draws_anew():
    _, executor = _bound(mode="gru", p=0.5)
    a, b = (executor.forward(is_train=True)[0].asnumpy() for _ in range(2))
    assert np.abs(a - b).max() > 1e-3


def test_names_are_those_of_mxnet():
    net, _ = _bound(mode="lstm", state_outputs=True)
    assert net.list_arguments() == ["data", "r_parameters", "r_state", "r_state_cell"]
    assert net.list_outputs() == ["r_output", "r_state_output", "r_statecell_output"]
    net, _ = _bound(mode="gru", bidirectional=True)
    assert net.list_arguments() == ["data", "r_parameters", "r_state"]
    assert net.infer_shape(data=(5, 2, 4))[0] == [(5, 2, 4), (576,), (4, 2, 4)]
