"""Convolution, deconvolution and pooling, over one to three spatial dimensions."""

from ..base import ArgumentError
from ._build import F, reshape
from ._def import Composed, Kernel, Launch, always, op
from ._params import Param, Shape
from ._shapes import FLOATS, known, merge_all, n_elements, same


def _spatial(p, n):
    """Return (stride, dilate, pad) of n spatial dimensions, with MXNet's defaults.

    Raises ArgumentError for a wrong number of them.
    """
    if not 1 <= n <= 3:
        raise ArgumentError(f"kernel is {p.kernel}, expected 1 to 3 numbers")
    result = []
    for name, default in (("stride", 1), ("dilate", 1), ("pad", 0)):
        given = getattr(p, name, ()) or (default,) * n
        if len(given) != n:
            raise ArgumentError(f"{name} is {given}, expected {n} numbers as in kernel={p.kernel}")
        result.append(given)
    return result


def _need_channels_first(p):
    if p.layout not in (None, "None", "NCW", "NCHW", "NCDHW"):
        raise ArgumentError(f"layout is {p.layout!r}, expected NCW, NCHW or NCDHW on this device")


class ConvSettings(Kernel):
    """The base of the three convolution kernels, whose settings are complete.

    channels_last: images are (N, *spatial, C) instead of (N, C, *spatial).   filters_last: besides, weights are (O,
    *kernel, C/groups) instead of (O, C/groups, *kernel), as GPUs like them.
    """

    dtype = same(FLOATS)
    stride: Shape = Param()
    dilate: Shape = Param()
    pad: Shape = Param()
    groups: int = Param(1)
    channels_last: bool = Param(False)
    filters_last: bool = Param(False)

    @classmethod
    def settings(cls, p):
        """Return the settings as keywords for another of the three."""
        return {
            "stride": p.stride, "dilate": p.dilate, "pad": p.pad, "groups": p.groups, "channels_last": p.channels_last,
            "filters_last": p.filters_last,
        }  # fmt: skip

    @classmethod
    def block(cls, p, kernel=(), residual=False, relu=False):
        """Return the kernels' parameter block."""
        n = len(p.stride)

        def three(values, fill):
            return (*values, *(fill,) * (3 - len(values)))

        lists = (*three(p.stride, 1), *three(p.dilate, 1), *three(p.pad, 0), *three(p.pad, 0))
        last = p.channels_last + p.filters_last
        return (n, *lists, p.groups, last, *three(kernel, 1), int(residual), int(relu))


def _split_image(p, shape):
    """Return (N, C, spatial sizes) of an image's shape."""
    return (shape[0], shape[-1], shape[1:-1]) if p.channels_last else (shape[0], shape[1], shape[2:])


def _window(p, weight):
    """Return the spatial sizes of a weight's shape."""
    return weight[1:-1] if p.filters_last else weight[2:]


@op("_conv_fwd")
class ConvForward(ConvSettings):
    """out = x * w (cross-correlation), plus a bias for each channel, plus a residual, no less than 0 with relu.

    x (N, C, ...), w (O, C/groups, ...), bias (O,), residual (N, O, ...) -> output (N, O, ...).   packed: w is what
    _conv_weights made of a weight of this shape.
    """

    per_example = always
    inputs = ("data", "weight", "bias", "residual")
    no_bias: bool = Param(False)
    has_residual: bool = Param(False)
    relu: bool = Param(False)
    packed: Shape = Param(())

    def live(p):
        return ("data", "weight", *(() if p.no_bias else ("bias",)), *(("residual",) if p.has_residual else ()))

    def dtype(p, ins, outs):
        others, out = same(FLOATS)(p, [ins[0], *ins[2:]], outs)
        return [others[0], ins[1] if p.packed else others[0], *others[1:]], out

    def shape(p, ins, outs):
        n, _, size = _split_image(p, ins[0])
        w = p.packed or ins[1]
        spatial = tuple(
            (n + 2 * pad - (d * (k - 1) + 1)) // s + 1
            for n, k, s, d, pad in zip(size, _window(p, w), p.stride, p.dilate, p.pad)
        )
        return ins, [(n, *spatial, w[0]) if p.channels_last else (n, w[0], *spatial)]

    def flops(p, ins, outs):
        # Each of the three pairs every element of y with every tap that leads to it.
        return 2 * n_elements(outs[0]) * n_elements((p.packed or ins[1])[1:])

    def launch(p, ins, outs):
        kernel = _window(p, p.packed or ins[1].shape)
        return Launch("conv_fwd", ConvSettings.block(p, kernel, p.has_residual, p.relu))

    def grad(p, dy, x, w, *rest):
        settings = ConvSettings.settings(p)
        dx = F.conv_bwd_data(dy, w, size=x.shape, **settings)
        dw = F.conv_bwd_weight(dy, x, size=w.shape, **settings)
        if p.no_bias:
            return dx, dw
        channel = dy.ndim - 1 if p.channels_last else 1
        return dx, dw, F.sum(dy, axis=tuple(i for i in range(dy.ndim) if i != channel))


@op("_conv_weights")
class ConvWeights(ConvSettings):
    """A weight as oneDNN's convolution of these shapes reads it, so that many runs reorder it once.

    w (O, C/groups, ...) -> output uint8 (n_bytes,).   image, size: the shapes of the convolution's input and output for
    one image.
    """

    inputs, grad = ("weight",), None
    image: Shape = Param()
    size: Shape = Param()
    n_bytes: int = Param()

    def dtype(p, ins, outs):
        return same(FLOATS)(p, ins, [])[0], ["uint8"]

    def shape(p, ins, outs):
        return ins, [(p.n_bytes,)]

    def launch(p, ins, outs):
        return Launch("conv_weights", (*ConvSettings.block(p, ins[0].shape[2:]), *p.image, *p.size))


@op("_conv_bwd_data")
class ConvBackwardData(ConvSettings):
    """The gradient of _conv_fwd by x.   dy (N, O, ...), w (O, C/groups, ...) -> output `size` (N, C, ...)."""

    per_example = always
    inputs = ("dy", "weight")
    size: Shape = Param()

    def flops(p, ins, outs):
        return 2 * n_elements(ins[0]) * n_elements(ins[1][1:])

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

    def flops(p, ins, outs):
        return 2 * n_elements(ins[0]) * n_elements(outs[0][1:])

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

    data (N, C, *spatial)   weight (num_filter, C / num_group, *kernel)   bias (num_filter,)   -> output (N, num_filter,
    *spatial'), where spatial' = (spatial + 2 pad - dilate (kernel - 1) - 1) // stride + 1.
    """

    inputs, dtype, per_example = ("data", "weight", "bias"), same(FLOATS), always
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
        data, weight = ins[0], (p.num_filter, -1, *p.kernel)
        if data is None:
            return ins, outs
        if len(data) == n + 2 and outs[0] is not None and len(outs[0]) == n + 2:
            # As in MXNet, the output says how many examples there are, and how large they were where stride is 1.
            size = [
                m + d * (k - 1) - 2 * q if m != -1 and s == 1 else -1
                for m, k, s, d, q in zip(outs[0][2:], p.kernel, stride, dilate, pad)
            ]
            data = merge_all([data, (outs[0][0], -1, *size)])
        if len(data) != n + 2:
            raise ArgumentError(f"data is {data}, expected {n + 2} dimensions for kernel={p.kernel}")
        if data[1] != -1:
            if data[1] % p.num_group or p.num_filter % p.num_group:
                raise ArgumentError(
                    f"num_group={p.num_group} does not divide data's {data[1]} channels and num_filter={p.num_filter}"
                )
            weight = (p.num_filter, data[1] // p.num_group, *p.kernel)
        spatial = []
        for size, k, s, d, pad_ in zip(data[2:], p.kernel, stride, dilate, pad):
            extent = d * (k - 1) + 1
            if size != -1 and extent > size + 2 * pad_:
                raise ArgumentError(f"data is {data}, too small for kernel={p.kernel}, dilate={dilate} with pad={pad}")
            spatial.append(-1 if size == -1 else (size + 2 * pad_ - extent) // s + 1)
        return [data, weight, (p.num_filter,)][: len(ins)], [(data[0], p.num_filter, *spatial)]

    def compose(p, data, weight, bias=None):
        stride, dilate, pad = _spatial(p, len(p.kernel))
        inputs = (data, weight) if bias is None else (data, weight, bias)
        return F.conv_fwd(*inputs, stride=stride, dilate=dilate, pad=pad, groups=p.num_group, no_bias=bias is None)


@op("Deconvolution")
class Deconvolution(Composed):
    """y = the transposed convolution of data with weight, plus bias.

    data (N, C, *spatial)   weight (C, num_filter / num_group, *kernel)   bias (num_filter,)   -> output (N, num_filter,
    *spatial'), where spatial' = stride (spatial - 1) + dilate (kernel - 1) + 1 - 2 pad + adj, or target_shape.
    """

    inputs, dtype, per_example = ("data", "weight", "bias"), same(FLOATS), always
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
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) != len(p.kernel) + 2:
            raise ArgumentError(f"data is {data}, expected {len(p.kernel) + 2} dimensions for kernel={p.kernel}")
        if p.num_filter % p.num_group or (data[1] != -1 and data[1] % p.num_group):
            raise ArgumentError(
                f"num_group={p.num_group} does not divide data's {data[1]} channels and num_filter={p.num_filter}"
            )
        weight = (data[1], p.num_filter // p.num_group, *p.kernel)
        spatial = _deconvolved(p, data[2:])[1] if known(data[2:]) else (-1,) * len(p.kernel)
        return [data, weight, (p.num_filter,)][: len(ins)], [(data[0], p.num_filter, *spatial)]

    def compose(p, data, weight, bias=None):
        stride, dilate, _ = _spatial(p, len(p.kernel))
        pad, size = _deconvolved(p, data.shape[2:])
        y = F.conv_bwd_data(
            data,
            weight,
            size=(data.shape[0], p.num_filter, *size),
            stride=stride,
            dilate=dilate,
            pad=pad,
            groups=p.num_group,
        )
        return y if bias is None else y + reshape(bias, (1, p.num_filter) + (1,) * len(size))


def _deconvolved(p, spatial):
    """Return the padding and the spatial sizes of a deconvolution's output."""
    n = len(p.kernel)
    stride, dilate, pad = _spatial(p, n)
    adj = p.adj or (0,) * n
    if len(adj) != n or any(a >= s for a, s in zip(adj, stride)):
        raise ArgumentError(f"adj is {adj}, expected {n} numbers less than stride={stride}")
    full = [s * (size - 1) + d * (k - 1) + 1 for size, k, s, d in zip(spatial, p.kernel, stride, dilate)]
    if any(p.target_shape):
        if len(p.target_shape) != n:
            raise ArgumentError(f"target_shape is {p.target_shape}, expected {n} numbers as in kernel={p.kernel}")
        excess = [f - t for f, t in zip(full, p.target_shape)]
        if any(e < 0 for e in excess):
            raise ArgumentError(f"target_shape is {p.target_shape}, expected at most {tuple(full)}")
        return tuple((e + 1) // 2 for e in excess), tuple(p.target_shape)
    return pad, tuple(f - 2 * a + b for f, a, b in zip(full, pad, adj))


# ---- pooling ----

POOL_KINDS = ("max", "avg", "sum", "lp")


@op("_pool_fwd")
class PoolForward(Kernel):
    """out = the max, mean, sum or p-norm of each window.   x (N, C, ...), or (N, ..., C) -> output `size`."""

    dtype, per_example = same(FLOATS), always
    kind: str = Param(choices=POOL_KINDS)
    kernel: Shape = Param()
    stride: Shape = Param()
    pad_lo: Shape = Param()
    pad_hi: Shape = Param()
    count_include_pad: bool = Param(True)
    power: int = Param(2)
    channels_last: bool = Param(False)
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
    channels_last: bool = Param(False)

    def shape(p, ins, outs):
        return ins, [ins[1]]

    def launch(p, ins, outs):
        return Launch("pool_bwd", _pool_block(p))


def _pool_block(p):
    n = len(p.kernel)

    def three(values, fill):
        return (*values, *(fill,) * (3 - n))

    lists = (*three(p.kernel, 1), *three(p.stride, 1), *three(p.pad_lo, 0), *three(p.pad_hi, 0))
    return (n, POOL_KINDS.index(p.kind), *lists, int(p.count_include_pad), p.power, int(p.channels_last))


@op("Pooling", "Pooling_v1")
class Pooling(Composed):
    """y = the max, mean, sum or p-norm over windows of `kernel`, or over all of space with global_pool.

    data (N, C, *spatial), or with layout NWC, NHWC or NDHWC (N, *spatial, C) -> output (the same dims, spatial'), where
    spatial' = (spatial + 2 pad - kernel) / stride + 1, rounded down ('valid') or up ('full'), or spatial / stride
    rounded up ('same').
    """

    dtype, per_example = same(FLOATS), always
    kernel: Shape = Param(())
    pool_type: str = Param("max", choices=POOL_KINDS)
    global_pool: bool = Param(False)
    cudnn_off: bool = Param(False)
    pooling_convention: str = Param("valid", choices=("full", "same", "valid"))
    stride: Shape = Param((), ge=1)
    pad: Shape = Param((), ge=0)
    p_value: int | None = Param(None)
    count_include_pad: bool | None = Param(None)
    layout: str | None = Param(None, choices=("None", "NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"))

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        first, last = _channels(p, len(data))
        return ins, [(data[0], *data[1:first], *_windows(p, data)[0], *data[last:])]

    def compose(p, x):
        first, last = _channels(p, x.ndim)
        size, kernel, stride, pad_lo, pad_hi = _windows(p, x.shape)
        if last < x.ndim:
            x = F.transpose(x, axes=(0, x.ndim - 1, *range(1, x.ndim - 1)))
        y = F.pool_fwd(
            x, kind=p.pool_type, kernel=kernel, stride=stride, pad_lo=pad_lo, pad_hi=pad_hi, size=(*x.shape[:2], *size),
            count_include_pad=p.count_include_pad is not False, power=p.p_value or 2,
        )  # fmt: skip
        return F.transpose(y, axes=(0, *range(2, x.ndim), 1)) if last < x.ndim else y


def _channels(p, ndim):
    """Return where data's spatial dimensions begin and end."""
    return (1, ndim - 1) if p.layout in ("NWC", "NHWC", "NDHWC") else (2, ndim)


def _windows(p, data):
    """Return (output sizes, kernel, stride, low padding, high padding) of a pooling over data's spatial dimensions;

    unknown sizes stay -1.
    """
    spatial = data[slice(*_channels(p, len(data)))]
    n = len(spatial)
    if not 1 <= n <= 3:
        raise ArgumentError(f"data is {data}, expected 3 to 5 dimensions")
    if p.pool_type == "lp" and p.p_value is None:
        raise ArgumentError("p_value is missing, expected the power of pool_type='lp'")
    if p.global_pool:
        return (1,) * n, spatial, (1,) * n, (0,) * n, (0,) * n
    if len(p.kernel) != n:
        raise ArgumentError(f"kernel is {p.kernel}, expected {n} numbers for data {data}")
    stride, _, pad = _spatial(p, n)
    if p.pooling_convention == "same" and any(pad):
        raise ArgumentError(f"pad is {pad}, expected none with pooling_convention='same'")
    if p.pool_type == "max" and any(lo >= k for lo, k in zip(pad, p.kernel)):
        raise ArgumentError(
            f"pad is {pad}, expected less than kernel={p.kernel}: a window of margin only has no maximum"
        )
    sizes, highs, lows = [], [], []
    for size, k, s, lo in zip(spatial, p.kernel, stride, pad):
        if size == -1:
            count = -1
        elif k > size + 2 * lo and p.pooling_convention != "same":
            raise ArgumentError(f"kernel={p.kernel} is larger than data {data} with pad={pad}")
        elif p.pooling_convention == "valid":
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
