"""A training step of a word model, two LSTM layers and a softmax at every step: fused operator and unrolled cells."""

import numpy as np

from .. import training
from ..workload import Job, Workload

LAYERS = 2


def make(tiny):
    vocabulary, hidden, steps, batch = (11, 5, 3, 2) if tiny else (1000, 200, 35, 32)
    rng = np.random.default_rng(5)
    draw = lambda *shape: rng.uniform(-0.1, 0.1, shape).astype("float32")
    params = {"embed_weight": draw(vocabulary, hidden)}
    for i in range(LAYERS):
        for part in ("i2h", "h2h"):
            params[f"l{i}_{part}_weight"] = draw(4 * hidden, hidden)
            params[f"l{i}_{part}_bias"] = draw(4 * hidden)
    params.update(fc_weight=draw(vocabulary, hidden), fc_bias=draw(vocabulary))
    data, label = rng.integers(0, vocabulary, (2, batch, steps)).astype("float32")
    return {"data": data, "label": label, "params": params, "aux": {}, "sizes": (vocabulary, hidden, steps, batch)}


def _loss(mx, x, states):
    """Return the loss of a (steps * batch, hidden) symbol."""
    logits = mx.sym.FullyConnected(states, num_hidden=x["sizes"][0], name="fc")
    label = mx.sym.Reshape(mx.sym.SwapAxis(mx.sym.var("softmax_label"), dim1=0, dim2=1), shape=(-1,))
    return mx.sym.SoftmaxOutput(logits, label, name="softmax")


def _embedding(mx, x):
    """Return the (steps, batch, hidden) words."""
    vocabulary, hidden, _, _ = x["sizes"]
    return mx.sym.Embedding(
        mx.sym.SwapAxis(mx.sym.var("data"), dim1=0, dim2=1), input_dim=vocabulary, output_dim=hidden, name="embed"
    )


def _packed(params):
    """Return the fused operator's one vector: all weights, layer by layer, then all biases."""
    names = [f"l{i}_{part}_{kind}" for kind in ("weight", "bias") for i in range(LAYERS) for part in ("i2h", "h2h")]
    return np.concatenate([params[name].reshape(-1) for name in names])


def with_fused(mx, x):
    vocabulary, hidden, steps, batch = x["sizes"]
    zeros = [mx.sym.zeros((LAYERS, batch, hidden)) for _ in range(2)]
    lstm = mx.sym.RNN(
        _embedding(mx, x),
        mx.sym.var("lstm_weight"),
        *zeros,
        mode="lstm",
        num_layers=LAYERS,
        state_size=hidden,
        name="lstm",
    )
    own = {name: x["params"][name] for name in ("embed_weight", "fc_weight", "fc_bias")}
    x = {**x, "params": {**own, "lstm_weight": _packed(x["params"])}}
    return _first(training.with_module(mx, _loss(mx, x, mx.sym.Reshape(lstm, shape=(-1, hidden))), x))


def with_unrolled(mx, x):
    vocabulary, hidden, steps, batch = x["sizes"]
    sym = mx.sym
    weights = {name: sym.var(name) for name in x["params"] if name[0] == "l"}
    dense = lambda value, name: sym.FullyConnected(
        value, weights[name + "_weight"], weights[name + "_bias"], num_hidden=4 * hidden
    )
    tops = list(sym.SliceChannel(_embedding(mx, x), num_outputs=steps, axis=0, squeeze_axis=True))
    for layer in range(LAYERS):
        h = c = sym.zeros((batch, hidden))
        for t in range(steps):
            gates = dense(tops[t], f"l{layer}_i2h") + dense(h, f"l{layer}_h2h")
            i, f, g, o = sym.SliceChannel(gates, num_outputs=4)
            c = sym.sigmoid(f) * c + sym.sigmoid(i) * sym.tanh(g)
            h = sym.sigmoid(o) * sym.tanh(c)
            tops[t] = h
    return _first(training.with_module(mx, _loss(mx, x, sym.Concat(*tops, dim=0)), x))


def with_torch(torch, x):
    vocabulary, hidden, steps, batch = x["sizes"]
    names = [f"l{i}_{part}_{kind}" for i in range(LAYERS) for kind in ("weight", "bias") for part in ("i2h", "h2h")]

    def forward(tensors, data):
        embedded = torch.nn.functional.embedding(data.t().long(), tensors["embed_weight"])
        zeros = torch.zeros(LAYERS, batch, hidden)
        states, _, _ = torch.lstm(
            embedded, (zeros, zeros), [tensors[name] for name in names], True, LAYERS, 0.0, True, False, False
        )
        return torch.nn.functional.linear(states.reshape(-1, hidden), tensors["fc_weight"], tensors["fc_bias"])

    return _first(training.with_torch(torch, forward, x))


def _first(job):
    """Compare only the outputs and the embedding's change: the fused operator has its weights in one vector."""

    def result():
        probabilities, _, embedding = job.result()
        return probabilities, embedding

    return Job(job.loop, result)


WORKLOADS = [
    Workload(
        "lstm_fused",
        "LSTM, fused RNN, training step",
        make,
        {"cymx": with_fused, "torch": with_torch, "mxnet": with_fused},
        limits={"torch": 0.75},
        operators=("RNN",),
        tolerance=5e-3,
    ),
    Workload(
        "lstm_unrolled",
        "LSTM, unrolled cells, training step",
        make,
        {"cymx": with_unrolled, "torch": with_torch, "mxnet": with_unrolled},
        limits={"torch": 1.1},
        operators=("SliceChannel", "Embedding"),
        tolerance=1e-3,
    ),
]
