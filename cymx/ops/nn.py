"""Layers of neural networks: activations, convolution, pooling, normalisation, dropout, softmax."""

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._def import Composed, Kernel, Launch, op
from ._params import Param, Shape
from ._shapes import FLOATS, all_same, known, n_elements, normalize_axis, same


@op("Activation")
class Activation(Composed):
    """y = the function act_type of x.   data (any) -> output (same)."""

    shape, dtype = all_same, same(FLOATS)
    act_type: str = Param(choices=("relu", "sigmoid", "softrelu", "softsign", "tanh"))

    def compose(p, x):
        return getattr(F, p.act_type)(x)


@op("LeakyReLU")
class LeakyReLU(Composed):
    """y = x where x > 0; else slope x (leaky), gamma x (prelu), slope (e**x - 1) (elu), ...; rrelu draws the slope in training.

    data (N, C, ...), gamma (C,) or (1,) for prelu -> output (same).
    """

    inputs, dtype, uses_mode = ("data", "gamma"), same(FLOATS), True
    act_type: str = Param("leaky", choices=("elu", "gelu", "leaky", "prelu", "rrelu", "selu"))
    slope: float = Param(0.25)
    lower_bound: float = Param(0.125)
    upper_bound: float = Param(0.334)

    def live(p):
        return ("data", "gamma") if p.act_type == "prelu" else ("data",)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        if len(ins) == 1:
            return [data], [data]
        channels = None if data is None else (data[1] if len(data) > 1 else data[0],)
        return [data, ins[1] if ins[1] == (1,) else channels], [data]

    def compose(p, x, gamma=None, train=False):
        positive = F.greater(x, 0)
        if p.act_type == "prelu":
            return F.where3(positive, x, x * reshape(gamma, (1, gamma.shape[0]) + (1,) * (x.ndim - 2)) if x.ndim > 1 else x * gamma)
        if p.act_type == "elu":
            return F.where3(positive, x, F.expm1(F.minimum(x, 0)) * p.slope)
        if p.act_type == "selu":
            alpha, scale = 1.6732632423543772, 1.0507009873554805
            return F.where3(positive, x, F.expm1(F.minimum(x, 0)) * alpha) * scale
        if p.act_type == "gelu":
            return x * 0.5 * (F.erf(x * 0.7071067811865476) + 1)
        if p.act_type == "rrelu":
            if train:
                slope = F.random_uniform(low=p.lower_bound, high=p.upper_bound, shape=x.shape, dtype=x.dtype)
                return F.where3(positive, x, x * F.BlockGrad(slope))
            return F.where3(positive, x, x * ((p.lower_bound + p.upper_bound) / 2))
        return F.where3(positive, x, x * p.slope)


# ---- convolution ----


def _spatial(p, n):
    """Return (stride, dilate, pad) of n spatial dimensions, with MXNet's defaults.  Raises ArgumentError for a wrong number of them."""
    result = []
    for name, default in (("stride", 1), ("dilate", 1), ("pad", 0)):
        given = getattr(p, name, ()) or (default,) * n
        if len(given) != n:
            raise ArgumentError(f"{name} is {given}, expected {n} numbers as in kernel={p.kernel}")
        result.append(given)
    return result


def _need_channels_first(p):
    if getattr(p, "layout", None) not in (None, "None", "NCW", "NCHW", "NCDHW"):
        raise ArgumentError(f"layout is {p.layout!r}, expected NCW, NCHW or NCDHW on this device")


class ConvSettings(Kernel):
    """The base of the three convolution kernels, whose settings are complete."""

    dtype = same(FLOATS)
    stride: Shape = Param()
    dilate: Shape = Param()
    pad: Shape = Param()
    groups: int = Param(1)

    def weight(p, ins):
        """Return how much heavier than its bytes the convolution is."""
        return 64

    @classmethod
    def settings(cls, p):
        """Return the settings as keywords for another of the three."""
        return {"stride": p.stride, "dilate": p.dilate, "pad": p.pad, "groups": p.groups}

    @classmethod
    def block(cls, p):
        """Return the kernels' parameter block."""
        n = len(p.stride)

        def three(values, fill):
            return (*values, *(fill,) * (3 - n))

        return (n, *three(p.stride, 1), *three(p.dilate, 1), *three(p.pad, 0), *three(p.pad, 0), p.groups)


@op("_conv_fwd")
class ConvForward(ConvSettings):
    """out = x * w (cross-correlation), plus a bias for each channel.   x (N, C, ...), w (O, C/groups, ...), bias (O,) -> output (N, O, ...)."""

    inputs = ("data", "weight", "bias")
    no_bias: bool = Param(False)

    def live(p):
        return ("data", "weight") if p.no_bias else ("data", "weight", "bias")

    def shape(p, ins, outs):
        x, w = ins[:2]
        spatial = tuple(
            (n + 2 * pad - (d * (k - 1) + 1)) // s + 1 for n, k, s, d, pad in zip(x[2:], w[2:], p.stride, p.dilate, p.pad)
        )
        return ins, [(x[0], w[0], *spatial)]

    def launch(p, ins, outs):
        return Launch("conv_fwd", ConvSettings.block(p))

    def grad(p, dy, x, w, *rest):
        settings = ConvSettings.settings(p)
        dx = F.conv_bwd_data(dy, w, size=x.shape, **settings)
        dw = F.conv_bwd_weight(dy, x, size=w.shape, **settings)
        if p.no_bias:
            return dx, dw
        return dx, dw, F.sum(dy, axis=(0, *range(2, dy.ndim)))


@op("_conv_bwd_data")
class ConvBackwardData(ConvSettings):
    """The gradient of _conv_fwd by x.   dy (N, O, ...), w (O, C/groups, ...) -> output `size` (N, C, ...)."""

    inputs = ("dy", "weight")
    size: Shape = Param()

    def shape(p, ins, outs):
        return ins, [p.size]

    def launch(p, ins, outs):
        return Launch("conv_bwd_data", ConvSettings.block(p))

    def grad(p, ddx, dy, w, dx):
        settings = ConvSettings.settings(p)
        return F.conv_fwd(ddx, w, no_bias=True, **settings), F.conv_bwd_weight(dy, ddx, size=w.shape, **settings)


@op("_conv_bwd_weight")
class ConvBackwardWeight(ConvSettings):
    """The gradient of _conv_fwd by w.   dy (N, O, ...), x (N, C, ...) -> output `size` (O, C/groups, ...)."""

    inputs = ("dy", "data")
    size: Shape = Param()

    def shape(p, ins, outs):
        return ins, [p.size]

    def launch(p, ins, outs):
        return Launch("conv_bwd_weight", ConvSettings.block(p))

    def grad(p, ddw, dy, x, dw):
        settings = ConvSettings.settings(p)
        return F.conv_fwd(x, ddw, no_bias=True, **settings), F.conv_bwd_data(dy, ddw, size=x.shape, **settings)


@op("Convolution", "Convolution_v1")
class Convolution(Composed):
    """y = data * weight (cross-correlation) + bias.

    data (N, C, *spatial)   weight (num_filter, C / num_group, *kernel)   bias (num_filter,)   -> output (N, num_filter, *spatial'), where
    spatial' = (spatial + 2 pad - dilate (kernel - 1) - 1) // stride + 1.
    """

    inputs, dtype = ("data", "weight", "bias"), same(FLOATS)
    kernel: Shape = Param(ge=1)
    stride: Shape = Param((), ge=1)
    dilate: Shape = Param((), ge=1)
    pad: Shape = Param((), ge=0)
    num_filter: int = Param(ge=1)
    num_group: int = Param(1, ge=1)
    workspace: int = Param(1024)
    no_bias: bool = Param(False)
    cudnn_tune: str | None = Param(None)
    cudnn_off: bool = Param(False)
    layout: str | None = Param(None)

    def live(p):
        return ("data", "weight") if p.no_bias else ("data", "weight", "bias")

    def shape(p, ins, outs):
        _need_channels_first(p)
        n = len(p.kernel)
        stride, dilate, pad = _spatial(p, n)
        data, weight, out = ins[0], (p.num_filter, -1, *p.kernel), outs[0]
        if data is not None:
            if len(data) != n + 2:
                raise ArgumentError(f"data is {data}, expected {n + 2} dimensions for kernel={p.kernel}")
            if data[1] != -1:
                if data[1] % p.num_group or p.num_filter % p.num_group:
                    raise ArgumentError(f"num_group={p.num_group} does not divide data's {data[1]} channels and num_filter={p.num_filter}")
                weight = (p.num_filter, data[1] // p.num_group, *p.kernel)
            spatial = []
            for size, k, s, d, pad_ in zip(data[2:], p.kernel, stride, dilate, pad):
                extent = d * (k - 1) + 1
                if size != -1 and extent > size + 2 * pad_:
                    raise ArgumentError(f"data is {data}, too small for kernel={p.kernel}, dilate={dilate} with pad={pad}")
                spatial.append(-1 if size == -1 else (size + 2 * pad_ - extent) // s + 1)
            out = (data[0], p.num_filter, *spatial)
        return [data, weight, (p.num_filter,)][: len(ins)], [out]

    def compose(p, data, weight, bias=None):
        stride, dilate, pad = _spatial(p, len(p.kernel))
        inputs = (data, weight) if bias is None else (data, weight, bias)
        return F.conv_fwd(*inputs, stride=stride, dilate=dilate, pad=pad, groups=p.num_group, no_bias=bias is None)


@op("Deconvolution")
class Deconvolution(Composed):
    """y = the transposed convolution of data with weight, plus bias.

    data (N, C, *spatial)   weight (C, num_filter / num_group, *kernel)   bias (num_filter,)   -> output (N, num_filter, *spatial'), where
    spatial' = stride (spatial - 1) + dilate (kernel - 1) + 1 - 2 pad + adj, or target_shape.
    """

    inputs, dtype = ("data", "weight", "bias"), same(FLOATS)
    kernel: Shape = Param(ge=1)
    stride: Shape = Param((), ge=1)
    dilate: Shape = Param((), ge=1)
    pad: Shape = Param((), ge=0)
    adj: Shape = Param((), ge=0)
    target_shape: Shape = Param(())
    num_filter: int = Param(ge=1)
    num_group: int = Param(1, ge=1)
    workspace: int = Param(512)
    no_bias: bool = Param(True)
    cudnn_tune: str | None = Param(None)
    cudnn_off: bool = Param(False)
    layout: str | None = Param(None)

    def live(p):
        return ("data", "weight") if p.no_bias else ("data", "weight", "bias")

    def shape(p, ins, outs):
        _need_channels_first(p)
        data, weight, out = ins[0], (-1, p.num_filter // p.num_group, *p.kernel), outs[0]
        if known(data):
            if len(data) != len(p.kernel) + 2:
                raise ArgumentError(f"data is {data}, expected {len(p.kernel) + 2} dimensions for kernel={p.kernel}")
            weight = (data[1], *weight[1:])
            out = (data[0], p.num_filter, *_deconvolved(p, data[2:])[1])
        return [data, weight, (p.num_filter,)][: len(ins)], [out]

    def compose(p, data, weight, bias=None):
        stride, dilate, _ = _spatial(p, len(p.kernel))
        pad, size = _deconvolved(p, data.shape[2:])
        y = F.conv_bwd_data(
            data, weight, size=(data.shape[0], p.num_filter, *size), stride=stride, dilate=dilate, pad=pad, groups=p.num_group
        )
        return y if bias is None else y + reshape(bias, (1, p.num_filter) + (1,) * len(size))


def _deconvolved(p, spatial):
    """Return the padding and the spatial sizes of a deconvolution's output."""
    n = len(p.kernel)
    stride, dilate, pad = _spatial(p, n)
    adj = p.adj or (0,) * n
    full = [s * (size - 1) + d * (k - 1) + 1 for size, k, s, d in zip(spatial, p.kernel, stride, dilate)]
    if p.target_shape and any(p.target_shape):
        excess = [f - t for f, t in zip(full, p.target_shape)]
        if any(e < 0 for e in excess):
            raise ArgumentError(f"target_shape is {p.target_shape}, expected at most {tuple(full)}")
        return tuple((e + 1) // 2 for e in excess), tuple(p.target_shape)
    return pad, tuple(f - 2 * a + b for f, a, b in zip(full, pad, adj))


# ---- pooling ----

POOL_KINDS = ("max", "avg", "sum", "lp")


@op("_pool_fwd")
class PoolForward(Kernel):
    """out = the max, mean, sum or p-norm of each window.   x (N, C, ...) -> output `size`."""

    dtype = same(FLOATS)
    kind: str = Param(choices=POOL_KINDS)
    kernel: Shape = Param()
    stride: Shape = Param()
    pad_lo: Shape = Param()
    pad_hi: Shape = Param()
    count_include_pad: bool = Param(True)
    power: int = Param(2)
    size: Shape = Param()

    def shape(p, ins, outs):
        return ins, [p.size]

    def launch(p, ins, outs):
        return Launch("pool_fwd", _pool_block(p))

    def grad(p, dy, x, y):
        settings = {name: value for name, value in p.key if name != "size"}
        return (F.pool_bwd(dy, x, y, **settings),)


@op("_pool_bwd")
class PoolBackward(Kernel):
    """The gradient of _pool_fwd.   dy, x, y -> output (x's shape)."""

    inputs, dtype, grad = ("dy", "x", "y"), same(FLOATS), None
    kind: str = Param(choices=POOL_KINDS)
    kernel: Shape = Param()
    stride: Shape = Param()
    pad_lo: Shape = Param()
    pad_hi: Shape = Param()
    count_include_pad: bool = Param(True)
    power: int = Param(2)

    def shape(p, ins, outs):
        return ins, [ins[1]]

    def launch(p, ins, outs):
        return Launch("pool_bwd", _pool_block(p))


def _pool_block(p):
    n = len(p.kernel)

    def three(values, fill):
        return (*values, *(fill,) * (3 - n))

    lists = (*three(p.kernel, 1), *three(p.stride, 1), *three(p.pad_lo, 0), *three(p.pad_hi, 0))
    return (n, POOL_KINDS.index(p.kind), *lists, int(p.count_include_pad), p.power)


@op("Pooling", "Pooling_v1")
class Pooling(Composed):
    """y = the max, mean, sum or p-norm over windows of `kernel`, or over all of space with global_pool.

    data (N, C, *spatial) -> output (N, C, *spatial'), where spatial' = (spatial + 2 pad - kernel) / stride + 1, rounded down ('valid') or up ('full').
    """

    dtype = same(FLOATS)
    kernel: Shape = Param(())
    pool_type: str = Param("max", choices=POOL_KINDS)
    global_pool: bool = Param(False)
    cudnn_off: bool = Param(False)
    pooling_convention: str = Param("valid", choices=("full", "same", "valid"))
    stride: Shape = Param((), ge=1)
    pad: Shape = Param((), ge=0)
    p_value: int | None = Param(None)
    count_include_pad: bool | None = Param(None)
    layout: str | None = Param(None)

    def shape(p, ins, outs):
        _need_channels_first(p)
        if not known(ins[0]):
            return ins, outs
        return ins, [(*ins[0][:2], *_windows(p, ins[0])[0])]

    def compose(p, x):
        size, kernel, stride, pad_lo, pad_hi = _windows(p, x.shape)
        return F.pool_fwd(
            x, kind=p.pool_type, kernel=kernel, stride=stride, pad_lo=pad_lo, pad_hi=pad_hi, size=(*x.shape[:2], *size),
            count_include_pad=p.count_include_pad is not False, power=p.p_value or 2,
        )  # fmt: skip


def _windows(p, data):
    """Return (output sizes, kernel, stride, low padding, high padding) of a pooling over data's spatial dimensions."""
    spatial = data[2:]
    n = len(spatial)
    if p.global_pool:
        return (1,) * n, spatial, (1,) * n, (0,) * n, (0,) * n
    if len(p.kernel) != n:
        raise ArgumentError(f"kernel is {p.kernel}, expected {n} numbers for data {data}")
    stride, _, pad = _spatial(p, n)
    sizes, highs, lows = [], [], []
    for size, k, s, lo in zip(spatial, p.kernel, stride, pad):
        if k > size + 2 * lo:
            raise ArgumentError(f"kernel={p.kernel} is larger than data {data} with pad={pad}")
        if p.pooling_convention == "valid":
            count = (size + 2 * lo - k) // s + 1
        elif p.pooling_convention == "full":
            count = -(-(size + 2 * lo - k) // s) + 1
        else:
            count = -(-size // s)
            lo = max(0, ((count - 1) * s + k - size) // 2)
        sizes.append(count)
        lows.append(lo)
        highs.append(max(lo, (count - 1) * s + k - size - lo))
    return tuple(sizes), p.kernel, stride, tuple(lows), tuple(highs)


# ---- normalisation ----


@op("BatchNorm", "BatchNorm_v1")
class BatchNorm(Composed):
    """y = (data - mean) / (variance + eps)**(1/2) gamma + beta along `axis`.  Ioffe and Szegedy 2015.

    data (N, C, ...)   gamma, beta, moving_mean, moving_var (C,)   -> output (data's shape) [, mean, var (C,) with output_mean_var].
    In training mean and variance are the batch's, and the moving ones become momentum * old + (1 - momentum) * batch's; otherwise, and with
    use_global_stats, the moving ones are used.  fix_gamma (the default, as in MXNet) takes gamma as 1.
    """

    inputs = ("data", "gamma", "beta", "moving_mean", "moving_var")
    aux, uses_mode = ("moving_mean", "moving_var"), True
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
        others = tuple(i for i in range(data.ndim) if i != axis)
        back = tuple(n if i == axis else 1 for i, n in enumerate(data.shape))
        x = cast(data, gamma.dtype)
        if train and not p.use_global_stats:
            mean = F.mean(x, axis=others)
            var = F.mean(F.square(x - reshape(mean, back)), axis=others)
            still = [F.BlockGrad(v) for v in (mean, var)]
            keep = p.momentum
            updates = {
                "moving_mean": moving_mean * keep + still[0] * (1 - keep),
                "moving_var": moving_var * keep + still[1] * (1 - keep),
            }
        else:
            mean, var, updates = F.BlockGrad(moving_mean), F.BlockGrad(moving_var), {}
        scale = F.rsqrt(var + p.eps)
        if not p.fix_gamma:
            scale = scale * gamma
        y = (x - reshape(mean, back)) * reshape(scale, back) + reshape(beta, back)
        y = cast(y, data.dtype)
        return ((y, mean, F.rsqrt(var + p.eps)) if p.output_mean_var else (y,)), updates


@op("LayerNorm")
class LayerNorm(Composed):
    """y = (data - mean) / (variance + eps)**(1/2) gamma + beta, mean and variance over `axis`.  Ba, Kiros and Hinton 2016.

    data (..., C)   gamma, beta (C,)   -> output (data's shape) [, mean, std (..., 1) with output_mean_var].
    """

    inputs, dtype = ("data", "gamma", "beta"), same(FLOATS)
    axis: int = Param(-1)
    eps: float = Param(1e-5)
    output_mean_var: bool = Param(False)

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
        axis = normalize_axis(p.axis, x.ndim)
        back = tuple(n if i == axis else 1 for i, n in enumerate(x.shape))
        mean = F.mean(x, axis=axis, keepdims=True)
        centred = x - mean
        std = F.sqrt(F.mean(F.square(centred), axis=axis, keepdims=True) + p.eps)
        y = centred / std * reshape(gamma, back) + reshape(beta, back)
        return (y, mean, std) if p.output_mean_var else y


@op("L2Normalization")
class L2Normalization(Composed):
    """y = data / (the sum of squares + eps)**(1/2), over all of a sample, its channels or its space.   data (N, C, ...) -> output (same)."""

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

    shape, dtype, uses_mode = all_same, same(FLOATS), True
    p: float = Param(0.5, ge=0)
    mode: str = Param("training", choices=("always", "training"))
    axes: Shape = Param(())
    cudnn_off: bool | None = Param(False)

    def compose(p, x, train=False):
        if p.p >= 1:
            raise ArgumentError(f"p is {p.p}, expected less than 1")
        if p.p == 0 or not (train or p.mode == "always"):
            return F.identity(x)
        mask_shape = tuple(1 if i in p.axes else n for i, n in enumerate(x.shape))
        keep = F.bernoulli(prob=1 - p.p, shape=mask_shape, dtype=x.dtype)
        return x * (keep * (1 / (1 - p.p)))


# ---- softmax ----


class SoftmaxKernel(Kernel):
    """The base of the softmax kernels."""

    shape, dtype, row = all_same, same(FLOATS), ""
    axis: int = Param(-1)

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
    """The base of softmax, log_softmax and softmin: data (any) [, length (the dims without axis)] -> output (the same shape)."""

    inputs = ("data", "length")
    axis: int = Param(-1)
    temperature: float | None = Param(None)
    dtype_: str | None = Param(None, choices=("float16", "float32", "float64", "bfloat16"))
    use_length: bool | None = Param(False)

    def live(p):
        return ("data", "length") if p.use_length else ("data",)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        if data is not None:
            normalize_axis(p.axis, len(data))
        return [data, *ins[1:]], [data]

    def dtype(p, ins, outs):
        same(FLOATS)(p, ins[:1], [])
        return ins, [p.dtype or ins[0]]


def _scores(p, x, length, sign):
    """Return what the softmax is taken of: x in the output's dtype, divided by the temperature, very small beyond the length."""
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
    """y = e**(x / temperature) / its sum along `axis`; 0 beyond length where use_length.   data (any) -> output (the same shape)."""

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
    """y = the softmax over all of a sample (instance) or over its channels.   data (N, C, ...) -> output (same)."""

    shape, dtype = all_same, same(FLOATS)
    mode: str = Param("instance", choices=("channel", "instance"))

    def compose(p, x):
        if p.mode == "channel":
            return F._softmax(x, axis=1)
        return reshape(F._softmax(reshape(x, (x.shape[0], n_elements(x.shape[1:]))), axis=1), x.shape)
