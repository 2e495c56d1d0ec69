"""Measures of predicted numbers."""

import numpy

from ..base import ArgumentError
from .base import EvalMetric, alias, check_label_shapes, pairs, register


class _Regression(EvalMetric):
    """Average one number a batch over batches; vectors count as columns (N, 1)."""

    def __init__(self, name, output_names, label_names):
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            label, pred = (a.reshape(-1, 1) if a.ndim == 1 else a for a in (label, pred))
            self._add(float(self._error(label - pred)), 1)


@register
class MAE(_Regression):
    """Measure the mean absolute error, a batch at a time."""

    def __init__(self, name="mae", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _error(difference):
        return numpy.abs(difference).mean()


@register
class MSE(_Regression):
    """Measure the mean squared error, a batch at a time."""

    def __init__(self, name="mse", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _error(difference):
        return (difference**2.0).mean()


@register
class RMSE(_Regression):
    """Measure the root of the mean squared error, a batch at a time."""

    def __init__(self, name="rmse", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _error(difference):
        return numpy.sqrt((difference**2.0).mean())


@alias("pearsonr")
@register
class PearsonCorrelation(EvalMetric):
    """Measure Pearson's correlation of predictions and labels of one shape, a batch ('macro') or all together
    ('micro').
    """

    def __init__(self, name="pearsonr", output_names=None, label_names=None, average="macro"):
        if average not in ("macro", "micro"):
            raise ArgumentError(f"PearsonCorrelation: average={average!r} is neither 'macro' nor 'micro'")
        self.average = average
        super().__init__(name, output_names, label_names, has_global_stats=average == "macro")

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            check_label_shapes(label, pred, shape=True)
            label, pred = label.ravel().astype("float64"), pred.ravel().astype("float64")
            if self.average == "macro":
                self._add(float(numpy.corrcoef(pred, label)[0, 1]), 1)
            else:
                self._merge(numpy.stack([label, pred]))

    def _merge(self, batch):
        """Join the batch's means and products of deviations (2, 2) with those so far (Chan et al., 1979)."""
        n, mean = batch.shape[1], batch.mean(axis=1)
        deviation, shift = batch - mean[:, None], mean - self._means
        total = self.num_inst + n
        self._products = (
            self._products + deviation @ deviation.T + numpy.outer(shift, shift) * (self.num_inst * n / total)
        )
        self._means = self._means + shift * n / total
        self.num_inst = self.global_num_inst = total
        (ll, lp), (_, pp) = self._products
        with numpy.errstate(invalid="ignore", divide="ignore"):
            self.sum_metric = self.global_sum_metric = float(lp / numpy.sqrt(ll * pp)) * total

    def reset_local(self):
        self._means = numpy.zeros(2)
        self._products = numpy.zeros((2, 2))
        super().reset_local()
