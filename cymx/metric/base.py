"""The metrics' base class, their registry, the ways to join them and to make them of functions.

A metric adds up a sum and a count, twice: since the last `reset_local` and since the last `reset`.  Outputs are read
to the host once a batch and measured with NumPy.
"""

from collections import OrderedDict

import numpy

from ..base import ArgumentError, ArgumentTypeError
from ..ndarray import NDArray
from ..registry import get_alias_func, get_create_func, get_register_func


def check_label_shapes(labels, preds, wrap=False, shape=False):
    """Raise ValueError unless labels and predictions agree in number, or in shape with `shape`; `wrap` puts single
    arrays in lists.
    """
    n_labels, n_preds = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if n_labels != n_preds:
        raise ArgumentError(f"metric: labels are {n_labels}, predictions {n_preds}")
    if wrap:
        labels = [labels] if isinstance(labels, NDArray) else labels
        preds = [preds] if isinstance(preds, NDArray) else preds
    return labels, preds


def _numpy(array):
    return array.asnumpy() if isinstance(array, NDArray) else numpy.asarray(array)


def pairs(labels, preds):
    """Yield (label, prediction) as NumPy arrays."""
    for label, pred in zip(*check_label_shapes(labels, preds, wrap=True), strict=True):
        yield _numpy(label), _numpy(pred)


class EvalMetric:
    """Add up a measure over batches; `get` gives (name, mean), with nan where nothing was added.

    `output_names` and `label_names` choose what `update_dict` measures.  A subclass defines `update`, which calls
    `_add`.
    """

    def __init__(self, name, output_names=None, label_names=None, **kwargs):
        self.name = str(name)
        self.output_names = output_names
        self.label_names = label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self):
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self):
        """Return a dictionary from which `create` makes this metric."""
        return {
            **self._kwargs,
            "metric": type(self).__name__,
            "name": self.name,
            "output_names": self.output_names,
            "label_names": self.label_names,
        }

    def update_dict(self, label, pred):
        """Measure dictionaries {name: array} of labels and outputs."""
        preds = list(pred.values()) if self.output_names is None else [pred[n] for n in self.output_names]
        labels = list(label.values()) if self.label_names is None else [label[n] for n in self.label_names]
        self.update(labels, preds)

    def update(self, labels, preds):
        """Measure lists of labels and predictions."""
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def _add(self, total, count):
        self.sum_metric += total
        self.num_inst += count
        self.global_sum_metric += total
        self.global_num_inst += count

    def reset(self):
        """Forget everything."""
        self.global_num_inst = 0
        self.global_sum_metric = 0.0
        self.reset_local()

    def reset_local(self):
        """Forget what `get` tells, and keep what `get_global` tells."""
        self.num_inst = 0
        self.sum_metric = 0.0

    def _mean(self, total, count):
        return total / count if count else float("nan")

    def get(self):
        """Return (name, mean since the last `reset_local`)."""
        return self.name, self._mean(self.sum_metric, self.num_inst)

    def get_global(self):
        """Return (name, mean since the last `reset`)."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._mean(self.global_sum_metric, self.global_num_inst)

    @staticmethod
    def _zip(names, values):
        return list(zip(names, values, strict=True)) if isinstance(names, list) else [(names, values)]

    def get_name_value(self):
        """Return [(name, value)] of `get`."""
        return self._zip(*self.get())

    def get_global_name_value(self):
        """Return [(name, value)] of `get_global`."""
        return self._zip(*self.get_global())


register = get_register_func(EvalMetric, "metric")
alias = get_alias_func(EvalMetric, "metric")
_create = get_create_func(EvalMetric, "metric")


def create(metric, *args, **kwargs):
    """Make a metric from its name, a function (label, prediction) -> value, an instance, or a list of these."""
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        composite = CompositeEvalMetric()
        for child in metric:
            composite.add(create(child, *args, **kwargs))
        return composite
    return _create(metric, *args, **kwargs)


@alias("composite")
@register
class CompositeEvalMetric(EvalMetric):
    """Run several metrics as one; `get` gives lists of names and values."""

    def __init__(self, metrics=None, name="composite", output_names=None, label_names=None):
        self.metrics = [create(m) for m in metrics or ()]
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def add(self, metric):
        """Append a metric, given as `create` takes it."""
        self.metrics.append(create(metric))

    def get_metric(self, index):
        """Return the metric at `index`."""
        if not -len(self.metrics) <= index < len(self.metrics):
            raise ArgumentError(f"CompositeEvalMetric: index {index} of {len(self.metrics)} metrics")
        return self.metrics[index]

    def update_dict(self, labels, preds):
        if self.label_names is not None:
            labels = OrderedDict((n, a) for n, a in labels.items() if n in self.label_names)
        if self.output_names is not None:
            preds = OrderedDict((n, a) for n, a in preds.items() if n in self.output_names)
        for metric in self.metrics:
            metric.update_dict(labels, preds)

    def update(self, labels, preds):
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self):
        for metric in self.metrics:
            metric.reset()

    def reset_local(self):
        for metric in self.metrics:
            metric.reset_local()

    def get(self):
        return self._collect(m.get_name_value() for m in self.metrics)

    def get_global(self):
        return self._collect(m.get_global_name_value() for m in self.metrics)

    @staticmethod
    def _collect(groups):
        pairs = [pair for group in groups for pair in group]
        return [name for name, _ in pairs], [value for _, value in pairs]

    def get_config(self):
        return {**super().get_config(), "metrics": [m.get_config() for m in self.metrics]}


@register
class Loss(EvalMetric):
    """Average the outputs themselves, which are losses; labels are not looked at."""

    def __init__(self, name="loss", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, _, preds):
        for pred in [preds] if isinstance(preds, NDArray) else preds:
            values = _numpy(pred)
            self._add(float(values.sum()), values.size)


@register
class Torch(Loss):
    """Do what Loss does; the name is an old one."""

    def __init__(self, name="torch", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """Do what Loss does; the name is an old one."""

    def __init__(self, name="caffe", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)


@register
class CustomMetric(EvalMetric):
    """Measure with `feval(label, prediction)` on NumPy arrays, which returns a value, or (sum, count)."""

    def __init__(self, feval, name=None, allow_extra_outputs=False, output_names=None, label_names=None):
        if name is None:
            name = getattr(feval, "__name__", type(feval).__name__)
            if "<" in name:
                name = f"custom({name})"
        super().__init__(
            name, output_names, label_names, feval=feval, allow_extra_outputs=allow_extra_outputs, has_global_stats=True
        )
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def update(self, labels, preds):
        labels, preds = ([a] if isinstance(a, NDArray) else a for a in (labels, preds))
        if not self._allow_extra_outputs:
            check_label_shapes(labels, preds)
        for label, pred in zip(labels, preds, strict=False):
            value = self._feval(_numpy(label), _numpy(pred))
            self._add(*(value if isinstance(value, tuple) else (value, 1)))

    def get_config(self):
        raise ArgumentTypeError(f"CustomMetric {self.name!r}: a function cannot be saved")


def np(numpy_feval, name=None, allow_extra_outputs=False):
    """Make a metric of `numpy_feval(label, prediction)`, named after it unless `name` is given."""
    return CustomMetric(numpy_feval, name, allow_extra_outputs)
