"""Measures of predicted classes and of the probabilities given to them."""

import math

import numpy

from ..base import ArgumentError
from .base import EvalMetric, alias, check_label_shapes, pairs, register


@alias("acc")
@register
class Accuracy(EvalMetric):
    """Measure the share of right classes.  Predictions are classes, or scores whose largest along `axis` is taken."""

    def __init__(self, axis=1, name="accuracy", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names, axis=axis, has_global_stats=True)
        self.axis = axis

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            if pred.shape != label.shape:
                pred = pred.argmax(axis=self.axis)
            pred, label = pred.astype("int32").ravel(), label.astype("int32").ravel()
            check_label_shapes(label, pred, shape=True)
            self._add(int((pred == label).sum()), label.size)


@alias("top_k_accuracy", "top_k_acc")
@register
class TopKAccuracy(EvalMetric):
    """Measure how often the class (N,) is among the `top_k` largest scores (N, classes)."""

    def __init__(self, top_k=1, name="top_k_accuracy", output_names=None, label_names=None):
        if top_k <= 1:
            raise ArgumentError(f"TopKAccuracy: top_k={top_k}; use Accuracy for 1")
        self.top_k = top_k
        super().__init__(name, output_names, label_names, top_k=top_k, has_global_stats=True)
        self.name += f"_{top_k}"

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            if pred.ndim > 2:
                raise ArgumentError(f"TopKAccuracy: predictions are {pred.shape}, expected at most two dimensions")
            label = label.astype("int32").ravel()
            check_label_shapes(label, pred)
            if pred.ndim == 2:
                k = min(self.top_k, pred.shape[1])
                pred = numpy.argpartition(pred.astype("float32"), -k, axis=1)[:, -k:]
                right = (pred == label[:, None]).sum()
            else:
                right = (pred.astype("int32") == label).sum()
            self._add(int(right), label.size)


class _BinaryMetric(EvalMetric):
    """Count the four outcomes of two classes, and measure them a batch ('macro') or all together ('micro')."""

    def __init__(self, name, output_names, label_names, average):
        if average not in ("macro", "micro"):
            raise ArgumentError(f"{type(self).__name__}: average={average!r} is neither 'macro' nor 'micro'")
        self.average = average
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels, preds):
        counts = sum(self._count(label, pred) for label, pred in pairs(labels, preds))
        if self.average == "macro":
            self._add(self._measure(*counts), 1)
            return
        self._local_counts = self._local_counts + counts
        self._global_counts = self._global_counts + counts
        self.num_inst, self.global_num_inst = int(self._local_counts.sum()), int(self._global_counts.sum())
        self.sum_metric = self._measure(*self._local_counts) * self.num_inst
        self.global_sum_metric = self._measure(*self._global_counts) * self.global_num_inst

    def _count(self, label, pred):
        """Return (true positives, false positives, false negatives, true negatives)."""
        label, pred = label.astype("int32").ravel(), pred.argmax(axis=1)
        check_label_shapes(label, pred)
        if len(numpy.unique(label)) > 2:
            raise ArgumentError(f"{type(self).__name__}: labels have {len(numpy.unique(label))} classes, expected two")
        right, positive = label == 1, pred == 1
        return numpy.array(
            [
                (right & positive).sum(),
                (~right & positive).sum(),
                (right & ~positive).sum(),
                (~right & ~positive).sum(),
            ],
            float,
        )

    def reset(self):
        self._global_counts = numpy.zeros(4)
        super().reset()

    def reset_local(self):
        self._local_counts = numpy.zeros(4)
        super().reset_local()


@register
class F1(_BinaryMetric):
    """Measure 2 * precision * recall / (precision + recall) of class 1 against class 0.

    Predictions (N, 2), labels (N,).
    """

    def __init__(self, name="f1", output_names=None, label_names=None, average="macro"):
        super().__init__(name, output_names, label_names, average)

    @staticmethod
    def _measure(tp, fp, fn, tn):
        return 2 * tp / (2 * tp + fp + fn) if tp else 0.0


@register
class MCC(_BinaryMetric):
    """Measure Matthews' correlation coefficient of two classes.  Predictions (N, 2), labels (N,)."""

    def __init__(self, name="mcc", output_names=None, label_names=None, average="macro"):
        super().__init__(name, output_names, label_names, average)

    @staticmethod
    def _measure(tp, fp, fn, tn):
        if tp + fp + fn + tn == 0:
            return 0.0
        sums = [s for s in (tp + fp, tp + fn, tn + fp, tn + fn) if s]
        return (tp * tn - fp * fn) / math.sqrt(math.prod(sums))


@register
class PCC(EvalMetric):
    """Measure Pearson's correlation of many classes by their confusion matrix; for two classes it is MCC over all
    examples.
    """

    def __init__(self, name="pcc", output_names=None, label_names=None, has_global_stats=True):
        self._local = self._global = numpy.zeros((2, 2))
        super().__init__(name, output_names, label_names, has_global_stats=has_global_stats)

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            if pred.shape != label.shape:
                pred = pred.argmax(axis=1)
            label, pred = label.astype("int32").ravel(), pred.astype("int32").ravel()
            n = int(max(label.max(), pred.max())) + 1
            matrix = numpy.zeros((n, n))
            numpy.add.at(matrix, (pred, label), 1)
            self._local, self._global = self._joined(self._local, matrix), self._joined(self._global, matrix)
            self.num_inst += 1
            self.global_num_inst += 1
        self.sum_metric = self._measure(self._local) * self.num_inst
        self.global_sum_metric = self._measure(self._global) * self.global_num_inst

    @staticmethod
    def _joined(a, b):
        total = numpy.zeros((max(len(a), len(b)),) * 2)
        total[: len(a), : len(a)] += a
        total[: len(b), : len(b)] += b
        return total

    @staticmethod
    def _measure(matrix):
        n, x, y = matrix.sum(), matrix.sum(axis=1), matrix.sum(axis=0)
        cov_xx, cov_yy = n * n - (x * x).sum(), n * n - (y * y).sum()
        if cov_xx == 0 or cov_yy == 0:
            return float("nan")
        return (n * numpy.trace(matrix) - (x * y).sum()) / math.sqrt(cov_xx * cov_yy)

    def reset(self):
        self._global = numpy.zeros((2, 2))
        super().reset()

    def reset_local(self):
        self._local = numpy.zeros((2, 2))
        super().reset_local()


@register
class Perplexity(EvalMetric):
    """Measure exp(mean of -log p(label)).

    Predictions are probabilities along the last axis; `ignore_label` is not counted.
    """

    def __init__(self, ignore_label, axis=-1, name="perplexity", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names, ignore_label=ignore_label, axis=axis, has_global_stats=True)
        self.ignore_label = ignore_label
        self.axis = axis

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            pred = numpy.moveaxis(pred, self.axis, -1).reshape(-1, pred.shape[self.axis])
            if label.size != len(pred):
                raise ArgumentError(f"Perplexity: {label.size} labels for {len(pred)} predictions")
            label = label.astype("int32").ravel()
            prob = pred[numpy.arange(label.size), label.clip(0, pred.shape[1] - 1)]
            if self.ignore_label is not None:
                prob = prob[label != self.ignore_label]
            self._add(float(-numpy.log(numpy.maximum(1e-10, prob)).sum()), prob.size)

    def _mean(self, total, count):
        return math.exp(total / count) if count else float("nan")


class _LogLoss(EvalMetric):
    def __init__(self, eps, name, output_names, label_names):
        super().__init__(name, output_names, label_names, eps=eps, has_global_stats=True)
        self.eps = eps

    def update(self, labels, preds):
        for label, pred in pairs(labels, preds):
            label = label.ravel().astype("int64")
            if label.size != pred.shape[0]:
                raise ArgumentError(f"{type(self).__name__}: {label.size} labels for {pred.shape[0]} predictions")
            prob = pred[numpy.arange(label.size), label]
            self._add(float(-numpy.log(prob + self.eps).sum()), label.size)


@alias("ce")
@register
class CrossEntropy(_LogLoss):
    """Measure the mean of -log(p(label) + eps).  Predictions (N, classes) are probabilities, labels N classes."""

    def __init__(self, eps=1e-12, name="cross-entropy", output_names=None, label_names=None):
        super().__init__(eps, name, output_names, label_names)


@alias("nll_loss")
@register
class NegativeLogLikelihood(_LogLoss):
    """Measure what CrossEntropy measures, under another name."""

    def __init__(self, eps=1e-12, name="nll-loss", output_names=None, label_names=None):
        super().__init__(eps, name, output_names, label_names)
