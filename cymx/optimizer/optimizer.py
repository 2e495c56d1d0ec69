"""The optimizer's base class, its registry, and the updater that keeps one state for each weight.

An optimizer turns (weight, gradient, state) into a new weight, in place.  Learning rate and weight decay of one
weight are the optimizer's, times a multiplier found by the weight's index or name.  Refuses nothing about arrays: the
operators check those.
"""

import pickle
import warnings

import numpy as np

from .. import ndarray as nd
from ..base import ArgumentError, ArgumentTypeError
from ..ndarray._invoke import update_in_place
from ..ops import find
from ..registry import get_register_func

__all__ = ["Optimizer", "Test", "Updater", "create", "get_updater", "register"]


class Optimizer:
    """Hold what every rule shares: rates, decays, multipliers and counts of updates.

    Parameters
    ----------
    rescale_grad : factor of every gradient, usually 1 / batch size.
    param_idx2name : {index: name} of the weights; multipliers may be given by name.
    wd : L2 decay; weights whose names end neither in `_weight` nor in `_gamma` get none unless told otherwise.
    clip_gradient : bound of each rescaled gradient element, or None.
    learning_rate, lr_scheduler : the rate, or a function from the number of updates to it; 0.01 where neither is given.
    sym : symbol whose `__lr_mult__` and `__wd_mult__` attributes are read.
    begin_num_update : count of updates at the start.
    multi_precision : keep a float32 copy of float16 weights.
    param_dict : {index: object with lr_mult and wd_mult}, which wins over names.
    """

    opt_registry: dict = {}
    # Positive: `update_multi_precision` takes lists, and the updater hands all weights over in one call.
    aggregate_num = 0

    def __init__(
        self,
        rescale_grad=1.0,
        param_idx2name=None,
        wd=0.0,
        clip_gradient=None,
        learning_rate=None,
        lr_scheduler=None,
        sym=None,
        begin_num_update=0,
        multi_precision=False,
        param_dict=None,
    ):
        if param_idx2name is not None and not isinstance(param_idx2name, dict):
            raise ArgumentTypeError(
                f"{type(self).__name__}: param_idx2name is {type(param_idx2name).__name__}, expected {{index: name}}"
            )
        if lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        if lr_scheduler is not None and learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            warnings.warn(
                f"learning_rate={learning_rate} replaces the scheduler's base_lr={lr_scheduler.base_lr}", stacklevel=3
            )
            lr_scheduler.base_lr = learning_rate
        self.rescale_grad = rescale_grad
        self.lr_scheduler = lr_scheduler
        self.lr = learning_rate
        self.wd = wd
        self.clip_gradient = clip_gradient
        self.multi_precision = multi_precision
        self.begin_num_update = begin_num_update
        self.num_update = begin_num_update
        self._all_index_update_counts = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.idx2name = dict(param_idx2name or {})
        self.sym_info = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.param_dict = param_dict or {}
        self.set_lr_mult({})
        self.set_wd_mult({})

    @staticmethod
    def register(klass):
        """Register a rule by its lower-case class name, and return it."""
        return register(klass)

    @staticmethod
    def create_optimizer(name, **kwargs):
        """Make the rule registered as `name` (any case).  Raises ValueError for an unknown name."""
        klass = Optimizer.opt_registry.get(name.lower())
        if klass is None:
            known = ", ".join(sorted(Optimizer.opt_registry))
            raise ArgumentError(f"Cannot find optimizer {name!r}; known are {known}")
        return klass(**kwargs)

    # -- rules -------------------------------------------------------------------------------------

    def create_state(self, index, weight):
        """Make the state of one weight: None, an array, or a tuple of them."""
        return None

    def create_state_multi_precision(self, index, weight):
        """Make the state of one weight; for float16 weights under `multi_precision`, (float32 copy, state of the
        copy).
        """
        if self._keeps_master(weight):
            master = weight.astype("float32")
            return master, self.create_state(index, master)
        if self.multi_precision is False and weight.dtype == np.float16:
            warnings.warn(
                f"{type(self).__name__}: float16 weights lose small updates; multi_precision=True keeps a float32 copy",
                stacklevel=3,
            )
        return self.create_state(index, weight)

    def update(self, index, weight, grad, state):
        """Change `weight` (and `state`) in place by `grad`, all of one shape."""
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def update_multi_precision(self, index, weight, grad, state):
        """Change `weight` in place, through its float32 copy where it has one."""
        if not self._keeps_master(weight):
            self.update(index, weight, grad, state)
            return
        master, inner = state
        self.update(index, master, grad.astype("float32"), inner)
        master.copyto(weight)

    def _keeps_master(self, weight):
        return self.multi_precision and weight.dtype == np.float16

    def _clip(self):
        """Return the operators' `clip_gradient`, where a negative number means none."""
        return -1.0 if self.clip_gradient is None else self.clip_gradient

    def _prepare_grad(self, grad, decay=None):
        """Return the gradient rescaled, plus `decay`, then clipped."""
        grad = grad * self.rescale_grad
        if decay is not None:
            grad = grad + decay
        if self.clip_gradient is not None:
            grad = nd.clip(grad, -self.clip_gradient, self.clip_gradient)
        return grad

    # -- rates and decays --------------------------------------------------------------------------

    @property
    def learning_rate(self):
        """The rate at the present count of updates, before multipliers."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr):
        """Set the rate.  Raises UserWarning where a scheduler gives it."""
        if self.lr_scheduler is not None:
            raise UserWarning("The learning rate comes from lr_scheduler; set_learning_rate has no effect beside it")
        self.lr = lr

    def set_lr_scale(self, args_lrscale):
        """Refuse: `set_lr_mult` took its place."""
        raise DeprecationWarning("set_lr_scale is gone; use set_lr_mult")

    def set_lr_mult(self, args_lr_mult):
        """Set factors of the rate, {name or index: factor}, over those of the symbol's `__lr_mult__` attributes."""
        self.lr_mult = {**self._symbol_attr("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult):
        """Set factors of the decay, {name or index: factor}, over those of the symbol's `__wd_mult__` attributes."""
        undecayed = {n: 0.0 for n in self.idx2name.values() if not n.endswith(("_weight", "_gamma"))}
        self.wd_mult = {**undecayed, **self._symbol_attr("__wd_mult__"), **args_wd_mult}

    def _symbol_attr(self, key):
        if not self.sym_info:
            return {}
        attrs, arguments = self.sym_info
        return {name: float(attrs[name][key]) for name in arguments if key in attrs.get(name, ())}

    def _get_lrs(self, indices):
        lr = self.learning_rate
        return [lr * m for m in self._multipliers(indices, self.lr_mult, "lr_mult")]

    def _get_wds(self, indices):
        return [self.wd * m for m in self._multipliers(indices, self.wd_mult, "wd_mult")]

    def _multipliers(self, indices, table, attribute):
        for index in indices:
            if index in self.param_dict:
                yield getattr(self.param_dict[index], attribute)
            elif index in table:
                yield table[index]
            else:
                yield table.get(self.idx2name.get(index), 1.0)

    def _get_lr(self, index):
        return self._get_lrs([index])[0]

    def _get_wd(self, index):
        return self._get_wds([index])[0]

    # -- counts ------------------------------------------------------------------------------------

    def _set_current_context(self, device_id):
        """Count the updates of each device apart, so that copies of one weight count alike."""
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index):
        """Count one update of each index given."""
        counts = self._index_update_count
        for i in index if isinstance(index, list | tuple) else (index,):
            counts[i] = count = counts.get(i, self.begin_num_update) + 1
            if count > self.num_update:
                self.num_update = count

    def _begin(self, index):
        """Count one update and return its (rate, decay, count)."""
        self._update_count(index)
        return self._get_lr(index), self._get_wd(index), self._index_update_count[index]

    def __getstate__(self):
        # param_dict holds gluon's parameters, which are not the optimizer's to save.
        return {k: v for k, v in self.__dict__.items() if k not in ("_index_update_count", "param_dict")}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._index_update_count = self._all_index_update_counts[0]
        self.param_dict = {}


_register = get_register_func(Optimizer, "optimizer")


def register(klass):
    """Register an Optimizer subclass by its lower-case class name, and return it."""
    _register(klass)
    Optimizer.opt_registry[klass.__name__.lower()] = klass
    return klass


create = Optimizer.create_optimizer


class UpdateBatch:
    """Collect updates of several weights and run those of one operator together, as one task of the engine."""

    def __init__(self):
        self._rows: dict = {}

    def add(self, name, arrays, fixed, lr, wd):
        """Note one use of update operator `name`; `arrays` begin with the weight that it changes.

        fixed: the operator's other settings, ((name, value), ...).
        """
        key = name, fixed, arrays[0].device_type, arrays[0].device_id
        noted = self._rows.get(key)
        if noted is None:
            noted = self._rows[key] = [], [], []
        for held, new in zip(noted, (arrays, wd, lr)):
            held.append(new)

    def run(self):
        """Run what was noted."""
        for (name, fixed, *_), (rows, decays, rates) in self._rows.items():
            update_in_place(find(name), rows, fixed, decays, rates)
        self._rows.clear()


def zeros_like(weight):
    """Return zeros of the weight's shape, dtype and context, the usual state."""
    return nd.zeros(weight.shape, ctx=weight.context, dtype=weight.dtype)


@register
class Test(Optimizer):
    """Add the rescaled gradient to the weight, and keep the weight as the state; for tests of key-value stores."""

    __test__ = False  # not a test case, whatever its name says

    def create_state(self, index, weight):
        return zeros_like(weight)

    def update(self, index, weight, grad, state):
        weight[:] = weight + grad * self.rescale_grad
        state[:] = weight


class Updater:
    """Apply an optimizer to weights named by an index, and keep the state of each.

    Call with one (index, grad, weight) or with three lists of the same length.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.states = {}
        self.states_synced = {}
        self.aggregate_updates = optimizer.aggregate_num > 0

    def __call__(self, index, grad, weight):
        if not isinstance(index, list | tuple):
            index, grad, weight = [index], [grad], [weight]
        if not index:
            return
        self.optimizer._set_current_context(weight[0].context.device_id)
        states = [self._state(i, w) for i, w in zip(index, weight, strict=True)]
        if self.aggregate_updates:
            self.optimizer.update_multi_precision(list(index), list(weight), list(grad), states)
            return
        for i, w, g, s in zip(index, weight, grad, states, strict=True):
            self.optimizer.update_multi_precision(i, w, g, s)

    def _state(self, index, weight):
        if index not in self.states:
            self.states[index] = self.optimizer.create_state_multi_precision(index, weight)
            self.states_synced[index] = True
        elif not self.states_synced[index]:
            self.states[index] = self.sync_state_context(self.states[index], weight.context)
            self.states_synced[index] = True
        return self.states[index]

    def sync_state_context(self, state, context):
        """Return the state with every array in it moved to `context`."""
        if isinstance(state, nd.NDArray):
            return state.as_in_context(context)
        if isinstance(state, list | tuple):
            return type(state)(self.sync_state_context(s, context) for s in state)
        return state

    def set_states(self, states):
        """Take over what `get_states` returned, with its optimizer where that was dumped.

        Only for bytes from a trusted source.
        """
        loaded = pickle.loads(states)
        if isinstance(loaded, tuple) and len(loaded) == 2:
            self.states, self.optimizer = loaded
            self.aggregate_updates = self.optimizer.aggregate_num > 0
        else:
            self.states = loaded
        self.states_synced = dict.fromkeys(self.states, False)

    def get_states(self, dump_optimizer=False):
        """Return the states, and with `dump_optimizer` the optimizer, as bytes."""
        return pickle.dumps((self.states, self.optimizer) if dump_optimizer else self.states)


def get_updater(optimizer):
    """Return an Updater of `optimizer`."""
    return Updater(optimizer)
