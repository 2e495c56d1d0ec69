"""BucketingModule: many symbols over one set of parameters, such as one for each sentence length.  Called by users."""

import logging
import warnings

import numpy as np

from .. import ndarray as nd
from .. import symbol as sym
from ..base import ArgumentError, cpu
from ..initializer import Uniform
from ..model import load_params
from .base_module import BaseModule, _check_input_names
from .module import Module

__all__ = ["BucketingModule"]


class BucketingModule(BaseModule):
    """Train a symbol for each bucket, all sharing the parameters of the default one.

    `sym_gen(key)` returns (symbol, data_names, label_names); the symbol of `default_bucket_key` has all parameters.
    A batch tells its bucket by `bucket_key`, and its shapes by `provide_data` and `provide_label`.  Other parameters
    as those of Module.
    """

    def __init__(
        self,
        sym_gen,
        default_bucket_key=None,
        logger=logging,
        context=cpu(),  # noqa: B008  (a context is a constant)
        work_load_list=None,
        fixed_param_names=None,
        state_names=None,
        group2ctxs=None,
        compression_params=None,
    ):
        super().__init__(logger=logger)
        if default_bucket_key is None:
            raise ArgumentError("BucketingModule: default_bucket_key is missing")
        self._default_bucket_key = default_bucket_key
        self._sym_gen = sym_gen
        self._settings = {
            "context": context,
            "work_load_list": work_load_list,
            "fixed_param_names": fixed_param_names,
            "state_names": state_names,
            "group2ctxs": group2ctxs,
            "compression_params": compression_params,
        }
        symbol, data_names, label_names = self._call_sym_gen(default_bucket_key)
        _check_input_names(symbol, list(data_names or ()), "data", True)
        _check_input_names(symbol, list(label_names or ()), "label", False)
        _check_input_names(symbol, list(state_names or ()), "state", True)
        _check_input_names(symbol, list(fixed_param_names or ()), "fixed_param", True)
        self._loaded_params = None
        self._monitor = None
        self._grad_req = None
        self._params_dirty = False
        self._reset_bind()

    def _reset_bind(self):
        self.binded = False
        self._buckets = {}
        self._curr_module = None
        self._curr_bucket_key = None

    def _call_sym_gen(self, bucket_key):
        return self._sym_gen(bucket_key)

    def _make_module(self, bucket_key):
        symbol, data_names, label_names = self._call_sym_gen(bucket_key)
        return Module(symbol, data_names, label_names, logger=self.logger, **self._settings)

    # -- files -------------------------------------------------------------------------------------

    def save_checkpoint(self, prefix, epoch, remove_amp_cast=False):
        """Write prefix-NNNN.params, prefix-KEY-symbol.json for each bucket met, and their keys to prefix.buckets."""
        if not self._buckets:
            raise ArgumentError("BucketingModule.save_checkpoint: no bucket is bound")
        self.save_params(f"{prefix}-{epoch:04d}.params")
        for key, module in self._buckets.items():
            module.symbol.save(f"{prefix}-{key}-symbol.json", remove_amp_cast=remove_amp_cast)
        nd.save(f"{prefix}.buckets", [nd.array(np.array(list(self._buckets)), dtype="int32")])

    @staticmethod
    def load(prefix, epoch, sym_gen=None, default_bucket_key=None, **kwargs):
        """Make a module from what `save_checkpoint` wrote; `kwargs` go to the constructor."""
        keys = nd.load(f"{prefix}.buckets")[0].asnumpy().tolist()
        symbols = {key: sym.load(f"{prefix}-{int(key)}-symbol.json") for key in keys}
        arg_params, aux_params = load_params(prefix, epoch)
        return BucketingModule.load_dict(symbols, sym_gen, default_bucket_key, arg_params, aux_params, **kwargs)

    @staticmethod
    def load_dict(sym_dict=None, sym_gen=None, default_bucket_key=None, arg_params=None, aux_params=None, **kwargs):
        """Make a module whose buckets in `sym_dict` have these symbols; `sym_gen` makes the others, and all names."""
        for what, value in (
            ("sym_gen", sym_gen),
            ("default_bucket_key", default_bucket_key),
            ("arg_params", arg_params),
        ):
            if value is None:
                raise ArgumentError(f"BucketingModule.load: {what} is missing")

        def with_saved(key):
            symbol, data_names, label_names = sym_gen(key)
            return (sym_dict or {}).get(key, symbol), data_names, label_names

        module = BucketingModule(with_saved, default_bucket_key, **kwargs)
        module._loaded_params = arg_params, aux_params or {}
        module.params_initialized = True
        return module

    # -- the present bucket ------------------------------------------------------------------------

    def _names_of_default(self):
        return self._call_sym_gen(self._default_bucket_key)

    @property
    def symbol(self):
        self._need("symbol", params=False)
        return self._curr_module.symbol

    @property
    def data_names(self):
        return self._curr_module.data_names if self.binded else self._names_of_default()[1]

    @property
    def output_names(self):
        return self._curr_module.output_names if self.binded else self._names_of_default()[0].list_outputs()

    @property
    def data_shapes(self):
        self._need("data_shapes", params=False)
        return self._curr_module.data_shapes

    @property
    def label_shapes(self):
        self._need("label_shapes", params=False)
        return self._curr_module.label_shapes

    @property
    def output_shapes(self):
        self._need("output_shapes", params=False)
        return self._curr_module.output_shapes

    def bind(
        self,
        data_shapes,
        label_shapes=None,
        for_training=True,
        inputs_need_grad=False,
        force_rebind=False,
        shared_module=None,
        grad_req="write",
    ):
        """Bind the default bucket for these shapes; other buckets are bound when their first batch comes."""
        if shared_module is not None:
            raise ArgumentError("BucketingModule.bind: shared_module is for plain modules")
        kept = self.get_params() if self.params_initialized and self.binded and force_rebind else self._loaded_params
        if force_rebind:
            self._reset_bind()
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        module = self._make_module(self._default_bucket_key)
        module.bind(data_shapes, label_shapes, for_training, inputs_need_grad, grad_req=grad_req)
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self._grad_req = grad_req
        self._curr_module = self._buckets[self._default_bucket_key] = module
        self._curr_bucket_key = self._default_bucket_key
        self.binded = True
        if kept is not None:
            self.set_params(*kept)
            self._loaded_params = None

    def switch_bucket(self, bucket_key, data_shapes, label_shapes=None):
        """Go to another bucket, and bind it for these shapes where it is new."""
        self._need("switch_bucket", params=False)
        if bucket_key not in self._buckets:
            module = self._make_module(bucket_key)
            module.bind(
                data_shapes,
                label_shapes,
                self.for_training,
                self.inputs_need_grad,
                shared_module=self._buckets[self._default_bucket_key],
                grad_req=self._grad_req,
            )
            if self._monitor is not None:
                module.install_monitor(self._monitor)
            self._buckets[bucket_key] = module
        self._curr_module = self._buckets[bucket_key]
        self._curr_bucket_key = bucket_key

    def prepare(self, data_batch, sparse_row_id_fn=None):
        """Bind the batch's bucket, and stay in the present one."""
        super().prepare(data_batch, sparse_row_id_fn)
        self._need("prepare")
        present = self._curr_bucket_key, self._curr_module
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_bucket_key, self._curr_module = present

    # -- parameters and optimizer ------------------------------------------------------------------

    def get_params(self):
        self._need("get_params")
        # All buckets share the arrays of the default one, which knows every parameter.
        module = self._buckets[self._default_bucket_key]
        module._params_dirty = module._params_dirty or self._params_dirty
        self._params_dirty = False
        return module.get_params()

    def init_params(
        self,
        initializer=Uniform(0.01),  # noqa: B008
        arg_params=None,
        aux_params=None,
        allow_missing=False,
        force_init=False,
        allow_extra=False,
    ):
        if self.params_initialized and not force_init:
            return
        self._need("init_params", params=False)
        default = self._buckets[self._default_bucket_key]
        default.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._params_dirty = False
        self.params_initialized = True

    def set_params(self, arg_params, aux_params, allow_missing=False, force_init=True, allow_extra=False):
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        self._need("set_params", params=False)
        default = self._buckets[self._default_bucket_key]
        default.set_params(arg_params, aux_params, allow_missing, True, allow_extra)
        self._params_dirty = False
        self.params_initialized = True

    def init_optimizer(
        self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),), force_init=False
    ):
        self._need("init_optimizer")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        default = self._buckets[self._default_bucket_key]
        default.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        for module in self._buckets.values():
            if module is not default:
                module.borrow_optimizer(default)
        self.optimizer_initialized = True

    # -- running -----------------------------------------------------------------------------------

    def forward(self, data_batch, is_train=None):
        self._need("forward")
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.forward(data_batch, is_train=is_train)

    def backward(self, out_grads=None):
        self._need("backward")
        self._curr_module.backward(out_grads=out_grads)

    def update(self):
        self._need("update", optimizer=True)
        self._params_dirty = True
        self._curr_module.update()

    def get_outputs(self, merge_multi_context=True):
        self._need("get_outputs")
        return self._curr_module.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        self._need("get_input_grads")
        return self._curr_module.get_input_grads(merge_multi_context=merge_multi_context)

    def get_states(self, merge_multi_context=True):
        self._need("get_states")
        return self._curr_module.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states=None, value=None):
        self._need("set_states")
        self._curr_module.set_states(states, value)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        self._need("update_metric")
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon):
        self._need("install_monitor", params=False)
        self._monitor = mon
        for module in self._buckets.values():
            module.install_monitor(mon)
