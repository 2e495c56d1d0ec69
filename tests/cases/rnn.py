"""Rows of the recurrent networks."""

from dataclasses import replace

import numpy as np

from ._row import Row

DTYPES = ("float32", "float64", "float16", "bfloat16")
GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _cell(mode, x, u, h, c):
    """Return the next state and cell from the inputs' and the state's share of every gate."""
    if mode == "rnn_relu":
        return np.maximum(x + u, 0), c
    if mode == "rnn_tanh":
        return np.tanh(x + u), c
    xs, us = np.split(x, GATES[mode], -1), np.split(u, GATES[mode], -1)
    if mode == "lstm":
        i, f, o = (_sigmoid(xs[k] + us[k]) for k in (0, 1, 3))
        c = f * c + i * np.tanh(xs[2] + us[2])
        return o * np.tanh(c), c
    r, z = (_sigmoid(xs[k] + us[k]) for k in (0, 1))
    return (1 - z) * np.tanh(xs[2] + r * us[2]) + z * h, c


def rnn(
    data,
    parameters,
    state,
    state_cell=None,
    *,
    mode,
    num_layers,
    state_size,
    bidirectional=False,
    state_outputs=False,
    **_,
):
    """Unpack the parameters and walk over the steps."""
    directions, wide = 1 + bidirectional, GATES[mode] * state_size
    count, at, weights = num_layers * directions, 0, []
    for i in range(count):
        size = data.shape[2] if i < directions else directions * state_size
        for n in (size, state_size):
            weights.append(parameters[at : at + wide * n].reshape(wide, n))
            at += wide * n
    biases = parameters[at:].reshape(2 * count, wide)
    y, hs, cs = data, [], []
    for layer in range(num_layers):
        sides = []
        for d in range(directions):
            i = layer * directions + d
            h, c = state[i], state[i] if state_cell is None else state_cell[i]
            out = [None] * len(y)
            for t in range(len(y))[:: -1 if d else 1]:
                x = y[t] @ weights[2 * i].T + biases[2 * i]
                h, c = _cell(mode, x, h @ weights[2 * i + 1].T + biases[2 * i + 1], h, c)
                out[t] = h
            sides.append(np.stack(out))
            hs.append(h)
            cs.append(c)
        y = np.concatenate(sides, 2)
    outs = (y, np.stack(hs), np.stack(cs))[: 3 if mode == "lstm" else 2]
    return outs if state_outputs else y


def _rnn(mode, t, n, size, hidden, layers=1, both=False, dtypes=("float32", "float64"), **params):
    wide, directions = GATES[mode] * hidden, 1 + both
    length = sum(
        wide * ((hidden * directions if layer else size) + hidden + 2)
        for layer in range(layers)
        for _ in range(directions)
    )
    states = [(layers * directions, n, hidden)] * (2 if mode == "lstm" else 1)
    params = {"mode": mode, "state_size": hidden, "num_layers": layers, "bidirectional": both, **params}
    # A rectifier has no derivative at 0: draws above it keep finite differences off the corner.
    low = 0.05 if mode == "rnn_relu" else -0.6
    return Row("RNN", [(t, n, size), (length,), *states], params, rnn, dtypes=dtypes, low=low, high=0.6)


ROWS = [
    *(_rnn(mode, 3, 2, 2, 3, state_outputs=True) for mode in GATES),
    *(_rnn(mode, 2, 2, 2, 2, layers=2, both=True, state_outputs=True) for mode in GATES),
    *(_rnn(mode, 2, 1, 1, 2, both=True) for mode in ("lstm", "gru")),
    *(_rnn(mode, 1, 1, 1, 1, p=0.5) for mode in GATES),
    # More sequences and units than one tile of the kernel holds.
    *(replace(_rnn(mode, 3, 14, 3, 37, layers=2, dtypes=DTYPES, state_outputs=True), wrt=()) for mode in GATES),
]  # fmt: skip
