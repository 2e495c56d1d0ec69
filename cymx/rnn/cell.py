"""The cells that compute one step: RNNCell, LSTMCell, GRUCell, and what all cells share.

A cell is called with a step's input (N, C) and its states, and unrolled over a sequence; every symbol and variable has
the name that MXNet 1.9.1 gives
it, so that symbols and checkpoints go both ways.  Called by: user code, usually in the `sym_gen` of a BucketingModule.
"""

from .. import ndarray as nd
from .. import symbol
from ..base import ArgumentError
from ..initializer import LSTMBias


def as_steps(length, inputs, layout):
    """Return the inputs as a list of symbols (N, ...), one for each step; a symbol of a whole sequence is split."""
    if not isinstance(inputs, symbol.Symbol):
        _check_length(length, inputs)
        return list(inputs)
    if len(inputs.list_outputs()) != 1:
        raise ArgumentError("inputs is a symbol of several outputs, expected one; give list(inputs)")
    parts = symbol.split(inputs, axis=layout.find("T"), num_outputs=length, squeeze_axis=1)
    return [parts] if length == 1 else list(parts)


def as_sequence(length, inputs, layout):
    """Return the inputs as one symbol with the steps at the T of the layout; a list of steps is joined."""
    if isinstance(inputs, symbol.Symbol):
        return inputs
    _check_length(length, inputs)
    axis = layout.find("T")
    return symbol.Concat(*(symbol.expand_dims(i, axis=axis) for i in inputs), dim=axis)


def merged(length, outputs, layout, merge):
    """Return outputs as `merge` says: one symbol (True), a list (False), or as they are (None)."""
    if merge is None:
        return outputs
    return as_sequence(length, outputs, layout) if merge else as_steps(length, outputs, layout)


def _check_length(length, inputs):
    if length is not None and len(inputs) != length:
        raise ArgumentError(f"inputs has {len(inputs)} steps, expected {length}")


class RNNParams:
    """Variables by name, each made once, so that cells can share them.   prefix: put before every name."""

    def __init__(self, prefix=""):
        self._prefix, self._params = prefix, {}

    def get(self, name, **kwargs):
        """Return the variable `prefix + name`, made with kwargs the first time."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = symbol.Variable(name, **kwargs)
        return self._params[name]


class BaseRNNCell:
    """The base of cells.   prefix: put before the names of nodes and variables.   params: RNNParams shared with
    others."""

    # Whether it computes single steps, not whole sequences only.
    can_step = True

    def __init__(self, prefix="", params=None):
        self._own_params = params is None
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self):
        """Count steps and first states from 0 again, before another graph is built."""
        self._init_counter = self._counter = -1

    def __call__(self, inputs, states):
        """Return (output, new states) of one step: inputs (N, C), states as begin_state gives them."""
        raise NotImplementedError(f"{type(self).__name__} has no single step; use unroll")

    @property
    def params(self):
        """The cell's variables; whoever asks may share them."""
        self._own_params = False
        return self._params

    @property
    def state_info(self):
        """Shape (0 is the batch) and layout of every state."""
        raise NotImplementedError

    @property
    def state_shape(self):
        """The shapes of the states."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self):
        return ()

    def _step_name(self):
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    def begin_state(self, func=symbol.zeros, **kwargs):
        """Return the first states, each made by func(name=, shape=, **kwargs): zeros, or Variable to feed them."""
        if self._modified:
            raise ArgumentError("a modifier (such as DropoutCell) holds this cell; ask the modifier instead")
        states = []
        for info in self.state_info:
            self._init_counter += 1
            name = f"{self._prefix}begin_state_{self._init_counter}"
            states.append(func(name=name, **{**kwargs, **(info or {})}))
        return states

    def unpack_weights(self, args):
        """Return args with this cell's weights and biases cut into one array for each gate."""
        args = dict(args)
        if not self._gate_names:
            return args
        for group in ("i2h", "h2h"):
            for kind in ("weight", "bias"):
                whole = args.pop(f"{self._prefix}{group}_{kind}")
                n = whole.shape[0] // len(self._gate_names)
                for j, gate in enumerate(self._gate_names):
                    args[f"{self._prefix}{group}{gate}_{kind}"] = whole[j * n : (j + 1) * n].copy()
        return args

    def pack_weights(self, args):
        """Return args with the arrays of each gate joined again: what unpack_weights undoes."""
        args = dict(args)
        if not self._gate_names:
            return args
        for group in ("i2h", "h2h"):
            for kind in ("weight", "bias"):
                parts = [args.pop(f"{self._prefix}{group}{gate}_{kind}") for gate in self._gate_names]
                args[f"{self._prefix}{group}_{kind}"] = nd.concatenate(parts)
        return args

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """Return (outputs, states) of `length` steps.

        inputs: a symbol (N, T, C), or (T, N, C) for layout TNC, or a list of (N, C).   merge_outputs: whether the
        outputs come as one symbol or as a list; None: what is natural for the cell.
        """
        self.reset()
        steps = as_steps(length, inputs, layout)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for i in range(length):
            output, states = self(steps[i], states)
            outputs.append(output)
        return merged(length, outputs, layout, merge_outputs), states


class _GateCell(BaseRNNCell):
    """The base of cells with an input's and a state's product for all gates at once."""

    _n_states = 1

    def __init__(self, num_hidden, prefix, params, bias_init=None):
        super().__init__(prefix=prefix, params=params)
        self._num_hidden = num_hidden
        own = {} if bias_init is None else {"init": bias_init}
        self._i2h = self._params_of("i2h", **own)
        self._h2h = self._params_of("h2h")

    def _params_of(self, group, **kwargs):
        return self._params.get(f"{group}_weight"), self._params.get(f"{group}_bias", **kwargs)

    @property
    def state_info(self):
        """Shape (0 is the batch) and layout of every state."""
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"} for _ in range(self._n_states)]

    def _products(self, inputs, state, stem):
        n = self._num_hidden * len(self._gate_names)
        return [
            symbol.FullyConnected(data=x, weight=weight, bias=bias, num_hidden=n, name=f"{stem}{group}")
            for x, (weight, bias), group in ((inputs, self._i2h, "i2h"), (state, self._h2h, "h2h"))
        ]


class RNNCell(_GateCell):
    """h' = activation(W x + U h + b).   activation: a name that Activation knows, or a function of a symbol and a name.

    Elman 1990.
    """

    def __init__(self, num_hidden, activation="tanh", prefix="rnn_", params=None):
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    @property
    def _gate_names(self):
        return ("",)

    def __call__(self, inputs, states):
        """Return (output, [output]) of one step."""
        name = self._step_name()
        i2h, h2h = self._products(inputs, states[0], name)
        if isinstance(self._activation, str):
            output = symbol.Activation(i2h + h2h, act_type=self._activation, name=f"{name}out")
        else:
            output = self._activation(i2h + h2h, name=f"{name}out")
        return output, [output]


class LSTMCell(_GateCell):
    """c' = f c + i g, h' = o tanh(c'); the forget gates' bias starts at forget_bias.   Hochreiter and Schmidhuber
    1997."""

    _n_states = 2

    def __init__(self, num_hidden, prefix="lstm_", params=None, forget_bias=1.0):
        super().__init__(num_hidden, prefix, params, LSTMBias(forget_bias=forget_bias))

    @property
    def _gate_names(self):
        return ("_i", "_f", "_c", "_o")

    def __call__(self, inputs, states):
        """Return (h', [h', c']) of one step."""
        name = self._step_name()
        i2h, h2h = self._products(inputs, states[0], name)
        parts = symbol.SliceChannel(i2h + h2h, num_outputs=4, name=f"{name}slice")
        i, f, g, o = (
            symbol.Activation(parts[k], act_type="tanh" if word == "c" else "sigmoid", name=f"{name}{word}")
            for k, word in enumerate("ifco")
        )
        c = symbol.elemwise_add(f * states[1], i * g, name=f"{name}state")
        h = symbol.elemwise_mul(o, symbol.Activation(c, act_type="tanh"), name=f"{name}out")
        return h, [h, c]


class GRUCell(_GateCell):
    """h' = (1 - z) tanh(W x + r (U h + b)) + z h: the reset gate after the product, as cuDNN has it.   Cho et al.
    2014."""

    def __init__(self, num_hidden, prefix="gru_", params=None):
        super().__init__(num_hidden, prefix, params)

    @property
    def _gate_names(self):
        return ("_r", "_z", "_o")

    def __call__(self, inputs, states):
        """Return (output, [output]) of one step."""
        name = self._step_name()
        i2h, h2h = (
            symbol.SliceChannel(product, num_outputs=3, name=f"{name}_{group}_slice")
            for product, group in zip(self._products(inputs, states[0], f"{name}_"), ("i2h", "h2h"))
        )
        r = symbol.Activation(i2h[0] + h2h[0], act_type="sigmoid", name=f"{name}_r_act")
        z = symbol.Activation(i2h[1] + h2h[1], act_type="sigmoid", name=f"{name}_z_act")
        fresh = symbol.Activation(i2h[2] + r * h2h[2], act_type="tanh", name=f"{name}_h_act")
        output = symbol.elemwise_add((1.0 - z) * fresh, z * states[0], name=f"{name}out")
        return output, [output]
