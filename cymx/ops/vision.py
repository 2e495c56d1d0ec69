"""Operators over images: resizing, cropping, adaptive pooling, local and group normalisation, boxes, and pixels to
tensors."""

import math

from ..base import ArgumentError
from ._build import F, cast, reshape
from ._build import broadcast_to as spread
from ._def import Composed, always, op
from ._params import Numbers, Param, Shape
from ._shapes import FLOATS, NUMBERS, all_same, known, same


def _is_image(shape, what="data"):
    if shape is not None and len(shape) != 4:
        raise ArgumentError(f"{what} is {shape}, expected (batch, channels, height, width)")
    return known(shape)


@op("UpSampling")
class UpSampling(Composed):
    """Every input made larger: the first by `scale`, the others to its size; joined along channels, or added.

    nearest: data (N, C, H, W), ... -> output (N, sum of C, scale H, scale W).   bilinear: data (N, C, H, W) and weight
    (C, 1, K, K), K = 2 scale - scale % 2, the kernel of a Deconvolution -> output (N, C, scale H, scale W).
    """

    variadic, dtype = "num_args", same(FLOATS)
    scale: int = Param(ge=1)
    num_filter: int = Param(0, ge=0)
    sample_type: str = Param(choices=("bilinear", "nearest"))
    multi_input_mode: str = Param("concat", choices=("concat", "sum"))
    num_args: int = Param(ge=1)
    workspace: int = Param(512, ge=0)

    @classmethod
    def input_names(cls, p):
        """Return data0, data1, ...; data0 and weight for bilinear."""
        return super().input_names(p) if p.sample_type == "nearest" else ("data0", "weight")

    def shape(p, ins, outs):
        data = ins[0]
        if not _is_image(data):
            return ins, outs
        n, c, h, w = data
        h, w = h * p.scale, w * p.scale
        if p.sample_type == "bilinear":
            side = 2 * p.scale - p.scale % 2
            return [data, (c, 1, side, side)], [(n, c, h, w)]
        if not all(known(s) for s in ins):
            return ins, outs
        for i, s in enumerate(ins):
            if len(s) != 4 or h % s[2] or w % s[3]:
                raise ArgumentError(f"data{i} is {s}, expected height and width that divide {h} and {w}")
        return ins, [(n, sum(s[1] for s in ins) if p.multi_input_mode == "concat" else c, h, w)]

    def compose(p, *data):
        height, width = (n * p.scale for n in data[0].shape[2:])
        if p.sample_type == "bilinear":
            c, side, pad = data[0].shape[1], 2 * p.scale - p.scale % 2, math.ceil((p.scale - 1) / 2)
            return F.Deconvolution(
                *data, kernel=(side, side), stride=(p.scale,) * 2, pad=(pad, pad), num_filter=c, num_group=c,
                no_bias=True,
            )  # fmt: skip
        large = []
        for x in data:
            n, c, h, w = x.shape
            wide = spread(reshape(x, (n, c, h, 1, w, 1)), (n, c, h, height // h, w, width // w))
            large.append(reshape(wide, (n, c, height, width)))
        if len(large) == 1:
            return large[0]
        if p.multi_input_mode == "concat":
            return F.concat(*large, num_args=len(large), dim=1)
        return F.add_n(*large, num_args=len(large))


@op("Crop")
class Crop(Composed):
    """A window of the first input: at `offset`, or in the middle; as large as h_w, or as the second input.

    data (N, C, H, W) [, crop_like (N, C', h, w)] -> output (N, C, h, w).
    """

    variadic, dtype = "num_args", same(NUMBERS)
    num_args: int = Param(ge=1)
    offset: Shape = Param((0, 0))
    h_w: Shape = Param((0, 0))
    center_crop: bool = Param(False)

    def shape(p, ins, outs):
        if not _is_image(ins[0]) or (len(ins) > 1 and not _is_image(ins[1], "crop_like")):
            return ins, outs
        h, w = ins[1][2:] if len(ins) > 1 else p.h_w
        y, x = Crop.corner(p, ins[0], h, w)
        if h < 1 or w < 1 or min(y, x) < 0 or y + h > ins[0][2] or x + w > ins[0][3]:
            raise ArgumentError(f"data is {ins[0]}, expected it to hold a window of ({h}, {w}) at ({y}, {x})")
        return ins, [(*ins[0][:2], h, w)]

    def corner(p, data, h, w):
        return ((data[2] - h) // 2, (data[3] - w) // 2) if p.center_crop else p.offset

    def compose(p, data, like=None):
        h, w = p.h_w if like is None else like.shape[2:]
        y, x = Crop.corner(p, data.shape, h, w)
        rows = F.slice_axis(data, axis=2, begin=y, end=y + h)
        return F.slice_axis(rows, axis=3, begin=x, end=x + w)


def _interpolated(x, axis, n, align_corners):
    """Return x resized to n along an axis, linearly between neighbours."""
    size = x.shape[axis]
    count = F.arange(start=0.0, stop=n - 0.5, dtype="float64")
    if align_corners:
        at = count * ((size - 1) / (n - 1) if n > 1 else 0.0)
    else:
        at = F.maximum((count + 0.5) * (size / n) - 0.5, 0)
    low = F.floor(at)
    share = reshape(cast(at - low, x.dtype), tuple(n if i == axis else 1 for i in range(x.ndim)))
    first, second = F.take(x, low, axis=axis), F.take(x, low + 1, axis=axis)
    return first + (second - first) * share


@op("_contrib_BilinearResize2D")
class BilinearResize2D(Composed):
    """data resized, linearly between neighbours in both directions.

    data (N, C, H, W) [, like (n, c, h, w) for mode='like'] -> output (N, C, h, w).   `mode` says what h and w are.
    """

    inputs, dtype = ("data", "like"), same(FLOATS)
    height: int = Param(1, ge=1)
    width: int = Param(1, ge=1)
    scale_height: float | None = Param(None)
    scale_width: float | None = Param(None)
    mode: str = Param(
        "size", choices=("like", "odd_scale", "size", "to_even_down", "to_even_up", "to_odd_down", "to_odd_up")
    )
    align_corners: bool = Param(True)

    def live(p):
        return ("data", "like") if p.mode == "like" else ("data",)

    def shape(p, ins, outs):
        if not _is_image(ins[0]) or (len(ins) > 1 and not _is_image(ins[1], "like")):
            return ins, outs
        return ins, [(*ins[0][:2], *BilinearResize2D.target(p, *ins))]

    def target(p, data, like=None):
        if p.mode == "like":
            return like[2:]
        if p.mode == "size" and p.scale_height is None:
            return p.height, p.width
        scales = p.scale_height, p.scale_width or p.scale_height
        made = []
        for n, scale in zip(data[2:], scales):
            odd = n % 2
            made.append({
                "size": lambda n=n, s=scale: int(n * s),
                "odd_scale": lambda n=n, s=scale, odd=odd: int(n * s) if odd else int((n - 1) * s) + 1,
                "to_even_down": lambda n=n, odd=odd: n - odd,
                "to_even_up": lambda n=n, odd=odd: n + odd,
                "to_odd_down": lambda n=n, odd=odd: n - 1 + odd,
                "to_odd_up": lambda n=n, odd=odd: n + 1 - odd,
            }[p.mode]())  # fmt: skip
        return tuple(made)

    def compose(p, x, like=None):
        h, w = BilinearResize2D.target(p, x.shape, like.shape if like is not None else None)
        return _interpolated(_interpolated(x, 2, h, p.align_corners), 3, w, p.align_corners)


@op("_contrib_AdaptiveAvgPooling2D")
class AdaptiveAvgPooling2D(Composed):
    """Means over windows so placed that the output has output_size.   data (N, C, H, W) -> output (N, C, h, w)."""

    dtype = same(FLOATS)
    output_size: Shape = Param(())

    def shape(p, ins, outs):
        if not _is_image(ins[0]):
            return ins, outs
        return ins, [(*ins[0][:2], *AdaptiveAvgPooling2D.target(p))]

    def target(p):
        size = p.output_size or (1,)
        if len(size) > 2 or min(size) < 1:
            raise ArgumentError(f"output_size is {p.output_size}, expected one or two sizes of at least 1")
        return size[0], size[-1]

    def compose(p, x):
        h, w = AdaptiveAvgPooling2D.target(p)
        if h == w == 1:
            return F.mean(x, axis=(2, 3), keepdims=True)
        return F.matmul(F.matmul(_windows(x, 2, h), x), _windows(x, 3, w), transpose_b=True)


def _windows(x, axis, n):
    """Return (N, C, n, size) rows that take the mean of each of n windows over an axis of x."""
    size = x.shape[axis]
    window = reshape(F.arange(start=0.0, stop=n - 0.5, dtype="float64"), (n, 1))
    places = reshape(F.arange(start=0.0, stop=size - 0.5, dtype="float64"), (1, size))
    # The half keeps whole quotients on their side of the rounding.
    first, last = F.floor((window * size + 0.5) / n), F.ceil((window * size + (size - 0.5)) / n)
    inside = F.greater_equal(places, first) * F.lesser(places, last)
    return spread(cast(inside / (last - first), x.dtype), (*x.shape[:2], n, size))


@op("LRN")
class LRN(Composed):
    """y = x / (knorm + alpha / nsize * the sum of squares over nsize neighbouring channels)**beta.

    data (N, C, H, W) -> output (same).   Krizhevsky et al. 2012.
    """

    dtype, per_example = same(FLOATS), always
    alpha: float = Param(1e-4)
    beta: float = Param(0.75)
    knorm: float = Param(2.0)
    nsize: int = Param(ge=1)

    def shape(p, ins, outs):
        _is_image(ins[0])
        if p.nsize % 2 == 0:
            raise ArgumentError(f"nsize is {p.nsize}, expected an odd number")
        return all_same(p, ins, outs)

    def compose(p, x):
        n, c, h, w = x.shape
        rows, half = reshape(F.square(x), (n, 1, c, h * w)), p.nsize // 2
        total = F.Pooling(rows, kernel=(p.nsize, 1), pad=(half, 0), stride=(1, 1), pool_type="sum")
        return x * F.power(reshape(total, x.shape) * (p.alpha / p.nsize) + p.knorm, -p.beta)


@op("InstanceNorm")
class InstanceNorm(Composed):
    """Each channel of each sample brought to mean beta and deviation gamma.

    data (N, C, ...), gamma, beta (C,) -> output (same).   Ulyanov et al. 2016.
    """

    inputs, dtype, per_example = ("data", "gamma", "beta"), same(FLOATS), always
    eps: float = Param(1e-3)

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) < 3:
            raise ArgumentError(f"data is {data}, expected (batch, channels, ...) of at least 3 dimensions")
        return [data, data[1:2], data[1:2]], [data]

    def compose(p, x, gamma, beta):
        around = (1, x.shape[1], *(1,) * (x.ndim - 2))
        return _normal(x, tuple(range(2, x.ndim)), p.eps) * reshape(gamma, around) + reshape(beta, around)


def _normal(x, axes, eps):
    centred = x - F.mean(x, axis=axes, keepdims=True)
    return centred * F.rsqrt(F.mean(F.square(centred), axis=axes, keepdims=True) + eps)


@op("GroupNorm")
class GroupNorm(Composed):
    """Each group of channels of each sample brought to mean beta and deviation gamma.

    data (N, C, ...), gamma, beta (num_groups,) -> output (same) [, mean, std (N, num_groups) where output_mean_var].
    Wu and He 2018.
    """

    inputs, dtype = ("data", "gamma", "beta"), same(FLOATS)
    num_groups: int = Param(1, ge=1)
    eps: float = Param(1e-5)
    output_mean_var: bool = Param(False)

    def visible(p):
        return ("output", "mean", "std") if p.output_mean_var else ("output",)

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) < 3 or data[1] % p.num_groups:
            raise ArgumentError(
                f"data is {data}, expected (batch, channels, ...) with channels in multiples of "
                f"num_groups={p.num_groups}"
            )
        groups = (p.num_groups,)
        return [data, groups, groups], [data, *[(data[0], p.num_groups)] * (len(outs) - 1)]

    def compose(p, x, gamma, beta):
        n, g = x.shape[0], p.num_groups
        rows = reshape(x, (n, g, math.prod(x.shape[1:]) // g))
        mean = F.mean(rows, axis=2, keepdims=True)
        variance = F.mean(F.square(rows - mean), axis=2, keepdims=True)
        y = (rows - mean) * F.rsqrt(variance + p.eps) * reshape(gamma, (1, g, 1)) + reshape(beta, (1, g, 1))
        y = reshape(y, x.shape)
        return (y, reshape(mean, (n, g)), reshape(F.sqrt(variance + p.eps), (n, g))) if p.output_mean_var else y


@op("_contrib_box_iou")
class BoxIoU(Composed):
    """The share that boxes have in common of what they cover together.

    lhs (a..., 4), rhs (b..., 4): left, top, right, bottom, or centre x, y, width, height -> output (a..., b...).
    """

    inputs, dtype = ("lhs", "rhs"), same(FLOATS)
    format: str = Param("corner", choices=("center", "corner"))

    def shape(p, ins, outs):
        for name, s in zip(BoxIoU.inputs, ins):
            if s is not None and (len(s) < 2 or s[-1] not in (4, -1)):
                raise ArgumentError(f"{name} is {s}, expected (..., 4)")
        if ins[0] is None or ins[1] is None:
            return ins, outs
        return ins, [ins[0][:-1] + ins[1][:-1]]

    def compose(p, a, b):
        n, m = math.prod(a.shape[:-1]), math.prod(b.shape[:-1])
        left, right = _corners(p, reshape(a, (n, 1, 4))), _corners(p, reshape(b, (1, m, 4)))
        sides = [F.maximum(F.minimum(left[i + 2], right[i + 2]) - F.maximum(left[i], right[i]), 0) for i in range(2)]
        common = sides[0] * sides[1]
        covered = _area(left) + _area(right) - common
        iou = F.where3(F.greater(common, 0), common / F.where3(F.greater(covered, 0), covered, 1), 0)
        return reshape(iou, a.shape[:-1] + b.shape[:-1])

    grad = None


def _corners(p, boxes):
    parts = [F.slice_axis(boxes, axis=2, begin=i, end=i + 1) for i in range(4)]
    parts = [reshape(x, x.shape[:2]) for x in parts]
    if p.format == "corner":
        return parts
    x, y, w, h = parts
    return [x - w * 0.5, y - h * 0.5, x + w * 0.5, y + h * 0.5]


def _area(c):
    return (c[2] - c[0]) * (c[3] - c[1])


@op("_image_to_tensor")
class ToTensor(Composed):
    """Pixels from 0 to 255 as numbers from 0 to 1, channels first.   data (H, W, C) or (N, H, W, C) -> output
    float32."""

    grad = None

    def shape(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) not in (3, 4):
            raise ArgumentError(f"data is {data}, expected (height, width, channels), or a batch of them")
        return ins, [(*data[:-3], data[-1], *data[-3:-1])]

    def dtype(p, ins, outs):
        same(NUMBERS)(p, ins, [])
        return ins, ["float32"]

    def compose(p, x):
        return F.transpose(cast(x, "float32"), axes=(0, 3, 1, 2) if x.ndim == 4 else (2, 0, 1)) * (1 / 255)


@op("_image_normalize")
class Normalize(Composed):
    """(x - mean) / std, channel by channel.   data (C, H, W) or (N, C, H, W) -> output (same)."""

    dtype = same(FLOATS)
    mean: Numbers = Param((0.0, 0.0, 0.0, 0.0))
    std: Numbers = Param((1.0, 1.0, 1.0, 1.0))

    def shape(p, ins, outs):
        if ins[0] is not None and len(ins[0]) not in (3, 4):
            raise ArgumentError(f"data is {ins[0]}, expected (channels, height, width), or a batch of them")
        for name, values in (("mean", p.mean), ("std", p.std)):
            if ins[0] is not None and 1 < len(values) < ins[0][-3]:
                raise ArgumentError(f"{name} is {values}, expected 1 or {ins[0][-3]} numbers for data {ins[0]}")
        return all_same(p, ins, outs)

    def compose(p, x):
        c = x.shape[-3]

        def channels(values):
            values = values * c if len(values) == 1 else values[:c]
            parts = [F._full(shape=(1,), value=v, dtype=x.dtype) for v in values]
            return reshape(F.concat(*parts, num_args=c, dim=0), (c, 1, 1))

        return (x - channels(p.mean)) / channels(p.std)
