"""Recurrent networks: RNN, and the recurrence of one layer that it is made of.

RNN is a body: the packed parameters are cut, the inputs of all steps are multiplied at once, and only what is truly
recurrent runs in a kernel of its
own (csrc/kernels/rnn.cpp).  Refuses projections, sequence lengths and clipped states, which MXNet 1.9.1 refuses or
ignores on the CPU.
"""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, Kernel, Launch, op
from ._params import Param, Shape
from ._shapes import FLOATS, same
from .slice import cut

MODES = ("rnn_relu", "rnn_tanh", "lstm", "gru")
# What each gate is called where weights are named, in the order in which they are packed.
GATE_NAMES = {"rnn_relu": ("",), "rnn_tanh": ("",), "lstm": ("_i", "_f", "_c", "_o"), "gru": ("_r", "_z", "_o")}
GATES = {mode: len(names) for mode, names in GATE_NAMES.items()}
# How many numbers of each unit and step are kept for the backward pass, beyond its output.
KEPT = {"lstm": 5, "gru": 4}


class Recurrence(Kernel):
    """The base of the two kernels of one layer in one direction."""

    dtype = same(("float32", "float64"))
    row = ""
    mode: str = Param(choices=MODES)
    reverse: bool = Param(False)

    @classmethod
    def launch(cls, p, ins, outs):
        return Launch(cls.row, (MODES.index(p.mode), int(p.reverse)))


@op("_rnn_layer")
class RNNLayer(Recurrence):
    """h_t = the cell's function of products[t] + bias and weight h_(t-1), for all t; from the last to the first where
    reverse.

    products (T, N, G H): the inputs times their weights, G gates of H units; weight (G H, H), bias (2, G H): the
    inputs' and the state's;
    state (N, H) [, state_cell (N, H)] -> output (T, N, H), state_output (N, H) [, statecell_output (N, H)] [, kept (T,
    N, K H): for backward].
    """

    inputs, row = ("products", "weight", "bias", "state", "state_cell"), "rnn_fwd"

    def live(p):
        return RNNLayer.inputs if p.mode == "lstm" else RNNLayer.inputs[:4]

    def visible(p):
        cell = ("statecell_output",) if p.mode == "lstm" else ()
        return ("output", "state_output", *cell, *(("kept",) if p.mode in KEPT else ()))

    def shape(p, ins, outs):
        t, n, wide = ins[0]
        h = wide // GATES[p.mode]
        states = [(n, h)] * (2 if p.mode == "lstm" else 1)
        kept = [(t, n, KEPT[p.mode] * h)] if p.mode in KEPT else []
        return [ins[0], (wide, h), (2, wide), *states], [(t, n, h), *states, *kept]

    def weight(p, ins):
        """Return how much heavier than its bytes the recurrence is."""
        return max(1, ins[1].shape[1] // 8)

    def grad(p, *values):
        lstm, gru = p.mode == "lstm", p.mode == "gru"
        n_out = len(RNNLayer.visible(p))
        dys, rest = values[:n_out], values[n_out:]
        ins, outs = rest[: 5 if lstm else 4], rest[5 if lstm else 4 :]
        products, weight, bias, state = ins[:4]
        kept = outs[-1:] if p.mode in KEPT else ()
        made = F.rnn_layer_grad(
            *dys[: 3 if lstm else 2], weight, outs[0], state, *ins[4:], *kept, mode=p.mode, reverse=p.reverse
        )
        d_products, d_states = made[0], made[1:3] if lstm else made[1:2]
        d_recurrent = made[2] if gru else d_products
        t, n, wide = products.shape
        h = wide // GATES[p.mode]
        first = reshape(state, (1, n, h))
        steps = [(0, 1, t - 1), (0, 1, n), (0, 1, h)]
        if p.reverse:
            before = F.concat(cut(outs[0], [(1, 1, t - 1), *steps[1:]]), first, num_args=2, dim=0) if t > 1 else first
        else:
            before = F.concat(first, cut(outs[0], steps), num_args=2, dim=0) if t > 1 else first
        d_weight = F.matmul(reshape(d_recurrent, (t * n, wide)), reshape(before, (t * n, h)), transpose_a=True)
        biases = [F.sum(d, axis=(0, 1)) for d in ([d_products, d_recurrent] if gru else [d_products])]
        d_bias = F.stack(*(biases if gru else biases * 2), num_args=2, axis=0)
        return (d_products, d_weight, d_bias, *d_states)


@op("_rnn_layer_grad")
class RNNLayerGrad(Recurrence):
    """The gradient of _rnn_layer's recurrence.

    d_output (T, N, H), d_state [, d_state_cell] (N, H), weight (G H, H), output (T, N, H), state [, state_cell] (N, H)
    [, kept]
    -> d_products (T, N, G H), d_state [, d_state_cell] (N, H) [, d_recurrent (T, N, G H) for gru: of weight h, which
    differs].
    """

    inputs = ("d_output", "d_state_output", "d_statecell_output", "weight", "output", "state", "state_cell", "kept")
    row, grad = "rnn_bwd", None

    def live(p):
        skipped = {"lstm": (), "gru": (2, 6)}.get(p.mode, (2, 6, 7))
        return tuple(name for i, name in enumerate(RNNLayerGrad.inputs) if i not in skipped)

    def visible(p):
        return ("d_products", "d_state", *{"lstm": ("d_state_cell",), "gru": ("d_recurrent",)}.get(p.mode, ()))

    def shape(p, ins, outs):
        state, products = ins[1], (*ins[0][:2], GATES[p.mode] * ins[0][2])
        return ins, [products, state, *{"lstm": [state], "gru": [products]}.get(p.mode, [])]

    def weight(p, ins):
        """Return how much heavier than its bytes the recurrence is."""
        return max(1, ins[0].shape[-1] // 8)


@op("_cut_vector")
class CutVector(Composed):
    """The consecutive parts of a vector.   data (the sum of sizes,) -> output0 (sizes[0],), output1 (sizes[1],), ..."""

    dtype = same(FLOATS)
    sizes: Shape = Param(ge=0)

    def visible(p):
        return tuple(f"output{i}" for i in range(len(p.sizes)))

    def shape(p, ins, outs):
        return [(sum(p.sizes),)], [(n,) for n in p.sizes]

    def compose(p, x):
        return tuple(cut(x, [(sum(p.sizes[:i]), 1, n)]) for i, n in enumerate(p.sizes))

    def grad(p, *values):
        return (F.concat(*values[: len(p.sizes)], num_args=len(p.sizes), dim=0),)


def parameter_sizes(mode: str, layers: int, directions: int, size: int, hidden: int) -> list[int]:
    """Return the lengths of the parts of RNN's packed vector, in order.

    For each layer and direction the inputs' weight (G H, inputs) and the state's (G H, H); then for each the two biases
    (G H,) as one part.
    """
    wide = GATES[mode] * hidden
    weights = [
        n
        for layer in range(layers)
        for _ in range(directions)
        for n in (wide * (hidden * directions if layer else size), wide * hidden)
    ]
    return weights + [2 * wide] * (layers * directions)


def packed_parts(
    mode: str, layers: int, bidirectional: bool, hidden: int, length: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Return (name, shape) of every gate's weight and bias in a packed vector, in order: l0_i2h_f_weight, ...

    The size of the inputs follows from the length; raises ArgumentError where there is none.
    """
    directions, wide = 1 + bidirectional, GATES[mode] * hidden
    rest = sum(parameter_sizes(mode, layers, directions, 0, hidden))
    size, left = divmod(length - rest, directions * wide)
    if size < 1 or left:
        raise ArgumentError(
            f"the packed vector has {length} elements, expected {rest} and {directions * wide} for each input"
        )
    parts: list[tuple[str, tuple[int, ...]]] = []
    for kind in ("weight", "bias"):
        for layer in range(layers):
            for side in "lr"[:directions]:
                for group, n in (("i2h", directions * hidden if layer else size), ("h2h", hidden)):
                    shape: tuple[int, ...] = (hidden, n) if kind == "weight" else (hidden,)
                    parts += [(f"{side}{layer}_{group}{gate}_{kind}", shape) for gate in GATE_NAMES[mode]]
    return parts


@op("RNN")
class RNN(Composed):
    """num_layers recurrent layers, one above the other; both ways where bidirectional, the two outputs side by side.

    data (T, N, C), parameters (P,): packed, see parameter_sizes; state (L D, N, H) [, state_cell (L D, N, H) for lstm],
    L layers, D directions
    -> output (T, N, D H) [, state_output, statecell_output (L D, N, H) where state_outputs].   p is the fraction
    dropped between layers in training.
    lstm: Hochreiter and Schmidhuber 1997.   gru: Cho et al. 2014, the reset gate after the product, as in cuDNN.
    """

    inputs, dtype, uses_mode = ("data", "parameters", "state", "state_cell", "sequence_length"), same(FLOATS), True
    state_size: int = Param(ge=1)
    num_layers: int = Param(ge=1)
    bidirectional: bool = Param(False)
    mode: str = Param(choices=("gru", "lstm", "rnn_relu", "rnn_tanh"))
    p: float = Param(0.0, ge=0)
    state_outputs: bool = Param(False)
    projection_size: int | None = Param(None)
    lstm_state_clip_min: float | None = Param(None)
    lstm_state_clip_max: float | None = Param(None)
    lstm_state_clip_nan: bool = Param(False)
    use_sequence_length: bool = Param(False)

    def live(p):
        return RNN.inputs[: 4 if p.mode == "lstm" else 3]

    def visible(p):
        if not p.state_outputs:
            return ("output",)
        return ("output", "state_output", "statecell_output") if p.mode == "lstm" else ("output", "state_output")

    def shape(p, ins, outs):
        _refuse(p)
        data, states = ins[0], len(ins) - 2
        directions = 1 + p.bidirectional
        if data is None:
            return ins, outs
        if len(data) != 3:
            raise ArgumentError(f"data is {data}, expected (steps, batch, inputs)")
        t, n, size = data
        sizes = parameter_sizes(p.mode, p.num_layers, directions, size, p.state_size)
        state = (p.num_layers * directions, n, p.state_size)
        made = [(t, n, directions * p.state_size), *[state] * (len(outs) - 1)]
        return [data, (sum(sizes) if size != -1 else -1,), *[state] * states], made

    def compose(p, data, parameters, state, *cell, train=False):
        if data.dtype not in ("float32", "float64"):  # the recurrence sums in float32
            made = F.RNN(*(cast(v, "float32") for v in (data, parameters, state, *cell)), **dict(p.key))
            return tuple(cast(v, data.dtype) for v in (made if p.state_outputs else (made,)))
        n, h, directions = data.shape[1], p.state_size, 1 + p.bidirectional
        wide, count = GATES[p.mode] * h, p.num_layers * directions
        parts = F.cut_vector(
            parameters, sizes=tuple(parameter_sizes(p.mode, p.num_layers, directions, data.shape[2], h))
        )
        y, last = data, []
        for layer in range(p.num_layers):
            if layer and p.p:
                y = F.Dropout(y, p=p.p)
            sides = []
            size = y.shape[2]
            for d in range(directions):
                i = layer * directions + d
                rows = reshape(y, (y.shape[0] * n, size))
                products = F.matmul(rows, reshape(parts[2 * i], (wide, size)), transpose_b=True)
                starts = [
                    reshape(cut(s, [(i, 1, 1), (0, 1, n), (0, 1, h)]), (n, h)) if count > 1 else reshape(s, (n, h))
                    for s in (state, *cell)
                ]
                made = F.rnn_layer(
                    reshape(products, (y.shape[0], n, wide)), reshape(parts[2 * i + 1], (wide, h)), reshape(parts[2 *
                    count + i], (2, wide)),
                    *starts, mode=p.mode, reverse=bool(d),
                )  # fmt: skip
                sides.append(made[0])
                last.append(made[1 : 2 + len(cell)])
            y = F.concat(*sides, num_args=2, dim=2) if p.bidirectional else sides[0]
        if not p.state_outputs:
            return y
        return (y, *(F.stack(*states, num_args=count, axis=0) for states in zip(*last)))


def _refuse(p):
    if p.projection_size is not None:
        raise ArgumentError(
            f"projection_size is {p.projection_size}, expected None: there are no projected states on the CPU"
        )
    if p.use_sequence_length:
        raise ArgumentError("use_sequence_length is True, expected False: mask the output with SequenceMask instead")
    if p.lstm_state_clip_min is not None or p.lstm_state_clip_max is not None or p.lstm_state_clip_nan:
        raise ArgumentError("lstm_state_clip_min, _max or _nan came, expected none: states are not clipped on the CPU")
