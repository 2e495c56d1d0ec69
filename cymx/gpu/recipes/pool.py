"""pool_fwd, pool_bwd: one thread an output, or a pixel's gradient.  Kernels: kernels/pool.cuh."""

import struct

from ..recipe import In, Out, Work, recipe
from .common import CPP, FLOATING, count, index_type, kernel, numbers, one_dtype, refuse, spread

MAX, AVG, SUM, LP = range(4)  # params.h's pool_kind


def pool_shape(row, params, x, y):
    """Return (the window's kind, the kernels' PoolShape) for an image and its pooled one."""
    n, kind, *lists, count_pad, p, channels_last = numbers(params, "17q")
    kernel_, stride, pad = (lists[i : i + n] for i in (0, 3, 6))
    refuse(
        not 1 <= n <= 3 or len(x.shape) != n + 2 or len(y.shape) != n + 2 or (kind == LP and not 1 <= p <= 3),
        f"{row}: {n} spatial dimensions and power {p} do not fit images {x.shape} and {y.shape}",
    )
    at = slice(1, -1) if channels_last else slice(2, None)
    images, channels = (x.shape[0], x.shape[-1]) if channels_last else (count(x.shape[:2]), 1)
    sizes = [(1,) * (3 - n) + tuple(v) for v in (x.shape[at], y.shape[at], kernel_, stride)] + [[0] * (3 - n) + pad]
    fields = (images, channels, *(v for size in sizes for v in size), p, int(count_pad != 0))
    refuse(max(count(size) for size in sizes[:2]) >= 2**31, f"{row}: an image of {x.shape} has more than 2**31 pixels")
    return kind, struct.pack("=2q17i4x", *fields)


@recipe("pool_fwd")
def pool_fwd(row, ins, outs, params, device):
    """Return the launch that pools."""
    dtype = one_dtype(row, (ins[0], outs[0]), FLOATING)
    kind, shape = pool_shape(row, params, ins[0], outs[0])
    n = count(outs[0].shape)
    k = kernel("pool.cuh", "pool_forward", CPP[dtype], kind, index_type(n))
    return Work((spread(k, n, device, In(0), Out(0), shape),) if n else ())


@recipe("pool_bwd")
def pool_bwd(row, ins, outs, params, device):
    """Return the launch that gathers each pixel's gradient from the windows that hold it."""
    dtype = one_dtype(row, (*ins, outs[0]), FLOATING)
    kind, shape = pool_shape(row, params, ins[1], ins[2])
    n = count(outs[0].shape)
    k = kernel("pool.cuh", "pool_backward", CPP[dtype], kind, index_type(n))
    return Work((spread(k, n, device, In(0), In(1), In(2), Out(0), shape),) if n else ())
