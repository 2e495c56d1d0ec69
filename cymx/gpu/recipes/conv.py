"""conv_fwd, conv_bwd_data, conv_bwd_weight: products over windows, or direct sums where groups hold few channels.

Kernels: kernels/conv.cuh, kernels/conv_direct.cuh.
"""

import math
import struct
from dataclasses import replace
from typing import Any, NamedTuple

from ..recipe import In, Launch, Out, Scratch, Tensor, Work, recipe
from .calls import by_cudnn
from .common import (
    CPP,
    FLOATING,
    ITEM_BYTES,
    WIDE,
    channels_first,
    count,
    kernel,
    numbers,
    one_dtype,
    refuse,
    rounded,
    spread,
    wide_bytes,
)
from .copy import reorder
from .matmul import sum_parts, tiling

FEW_CHANNELS = 4  # of a group, up to which a product's tiles would stand almost empty


class Settings(NamedTuple):
    """A conv_params block, its arrays cut to the spatial dimensions in use."""

    stride: tuple[int, ...]
    dilate: tuple[int, ...]
    pad_lo: tuple[int, ...]
    pad_hi: tuple[int, ...]
    groups: int
    channels_last: bool
    filters_last: bool
    has_residual: bool
    relu: bool


class Geometry(NamedTuple):
    """A convolution's sizes; the spatial ones are three, of which unused ones lead.   c, o: channels of one group."""

    batch: int
    groups: int
    c: int
    o: int
    inside: tuple[int, ...]
    outside: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilate: tuple[int, ...]
    pad: tuple[int, ...]
    channels_last: bool

    @property
    def period(self) -> tuple[int, ...]:
        """Return the distance of the taps through which outputs read one pixel."""
        return tuple(s // math.gcd(s, d) for s, d in zip(self.stride, self.dilate))

    def block(self, n_parts: int = 1, part: int = 0) -> bytes:
        """Return conv.cuh's ConvShape."""
        fields = [self.batch, self.groups, self.c, self.o, n_parts, part]
        for channels, size in ((self.c, self.inside), (self.o, self.outside)):
            pixels, channels = count(size), channels * self.groups
            fields += [channels * pixels, *((1, channels) if self.channels_last else (pixels, 1))]
        arrays = (self.inside, self.outside, self.kernel, self.stride, self.dilate, self.pad, self.period)
        return struct.pack("=12q22i", *fields, *(v for array in arrays for v in array), 0)


def settings(params: Any) -> Settings:
    """Read a conv_params block."""
    n, *rest = numbers(params, "20q")
    refuse(not 1 <= n <= 3, f"a convolution has {n} spatial dimensions, expected 1 to 3")
    stride, dilate, pad_lo, pad_hi = (tuple(rest[i : i + n]) for i in (0, 3, 6, 9))
    groups, channels_last, has_residual, relu = rest[12], rest[13], rest[17], rest[18]
    flags = channels_last > 0, channels_last > 1, bool(has_residual), bool(relu)
    return Settings(stride, dilate, pad_lo, pad_hi, groups, *flags)


def geometry(row: str, s: Settings, x: Any, w: Any, y: Any) -> Geometry:
    """Return the sizes; raises MXNetError where image, weight and output do not fit each other."""
    n = len(s.stride)
    fits = all(len(t.shape) == n + 2 for t in (x, w, y)) and s.groups >= 1 and w.shape[0] % s.groups == 0
    if fits:
        at, channel = (slice(1, -1), -1) if s.channels_last else (slice(2, None), 1)
        sizes = x.shape[at], y.shape[at], w.shape[2:]
        room = [
            i + lo + hi - (k - 1) * d - 1
            for i, k, d, lo, hi in zip(sizes[0], sizes[2], s.dilate, s.pad_lo, s.pad_hi)
        ]  # fmt: skip
        fits = (
            x.shape[0] == y.shape[0] and x.shape[channel] == w.shape[1] * s.groups and y.shape[channel] == w.shape[0]
            and min(room) >= 0 and sizes[1] == tuple(r // d + 1 for r, d in zip(room, s.stride))
        )  # fmt: skip
    refuse(not fits, f"{row}: image {x.shape}, weight {w.shape} and output {y.shape} do not fit each other")

    def three(values: tuple[int, ...], fill: int) -> tuple[int, ...]:
        return (fill,) * (3 - n) + tuple(values)

    inside, outside, window = (three(size, 1) for size in sizes)
    strides, dilates, pads = three(s.stride, 1), three(s.dilate, 1), three(s.pad_lo, 0)
    channels = w.shape[1], w.shape[0] // s.groups
    g = Geometry(
        x.shape[0], s.groups, *channels, inside, outside, window, strides, dilates, pads, s.channels_last
    )  # fmt: skip
    limit = max(g.batch * count(g.inside), g.batch * count(g.outside), max(g.c, g.o) * count(g.kernel))
    refuse(limit >= 2**31, f"{row}: images of {x.shape} have more than 2**31 pixels")
    return g


def is_direct(g: Geometry) -> bool:
    """Return whether groups hold so few channels that each thread makes one output by itself."""
    few = g.groups > 1 and max(g.c, g.o) <= FEW_CHANNELS
    return few and g.batch * g.groups * max(g.c * count(g.inside), g.o * count(g.outside)) < 2**31


def _product(name, operands, g, sizes, dtype, device, phases=1, extra=(), finish=()):
    """Return the launches of a product whose kernel takes (operands, [extra,] geometry).

    sizes: of one group, (m, n, k).   extra: arguments before the geometry, nulls for a part.   finish: as sum_parts
    takes it.
    """
    *ins, to = operands
    cut = tiling(g.groups * phases, *sizes, dtype, device)
    whole = cut.n_parts == 1
    n = g.groups * g.batch * g.c * count(g.inside) if phases > 1 or name.endswith("data") else 0
    n = n or (g.groups * sizes[0] * sizes[1])
    target = to if whole else Scratch()
    k = kernel("conv.cuh", name, CPP[dtype], CPP[dtype] if whole else WIDE[dtype], cut.tile, cut.each)
    args = (*ins, target, *(extra if whole else (0,) * len(extra)), g.block(cut.n_parts, cut.part))
    grid = (cut.n_blocks // phases, phases, 1)
    refuse(grid[0] >= 2**31 or phases > 65535, f"{name}: takes more blocks than one launch has")
    made = (Launch(k, grid, (cut.threads, 1, 1), args),)
    if whole:
        return Work(made)
    made += (sum_parts(target, to, n, cut.n_parts, dtype, device, *([finish] if finish else [])),)
    return Work(made, rounded(cut.n_parts * n * wide_bytes(dtype)))


@recipe("conv_fwd", "conv_bwd_data", "conv_bwd_weight")
def conv(row, ins, outs, params, device):
    """Return the launches of a convolution or of one of its gradients."""
    s, dtype = settings(params), one_dtype(row, (*ins, outs[0]), FLOATING)
    work = (_on_turned_filters if s.filters_last else _plain)(row, ins, outs, s, dtype, device)
    return by_cudnn(work, row, ins, outs, s, dtype, device) if count(outs[0].shape) else Work()


def _plain(row, ins, outs, s, dtype, device):
    """Return the launches of the plain kernels, whose filters are (O, C/G, *K)."""
    make = {"conv_fwd": _forward, "conv_bwd_data": _backward_data, "conv_bwd_weight": _backward_weight}[row]
    return make(row, ins, outs, s, dtype, device)


def _on_turned_filters(row, ins, outs, s, dtype, device):
    """Return the same for filters (O, *K, C/G): they are turned in scratch, before or after."""
    gives_filter = row == "conv_bwd_weight"
    here = Out(0) if gives_filter else In(1)
    last = (outs[0] if gives_filter else ins[1]).shape
    refuse(len(last) != len(s.stride) + 2, f"{row}: the weight is {last}, expected {len(s.stride) + 2} dimensions")
    first = channels_first(last)
    turned = Tensor(first, dtype)
    plain = _plain(row, *((ins, [turned]) if gives_filter else ([ins[0], turned, *ins[2:]], outs)), s, dtype, device)
    there = Scratch(rounded(plain.scratch_bytes))
    moved = [replace(k, args=tuple(there if arg == here else arg for arg in k.args)) for k in plain.launches]
    if gives_filter:
        moved += reorder(first, (0, *range(2, len(first)), 1), dtype, there, here, device)
    else:
        moved = [*reorder(last, (0, len(last) - 1, *range(1, len(last) - 1)), dtype, here, there, device), *moved]
    return Work(tuple(moved), there.offset + count(first) * ITEM_BYTES[dtype])


def _forward(row, ins, outs, s, dtype, device):
    """Return the launches of a convolution, with its bias, residual and relu."""
    y = outs[0]
    has_bias = len(ins) == 3 + s.has_residual
    g = geometry(row, s, ins[0], ins[1], y)
    refuse(
        (has_bias and ins[2].shape != (g.groups * g.o,)) or (s.has_residual and count(ins[-1].shape) != count(y.shape)),
        f"{row}: bias or residual do not fit the output {y.shape}",
    )
    finish = (In(2) if has_bias else 0, In(len(ins) - 1) if s.has_residual else 0, int(s.relu))
    operands = (In(0), In(1), Out(0))
    if is_direct(g):
        k = kernel("conv_direct.cuh", "conv_direct_forward", CPP[dtype])
        return Work((spread(k, count(y.shape), device, *operands, *finish, g.block()),))
    sizes = (g.o, g.batch * count(g.outside), g.c * count(g.kernel))
    channel = (1 if g.channels_last else count(g.outside), g.groups * g.o)
    return _product("conv_forward", operands, g, sizes, dtype, device, extra=finish, finish=(*finish, *channel))


def _backward_data(row, ins, outs, s, dtype, device):
    """Return the launches of the image's gradient: for each phase of the strides, a product of its own."""
    g = geometry(row, s, outs[0], ins[1], ins[0])
    operands = (In(0), In(1), Out(0))
    if is_direct(g):
        k = kernel("conv_direct.cuh", "conv_direct_backward_data", CPP[dtype])
        return Work((spread(k, count(outs[0].shape), device, *operands, g.block()),))
    pixels = count(-(-i // s) for i, s in zip(g.inside, g.stride))
    taps = count(-(-k // p) for k, p in zip(g.kernel, g.period))
    sizes = (g.c, g.batch * pixels, g.o * taps)
    return _product("conv_backward_data", operands, g, sizes, dtype, device, count(g.stride))


def _backward_weight(row, ins, outs, s, dtype, device):
    """Return the launches of the weight's gradient, summed over images and positions in parts."""
    g = geometry(row, s, ins[1], outs[0], ins[0])
    n = count(outs[0].shape)
    operands = (In(0), In(1), Out(0))
    if is_direct(g):
        k = kernel("conv_direct.cuh", "conv_direct_backward_weight", CPP[dtype])
        grid = (min(n, device.n_sm * 32), 1, 1)
        return Work((Launch(k, grid, (256, 1, 1), (*operands, g.block())),))
    sizes = (g.o, g.c * count(g.kernel), g.batch * count(g.outside))
    return _product("conv_backward_weight", operands, g, sizes, dtype, device)
