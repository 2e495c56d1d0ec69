"""The cell of the operator RNN: all layers and steps at once, its parameters in one packed vector."""

import warnings

import numpy as np

from .. import ndarray as nd
from .. import symbol
from ..initializer import FusedRNN
from ..ops.rnn import GATE_NAMES, packed_parts
from .cell import BaseRNNCell, GRUCell, LSTMCell, RNNCell, as_sequence, merged
from .containers import BidirectionalCell, SequentialRNNCell
from .modifiers import DropoutCell


class FusedRNNCell(BaseRNNCell):
    """num_layers recurrent layers as one RNN operator; it can be unrolled, not stepped.

    mode: rnn_relu, rnn_tanh, lstm or gru.   get_next_state: whether the last states come back too.
    """

    can_step = False

    def __init__(self, num_hidden, num_layers=1, mode="lstm", bidirectional=False, dropout=0.0, get_next_state=False,
                 forget_bias=1.0, prefix=None, params=None):  # fmt: skip
        super().__init__(prefix=f"{mode}_" if prefix is None else prefix, params=params)
        self._num_hidden, self._num_layers, self._mode = num_hidden, num_layers, mode
        self._bidirectional, self._dropout, self._get_next_state = bidirectional, dropout, get_next_state
        self._forget_bias = forget_bias
        start = FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter = self._params.get("parameters", init=start)

    @property
    def state_info(self):
        """Shape (0 is the batch) and layout of every state."""
        shape = (self._num_layers * (1 + self._bidirectional), 0, self._num_hidden)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(2 if self._mode == "lstm" else 1)]

    @property
    def _gate_names(self):
        return GATE_NAMES[self._mode]

    def _parts(self, length):
        return packed_parts(self._mode, self._num_layers, self._bidirectional, self._num_hidden, length)

    def unpack_weights(self, args):
        """Return args with the packed vector cut into one array for each layer, direction and gate."""
        args = dict(args)
        packed, at = args.pop(f"{self._prefix}parameters"), 0
        for name, shape in self._parts(packed.size):
            n = int(np.prod(shape))
            args[self._prefix + name] = packed[at : at + n].reshape(shape).copy()
            at += n
        return args

    def pack_weights(self, args):
        """Return args with those arrays joined into the packed vector."""
        args = dict(args)
        first = args[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"]
        count, directions, gates = self._num_layers, 1 + self._bidirectional, len(self._gate_names)
        above = (count - 1) * (1 + directions) * self._num_hidden
        length = directions * gates * self._num_hidden * (first.shape[1] + self._num_hidden + above + 2 * count)
        parts = [args.pop(self._prefix + name).reshape((-1,)) for name, _ in self._parts(length)]
        args[f"{self._prefix}parameters"] = nd.concatenate(parts)
        return args

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """Return (outputs, states): see BaseRNNCell.unroll; states is [] unless get_next_state.  TNC saves two
        copies."""
        self.reset()
        x = as_sequence(length, inputs, layout)
        batch_first = layout.find("T") == 1
        if batch_first:
            warnings.warn("layout NTC is turned into TNC and back by FusedRNNCell; TNC is faster", stacklevel=2)
            x = symbol.swapaxes(x, dim1=0, dim2=1)
        states = self.begin_state() if begin_state is None else begin_state
        made = symbol.RNN(
            data=x, parameters=self._parameter, **dict(zip(("state", "state_cell"), states)),
            state_size=self._num_hidden, num_layers=self._num_layers, bidirectional=self._bidirectional,
            p=self._dropout, state_outputs=self._get_next_state, mode=self._mode, name=f"{self._prefix}rnn",
        )  # fmt: skip
        outputs, last = (made[0], [made[i + 1] for i in range(len(states))]) if self._get_next_state else (made, [])
        if batch_first:
            outputs = symbol.swapaxes(outputs, dim1=0, dim2=1)
        return merged(length, outputs, layout, merge_outputs), last

    def unfuse(self):
        """Return a SequentialRNNCell of single cells that computes the same with the unpacked weights."""

        def cell(prefix):
            if self._mode == "lstm":
                return LSTMCell(self._num_hidden, prefix=prefix)
            if self._mode == "gru":
                return GRUCell(self._num_hidden, prefix=prefix)
            return RNNCell(self._num_hidden, activation=self._mode[4:], prefix=prefix)

        stack = SequentialRNNCell()
        for i in range(self._num_layers):
            if self._bidirectional:
                sides = (cell(f"{self._prefix}{side}{i}_") for side in "lr")
                stack.add(BidirectionalCell(*sides, output_prefix=f"{self._prefix}bi_l{i}_"))
            else:
                stack.add(cell(f"{self._prefix}l{i}_"))
            if self._dropout > 0 and i != self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{i}_"))
        return stack
