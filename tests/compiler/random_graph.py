"""Random graphs of map, broadcast, reduce, reshape, transpose, product and multi-output nodes, with NumPy's answer."""

import numpy as np

import cymx as mx

UNARY = {
    "tanh": (mx.sym.tanh, np.tanh),
    "sin": (mx.sym.sin, np.sin),
    "sigmoid": (mx.sym.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "double": (lambda x: x * 2, lambda x: x * 2),
    "one_minus": (lambda x: 1 - x, lambda x: 1 - x),
    "plus_0": (lambda x: x + 0, lambda x: x),
    "sum": (lambda x: mx.sym.sum(x, axis=-1, keepdims=True), lambda x: x.sum(-1, keepdims=True)),
    "mean": (lambda x: mx.sym.mean(x, axis=0, keepdims=True), lambda x: x.mean(0, keepdims=True)),
    "average": (lambda x: mx.sym.sum(x * 0.125, axis=0), lambda x: (x * 0.125).sum(0)),
    "total": (lambda x: mx.sym.sum(mx.sym.sin(x)), lambda x: np.sin(x).sum().reshape(1)),
    "greatest": (
        lambda x: mx.sym.max(mx.sym.sin(x), axis=-1, keepdims=True),
        lambda x: np.sin(x).max(-1, keepdims=True),
    ),
    "ends": (lambda x: mx.sym.sum(x * 2, axis=(0, 2)), lambda x: (x * 2).sum((0, 2))),
    "middle": (lambda x: mx.sym.sum(mx.sym.tanh(x), axis=1, keepdims=True), lambda x: np.tanh(x).sum(1, keepdims=True)),
    "squares": (lambda x: mx.sym.sum(mx.sym.square(x), axis=1), lambda x: (x * x).sum(1)),
    "flatten": (lambda x: mx.sym.reshape(x, shape=(-1,)), lambda x: x.reshape(-1)),
    "deepen": (lambda x: mx.sym.expand_dims(x, axis=0), lambda x: x[None]),
    "transpose": (mx.sym.transpose, np.transpose),
    "left": (lambda x: mx.sym.split(x, num_outputs=2, axis=1)[0], lambda x: np.split(x, 2, 1)[0]),
    "right": (lambda x: mx.sym.split(x, num_outputs=2, axis=1)[1], lambda x: np.split(x, 2, 1)[1]),
    "softmax": (mx.sym.softmax, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
}
BINARY = {
    "add": (mx.sym.broadcast_add, np.add),
    "sub": (mx.sym.broadcast_sub, np.subtract),
    "mul": (mx.sym.broadcast_mul, np.multiply),
    "maximum": (mx.sym.broadcast_maximum, np.maximum),
    "dot": (mx.sym.dot, np.dot),
}
SHAPES = [(4, 6), (4, 6), (4, 1), (1, 6), (6,)]


def random_graph(rng, n_nodes):
    """Return a symbol, and a NumPy function of the variables' values that yields its outputs."""
    names = [f"v{i}" for i in range(len(SHAPES))]
    values = [rng.uniform(-1, 1, s) for s in SHAPES]
    symbols = [mx.sym.Variable(n) for n in names]
    steps = []  # NumPy function, numbers of its inputs
    while len(steps) < n_nodes:
        # Late values are preferred, so that graphs grow deep as well as wide.
        pick = lambda: int(len(symbols) * rng.beta(2, 1))
        if rng.random() < 0.5:
            name, (op, ref) = list(UNARY.items())[rng.integers(len(UNARY))]
            ins = [pick()]
        else:
            name, (op, ref) = list(BINARY.items())[rng.integers(len(BINARY))]
            ins = [pick(), pick()]
        try:
            value = ref(*(values[i] for i in ins))
        except (ValueError, IndexError, np.exceptions.AxisError):
            continue
        ranks = {values[i].ndim for i in ins}
        if (
            value.ndim < 1
            or value.ndim > 3
            or value.size > 400
            or (name in ("add", "sub", "mul", "maximum") and len(ranks) > 1)
        ):
            continue
        if name == "dot" and ranks != {2}:
            continue
        if np.abs(value).max() > 4:
            op, ref = (lambda *x, op=op: mx.sym.tanh(op(*x))), (lambda *x, ref=ref: np.tanh(ref(*x)))
            value = np.tanh(value)
        symbols.append(op(*(symbols[i] for i in ins)))
        values.append(value)
        steps.append((ref, ins))
    chosen = [len(symbols) - 1, *rng.integers(len(symbols), size=2)]

    def reference(given):
        found = [given[n] for n in names]
        for ref, ins in steps:
            found.append(ref(*(found[i] for i in ins)))
        return [found[i] for i in chosen]

    symbol = mx.sym.Group([symbols[i] for i in chosen])
    used = symbol.list_arguments()
    return symbol, reference, dict(zip(names, values)), used
