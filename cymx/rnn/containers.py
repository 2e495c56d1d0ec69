"""Cells made of cells: one above the other, and one for each direction."""

from .. import symbol
from ..base import ArgumentError
from .cell import BaseRNNCell, as_sequence, as_steps, merged


class _Container(BaseRNNCell):
    """The base of cells that hold others.   params: shared by all of them, where given."""

    def __init__(self, prefix="", params=None):
        self._cells = []
        super().__init__(prefix=prefix, params=params)
        self._given_params = params is not None

    def _hold(self, cell):
        if self._given_params:
            if not cell._own_params:
                raise ArgumentError("params came for the container and for one of its cells, expected one of the two")
            cell.params._params.update(self._params._params)
        self._params._params.update(cell.params._params)
        self._cells.append(cell)

    def reset(self):
        """Count from 0 again, in the cells too."""
        super().reset()
        for cell in self._cells:
            cell.reset()

    @property
    def state_info(self):
        """Shape (0 is the batch) and layout of every state, cell by cell."""
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, func=symbol.zeros, **kwargs):
        """Return the first states of all cells in one list."""
        if self._modified:
            raise ArgumentError("a modifier (such as DropoutCell) holds this cell; ask the modifier instead")
        return [state for cell in self._cells for state in cell.begin_state(func=func, **kwargs)]

    def unpack_weights(self, args):
        """Return args with every cell's weights cut into one array for each gate."""
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return args

    def pack_weights(self, args):
        """Return args with every cell's weights joined again."""
        for cell in self._cells:
            args = cell.pack_weights(args)
        return args

    def _divided(self, states):
        """Return the states of each cell."""
        parts, at = [], 0
        for cell in self._cells:
            n = len(cell.state_info)
            parts.append(states[at : at + n])
            at += n
        return parts


class SequentialRNNCell(_Container):
    """Cells one above the other: each takes the output of the one before."""

    def __init__(self, params=None):
        super().__init__(params=params)

    def add(self, cell):
        """Put a cell on top."""
        self._hold(cell)

    def __call__(self, inputs, states):
        """Return (output of the top cell, the states of all) of one step."""
        self._counter += 1
        new = []
        for cell, own in zip(self._cells, self._divided(states)):
            inputs, own = cell(inputs, own)
            new += own
        return inputs, new

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """Return (outputs, states): see BaseRNNCell.unroll; each cell is unrolled over all steps before the next."""
        self.reset()
        states = self.begin_state() if begin_state is None else begin_state
        new = []
        for i, (cell, own) in enumerate(zip(self._cells, self._divided(states))):
            merge = merge_outputs if i == len(self._cells) - 1 else None
            inputs, own = cell.unroll(length, inputs, begin_state=own, layout=layout, merge_outputs=merge)
            new += own
        return inputs, new


class BidirectionalCell(_Container):
    """Two cells, one from the first step to the last and one back; their outputs side by side.   Schuster and Paliwal
    1997."""

    can_step = False

    def __init__(self, l_cell, r_cell, params=None, output_prefix="bi_"):
        super().__init__(params=params)
        self._output_prefix = output_prefix
        self._hold(l_cell)
        self._hold(r_cell)

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """Return (outputs, [states of both cells]): see BaseRNNCell.unroll."""
        self.reset()
        steps = as_steps(length, inputs, layout)
        states = self._divided(self.begin_state() if begin_state is None else begin_state)
        left, right = self._cells
        outputs, ends = zip(
            left.unroll(length, steps, begin_state=states[0], layout=layout, merge_outputs=merge_outputs),
            right.unroll(length, steps[::-1], begin_state=states[1], layout=layout, merge_outputs=merge_outputs),
        )
        merge = all(isinstance(o, symbol.Symbol) for o in outputs) if merge_outputs is None else merge_outputs
        if merge:
            ours, theirs = (as_sequence(length, o, layout) for o in outputs)
            theirs = symbol.reverse(theirs, axis=layout.find("T"))
            made = symbol.Concat(ours, theirs, dim=2, name=f"{self._output_prefix}out")
        else:
            ours, theirs = (merged(length, o, layout, False) for o in outputs)
            made = [
                symbol.Concat(a, b, dim=1, name=f"{self._output_prefix}t{i}")
                for i, (a, b) in enumerate(zip(ours, theirs[::-1]))
            ]
        return made, list(ends)
