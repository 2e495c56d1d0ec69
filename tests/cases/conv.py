"""Rows of convolution, deconvolution and pooling, against sums written out."""

from itertools import product

import numpy as np

from ._row import Row


def _all(values, n, default):
    return tuple(values) or (default,) * n


def convolve(x, w, b=None, kernel=(), stride=(), dilate=(), pad=(), num_group=1, **_):
    """Return the cross-correlation of x (N, C, ...) with w (O, C / num_group, ...), tap by tap."""
    n = len(kernel)
    stride, dilate, pad = _all(stride, n, 1), _all(dilate, n, 1), _all(pad, n, 0)
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    sizes = [(size - d * (k - 1) - 1) // s + 1 for size, k, s, d in zip(x.shape[2:], kernel, stride, dilate)]
    y = np.zeros((x.shape[0], w.shape[0], *sizes))
    o, c = w.shape[0] // num_group, w.shape[1]
    for g in range(num_group):
        for tap in product(*map(range, kernel)):
            window = tuple(slice(t * d, t * d + s * (m - 1) + 1, s) for t, d, s, m in zip(tap, dilate, stride, sizes))
            part = x[(slice(None), slice(g * c, (g + 1) * c), *window)]
            taps = w[(slice(g * o, (g + 1) * o), slice(None), *tap)]
            y[:, g * o : (g + 1) * o] += np.einsum("nc...,oc->no...", part, taps)
    return y if b is None else y + b.reshape(-1, *(1,) * n)


def deconvolve(
    x, w, b=None, kernel=(), stride=(), dilate=(), pad=(), adj=(), target_shape=(), num_filter=0, num_group=1, **_
):
    """Return the transposed convolution of x (N, C, ...) with w (C, num_filter / num_group, ...), tap by tap."""
    n = len(kernel)
    stride, dilate, pad, adj = _all(stride, n, 1), _all(dilate, n, 1), _all(pad, n, 0), _all(adj, n, 0)
    full = [s * (m - 1) + d * (k - 1) + 1 for m, k, s, d in zip(x.shape[2:], kernel, stride, dilate)]
    if target_shape:
        pad = [(f - t + 1) // 2 for f, t in zip(full, target_shape)]
        adj = [(f - t) % 2 for f, t in zip(full, target_shape)]
    y = np.zeros((x.shape[0], num_filter, *(f + a for f, a in zip(full, adj))))
    o, c = num_filter // num_group, w.shape[0] // num_group
    for g in range(num_group):
        for tap in product(*map(range, kernel)):
            sizes = x.shape[2:]
            window = tuple(slice(t * d, t * d + s * (m - 1) + 1, s) for t, d, s, m in zip(tap, dilate, stride, sizes))
            taps = w[(slice(g * c, (g + 1) * c), slice(None), *tap)]
            part = np.einsum("nc...,co->no...", x[:, g * c : (g + 1) * c], taps)
            y[(slice(None), slice(g * o, (g + 1) * o), *window)] += part
    y = y[(slice(None), slice(None), *(slice(p, size - p) for p, size in zip(pad, y.shape[2:])))]
    return y if b is None else y + b.reshape(-1, *(1,) * n)


def pool(
    x, kernel=(), pool_type="max", global_pool=False, pooling_convention="valid", stride=(), pad=(), p_value=None,
    count_include_pad=True, layout=None,
):  # fmt: skip
    """Return the pooling of x (N, C, ...), window by window."""
    if layout and layout[-1] == "C":
        return np.moveaxis(
            pool(np.moveaxis(x, -1, 1), kernel, pool_type, global_pool, pooling_convention, stride, pad, p_value), 1, -1
        )
    n = x.ndim - 2
    if global_pool:
        kernel, stride, pad = x.shape[2:], (), ()
    stride, pad = _all(stride, n, 1), _all(pad, n, 0)
    rounded = np.floor if pooling_convention == "valid" else np.ceil
    sizes = [int(rounded((m + 2 * p - k) / s)) + 1 for m, k, s, p in zip(x.shape[2:], kernel, stride, pad)]
    y = np.zeros((*x.shape[:2], *sizes))
    for at in product(*map(range, sizes)):
        starts = [i * s - p for i, s, p in zip(at, stride, pad)]
        inside = tuple(slice(max(b, 0), b + k) for b, k in zip(starts, kernel))
        window = x[(slice(None), slice(None), *inside)].reshape(*x.shape[:2], -1)
        # The mean counts the margin that was asked for, but not what 'full' adds beyond it.
        counted = np.prod([min(b + k, m + p) - b for b, k, m, p in zip(starts, kernel, x.shape[2:], pad)])
        if pool_type == "max":
            value = window.max(-1)
        elif pool_type == "lp":
            value = (np.abs(window) ** p_value).sum(-1) ** (1 / p_value)
        else:
            value = window.sum(-1) / (1 if pool_type == "sum" else counted if count_include_pad else window.shape[-1])
        y[(slice(None), slice(None), *at)] = value
    return y


def _conv(data, weight, **params):
    bias = [] if params.get("no_bias") else [(params["num_filter"],)]
    return Row("Convolution", [data, weight, *bias], params, convolve)


def _deconv(data, weight, **params):
    bias = [] if params.get("no_bias", True) else [(params["num_filter"],)]
    return Row("Deconvolution", [data, weight, *bias], params, deconvolve)


def _pool(data, **params):
    # Powers stay away from 0, where their derivative jumps.
    return Row("Pooling", [data], params, pool, low=0.5 if params.get("pool_type") == "lp" else -2.0)


KINDS = ({"pool_type": "max"}, {"pool_type": "avg"}, {"pool_type": "sum"}, {"pool_type": "lp", "p_value": 2})

ROWS = [
    _conv((2, 3, 5), (4, 3, 3), kernel=(3,), num_filter=4),
    _conv((2, 3, 7), (4, 3, 3), kernel=(3,), num_filter=4, stride=(2,), pad=(1,), dilate=(2,)),
    _conv((2, 3, 5, 4), (4, 3, 3, 2), kernel=(3, 2), num_filter=4),
    _conv((2, 3, 5, 4), (4, 3, 3, 2), kernel=(3, 2), num_filter=4, no_bias=True, pad=(1, 0), stride=(2, 1)),
    _conv((2, 3, 5, 5), (4, 3, 1, 1), kernel=(1, 1), num_filter=4, stride=(2, 2)),
    _conv((2, 4, 5, 4), (6, 2, 3, 2), kernel=(3, 2), num_filter=6, num_group=2),
    _conv((2, 4, 6, 5), (4, 1, 3, 3), kernel=(3, 3), num_filter=4, num_group=4, pad=(1, 1), no_bias=True),
    _conv((1, 2, 7, 7), (3, 2, 3, 3), kernel=(3, 3), num_filter=3, dilate=(2, 2), pad=(2, 1), stride=(2, 3)),
    _conv((1, 2, 4, 3, 4), (3, 2, 2, 2, 3), kernel=(2, 2, 3), num_filter=3, pad=(0, 1, 1)),
    _conv((1, 2, 4, 4, 4), (4, 1, 2, 2, 2), kernel=(2, 2, 2), num_filter=4, num_group=2, stride=(2, 2, 2)),
    _deconv((2, 3, 5), (3, 4, 3), kernel=(3,), num_filter=4),
    _deconv((2, 3, 4), (3, 4, 3), kernel=(3,), num_filter=4, stride=(2,), pad=(1,), adj=(1,)),
    _deconv((1, 3, 3, 4), (3, 2, 3, 2), kernel=(3, 2), num_filter=2, no_bias=False, stride=(2, 3), pad=(1, 0)),
    _deconv((1, 4, 3, 3), (4, 1, 3, 3), kernel=(3, 3), num_filter=2, num_group=2, stride=(2, 2), adj=(1, 1)),
    _deconv((1, 3, 3, 3), (3, 2, 3, 3), kernel=(3, 3), num_filter=2, stride=(2, 2), target_shape=(5, 6)),
    _deconv((1, 3, 3, 3), (3, 2, 3, 3), kernel=(3, 3), num_filter=2, dilate=(2, 2), pad=(1, 1)),
    _deconv((1, 2, 2, 3, 2), (2, 2, 2, 2, 3), kernel=(2, 2, 3), num_filter=2, stride=(2, 1, 2)),
    *(_pool((2, 3, 7), kernel=(2,), stride=(2,), pooling_convention="full", **kind) for kind in KINDS),
    *(_pool((2, 3, 7), kernel=(3,), pad=(1,), **kind) for kind in KINDS),
    *(_pool((1, 2, 5, 6), kernel=(3, 2), stride=(2, 1), **kind) for kind in KINDS),
    *(_pool((1, 2, 5, 6), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pooling_convention="full", **k) for k in KINDS),
    *(_pool((1, 2, 4, 5, 4), kernel=(2, 2, 2), stride=(2, 2, 2), pad=(1, 0, 1), **kind) for kind in KINDS),
    *(_pool((1, 2, 5, 6), global_pool=True, **kind) for kind in KINDS),
    _pool((1, 2, 5, 6), kernel=(3, 3), stride=(2, 2), pad=(1, 1), count_include_pad=False, pool_type="avg"),
    _pool((1, 2, 5, 6), kernel=(2, 2), pool_type="lp", p_value=3),
    _pool((1, 5, 6, 2), kernel=(2, 2), layout="NHWC"),
    Row("Pooling", [(1, 2, 7)], {"kernel": (3,), "stride": (2,), "pooling_convention": "same"},
        lambda x, **_: np.stack([x[..., max(i - 1, 0) : i + 2].max(-1) for i in range(0, 7, 2)], -1)),
]  # fmt: skip
