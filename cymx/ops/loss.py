"""Ends of networks: outputs whose gradient is that of a loss, whatever flows in; and what stops gradients."""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, always, op
from ._params import Param
from ._shapes import ALL, FLOATS, NUMBERS, all_same, known, n_elements, same


@op("SoftmaxOutput", "Softmax")
class SoftmaxOutput(Composed):
    """y = the softmax of data; the gradient is that of the cross-entropy with label, times grad_scale.

    data (N, ..., C)   label (N, ...), with multi_output data (N, C, ...) and label (N, the product of the others); or
    probabilities of data's shape   -> output (data's shape).   The softmax is over all of a sample, with multi_output
    over C, with preserve_shape over the last axis. use_ignore leaves out what has ignore_label; normalization divides
    by the number of labels ('batch') or of those left ('valid').  As in MXNet, none of this but grad_scale and out_grad
    holds for probabilities.
    """

    inputs, is_loss, per_example = ("data", "label"), True, always
    grad_scale: float = Param(1.0)
    ignore_label: float = Param(-1.0)
    multi_output: bool = Param(False)
    use_ignore: bool = Param(False)
    preserve_shape: bool = Param(False)
    normalization: str = Param("null", choices=("batch", "null", "valid"))
    out_grad: bool = Param(False)
    smooth_alpha: float = Param(0.0, ge=0)

    def shape(p, ins, outs):
        data, label = ins[0] if ins[0] is not None else outs[0], ins[1]
        if data is None:
            return ins, outs
        if len(data) < 2:
            raise ArgumentError(f"data is {data}, expected samples and classes: at least 2 dimensions")
        if label is None or label != data:
            forms = [data[:-1]]
            if p.multi_output:
                forms = [(data[0], _product(data[2:])), (data[0], *data[2:]), (data[0], 1, *data[2:])]
            label = label if label in forms else forms[0]
        return [data, label], [data]

    def dtype(p, ins, outs):
        # As in MXNet, an unknown label has data's dtype; a known one may have its own.
        (data,), out = same(FLOATS)(p, ins[:1], outs)
        return [data, ins[1] or data], out

    def compose(p, data, label):
        return reshape(
            F._softmax(reshape(data, _classes(p, data.shape)[0]), axis=_classes(p, data.shape)[1]), data.shape
        )

    def grad(p, dy, data, label, y):
        shape, axis = _classes(p, data.shape)
        n_classes = shape[axis]
        probs = reshape(y, shape)
        if label.shape == data.shape:
            dx = (probs - reshape(cast(label, y.dtype), shape)) * p.grad_scale
        else:
            n_labels, samples = n_elements(label.shape), tuple(n for i, n in enumerate(shape) if i != axis)
            valid = cast(F.not_equal(label, p.ignore_label), y.dtype) if p.use_ignore else None
            # As in MXNet, what a sample has of labels beyond one is counted only, where the softmax is over all of it.
            every = reshape(label, (n_labels,))
            used = every if n_labels == n_elements(samples) else F.slice_axis(every, axis=0, begin=0, end=samples[0])
            hot = F.one_hot(reshape(used, samples), depth=n_classes, dtype=y.dtype)
            if axis != len(shape) - 1:
                hot = F.transpose(hot, axes=(0, len(shape) - 1, *range(1, len(shape) - 1)))
            if p.smooth_alpha and not p.multi_output:
                hot = hot * (1 - p.smooth_alpha - p.smooth_alpha / (n_classes - 1)) + p.smooth_alpha / (n_classes - 1)
            dx = probs - hot
            if valid is not None:
                kept = reshape(
                    F.not_equal(used, p.ignore_label), tuple(1 if i == axis else n for i, n in enumerate(shape))
                )
                dx = dx * cast(kept, y.dtype)
            if p.normalization == "valid" and valid is not None:
                dx = dx * p.grad_scale / reshape(F.maximum(F.sum(valid), 1), (1,) * len(shape))
            elif p.normalization != "null":
                dx = dx * (p.grad_scale / n_labels)
            else:
                dx = dx * (p.grad_scale / n_elements(shape[2:]) if p.multi_output else p.grad_scale)
        dx = reshape(dx, data.shape)
        # MXNet 1.9.1 takes the output where out_grad means what flows into it.
        return (dx * y if p.out_grad else dx), None


def _product(dims):
    return n_elements(dims) if known(dims) else -1


def _classes(p, data):
    """Return the shape under which the softmax is taken, and its axis."""
    if p.multi_output:
        return (data[0], data[1], n_elements(data[2:])), 1
    if p.preserve_shape:
        return data, len(data) - 1
    return (data[0], n_elements(data[1:])), 1


class Regression(Composed):
    """The base of regression outputs: data, label (data's shape or as many elements) -> output (data's shape)."""

    inputs, is_loss, per_example = ("data", "label"), True, always
    grad_scale: float = Param(1.0)

    def shape(p, ins, outs):
        data, label = ins[0] if ins[0] is not None else outs[0], ins[1]
        if known(data):
            if label is None or not known(label):
                label = (data[0],) if len(data) == 2 and data[1] == 1 else data
            elif n_elements(label) != n_elements(data):
                raise ArgumentError(f"label is {label}, expected {n_elements(data)} elements as in data {data}")
        return [data, label], [data]

    def dtype(p, ins, outs):
        (data,), out = same(FLOATS)(p, ins[:1], outs)
        return [data, ins[1] or data], out

    def difference(p, y, label):
        """Return the derivative of the loss by data, up to its scale."""
        return y - label

    @classmethod
    def grad(cls, p, dy, data, label, y):
        # As in MXNet, the scale is divided by the outputs of one sample.
        scale = p.grad_scale / max(1, n_elements(data.shape[1:]))
        return cls.difference(p, y, reshape(cast(label, y.dtype), y.shape)) * scale, None


@op("LinearRegressionOutput", "_sparse_LinearRegressionOutput")
class LinearRegressionOutput(Regression):
    """y = data; the gradient is that of the squared error, (y - label) grad_scale / outputs per sample.

    data, label -> output (data's shape).
    """

    def compose(p, data, label):
        return F.identity(data)


@op("LogisticRegressionOutput", "_sparse_LogisticRegressionOutput")
class LogisticRegressionOutput(Regression):
    """y = sigmoid(data); the gradient is that of the cross-entropy, (y - label) grad_scale / outputs per sample.

    data, label -> output (data's shape).
    """

    def compose(p, data, label):
        return F.sigmoid(data)


@op("MAERegressionOutput", "_sparse_MAERegressionOutput")
class MAERegressionOutput(Regression):
    """y = data; the gradient is that of the absolute error, (1 if y > label else -1) grad_scale / outputs per sample.

    data, label -> output (data's shape).
    """

    def compose(p, data, label):
        return F.identity(data)

    def difference(p, y, label):
        # As in MXNet, -1 where they are equal.
        return F.greater(y, label) * 2 - 1


@op("softmax_cross_entropy")
class SoftmaxCrossEntropy(Composed):
    """out = the sum over samples of the cross-entropy between softmax(data) and label.

    data (N, C), label (N,) -> output (1,).
    """

    inputs = ("data", "label")

    def shape(p, ins, outs):
        data = ins[0]
        return [data, None if data is None else data[:1]], [(1,)]

    def dtype(p, ins, outs):
        (data,), out = same(FLOATS)(p, ins[:1], outs)
        return [data, ins[1] or data], out

    def compose(p, data, label):
        return -F.sum(F.pick(F._log_softmax(data, axis=1), label))


@op("BlockGrad", "stop_gradient")
class BlockGrad(Composed):
    """y = x; no gradient passes.   data (any) -> output (same)."""

    shape, dtype, is_loss, per_example = all_same, same(ALL), True, always

    def compose(p, x):
        return F.identity(x)

    grad = None


@op("make_loss")
class MakeLossSimple(Composed):
    """y = x, as the end of a network: the gradient that flows into x is 1.   data (any) -> output (same)."""

    outputs = ("loss",)
    shape, dtype, is_loss = all_same, same(NUMBERS), True

    def compose(p, x):
        return F.identity(x)

    def grad(p, dy, x, y):
        return (F.ones_like(x),)


@op("MakeLoss")
class MakeLoss(Composed):
    """y = x, as the end of a network: the gradient that flows into x is grad_scale, divided as `normalization` says.

    data (any) -> output (same).
    """

    shape, dtype, is_loss = all_same, same(FLOATS), True
    grad_scale: float = Param(1.0)
    valid_thresh: float = Param(0.0)
    normalization: str = Param("null", choices=("batch", "null", "valid"))

    def compose(p, x):
        return F.identity(x)

    def grad(p, dy, x, y):
        ones = F.ones_like(x) * p.grad_scale
        if p.normalization == "batch":
            return (ones / x.shape[0],)
        if p.normalization == "valid":
            n_valid = F.maximum(F.sum(F.greater(x, p.valid_thresh)), 1)
            return (F.broadcast_div(ones, n_valid),)
        return (ones,)
