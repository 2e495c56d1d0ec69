"""Module: one symbol, its parameters, executors on one or more devices, and an optimizer.  Called by users."""

import logging
import warnings

from .. import ndarray as nd
from .. import optimizer as opt
from ..base import ArgumentError, ArgumentTypeError, Context, MXNetError, cpu
from ..executor_manager import _check_arguments
from ..initializer import InitDesc, Uniform
from ..io import DataDesc
from ..model import _create_kvstore, _initialize_kvstore, _update_params, _update_params_on_kvstore, load_checkpoint
from .base_module import BaseModule, _check_input_names, _parse_data_desc
from .executor_group import DataParallelExecutorGroup

__all__ = ["Module"]


class Module(BaseModule):
    """Train and ask a symbol.

    Parameters
    ----------
    symbol : the network.
    data_names, label_names : its arguments that are inputs; the others are parameters, but for the states.
    logger : where fit writes.
    context : device, or list of devices that share each batch.
    work_load_list : each device's share of the batch; equal unless given.
    fixed_param_names : parameters that are not trained.
    state_names : arguments that the caller sets between batches.
    group2ctxs : {`ctx_group` attribute: device} for model parallelism, or a list of them, one a context.
    compression_params : refused unless None, as gradients do not travel between machines.
    """

    def __init__(
        self,
        symbol,
        data_names=("data",),
        label_names=("softmax_label",),
        logger=logging,
        context=cpu(),  # noqa: B008  (a context is a constant)
        work_load_list=None,
        fixed_param_names=None,
        state_names=None,
        group2ctxs=None,
        compression_params=None,
    ):
        super().__init__(logger=logger)
        self._context = [context] if isinstance(context, Context) else list(context)
        self._work_load_list = work_load_list or [1] * len(self._context)
        if len(self._work_load_list) != len(self._context):
            raise ArgumentError(f"Module: {len(self._work_load_list)} work loads for {len(self._context)} contexts")
        self._group2ctxs = group2ctxs
        self._symbol = symbol
        self._data_names = list(data_names or ())
        self._label_names = list(label_names or ())
        self._state_names = list(state_names or ())
        self._fixed_param_names = list(fixed_param_names or ())
        _check_arguments(symbol)
        _check_input_names(symbol, self._data_names, "data", True)
        _check_input_names(symbol, self._label_names, "label", False)
        _check_input_names(symbol, self._state_names, "state", True)
        _check_input_names(symbol, self._fixed_param_names, "fixed_param", True)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [name for name in symbol.list_arguments() if name not in inputs]
        self._aux_names = symbol.list_auxiliary_states()
        self._output_names = symbol.list_outputs()
        self._arg_params = None
        self._aux_params = None
        self._params_dirty = False
        self._compression_params = compression_params
        self._optimizer = None
        self._kvstore = None
        self._update_on_kvstore = None
        self._updater = None
        self._preload_opt_states = None
        self._reset_bind()

    # -- files -------------------------------------------------------------------------------------

    @staticmethod
    def load(prefix, epoch, load_optimizer_states=False, **kwargs):
        """Make a module from what `save_checkpoint` wrote; `kwargs` go to the constructor.

        The optimizer's states are read at `init_optimizer`.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol=symbol, **kwargs)
        module._arg_params = arg_params
        module._aux_params = aux_params
        module.params_initialized = True
        if load_optimizer_states:
            module._preload_opt_states = f"{prefix}-{epoch:04d}.states"
        return module

    def save_checkpoint(self, prefix, epoch, save_optimizer_states=False, remove_amp_cast=True):
        """Write prefix-symbol.json, prefix-NNNN.params, and with `save_optimizer_states` prefix-NNNN.states."""
        self._symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
        fname = f"{prefix}-{epoch:04d}.params"
        self.save_params(fname)
        logging.info('Saved checkpoint to "%s"', fname)
        if save_optimizer_states:
            fname = f"{prefix}-{epoch:04d}.states"
            self.save_optimizer_states(fname)
            logging.info('Saved optimizer state to "%s"', fname)

    def save_optimizer_states(self, fname):
        """Write the optimizer's states to a file."""
        self._need("save_optimizer_states", optimizer=True)
        if self._update_on_kvstore:
            self._kvstore.save_optimizer_states(fname)
            return
        with open(fname, "wb") as f:
            f.write(self._updater.get_states())

    def load_optimizer_states(self, fname):
        """Read what `save_optimizer_states` wrote.  Only for files from a trusted source."""
        self._need("load_optimizer_states", optimizer=True)
        if self._update_on_kvstore:
            self._kvstore.load_optimizer_states(fname)
            return
        with open(fname, "rb") as f:
            self._updater.set_states(f.read())

    # -- names and shapes --------------------------------------------------------------------------

    @property
    def data_names(self):
        return self._data_names

    @property
    def label_names(self):
        """Names of the label arrays."""
        return self._label_names

    @property
    def output_names(self):
        return self._output_names

    @property
    def data_shapes(self):
        self._need("data_shapes", params=False)
        return self._data_shapes

    @property
    def label_shapes(self):
        self._need("label_shapes", params=False)
        return self._label_shapes

    @property
    def output_shapes(self):
        self._need("output_shapes", params=False)
        return self._exec_group.get_output_shapes()

    # -- binding -----------------------------------------------------------------------------------

    def _reset_bind(self):
        self.binded = False
        self._exec_group = None
        self._data_shapes = None
        self._label_shapes = None
        self._label_descs = None  # the last ones known, kept through batches without labels

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
        """Make executors for inputs of these shapes, lists of DataDesc or (name, shape).

        A bound module keeps its executors unless `force_rebind`.  `shared_module`, bound on the same contexts, lends
        its parameters, their gradients and its optimizer.
        """
        if force_rebind:
            self._reset_bind()
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if inputs_need_grad and not for_training:
            raise ArgumentError("Module.bind: inputs_need_grad goes with for_training=True")
        if shared_module is not None:
            shared_module._need("bind: shared_module")
            if len(shared_module._context) < len(self._context):
                raise ArgumentError(
                    f"Module.bind: shared_module runs on {shared_module._context}, not on {self._context}"
                )
        self._data_shapes, self._label_shapes = _parse_data_desc(
            self._data_names, self._label_names, data_shapes, label_shapes
        )
        self._exec_group = DataParallelExecutorGroup(
            self._symbol,
            self._context,
            self._work_load_list,
            self._data_shapes,
            self._label_shapes,
            self._param_names,
            for_training,
            inputs_need_grad,
            shared_module._exec_group if shared_module is not None else None,
            logger=self.logger,
            fixed_param_names=self._fixed_param_names,
            grad_req=grad_req,
            state_names=self._state_names,
            group2ctxs=self._group2ctxs,
        )
        self._label_descs = self._label_shapes
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self.binded = True
        if shared_module is not None:
            self.params_initialized = True
            self._arg_params, self._aux_params = shared_module._arg_params, shared_module._aux_params
            if shared_module.optimizer_initialized:
                self.borrow_optimizer(shared_module)
        elif self.params_initialized:
            self._exec_group.set_params(self._arg_params, self._aux_params)

    def reshape(self, data_shapes, label_shapes=None):
        """Go on with inputs of other shapes; parameters and optimizer stay."""
        self._need("reshape", params=False)
        self._data_shapes, self._label_shapes = _parse_data_desc(
            self._data_names, self._label_names, data_shapes, label_shapes
        )
        self._rebind()

    def _rebind(self):
        self._exec_group.reshape(self._data_shapes, self._label_shapes)
        self._label_descs = self._label_shapes or self._label_descs

    def _fit_shapes(self, batch):
        """Rebind where the batch has other shapes than the last one."""
        if isinstance(batch, list):
            shapes = [_joined_shape(parts) for parts in zip(*(b.data for b in batch), strict=True)]
            labels = [_joined_shape(parts) for parts in zip(*(b.label or () for b in batch), strict=True)]
        else:
            shapes, labels = [a.shape for a in batch.data], [a.shape for a in getattr(batch, "label", None) or ()]
        if shapes == [d.shape for d in self._data_shapes]:
            return
        if getattr(batch, "provide_data", None):
            self.reshape(batch.provide_data, batch.provide_label or _reshaped(self._label_descs, labels))
            return
        self._data_shapes = _reshaped(self._data_shapes, shapes)
        self._label_shapes = _reshaped(self._label_descs, labels)
        self._rebind()

    # -- parameters --------------------------------------------------------------------------------

    def get_params(self):
        self._need("get_params")
        if self._params_dirty:
            self._sync_params_from_devices()
        return self._arg_params, self._aux_params

    def _sync_params_from_devices(self):
        self._exec_group.get_params(self._arg_params, self._aux_params)
        self._params_dirty = False

    def init_params(
        self,
        initializer=Uniform(0.01),  # noqa: B008
        arg_params=None,
        aux_params=None,
        allow_missing=False,
        force_init=False,
        allow_extra=False,
    ):
        """Give the parameters their first values.

        A dictionary given holds all of its kind, or with `allow_missing` some, the initializer making the others;
        `allow_extra` lets it hold names that are not there.  Parameters that have values keep them unless `force_init`.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "Parameters already initialized and force_init=False. init_params call ignored.", stacklevel=2
            )
            return
        self._need("init_params", params=False)
        group = self._exec_group
        attrs = self._symbol.attr_dict()
        self._arg_params = _host_arrays(self._arg_params, self._param_names, group.param_arrays)
        self._aux_params = _host_arrays(self._aux_params, self._aux_names, group.aux_arrays)
        for params, given in ((self._arg_params, arg_params), (self._aux_params, aux_params)):
            for name, array in sorted(params.items()):
                if given is not None and name in given:
                    if given[name] is not array:
                        _check_param(name, given[name], array)
                        array[:] = given[name]
                elif given is not None and not allow_missing:
                    raise MXNetError(f"Module.init_params: {name} is missing among the parameters given")
                elif initializer is not None:
                    initializer(InitDesc(name, attrs.get(name)), array)
                elif given is None:
                    raise ArgumentError(f"Module.init_params: neither values nor an initializer for {name}")
        if not allow_extra:
            for params, given in ((self._arg_params, arg_params), (self._aux_params, aux_params)):
                extra = sorted(set(given or ()) - set(params))
                if extra:
                    raise ArgumentError(f"Module.init_params: {', '.join(extra)} are no parameters of the symbol")
        self.params_initialized = True
        self._params_dirty = False
        group.set_params(self._arg_params, self._aux_params)

    def set_params(self, arg_params, aux_params, allow_missing=False, force_init=True, allow_extra=False):
        if not allow_missing:
            super().set_params(arg_params, aux_params, allow_missing, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        self._need("set_params", params=False)
        self._exec_group.set_params(arg_params, aux_params, allow_extra=allow_extra)
        self._arg_params = _host_arrays(self._arg_params, self._param_names, self._exec_group.param_arrays)
        self._aux_params = _host_arrays(self._aux_params, self._aux_names, self._exec_group.aux_arrays)
        self._params_dirty = True
        self.params_initialized = True

    # -- optimizer ---------------------------------------------------------------------------------

    def init_optimizer(
        self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),), force_init=False
    ):
        """Make the optimizer and connect it to the parameters.

        `optimizer` is a name, made with `optimizer_params` and gradients scaled by 1 / batch size, or an Optimizer.
        `kvstore` adds up the gradients of several contexts.  An optimizer that is there stays unless `force_init`.
        """
        self._need("init_optimizer")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        if self._params_dirty:
            self._sync_params_from_devices()
        n_devices = len(self._context)
        store, on_store = _create_kvstore(kvstore, n_devices, self._arg_params)
        batch_size = self._exec_group.batch_size
        if store is not None and "dist" in store.type and "_sync" in store.type:
            batch_size *= store.num_workers
        rescale = 1.0 / batch_size
        names = self._param_names
        if on_store:
            idx2name = dict(enumerate(names))
        else:
            idx2name = {i * n_devices + k: name for i, name in enumerate(names) for k in range(n_devices)}
        if isinstance(optimizer, str):
            params = {"rescale_grad": rescale, **dict(optimizer_params)}
            optimizer = opt.create(optimizer, sym=self._symbol, param_idx2name=idx2name, **params)
        elif not isinstance(optimizer, opt.Optimizer):
            raise ArgumentTypeError(
                f"Module.init_optimizer: optimizer is {type(optimizer).__name__}, expected Optimizer or str"
            )
        else:
            if optimizer.rescale_grad != rescale:
                warnings.warn(
                    f"the optimizer's rescale_grad is {optimizer.rescale_grad}, where 1 / batch size is {rescale}",
                    stacklevel=2,
                )
            if not optimizer.idx2name:
                optimizer.idx2name = idx2name
        self._optimizer = optimizer
        self._kvstore = store
        self._update_on_kvstore = on_store
        self._updater = None
        if store is not None:
            if self._compression_params:
                store.set_gradient_compression(self._compression_params)
            if on_store:
                store.set_optimizer(optimizer)
            _initialize_kvstore(store, self._exec_group.param_arrays, self._arg_params, names, on_store)
        if not on_store:
            self._updater = opt.get_updater(optimizer)
        self.optimizer_initialized = True
        if self._preload_opt_states is not None:
            self.load_optimizer_states(self._preload_opt_states)
            self._preload_opt_states = None

    def borrow_optimizer(self, shared_module):
        """Use the optimizer of another module, which has the same parameters."""
        shared_module._need("borrow_optimizer", optimizer=True)
        self._optimizer = shared_module._optimizer
        self._kvstore = shared_module._kvstore
        self._update_on_kvstore = shared_module._update_on_kvstore
        self._updater = shared_module._updater
        self.optimizer_initialized = True

    # -- running -----------------------------------------------------------------------------------

    def forward(self, data_batch, is_train=None):
        self._need("forward")
        self._fit_shapes(data_batch)
        self._exec_group.forward(data_batch, is_train)

    def backward(self, out_grads=None):
        self._need("backward")
        self._exec_group.backward(out_grads=out_grads)

    def update(self):
        self._need("update", optimizer=True)
        self._params_dirty = True
        group = self._exec_group
        if self._update_on_kvstore:
            _update_params_on_kvstore(group.param_arrays, group.grad_arrays, self._kvstore, self._param_names)
        else:
            _update_params(
                group.param_arrays,
                group.grad_arrays,
                self._updater,
                len(self._context),
                self._kvstore,
                self._param_names,
            )

    def get_outputs(self, merge_multi_context=True):
        self._need("get_outputs")
        return self._exec_group.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        self._need("get_input_grads")
        return self._exec_group.get_input_grads(merge_multi_context=merge_multi_context)

    def get_states(self, merge_multi_context=True):
        self._need("get_states")
        return self._exec_group.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states=None, value=None):
        self._need("set_states")
        self._exec_group.set_states(states, value)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        self._exec_group.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon):
        self._need("install_monitor", params=False)
        self._exec_group.install_monitor(mon)


def _joined_shape(parts):
    """Return the shape of the contexts' arrays joined along the first axis."""
    return sum(a.shape[0] for a in parts), *parts[0].shape[1:]


def _reshaped(descs, shapes):
    """Return the descriptions with other shapes, or None where there are none."""
    if not descs or not shapes:
        return None
    return [DataDesc(d.name, shape, d.dtype, d.layout) for d, shape in zip(descs, shapes, strict=True)]


def _host_arrays(params, names, blocks):
    """Return {name: array on the CPU}, those there are or new ones like the first device's."""
    if params is not None:
        return params
    return {n: nd.zeros(b[0].shape, ctx=cpu(), dtype=b[0].dtype) for n, b in zip(names, blocks, strict=True)}


def _check_param(name, given, array):
    if given.shape != array.shape:
        raise ArgumentError(f"Module.init_params: {name} is given as {given.shape}, expected {array.shape}")
