"""Training steps of a small network, against NumPy written by hand."""

import numpy as np

import cymx as mx


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_two_layers_learn_as_in_numpy():
    rng = np.random.default_rng(3)
    x, label = rng.normal(size=(32, 6)), rng.integers(3, size=32)
    w1, b1, w2, b2 = rng.normal(size=(8, 6)) / 2, np.zeros(8), rng.normal(size=(3, 8)) / 2, np.zeros(3)
    names = ["fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="fc1"), act_type="tanh")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")
    requests = dict.fromkeys(names, "write")
    exe = net.simple_bind(mx.cpu(), grad_req=requests, type_dict={"data": "float64"}, data=(32, 6))
    exe.copy_params_from({n: mx.nd.array(v, dtype="float64") for n, v in zip(names, (w1, b1, w2, b2))})
    rate, losses = 0.05, []
    for _ in range(30):
        (p,) = exe.forward(is_train=True, data=x, softmax_label=label)
        exe.backward()
        h = np.tanh(x @ w1.T + b1)
        q = softmax(h @ w2.T + b2)
        losses.append(-np.log(q[np.arange(32), label]).mean())
        dz = q - np.eye(3)[label]
        dh = dz @ w2 * (1 - h * h)
        grads = (dh.T @ x, dh.sum(0), dz.T @ h, dz.sum(0))
        np.testing.assert_allclose(p.asnumpy(), q, rtol=1e-9)
        for name, g in zip(names, grads):
            np.testing.assert_allclose(exe.grad_dict[name].asnumpy(), g, rtol=1e-8, atol=1e-10, err_msg=name)
            exe.arg_dict[name][:] -= rate * exe.grad_dict[name]
        w1, b1, w2, b2 = (w - rate * g for w, g in zip((w1, b1, w2, b2), grads))
    assert losses[-1] < losses[0] / 2


def test_gradients_add_up_over_small_batches():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(8, 5)).astype("float32")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    whole = net.simple_bind(mx.cpu(), data=(8, 5))
    part = net.simple_bind(mx.cpu(), grad_req="add", data=(2, 5))
    whole.forward(is_train=True, data=x)
    whole.backward(mx.nd.ones((8, 2)))
    for i in range(0, 8, 2):
        part.forward(is_train=True, data=x[i : i + 2])
        part.backward(mx.nd.ones((2, 2)))
    np.testing.assert_allclose(
        part.grad_dict["fc_weight"].asnumpy(), whole.grad_dict["fc_weight"].asnumpy(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(part.grad_dict["fc_bias"].asnumpy(), [8, 8])


def test_what_comes_between_forward_and_backward():
    """Gradients that flow into images, and gradients that are added to, are read when backward runs, in any layout."""
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=6, name="c0")
    symbol = mx.sym.Convolution(mx.sym.tanh(x), kernel=(3, 3), num_filter=4, name="c1")
    draw = lambda shape, seed: np.random.default_rng(seed).standard_normal(shape).astype("float32")

    def gradients(heads, before):
        executor = symbol.simple_bind(mx.cpu(), grad_req="add", data=(2, 3, 8, 7))
        for i, array in enumerate(executor.arg_arrays):
            array[:] = draw(array.shape, i)
        for head in heads:
            executor.forward(is_train=True)
            for grad in executor.grad_arrays:
                grad[:] = before
            executor.backward(mx.nd.array(draw(executor.outputs[0].shape, head)))
        return [grad.asnumpy() for grad in executor.grad_arrays]

    for found, wanted in zip(gradients((7, 8, 9), 1.5), gradients((9,), 0)):
        np.testing.assert_allclose(found, wanted + 1.5, rtol=1e-4, atol=1e-4)
