"""Layers of neural networks: activations, normalisation, dropout, softmax."""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, Kernel, Launch, always, op
from ._params import Param, Shape
from ._shapes import FLOATS, all_same, n_elements, normalize_axis, same


@op("Activation")
class Activation(Composed):
    """y = the function act_type of x.   data (any) -> output (same)."""

    shape, dtype, per_example = all_same, same(FLOATS), always
    act_type: str = Param(choices=("relu", "sigmoid", "softrelu", "softsign", "tanh"))

    def compose(p, x):
        return getattr(F, p.act_type)(x)


@op("LeakyReLU")
class LeakyReLU(Composed):
    """y = x where x > 0;

    else slope x (leaky), gamma x (prelu), slope (e**x - 1) (elu), ...; rrelu draws the slope in training.

    data (N, C, ...), gamma (C,) or (1,) for prelu -> output (same) [, mask (same) for rrelu: the slope of each
    element].
    """

    inputs, dtype, uses_mode, per_example = ("data", "gamma"), same(FLOATS), True, always
    inits = {"gamma": '["Constant", {"value": 0.25}]'}
    act_type: str = Param("leaky", choices=("elu", "gelu", "leaky", "prelu", "rrelu", "selu"))
    slope: float = Param(0.25)
    lower_bound: float = Param(0.125)
    upper_bound: float = Param(0.334)

    def live(p):
        return ("data", "gamma") if p.act_type == "prelu" else ("data",)

    def visible(p):
        return ("output", "mask") if p.act_type == "rrelu" else ("output",)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        if len(ins) == 1:
            return [data], [data] * len(outs)
        channels = None if data is None else (data[1] if len(data) > 1 else data[0],)
        return [data, ins[1] if ins[1] == (1,) else channels], [data]

    def compose(p, x, gamma=None, train=False):
        positive = F.greater(x, 0)
        if p.act_type == "prelu":
            return F.where3(
                positive, x, x * reshape(gamma, (1, gamma.shape[0]) + (1,) * (x.ndim - 2)) if x.ndim > 1 else x * gamma
            )
        if p.act_type == "elu":
            return F.where3(positive, x, F.expm1(F.minimum(x, 0)) * p.slope)
        if p.act_type == "selu":
            alpha, scale = 1.6732632423543772, 1.0507009873554805
            return F.where3(positive, x, F.expm1(F.minimum(x, 0)) * alpha) * scale
        if p.act_type == "gelu":
            return x * 0.5 * (F.erf(x * 0.7071067811865476) + 1)
        if p.act_type == "rrelu":
            slope = (p.lower_bound + p.upper_bound) / 2
            if train:
                slope = F.random_uniform(low=p.lower_bound, high=p.upper_bound, shape=x.shape, dtype=x.dtype)
            mask = F.BlockGrad(F.where3(positive, 1.0, slope))
            return x * mask, F.identity(mask)
        return F.where3(positive, x, x * p.slope)


# ---- normalisation ----


@op("BatchNorm", "BatchNorm_v1")
class BatchNorm(Composed):
    """y = (data - mean) / (variance + eps)**(1/2) gamma + beta along `axis`.  Ioffe and Szegedy 2015.

    data (N, C, ...)   gamma, beta, moving_mean, moving_var (C,)   -> output (data's shape) [, mean, var (C,) with
    output_mean_var, where var is 1 / (variance + eps)**(1/2), as in MXNet].  In training mean and variance are the
    batch's, and the moving ones become momentum * old + (1 - momentum) * batch's; otherwise, and with use_global_stats,
    the moving ones are used.  fix_gamma (the default, as in MXNet) takes gamma as 1.
    """

    per_example = always
    inputs = ("data", "gamma", "beta", "moving_mean", "moving_var")
    outputs = ("output", "mean", "var")
    aux, uses_mode = ("moving_mean", "moving_var"), True
    inits = {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}
    eps: float = Param(1e-3)
    momentum: float = Param(0.9)
    fix_gamma: bool = Param(True)
    use_global_stats: bool = Param(False)
    output_mean_var: bool = Param(False)
    axis: int = Param(1)
    cudnn_off: bool = Param(False)
    min_calib_range: float | None = Param(None)
    max_calib_range: float | None = Param(None)

    def visible(p):
        return ("output", "mean", "var") if p.output_mean_var else ("output",)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        channels = None if data is None else (data[normalize_axis(p.axis, len(data))],)
        return [data, *(channels,) * 4], [data, channels, channels][: len(outs)]

    def dtype(p, ins, outs):
        (data,), (out,) = same(FLOATS)(p, ins[:1], outs[:1])
        statistics = "float32" if data in ("float16", "bfloat16") else data
        return [data, *(statistics,) * 4], [out, statistics, statistics][: len(outs)]

    def compose(p, data, gamma, beta, moving_mean, moving_var, train=False):
        axis = normalize_axis(p.axis, data.ndim)
        x = cast(data, gamma.dtype)
        if train and not p.use_global_stats:
            y, mean, var = F.batch_norm_train(x, gamma, beta, eps=p.eps, fix_gamma=p.fix_gamma, axis=axis)
            still = [F.BlockGrad(v) for v in (mean, var)]
            keep = p.momentum
            updates = {
                "moving_mean": moving_mean * keep + still[0] * (1 - keep),
                "moving_var": moving_var * keep + still[1] * (1 - keep),
            }
        else:
            mean, var, updates = F.BlockGrad(moving_mean), F.BlockGrad(moving_var), {}
            y = _normalized(p, x, gamma, beta, mean, var, axis)
        y = cast(y, data.dtype)
        if not p.output_mean_var:
            return (y,), updates
        # As in MXNet, no gradient passes through mean and var.
        return (y, F.BlockGrad(mean), F.BlockGrad(F.rsqrt(var + p.eps))), updates


def _normalized(p, x, gamma, beta, mean, var, axis):
    """Return x with one mean and variance for each channel taken out, and gamma and beta put in."""
    back = _along(x, axis)
    scale = F.rsqrt(var + p.eps)
    if not p.fix_gamma:
        scale = scale * gamma
    return (x - reshape(mean, back)) * reshape(scale, back) + reshape(beta, back)


def _along(x, axis):
    """Return the shape in which a vector broadcasts along one axis of x."""
    return tuple(n if i == axis else 1 for i, n in enumerate(x.shape))


@op("_batch_norm_train")
class BatchNormTrain(Composed):
    """BatchNorm by the batch's own mean and variance, which are outputs too and give no gradient.

    data (N, C, ...)   gamma, beta (C,)   -> output (data's shape), mean, var (C,).   It has a gradient of its own,
    which reads images half as often as that of its body.
    """

    inputs, outputs, dtype = ("data", "gamma", "beta"), ("output", "mean", "var"), same(FLOATS)
    eps: float = Param(1e-3)
    fix_gamma: bool = Param(True)
    axis: int = Param(1)

    def shape(p, ins, outs):
        channels = (ins[0][p.axis],)
        return [ins[0], channels, channels], [ins[0], channels, channels]

    def compose(p, x, gamma, beta):
        others = tuple(i for i in range(x.ndim) if i != p.axis)
        mean = F.mean(x, axis=others)
        var = F.mean(F.square(x - reshape(mean, _along(x, p.axis))), axis=others)
        return _normalized(p, x, gamma, beta, mean, var, p.axis), mean, var

    def grad(p, dy, dmean, dvar, x, gamma, beta, y, mean, var):
        others, back = tuple(i for i in range(x.ndim) if i != p.axis), _along(x, p.axis)
        n = max(1, n_elements(x.shape) // max(1, x.shape[p.axis]))
        rate = F.rsqrt(var + p.eps)
        centred = x - reshape(mean, back)
        total, moment = F.sum(dy, axis=others), F.sum(dy * centred, axis=others)
        scale = rate if p.fix_gamma else rate * gamma
        still = dy - reshape(total * (1 / n), back) - centred * reshape(moment * F.square(rate) * (1 / n), back)
        return still * reshape(scale, back), None if p.fix_gamma else moment * rate, total


@op("LayerNorm")
class LayerNorm(Composed):
    """y = (data - mean) / (variance + eps)**(1/2) gamma + beta, mean and variance over `axis`.

    Ba, Kiros and Hinton 2016.

    data (..., C)   gamma, beta (C,)   -> output (data's shape) [, mean, std (..., 1) with output_mean_var].
    """

    inputs, dtype = ("data", "gamma", "beta"), same(FLOATS)
    axis: int = Param(-1)
    eps: float = Param(1e-5)
    output_mean_var: bool = Param(False)

    def per_example(p, ins):
        return normalize_axis(p.axis, len(ins[0])) != 0

    def visible(p):
        return ("output", "mean", "std") if p.output_mean_var else ("output",)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        if data is None:
            return ins, outs
        axis = normalize_axis(p.axis, len(data))
        small = tuple(1 if i == axis else n for i, n in enumerate(data))
        return [data, (data[axis],), (data[axis],)], [data, small, small][: len(outs)]

    def compose(p, x, gamma, beta):
        y, mean, std = F.layer_norm_train(x, gamma, beta, axis=normalize_axis(p.axis, x.ndim), eps=p.eps)
        # As in MXNet, no gradient passes through mean and std.
        return (y, F.BlockGrad(mean), F.BlockGrad(std)) if p.output_mean_var else y


@op("_layer_norm_train")
class LayerNormTrain(Kernel):
    """LayerNorm with mean and standard deviation as outputs that give no gradient.

    data (..., C)   gamma, beta (C,)   -> output (data's shape), mean, std (..., 1).
    """

    inputs, outputs, dtype = ("data", "gamma", "beta"), ("output", "mean", "std"), same(FLOATS)
    eps: float = Param(1e-5)
    axis: int = Param(-1)

    def per_example(p, ins):
        return normalize_axis(p.axis, len(ins[0])) != 0

    def shape(p, ins, outs):
        small = tuple(1 if i == p.axis else n for i, n in enumerate(ins[0]))
        return list(ins), [ins[0], small, small]

    def launch(p, ins, outs):
        return Launch("layer_norm", (p.axis, p.eps))

    def grad(p, dy, dmean, dstd, x, gamma, beta, y, mean, std):
        others, n = tuple(i for i in range(x.ndim) if i != p.axis), max(1, x.shape[p.axis])
        rate, centred, scaled = F.reciprocal(std), x - mean, dy * reshape(gamma, _along(x, p.axis))
        total = F.sum(scaled, axis=p.axis, keepdims=True)
        moment = F.sum(scaled * centred, axis=p.axis, keepdims=True)
        dx = (scaled - total * (1 / n) - centred * (moment * F.square(rate) * (1 / n))) * rate
        return dx, F.sum(dy * (centred * rate), axis=others), F.sum(dy, axis=others)


@op("L2Normalization")
class L2Normalization(Composed):
    """y = data / (the sum of squares + eps)**(1/2), over all of a sample, its channels or its space.

    data (N, C, ...) -> output (same).
    """

    shape, dtype = all_same, same(FLOATS)
    eps: float = Param(1e-10)
    mode: str = Param("instance", choices=("channel", "instance", "spatial"))

    def compose(p, x):
        first = {"instance": 1, "channel": 1, "spatial": 2}[p.mode]
        axes = (1,) if p.mode == "channel" else tuple(range(first, x.ndim))
        return x * F.rsqrt(F.sum(F.square(x), axis=axes, keepdims=True) + p.eps)


@op("Dropout")
class Dropout(Composed):
    """y = x with a fraction p set to 0 and the rest divided by 1 - p in training (always with mode='always'); else x.

    data (any) -> output (same).   `axes` are those along which the same elements fall.  Srivastava et al. 2014.
    """

    shape, dtype, uses_mode, per_example = all_same, same(FLOATS), True, always
    p: float = Param(0.5, ge=0)
    mode: str = Param("training", choices=("always", "training"))
    axes: Shape = Param(())
    cudnn_off: bool | None = Param(False)

    def compose(p, x, train=False):
        if p.p > 1:
            raise ArgumentError(f"p is {p.p}, expected a fraction from 0 to 1")
        if p.p == 0 or not (train or p.mode == "always"):
            return F.identity(x)
        if p.p == 1:
            return x * 0
        mask_shape = tuple(1 if i in p.axes else n for i, n in enumerate(x.shape))
        keep = F.bernoulli(prob=1 - p.p, shape=mask_shape, dtype=x.dtype)
        return x * (keep * (1 / (1 - p.p)))


# ---- softmax ----


class SoftmaxKernel(Kernel):
    """The base of the softmax kernels."""

    shape, dtype, row = all_same, same(FLOATS), ""
    axis: int = Param(-1)

    def per_example(p, ins):
        return normalize_axis(p.axis, len(ins[0])) != 0

    @classmethod
    def launch(cls, p, ins, outs):
        return Launch(cls.row, (normalize_axis(p.axis, len(ins[0].shape)),))


@op("_softmax")
class PlainSoftmax(SoftmaxKernel):
    """y = e**x / sum e**x along `axis`.   data (any) -> output (same)."""

    row = "softmax"

    def grad(p, dy, x, y):
        return (y * (dy - F.sum(dy * y, axis=p.axis, keepdims=True)),)


@op("_log_softmax")
class PlainLogSoftmax(SoftmaxKernel):
    """y = x - log sum e**x along `axis`.   data (any) -> output (same)."""

    row = "log_softmax"

    def grad(p, dy, x, y):
        return (dy - F.exp(y) * F.sum(dy, axis=p.axis, keepdims=True),)


class SoftmaxFamily(Composed):
    """The base of softmax, log_softmax and softmin:

    data (any) [, length (the dims without axis)] -> output (the same shape).
    """

    inputs = ("data", "length")
    axis: int = Param(-1)
    temperature: float | None = Param(None)
    dtype_: str | None = Param(None, choices=("float16", "float32", "float64", "bfloat16"))
    use_length: bool | None = Param(False)

    def per_example(p, ins):
        return normalize_axis(p.axis, len(ins[0])) != 0

    def live(p):
        return ("data", "length") if p.use_length else ("data",)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        if data is None:
            return ins, outs
        axis = normalize_axis(p.axis, len(data))
        return [data, data[:axis] + data[axis + 1 :]][: len(ins)], [data]

    def dtype(p, ins, outs):
        same(FLOATS)(p, ins[:1], [])
        return ins, [p.dtype or ins[0]]


def _scores(p, x, length, sign):
    """Return what the softmax is taken of:

    x in the output's dtype, divided by the temperature, very small beyond the length.
    """
    x = cast(x, p.dtype or x.dtype)
    x = x * (sign / p.temperature) if p.temperature or sign != 1 else x
    return x if length is None else F.where3(_inside(p, x, length), x, -1e30 if x.dtype != "float16" else -6e4)


def _inside(p, x, length):
    axis = normalize_axis(p.axis, x.ndim)
    steps = F.arange(start=0.0, stop=float(x.shape[axis]), dtype="float32")
    steps = reshape(steps, tuple(n if i == axis else 1 for i, n in enumerate(x.shape)))
    limits = reshape(cast(length, "float32"), tuple(1 if i == axis else n for i, n in enumerate(x.shape)))
    return cast(F.lesser(steps, limits), x.dtype)


@op("softmax")
class Softmax(SoftmaxFamily):
    """y = e**(x / temperature) / its sum along `axis`; 0 beyond length where use_length.

    data (any) -> output (the same shape).
    """

    def compose(p, x, length=None):
        y = F._softmax(_scores(p, x, length, 1.0), axis=p.axis)
        return y if length is None else y * _inside(p, y, length)


@op("log_softmax")
class LogSoftmax(SoftmaxFamily):
    """y = the logarithm of softmax.   data (any) -> output (the same shape)."""

    def compose(p, x, length=None):
        return F._log_softmax(_scores(p, x, length, 1.0), axis=p.axis)


@op("softmin")
class Softmin(SoftmaxFamily):
    """y = the softmax of -x.   data (any) -> output (the same shape)."""

    def compose(p, x, length=None):
        return F._softmax(_scores(p, x, length, -1.0) if p.temperature else -_scores(p, x, length, 1.0), axis=p.axis)


@op("SoftmaxActivation")
class SoftmaxActivation(Composed):
    """y = the softmax over the last axis ('instance', as MXNet does it) or over axis 1 ('channel').

    data (N, C, ...) -> output (same).
    """

    shape, dtype = all_same, same(FLOATS)
    mode: str = Param("instance", choices=("channel", "instance"))

    def per_example(p, ins):
        return len(ins[0]) > 1

    def compose(p, x):
        if p.mode == "channel" and x.ndim < 3:
            raise ArgumentError(f"data is {x.shape}, expected at least 3 dimensions for mode='channel'")
        return F._softmax(x, axis=1 if p.mode == "channel" else -1)
