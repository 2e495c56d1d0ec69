"""Checkpoints of models, and how gradients reach weights.

Holds what Module and other trainers share: files of a symbol and its parameters, the choice of a key-value store, and
the one function a step that updates all weights, with a store or without.
"""

import logging
import math
from collections import namedtuple

from . import kvstore as kvs
from . import ndarray as nd
from . import symbol as sym
from .base import ArgumentError, ArgumentTypeError
from .kvstore import KVStoreBase

__all__ = ["BatchEndParam", "load_checkpoint", "load_params", "save_checkpoint"]

BatchEndParam = namedtuple("BatchEndParam", ["epoch", "nbatch", "eval_metric", "locals"])

# Beyond this many elements the sum of gradients costs more on one device than updates on each.
_BIG_PARAM = 16 * 1024 * 1024


# -- files -----------------------------------------------------------------------------------------


def save_checkpoint(prefix, epoch, symbol, arg_params, aux_params, remove_amp_cast=True):
    """Write prefix-symbol.json (unless `symbol` is None) and prefix-NNNN.params, NNNN being the epoch."""
    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
    fname = f"{prefix}-{epoch:04d}.params"
    nd.save(fname, join_params(arg_params, aux_params))
    logging.info('Saved checkpoint to "%s"', fname)


def load_checkpoint(prefix, epoch):
    """Read what `save_checkpoint` wrote, and return (symbol, arg_params, aux_params)."""
    symbol = sym.load(f"{prefix}-symbol.json")
    return symbol, *load_params(prefix, epoch)


def load_params(prefix, epoch):
    """Read prefix-NNNN.params, and return (arg_params, aux_params), dictionaries {name: NDArray}."""
    return split_params(nd.load(f"{prefix}-{epoch:04d}.params"), f"{prefix}-{epoch:04d}.params")


def join_params(arg_params, aux_params):
    """Return {`arg:name` or `aux:name`: array}, the form in which parameters are saved."""
    return {**{f"arg:{k}": v for k, v in arg_params.items()}, **{f"aux:{k}": v for k, v in aux_params.items()}}


def split_params(saved, fname):
    """Return (arg_params, aux_params) from what `join_params` made.  Raises ValueError for a name of neither kind."""
    params = {"arg": {}, "aux": {}}
    if not saved:
        logging.warning("Params file '%s' is empty", fname)
        return params["arg"], params["aux"]
    if not isinstance(saved, dict):
        raise ArgumentError(f"{fname}: the arrays have no names, expected 'arg:NAME' and 'aux:NAME'")
    for key, value in saved.items():
        kind, _, name = key.partition(":")
        if kind not in params:
            raise ArgumentError(f"{fname}: array {key!r} is neither 'arg:NAME' nor 'aux:NAME'")
        params[kind][name] = value
    return params["arg"], params["aux"]


# -- updates ---------------------------------------------------------------------------------------


def _create_kvstore(kvstore, num_device, arg_params):
    """Return (store or None, whether weights are updated on it) from a name, a store or None.

    One device needs no store, unless it is one of many machines.
    """
    if kvstore is None or isinstance(kvstore, KVStoreBase):
        store = kvstore
        update_on_store = True
    elif isinstance(kvstore, str):
        if num_device == 1 and "dist" not in kvstore:
            return None, False
        store = kvs.create(kvstore)
        update_on_store = kvstore != "local" or all(math.prod(p.shape) <= _BIG_PARAM for p in arg_params.values())
    else:
        raise ArgumentTypeError(f"kvstore is {type(kvstore).__name__}, expected a KVStore, its name or None")
    return store, store is not None and update_on_store and store.is_capable(KVStoreBase.OPTIMIZER)


def _initialize_kvstore(kvstore, param_arrays, arg_params, param_names, update_on_kvstore):
    """Give each weight's first value to the store, and from there to every device where the store updates."""
    for name, on_devices in zip(param_names, param_arrays, strict=True):
        if update_on_kvstore:
            kvstore.broadcast(name, arg_params[name], out=on_devices)
        else:
            kvstore.init(name, arg_params[name])


def _with_grad(param_arrays, grad_arrays):
    """Yield (number, weights on the devices, gradients on the devices) of the parameters that have gradients."""
    for i, (weights, grads) in enumerate(zip(param_arrays, grad_arrays, strict=True)):
        if grads[0] is not None:
            yield i, weights, grads


def _update_params_on_kvstore(param_arrays, grad_arrays, kvstore, param_names):
    """Hand all gradients to the store, which updates the weights, and take these back, in one call."""
    chosen = list(_with_grad(param_arrays, grad_arrays))
    if chosen:
        kvstore.pushpull(
            [param_names[i] for i, _, _ in chosen], [g for _, _, g in chosen], out=[w for _, w, _ in chosen]
        )


def _update_params(param_arrays, grad_arrays, updater, num_device, kvstore=None, param_names=None):
    """Update all weights of each device in one call of `updater`, after the store, if any, has added up the gradients.

    A weight's index is its number * num_device + the device's.
    """
    chosen = list(_with_grad(param_arrays, grad_arrays))
    if not chosen:
        return
    if kvstore:
        kvstore.pushpull([param_names[i] for i, _, _ in chosen], [g for _, _, g in chosen])
    for device in range(num_device):
        indices = [i * num_device + device for i, _, _ in chosen]
        updater(indices, [g[device] for _, _, g in chosen], [w[device] for _, w, _ in chosen])


def as_list(value):
    """Return the value in a list, unless it is a list or tuple already; None makes an empty one."""
    if value is None:
        return []
    return value if isinstance(value, list | tuple) else [value]


def _multiple_callbacks(callbacks, *args, **kwargs):
    """Call one callback, each of a list, or none."""
    for callback in as_list(callbacks):
        callback(*args, **kwargs)
