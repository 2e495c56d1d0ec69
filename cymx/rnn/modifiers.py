"""Cells that change what another cell gives: dropout, zoneout, residual connections."""

from .. import symbol
from ..base import ArgumentError
from .cell import BaseRNNCell, as_sequence, as_steps


class DropoutCell(BaseRNNCell):
    """Drop the fraction `dropout` of the inputs in training; it has no states and no variables."""

    def __init__(self, dropout, prefix="dropout_", params=None):
        super().__init__(prefix, params)
        if not isinstance(dropout, int | float):
            raise ArgumentError(f"dropout is {dropout!r}, expected a number")
        self.dropout = dropout

    @property
    def state_info(self):
        """There are none."""
        return []

    def __call__(self, inputs, states):
        """Return (inputs with some dropped, states) of one step."""
        return (symbol.Dropout(data=inputs, p=self.dropout) if self.dropout > 0 else inputs), states

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """Return (outputs, []): a whole sequence is dropped from at once unless a list is asked for."""
        self.reset()
        if merge_outputs:
            inputs = as_sequence(length, inputs, layout)
        if isinstance(inputs, symbol.Symbol) and merge_outputs is not False:
            return self(inputs, [])
        return super().unroll(length, inputs, begin_state, layout, merge_outputs)


class ModifierCell(BaseRNNCell):
    """The base of cells around one other, `base_cell`, whose variables and states they have."""

    def __init__(self, base_cell):
        self.base_cell = base_cell
        super().__init__()
        base_cell._modified = True

    def reset(self):
        """Count from 0 again, in the base cell too."""
        super().reset()
        self.base_cell.reset()

    @property
    def params(self):
        """The base cell's variables."""
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self):
        """The base cell's."""
        return self.base_cell.state_info

    def begin_state(self, func=symbol.zeros, **kwargs):
        """Return the base cell's first states."""
        if self._modified:
            raise ArgumentError("a modifier (such as DropoutCell) holds this cell; ask the modifier instead")
        self.base_cell._modified = False
        try:
            return self.base_cell.begin_state(func=func, **kwargs)
        finally:
            self.base_cell._modified = True

    def unpack_weights(self, args):
        """Return args with the base cell's weights cut."""
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args):
        """Return args with the base cell's weights joined."""
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Let some outputs and states keep their last value, at random in training.   Krueger et al. 2016."""

    def __init__(self, base_cell, zoneout_outputs=0.0, zoneout_states=0.0):
        for cell in getattr(base_cell, "_cells", [base_cell]):
            if not cell.can_step:
                raise ArgumentError(f"base_cell holds a {type(cell).__name__}, which has no single step")
        self.zoneout_outputs, self.zoneout_states = zoneout_outputs, zoneout_states
        super().__init__(base_cell)

    def reset(self):
        """Count from 0 again and forget the last output."""
        super().reset()
        self._last_output = None

    def __call__(self, inputs, states):
        """Return (output, states) of one step."""
        output, new_states = self.base_cell(inputs, states)

        def mixed(p, new, old):
            mask = symbol.Dropout(symbol.ones_like(new), p=p)
            return symbol.where(mask, new, symbol.zeros((0, 0)) if old is None else old)

        if self.zoneout_outputs:
            output = mixed(self.zoneout_outputs, output, self._last_output)
        if self.zoneout_states:
            new_states = [mixed(self.zoneout_states, new, old) for new, old in zip(new_states, states)]
        self._last_output = output
        return output, new_states


class ResidualCell(ModifierCell):
    """Add the inputs to the outputs.   He et al. 2015, Wu et al. 2016."""

    def __call__(self, inputs, states):
        """Return (output, states) of one step."""
        output, states = self.base_cell(inputs, states)
        return symbol.elemwise_add(output, inputs, name=f"{output.name}_plus_residual"), states

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """Return (outputs, states): see BaseRNNCell.unroll."""
        self.reset()
        self.base_cell._modified = False
        try:
            outputs, states = self.base_cell.unroll(length, inputs, begin_state, layout, merge_outputs)
        finally:
            self.base_cell._modified = True
        merge = isinstance(outputs, symbol.Symbol) if merge_outputs is None else merge_outputs
        inputs = as_sequence(length, inputs, layout) if merge else as_steps(length, inputs, layout)
        pairs = [(outputs, inputs)] if merge else zip(outputs, inputs)
        made = [symbol.elemwise_add(y, x, name=f"{y.name}_plus_residual") for y, x in pairs]
        return made[0] if merge else made, states
