"""Run one symbol on one or more devices, each on its slice of the batch.

One device takes the whole batch: a copy into the bound arrays and nothing more.  Executors of shapes met before are
kept, so a short last batch binds once.  Parameters are shared among executors of one device, and with another group.
Called by module alone.
"""

import logging
from collections import OrderedDict

from .. import ndarray as nd
from ..base import ArgumentError, cpu
from ..executor_manager import _split_input_slice
from ..io import DataDesc
from ..ndarray import NDArray

__all__ = ["DataParallelExecutorGroup"]

_KEPT_SHAPES = 8  # executors of so many batch shapes are kept


def _cut(array, part, axis, whole):
    """Return the slice of an array along its batch axis; the array itself for the whole batch, or where it has no
    such axis.
    """
    if whole or axis < 0:
        return array
    if axis == 0:
        return array[part]
    return nd.slice_axis(array, axis=axis, begin=part.start, end=part.stop)


def _merge(arrays, axis):
    """Join the devices' parts along their batch axis."""
    if len(arrays) == 1 or axis < 0:
        return arrays[0]
    return nd.concat(*(a.as_in_context(arrays[0].context) for a in arrays), dim=axis)


class DataParallelExecutorGroup:
    """Hold an executor for each context, and the arrays of all of them, parameter by parameter.

    Parameters are as those of Module: `workload` gives each context's share, `data_shapes` and `label_shapes` (or
    None) are lists of DataDesc, `shared_group` lends its parameters and gradients, `grad_req` is a string, a list or
    a dictionary by argument.
    """

    def __init__(
        self,
        symbol,
        contexts,
        workload,
        data_shapes,
        label_shapes,
        param_names,
        for_training,
        inputs_need_grad,
        shared_group=None,
        logger=logging,
        fixed_param_names=None,
        grad_req="write",
        state_names=None,
        group2ctxs=None,
    ):
        self.symbol = symbol
        self.contexts = contexts
        self.workload = workload
        self.param_names = param_names
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self.logger = logger
        self.fixed_param_names = fixed_param_names or []
        self.state_names = state_names or []
        self.arg_names = symbol.list_arguments()
        self.aux_names = symbol.list_auxiliary_states()
        self.output_names = symbol.list_outputs()
        self.group2ctxs = _per_context(group2ctxs, len(contexts))
        data_shapes, label_shapes = _descs(data_shapes), _descs(label_shapes)
        self.grad_req = self._grad_reqs(grad_req, [d.name for d in data_shapes])
        self.output_layouts = [DataDesc.get_batch_axis(symbol[name].attr("__layout__")) for name in self.output_names]
        self._kept = OrderedDict()
        self._monitors = []
        self.execs = []
        self.bind_exec(data_shapes, label_shapes, shared_group)

    def _grad_reqs(self, grad_req, data_names):
        if not self.for_training:
            return dict.fromkeys(self.arg_names, "null")
        if isinstance(grad_req, list | tuple):
            return dict(zip(self.arg_names, grad_req, strict=True))
        usual = grad_req if isinstance(grad_req, str) else "write"
        reqs = dict.fromkeys(self.arg_names, "null")
        for name in self.arg_names:
            wanted = self.inputs_need_grad if name in data_names else name in self.param_names
            if wanted and name not in self.fixed_param_names:
                reqs[name] = usual
        if isinstance(grad_req, dict):
            reqs.update(grad_req)
        return reqs

    # -- binding -----------------------------------------------------------------------------------

    def decide_slices(self, data_shapes):
        """Set `slices` and `batch_size` by these shapes, and return each array's batch axis."""
        axes = [DataDesc.get_batch_axis(d.layout) for d in data_shapes]
        for desc, axis in zip(data_shapes, axes, strict=True):
            if axis < 0:
                continue
            size = desc.shape[axis]
            if self.batch_size is None:
                self.batch_size = size
                self.slices = _split_input_slice(size, self.workload)
            elif self.batch_size != size:
                raise ArgumentError(f"Module: {desc.name} is {desc.shape}, expected a batch of {self.batch_size}")
        return axes

    def bind_exec(self, data_shapes, label_shapes, shared_group=None):
        """Bind executors of these shapes, or take those that are kept."""
        self.batch_size, self.slices = None, [slice(None)] * len(self.contexts)
        self.data_layouts = self.decide_slices(data_shapes)
        self.label_layouts = self.decide_slices(label_shapes) if label_shapes else []
        self.data_shapes, self.label_shapes = data_shapes, label_shapes
        self.data_names = [d.name for d in data_shapes]
        self.label_names = [d.name for d in label_shapes or ()]
        key = tuple((d.name, d.shape, str(d.dtype)) for d in (*data_shapes, *(label_shapes or ())))
        execs = self._kept.pop(key, None)
        if execs is None:
            lenders = self.execs or (shared_group.execs if shared_group is not None else [None] * len(self.contexts))
            execs = [self._bind_ith_exec(i, data_shapes, label_shapes, lenders[i]) for i in range(len(self.contexts))]
            for monitor in self._monitors:
                for executor in execs:
                    monitor.install(executor)
        self._kept[key] = self.execs = execs
        if len(self._kept) > _KEPT_SHAPES:
            self._kept.popitem(last=False)
        self._collect_arrays()

    def reshape(self, data_shapes, label_shapes):
        """Bind executors of other shapes; parameters stay."""
        if data_shapes != self.data_shapes or label_shapes != self.label_shapes:
            self.bind_exec(data_shapes, label_shapes)

    def _sliced_shape(self, shapes, i, major_axis):
        """Return the descriptions with the batch of context i."""
        if len(self.contexts) == 1:
            return shapes
        part = self.slices[i]
        sliced = []
        for desc, axis in zip(shapes, major_axis, strict=True):
            shape = list(desc.shape)
            if axis >= 0:
                shape[axis] = part.stop - part.start
            sliced.append(DataDesc(desc.name, tuple(shape), desc.dtype, desc.layout))
        return sliced

    def _bind_ith_exec(self, i, data_shapes, label_shapes, lender):
        """Bind context i's executor; parameters, their gradients and auxiliary states are the lender's, if any."""
        descs = list(self._sliced_shape(data_shapes, i, self.data_layouts))
        descs += self._sliced_shape(label_shapes or (), i, self.label_layouts)
        descs = [d for d in descs if d.name in self.arg_names]
        shared = {}
        if lender is not None:
            shared = {"shared_arg_names": self.param_names, "shared_exec": lender, "shared_buffer": {}}
        return self.symbol.simple_bind(
            self.contexts[i],
            self.grad_req,
            {d.name: d.dtype for d in descs},
            group2ctx=self.group2ctxs[i],
            **shared,
            **{d.name: d.shape for d in descs},
        )

    def _collect_arrays(self):
        """Gather the executors' arrays by name: one list over the contexts for each."""
        args = [e.arg_dict for e in self.execs]
        grads = [e.grad_dict for e in self.execs]
        aux = [e.aux_dict for e in self.execs]
        self.data_arrays = [[a[name] for a in args] for name in self.data_names]
        self.label_arrays = [[a[name] for a in args] for name in self.label_names if name in args[0]]
        self.state_arrays = [[a[name] for a in args] for name in self.state_names]
        self.param_arrays = [[a[name] for a in args] for name in self.param_names]
        self.grad_arrays = [[g.get(name) for g in grads] for name in self.param_names] if self.for_training else []
        self.aux_arrays = [[a[name] for a in aux] for name in self.aux_names]
        self.input_grad_arrays = [[g.get(name) for g in grads] for name in self.data_names]

    # -- parameters --------------------------------------------------------------------------------

    def set_params(self, arg_params, aux_params, allow_extra=False):
        """Copy parameters {name: array} to all devices.

        Raises ValueError for a name that is not there, unless `allow_extra`.
        """
        for executor in self.execs:
            executor.copy_params_from(arg_params, aux_params, allow_extra_params=allow_extra)

    def get_params(self, arg_params, aux_params):
        """Copy the parameters, averaged over the devices, into the arrays of these dictionaries."""
        for names, blocks, params in (
            (self.param_names, self.param_arrays, arg_params),
            (self.aux_names, self.aux_arrays, aux_params),
        ):
            for name, block in zip(names, blocks, strict=True):
                mean = block[0].as_in_context(cpu())
                for array in block[1:]:
                    mean = mean + array.as_in_context(cpu())
                params[name][:] = mean if len(block) == 1 else mean / len(block)

    # -- running -----------------------------------------------------------------------------------

    def _load(self, parts, targets, axes, what):
        """Copy arrays to the bound ones; each of `parts` is an array over the whole batch, or a list by context."""
        if len(parts) != len(targets):
            raise ArgumentError(f"Module: the batch has {len(parts)} {what} arrays, expected {len(targets)}")
        whole = len(self.execs) == 1
        for source, devices, axis in zip(parts, targets, axes, strict=False):
            for i, target in enumerate(devices):
                part = source[i] if isinstance(source, list) else _cut(source, self.slices[i], axis, whole)
                target[:] = part

    def forward(self, data_batch, is_train=None):
        """Run on a batch, or on a list of batches, one a context.  `is_train` is `for_training` unless given."""
        if is_train is None:
            is_train = self.for_training
        if isinstance(data_batch, list):
            data = [list(parts) for parts in zip(*(b.data for b in data_batch), strict=True)]
            label = [list(parts) for parts in zip(*(b.label or () for b in data_batch), strict=True)]
        else:
            data, label = data_batch.data, getattr(data_batch, "label", None)
        self._load(data, self.data_arrays, self.data_layouts, "data")
        if label and self.label_arrays:
            self._load(label, self.label_arrays, self.label_layouts, "label")
        for executor in self.execs:
            executor.forward(is_train=is_train)

    def backward(self, out_grads=None):
        """Run backward; `out_grads` are gradients of the outputs, over the whole batch, where these are not losses."""
        if not self.for_training:
            raise ArgumentError("Module: backward after bind(for_training=False)")
        if out_grads is None:
            for executor in self.execs:
                executor.backward()
            return
        out_grads = [out_grads] if isinstance(out_grads, NDArray) else out_grads
        whole = len(self.execs) == 1
        for executor, part, context in zip(self.execs, self.slices, self.contexts, strict=True):
            grads = [
                _cut(grad, part, axis, whole).as_in_context(context)
                for grad, axis in zip(out_grads, self.output_layouts, strict=True)
            ]
            executor.backward(out_grads=grads)

    def update_metric(self, eval_metric, labels, pre_sliced):
        """Let the metric measure the outputs against labels: arrays over the whole batch, or with `pre_sliced` lists
        a context.
        """
        whole = len(self.execs) == 1
        for i, executor in enumerate(self.execs):
            if pre_sliced:
                own = labels[i]
            else:
                own = [
                    _cut(a, self.slices[i], axis, whole)
                    for a, axis in zip(labels or (), self.label_layouts, strict=False)
                ]
            eval_metric.update_dict(
                OrderedDict(zip(self.label_names, own, strict=False)),
                OrderedDict(zip(self.output_names, executor.outputs, strict=True)),
            )

    # -- results -----------------------------------------------------------------------------------

    def get_output_shapes(self):
        """Return [(name, shape)] of the outputs over the whole batch."""
        inputs = (*self.data_shapes, *(self.label_shapes or ()))
        shapes = {d.name: d.shape for d in inputs if d.name in self.arg_names}
        return list(zip(self.output_names, self.symbol.infer_shape(**shapes)[1], strict=True))

    def _gathered(self, per_array, axes, merge_multi_context):
        if not merge_multi_context:
            return per_array
        return [_merge(arrays, axis) for arrays, axis in zip(per_array, axes, strict=True)]

    def get_outputs(self, merge_multi_context=True, begin=0, end=None):
        """Return the outputs, joined over the devices, or as a list of lists."""
        outputs = [list(arrays) for arrays in zip(*(e.outputs for e in self.execs), strict=True)]
        return self._gathered(outputs[begin:end], self.output_layouts[begin:end], merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        """Return the gradients of the data arrays, joined over the devices, or as a list of lists."""
        if not self.inputs_need_grad:
            raise ArgumentError("Module: get_input_grads needs bind(inputs_need_grad=True)")
        return self._gathered(self.input_grad_arrays, self.data_layouts, merge_multi_context)

    def get_states(self, merge_multi_context=True):
        """Return the states, joined over the devices, or as a list of lists."""
        return self._gathered(self.state_arrays, [0] * len(self.state_arrays), merge_multi_context)

    def set_states(self, states=None, value=None):
        """Set the states from arrays, as `get_states(merge_multi_context=False)` gives them, or all to one number."""
        if (states is None) == (value is None):
            raise ArgumentError("Module.set_states: exactly one of states and value must be given")
        if states is None:
            states = [[value] * len(self.execs)] * len(self.state_arrays)
        self._load(states, self.state_arrays, [0] * len(self.state_arrays), "state")

    def install_monitor(self, mon):
        """Let a Monitor watch all executors, also those bound later."""
        self._monitors.append(mon)
        for execs in self._kept.values():
            for executor in execs:
                mon.install(executor)


def _descs(shapes):
    """Return descriptions of what are descriptions, or (name, shape), already."""
    return shapes and [d if isinstance(d, DataDesc) else DataDesc(*d) for d in shapes]


def _per_context(group2ctxs, n):
    """Return one {group: context} or None for each context, from None, a dictionary or a list of them.

    A dictionary's values may be lists; one of a single context serves all.
    """
    if group2ctxs is None:
        return [None] * n
    if isinstance(group2ctxs, dict):
        lists = {g: list(c) if isinstance(c, list | tuple) else [c] for g, c in group2ctxs.items()}
        for group, given in lists.items():
            if len(given) not in (1, n):
                raise ArgumentError(f"Module: group2ctxs has {len(given)} contexts of {group} for {n} contexts")
        return [{g: c[i % len(c)] for g, c in lists.items()} for i in range(n)]
    if len(group2ctxs) != n:
        raise ArgumentError(f"Module: {len(group2ctxs)} group2ctxs for {n} contexts")
    return list(group2ctxs)
