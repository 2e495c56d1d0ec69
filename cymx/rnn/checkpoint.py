"""Checkpoints of networks with cells: weights are saved gate by gate, so that fused and single cells read each
other's."""

from ..model import load_checkpoint, save_checkpoint
from .cell import BaseRNNCell


def _list(cells):
    return [cells] if isinstance(cells, BaseRNNCell) else cells


def save_rnn_checkpoint(cells, prefix, epoch, symbol, arg_params, aux_params):
    """Save symbol and parameters as model.save_checkpoint does, with the weights of the cells unpacked."""
    for cell in _list(cells):
        arg_params = cell.unpack_weights(arg_params)
    save_checkpoint(prefix, epoch, symbol, arg_params, aux_params)


def load_rnn_checkpoint(cells, prefix, epoch):
    """Return (symbol, arg_params, aux_params) of a checkpoint, with the weights of the cells packed."""
    symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
    for cell in _list(cells):
        arg_params = cell.pack_weights(arg_params)
    return symbol, arg_params, aux_params


def do_rnn_checkpoint(cells, prefix, period=1):
    """Return an epoch-end callback that saves a checkpoint every `period` epochs."""
    period = max(1, int(period))

    def callback(iter_no, sym=None, arg=None, aux=None):
        if (iter_no + 1) % period == 0:
            save_rnn_checkpoint(cells, prefix, iter_no + 1, sym, arg, aux)

    return callback
