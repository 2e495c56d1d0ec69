"""What every module does with its parts: fit, score, predict, and parameters to and from files.

A module goes through bind (shapes known), init_params (values known) and init_optimizer; each step asks for those
before it. Subclasses say how to bind, run and update.  Called by users and by the modules of this room.
"""

import logging
import time
import warnings

import numpy as np

from .. import metric as metrics
from .. import ndarray as nd
from ..base import ArgumentError, ArgumentTypeError, MXNetError
from ..initializer import Uniform
from ..io import DataBatch, DataDesc, DataIter
from ..model import BatchEndParam, _multiple_callbacks, join_params, split_params
from ..ndarray import NDArray

__all__ = ["BaseModule"]


def _check_input_names(symbol, names, typename, throw):
    """Raise ValueError, or warn, where a name is not an argument of the symbol."""
    arguments = symbol.list_arguments()
    for name in names:
        if name in arguments:
            continue
        inputs = [a for a in arguments if not a.endswith(("_weight", "_bias", "_gamma", "_beta"))]
        message = (
            f"Module: {typename}_names={list(names)}, but the symbol has no argument {name!r}; "
            f"its arguments that look like inputs are {inputs}"
        )
        if throw:
            raise ArgumentError(message)
        warnings.warn(message, stacklevel=3)


def _check_names_match(data_names, data_shapes, name, throw):
    """Raise ValueError, or warn, where the shapes are not of these names."""
    actual = [shape[0] for shape in data_shapes]
    if sorted(data_names) != sorted(actual):
        message = f"Module: {name}_shapes are of {actual}, but {name}_names are {list(data_names)}"
        if throw:
            raise ArgumentError(message)
        warnings.warn(message, stacklevel=4)


def _parse_data_desc(data_names, label_names, data_shapes, label_shapes):
    """Return (data, labels or None) as lists of DataDesc, checked against the names."""
    data_shapes = [d if isinstance(d, DataDesc) else DataDesc(*d) for d in data_shapes]
    _check_names_match(data_names, data_shapes, "data", True)
    if label_shapes is None:
        _check_names_match(label_names, [], "label", False)
        return data_shapes, None
    label_shapes = [d if isinstance(d, DataDesc) else DataDesc(*d) for d in label_shapes]
    _check_names_match(label_names, label_shapes, "label", False)
    return data_shapes, label_shapes


class BaseModule:
    """Train, measure and ask a network by batches; subclasses define the network."""

    def __init__(self, logger=logging):
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False
        self._symbol = None

    def _need(self, what, optimizer=False, params=True):
        """Raise MXNetError unless the module went through the steps that `what` needs."""
        if not self.binded:
            raise MXNetError(f"{type(self).__name__}.{what}: bind() comes first")
        if params and not self.params_initialized:
            raise MXNetError(f"{type(self).__name__}.{what}: init_params() or set_params() comes first")
        if optimizer and not self.optimizer_initialized:
            raise MXNetError(f"{type(self).__name__}.{what}: init_optimizer() comes first")

    # -- what one calls ----------------------------------------------------------------------------

    def forward_backward(self, data_batch):
        """Run forward for training, then backward."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def _measure(self, eval_metric, batch):
        if isinstance(batch, list):
            self.update_metric(eval_metric, [b.label for b in batch], pre_sliced=True)
        else:
            self.update_metric(eval_metric, batch.label)

    def score(
        self,
        eval_data,
        eval_metric,
        num_batch=None,
        batch_end_callback=None,
        score_end_callback=None,
        reset=True,
        epoch=0,
        sparse_row_id_fn=None,
    ):
        """Measure the outputs on `eval_data`, at most `num_batch` batches, and return [(name, value)].

        Samples that only fill up the last batch are measured as well.
        """
        self._need("score")
        if reset:
            eval_data.reset()
        eval_metric = metrics.create(eval_metric)
        eval_metric.reset()
        done = 0
        for nbatch, batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(batch, is_train=False)
            self._measure(eval_metric, batch)
            if batch_end_callback is not None:
                _multiple_callbacks(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            done += 1
        if score_end_callback is not None:
            _multiple_callbacks(score_end_callback, BatchEndParam(epoch, done, eval_metric, locals()))
        return eval_metric.get_global_name_value()

    def iter_predict(self, eval_data, num_batch=None, reset=True, sparse_row_id_fn=None):
        """Yield (outputs, number, batch) for each batch, the outputs without the samples that only fill it up."""
        self._need("iter_predict")
        if reset:
            eval_data.reset()
        for nbatch, batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(batch, is_train=False)
            pad = batch.pad or 0
            yield [out[0 : out.shape[0] - pad] for out in self.get_outputs()], nbatch, batch

    def predict(
        self,
        eval_data,
        num_batch=None,
        merge_batches=True,
        reset=True,
        always_output_list=False,
        sparse_row_id_fn=None,
    ):
        """Return the outputs on `eval_data`: an iterator, or an array that is one batch.

        The batches' outputs are joined along the first axis into one array an output, and one output comes alone unless
        `always_output_list`.  Without `merge_batches`, a list of lists, one a batch.
        """
        self._need("predict")
        if isinstance(eval_data, NDArray | np.ndarray):
            array = eval_data if isinstance(eval_data, NDArray) else nd.array(eval_data)
            self.forward(DataBatch([array]), is_train=False)
            return self.get_outputs()[0]
        if not isinstance(eval_data, DataIter):
            raise ArgumentTypeError(f"predict: eval_data is {type(eval_data).__name__}, expected DataIter or an array")
        # The executor writes the next batch's outputs over these, hence the copies.
        batches = [
            [out.copy() for out in outputs]
            for outputs, _, _ in self.iter_predict(eval_data, num_batch, reset, sparse_row_id_fn)
        ]
        if not batches or not merge_batches:
            return batches
        if len({len(outputs) for outputs in batches}) > 1:
            raise ArgumentError(
                "predict: the batches differ in their number of outputs; merge_batches=False keeps them apart"
            )
        merged = [nd.concat(*parts, dim=0) for parts in zip(*batches, strict=True)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

    def fit(
        self,
        train_data,
        eval_data=None,
        eval_metric="acc",
        epoch_end_callback=None,
        batch_end_callback=None,
        kvstore="local",
        optimizer="sgd",
        optimizer_params=(("learning_rate", 0.01),),
        eval_end_callback=None,
        eval_batch_end_callback=None,
        initializer=Uniform(0.01),  # noqa: B008  (as MXNet 1.9.1 has it; initializers hold no state)
        arg_params=None,
        aux_params=None,
        allow_missing=False,
        force_rebind=False,
        force_init=False,
        begin_epoch=0,
        num_epoch=None,
        validation_metric=None,
        monitor=None,
        sparse_row_id_fn=None,
    ):
        """Train on `train_data` from `begin_epoch` up to `num_epoch`, and measure on `eval_data` after each epoch.

        Binds, and sets parameters and optimizer, where that is not done yet.  Batch-end callbacks take a BatchEndParam,
        epoch-end callbacks (epoch, symbol, arg_params, aux_params).
        """
        if num_epoch is None:
            raise ArgumentError("fit: num_epoch is missing")
        self.bind(train_data.provide_data, train_data.provide_label, for_training=True, force_rebind=force_rebind)
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(initializer, arg_params, aux_params, allow_missing, force_init)
        self.init_optimizer(kvstore, optimizer, optimizer_params)
        eval_metric = metrics.create(eval_metric)
        validation_metric = eval_metric if validation_metric is None else validation_metric

        for epoch in range(begin_epoch, num_epoch):
            tic = time.time()
            eval_metric.reset()
            values = []
            batches = iter(train_data)
            batch, nbatch = next(batches, None), 0
            if batch is None:
                raise MXNetError(f"fit: train_data has no batch in epoch {epoch}; was it used before without reset()?")
            while batch is not None:
                if monitor is not None:
                    monitor.tic()
                self.forward_backward(batch)
                self.update()
                self._measure(eval_metric, batch)
                # Iterators may write the next batch over this one, so it is fetched after this one is measured.
                following = next(batches, None)
                if following is not None:
                    self.prepare(following, sparse_row_id_fn=sparse_row_id_fn)
                else:
                    # Read before the callbacks, which may reset the metric.
                    values = eval_metric.get_global_name_value()
                if monitor is not None:
                    monitor.toc_print()
                if batch_end_callback is not None:
                    _multiple_callbacks(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                batch, nbatch = following, nbatch + 1

            for name, value in values:
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
            arg_now, aux_now = self.get_params()
            self.set_params(arg_now, aux_now)
            _multiple_callbacks(epoch_end_callback, epoch, self.symbol, arg_now, aux_now)
            if eval_data is not None:
                result = self.score(
                    eval_data,
                    validation_metric,
                    score_end_callback=eval_end_callback,
                    batch_end_callback=eval_batch_end_callback,
                    epoch=epoch,
                )
                for name, value in result:
                    self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
            train_data.reset()

    # -- parameters --------------------------------------------------------------------------------

    def set_params(self, arg_params, aux_params, allow_missing=False, force_init=True, allow_extra=False):
        """Set parameters {name: array}; names that are missing or not there are errors, unless allowed."""
        self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)

    def save_params(self, fname):
        """Write the parameters to a file."""
        nd.save(fname, join_params(*self.get_params()))

    def load_params(self, fname):
        """Set the parameters from a file.  Raises ValueError for a file of other things."""
        self.set_params(*split_params(nd.load(fname), fname))

    # -- what subclasses define --------------------------------------------------------------------

    def _undefined(self, what):
        raise NotImplementedError(f"{type(self).__name__} defines no {what}")

    @property
    def symbol(self):
        """The network, or None where the module has no symbol."""
        return self._symbol

    @property
    def data_names(self):
        """Names of the data arrays."""
        self._undefined("data_names")

    @property
    def output_names(self):
        """Names of the outputs."""
        self._undefined("output_names")

    @property
    def data_shapes(self):
        """Descriptions of the data arrays."""
        self._undefined("data_shapes")

    @property
    def label_shapes(self):
        """Descriptions of the label arrays, or None."""
        self._undefined("label_shapes")

    @property
    def output_shapes(self):
        """[(name, shape)] of the outputs."""
        self._undefined("output_shapes")

    def get_params(self):
        """Return (arg_params, aux_params), dictionaries {name: array} on the CPU."""
        self._undefined("get_params")

    def init_params(
        self,
        initializer=Uniform(0.01),  # noqa: B008
        arg_params=None,
        aux_params=None,
        allow_missing=False,
        force_init=False,
        allow_extra=False,
    ):
        """Give the parameters their first values: from the dictionaries where given, else from the initializer."""
        self._undefined("init_params")

    def get_states(self, merge_multi_context=True):
        """Return the states; a module without any has none."""
        self._need("get_states")
        return []

    def set_states(self, states=None, value=None):
        """Set the states; a module without any takes none."""
        self._need("set_states")
        if states or value:
            raise ArgumentError(f"{type(self).__name__}.set_states: the module has no states")

    def install_monitor(self, mon):
        """Let a Monitor watch the executors."""
        self._undefined("install_monitor")

    def prepare(self, data_batch, sparse_row_id_fn=None):
        """Get ready for the batch that comes next."""
        if sparse_row_id_fn is not None:
            raise MXNetError("Module: sparse_row_id_fn: row-sparse parameters are not supported")

    def forward(self, data_batch, is_train=None):
        """Run on a batch."""
        self._undefined("forward")

    def backward(self, out_grads=None):
        """Run backward, from gradients of the outputs where these are not losses."""
        self._undefined("backward")

    def get_outputs(self, merge_multi_context=True):
        """Return the outputs of the last forward."""
        self._undefined("get_outputs")

    def get_input_grads(self, merge_multi_context=True):
        """Return the gradients of the data arrays from the last backward."""
        self._undefined("get_input_grads")

    def update(self):
        """Change the parameters by the gradients."""
        self._undefined("update")

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Let the metric measure the last outputs against labels."""
        self._undefined("update_metric")

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
        """Make executors for inputs of these shapes."""
        self._undefined("bind")

    def init_optimizer(
        self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),), force_init=False
    ):
        """Make the optimizer and connect it to the parameters."""
        self._undefined("init_optimizer")
