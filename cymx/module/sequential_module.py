"""SequentialModule: modules in a chain, each taking the outputs of the one before.  Called by users."""

import logging

from ..base import ArgumentError
from ..initializer import Uniform
from ..io import DataBatch, DataDesc
from .base_module import BaseModule

__all__ = ["SequentialModule"]


class SequentialModule(BaseModule):
    """Run modules one after the other.

    `add(module, take_labels=True)` gives a module the batch's labels as well; `auto_wiring=True` renames what it gets
    to its own data names.
    """

    META_TAKE_LABELS = "take_labels"
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger=logging):
        super().__init__(logger=logger)
        self._modules = []
        self._metas = []
        self._label_shapes = None

    def add(self, module, **kwargs):
        """Append a module, and return the chain."""
        unknown = set(kwargs) - {self.META_TAKE_LABELS, self.META_AUTO_WIRING}
        if unknown:
            raise ArgumentError(f"SequentialModule.add: unknown {', '.join(sorted(unknown))}")
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = self.params_initialized = self.optimizer_initialized = False
        return self

    def _takes_labels(self):
        return [meta.get(self.META_TAKE_LABELS, False) for meta in self._metas]

    @property
    def data_names(self):
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self):
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self):
        self._need("data_shapes", params=False)
        return self._modules[0].data_shapes

    @property
    def label_shapes(self):
        self._need("label_shapes", params=False)
        return self._label_shapes

    @property
    def output_shapes(self):
        self._need("output_shapes", params=False)
        return self._modules[-1].output_shapes

    def get_params(self):
        self._need("get_params")
        arg_params, aux_params = {}, {}
        for module in self._modules:
            arg, aux = module.get_params()
            arg_params.update(arg)
            aux_params.update(aux)
        return arg_params, aux_params

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
        owner = {}
        for i, module in enumerate(self._modules):
            # Each module takes its own from dictionaries that hold those of all.
            module.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra=True)
            for name in (name for params in module.get_params() for name in params):
                if name in owner:
                    raise ArgumentError(f"SequentialModule: parameter {name} is in modules {owner[name]} and {i}")
                owner[name] = i
        extra = sorted({*(arg_params or ()), *(aux_params or ())} - set(owner))
        if extra and not allow_extra:
            raise ArgumentError(f"SequentialModule.init_params: {', '.join(extra)} are no parameters of the modules")
        self.params_initialized = True

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
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if shared_module is not None:
            raise ArgumentError("SequentialModule.bind: shared_module is for plain modules")
        if not self._modules:
            raise ArgumentError("SequentialModule.bind: there are no modules; add() comes first")
        takes_labels = self._takes_labels()
        shapes = data_shapes
        for i, (module, meta) in enumerate(zip(self._modules, self._metas, strict=True)):
            if meta.get(self.META_AUTO_WIRING, False):
                names = module.data_names
                if len(names) != len(shapes):
                    raise ArgumentError(f"SequentialModule: module {i} takes {names}, but gets {len(shapes)} arrays")
                shapes = [DataDesc(name, shape[1]) for name, shape in zip(names, shapes, strict=True)]
            module.bind(
                shapes,
                label_shapes if takes_labels[i] else None,
                for_training,
                inputs_need_grad=for_training and (inputs_need_grad or i > 0),
                force_rebind=force_rebind,
                grad_req=grad_req,
            )
            shapes = module.output_shapes
        self._label_shapes = label_shapes if any(takes_labels) else None
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self.binded = True

    def init_optimizer(
        self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),), force_init=False
    ):
        self._need("init_optimizer")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        for module in self._modules:
            module.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        self.optimizer_initialized = True

    def forward(self, data_batch, is_train=None):
        self._need("forward")
        batch = data_batch
        for i, module in enumerate(self._modules):
            module.forward(batch, is_train=is_train)
            if i + 1 < len(self._modules):
                outputs = module.get_outputs()
                names = self._modules[i + 1].data_names
                batch = DataBatch(
                    outputs,
                    data_batch.label,
                    data_batch.pad,
                    data_batch.index,
                    provide_data=[DataDesc(n, out.shape) for n, out in zip(names, outputs, strict=True)],
                    provide_label=data_batch.provide_label,
                )

    def backward(self, out_grads=None):
        self._need("backward")
        for i, module in reversed(list(enumerate(self._modules))):
            module.backward(out_grads=out_grads)
            if i:
                out_grads = module.get_input_grads()

    def update(self):
        self._need("update", optimizer=True)
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context=True):
        self._need("get_outputs")
        return self._modules[-1].get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        self._need("get_input_grads")
        return self._modules[0].get_input_grads(merge_multi_context=merge_multi_context)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        self._need("update_metric")
        for module, takes in zip(self._modules, self._takes_labels(), strict=True):
            if takes:
                module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon):
        self._need("install_monitor", params=False)
        for module in self._modules:
            module.install_monitor(mon)
