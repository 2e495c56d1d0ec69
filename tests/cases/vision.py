"""Rows of the operators over images, boxes and groups of channels."""

import numpy as np

from ._row import FLOATS, NUMBERS, Row


def _nearest(*data, scale, multi_input_mode="concat", **_):
    h = data[0].shape[2] * scale
    large = [x.repeat(h // x.shape[2], 2).repeat(data[0].shape[3] * scale // x.shape[3], 3) for x in data]
    return np.concatenate(large, 1) if multi_input_mode == "concat" else sum(large)


def _bilinear(x, w, scale, **_):
    side, pad = 2 * scale - scale % 2, int(np.ceil((scale - 1) / 2))
    n, c, height, width = x.shape
    y = np.zeros((n, c, (height - 1) * scale + side, (width - 1) * scale + side))
    for i in range(height):
        for j in range(width):
            y[:, :, i * scale : i * scale + side, j * scale : j * scale + side] += (
                x[:, :, i, j, None, None] * w[None, :, 0]
            )
    return y[:, :, pad : pad + height * scale, pad : pad + width * scale]


def _crop(x, like=None, h_w=(0, 0), offset=(0, 0), center_crop=False, **_):
    h, w = h_w if like is None else like.shape[2:]
    a, b = ((x.shape[2] - h) // 2, (x.shape[3] - w) // 2) if center_crop else offset
    return x[:, :, a : a + h, b : b + w]


def _lines(size, n, align_corners):
    """Return the (n, size) weights of a resized axis."""
    at = np.arange(n) * ((size - 1) / max(n - 1, 1)) if align_corners else (np.arange(n) + 0.5) * size / n - 0.5
    at = np.clip(at, 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


def _resize(x, h, w, align_corners=True):
    return _lines(x.shape[2], h, align_corners) @ x @ _lines(x.shape[3], w, align_corners).T


def _adaptive(x, output_size=(1,)):
    h, w = np.broadcast_to(output_size, 2)
    rows, columns = (
        [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)] for n, m in ((x.shape[2], h), (x.shape[3], w))
    )
    return np.stack([np.stack([x[:, :, a:b, c:d].mean((2, 3)) for c, d in columns], -1) for a, b in rows], -2)


def _lrn(x, nsize, alpha=1e-4, beta=0.75, knorm=2.0):
    padded = np.pad(x**2, [(0, 0), (nsize // 2,) * 2, (0, 0), (0, 0)])
    total = sum(padded[:, i : i + x.shape[1]] for i in range(nsize))
    return x * (knorm + alpha / nsize * total) ** -beta


def _group_norm(x, gamma, beta, num_groups, eps=1e-5, output_mean_var=False):
    rows = x.reshape(len(x), num_groups, -1)
    mean, std = rows.mean(2), np.sqrt(rows.var(2) + eps)
    y = (rows - mean[..., None]) / std[..., None] * gamma[:, None] + beta[:, None]
    return (y.reshape(x.shape), mean, std) if output_mean_var else y.reshape(x.shape)


def _instance_norm(x, gamma, beta, eps=1e-3):
    axes = tuple(range(2, x.ndim))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return y * np.expand_dims(gamma, tuple(range(1, x.ndim - 1))) + np.expand_dims(beta, tuple(range(1, x.ndim - 1)))


def _iou(a, b, format="corner"):
    if format == "center":
        a, b = (np.concatenate([x[..., :2] - x[..., 2:] / 2, x[..., :2] + x[..., 2:] / 2], -1) for x in (a, b))
    a, b = a.reshape(*a.shape[:-1], *(1,) * (b.ndim - 1), 4), b
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    common = sides.prod(-1)
    return common / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - common)


NEAREST = {"scale": 2, "sample_type": "nearest"}
RESIZE = "_contrib_BilinearResize2D"
BOXES = np.array([[0.0, 0, 2, 2], [1, 1, 3, 4], [5, 5, 6, 6]])

# What MXNet 1.9.1 makes of arange(30)**1.5 as (1, 1, 5, 6), resized to (3, 4).
RESIZED = np.array(
    [
        [
            [
                [0, 2.2189512, 6.130768, 11.18034],
                [41.569218, 50.54619, 60.063168, 70.0928],
                [117.57551, 130.04968, 142.9181, 156.16978],
            ]
        ]
    ]
)
RESIZED_INSIDE = np.array([[[[5.384256, 8.781089, 13.31664, 18.679453], [42.894955, 51.00544, 59.57106, 68.569595],
                             [105.614555, 116.38285, 127.499344, 138.95369]]]])  # fmt: skip
POWERS = (np.arange(30) ** 1.5).reshape(1, 1, 5, 6)

ROWS = [
    Row("UpSampling", [(2, 2, 2, 3)], NEAREST, _nearest),
    Row("UpSampling", [(1, 2, 2, 3), (1, 1, 4, 6)], NEAREST, _nearest),
    Row("UpSampling", [(1, 2, 2, 3), (1, 2, 4, 3)], {**NEAREST, "multi_input_mode": "sum"}, _nearest),
    *(Row("UpSampling", [(2, 2, 2, 3), (2, 1, side, side)],
          {"scale": scale, "sample_type": "bilinear", "num_filter": 2, "num_args": 1}, _bilinear,
          dtypes=("float32", "float64"))
      for scale, side in ((2, 4), (3, 5))),
    Row("Crop", [(1, 2, 5, 6)], {"h_w": (2, 3), "offset": (1, 2)}, _crop, dtypes=NUMBERS),
    Row("Crop", [(1, 2, 5, 6)], {"h_w": (2, 3), "center_crop": True}, _crop),
    Row("Crop", [(1, 2, 5, 6), (2, 1, 3, 4)], {"offset": (2, 1)}, _crop, wrt=[0]),
    Row(RESIZE, [POWERS], {"height": 3, "width": 4}, expect=[RESIZED], dtypes=("float32",)),
    Row(RESIZE, [POWERS], {"height": 3, "width": 4, "align_corners": False}, expect=[RESIZED_INSIDE],
        dtypes=("float32",)),
    Row(RESIZE, [(2, 1, 3, 4)], {"height": 5, "width": 1}, lambda x, **_: _resize(x, 5, 1)),
    Row(RESIZE, [(2, 1, 3, 4)], {"height": 6, "width": 3, "align_corners": False},
        lambda x, **_: _resize(x, 6, 3, False)),
    Row(RESIZE, [(1, 1, 3, 4), (1, 2, 2, 5)], {"mode": "like"}, lambda x, y, **_: _resize(x, 2, 5), wrt=[0]),
    Row(RESIZE, [(1, 1, 3, 4)], {"mode": "odd_scale", "scale_height": 2.0, "scale_width": 0.5},
        lambda x, **_: _resize(x, 6, 2)),
    *(Row(RESIZE, [(1, 1, 3, 4)], {"mode": mode}, lambda x, h=h, w=w, **_: _resize(x, h, w))
      for mode, h, w in (("to_even_down", 2, 4), ("to_even_up", 4, 4), ("to_odd_down", 3, 3), ("to_odd_up", 3, 5))),
    *(Row("_contrib_AdaptiveAvgPooling2D", [(2, 2, 5, 7)], {"output_size": size}, _adaptive)
      for size in ((3,), (2, 4), (5, 7))),
    Row("_contrib_AdaptiveAvgPooling2D", [(2, 2, 5, 7)], {}, _adaptive),
    Row("LRN", [(2, 5, 2, 2)], {"nsize": 3, "alpha": 0.5}, _lrn, dtypes=("float32", "float64")),
    Row("LRN", [(1, 3, 2, 1)], {"nsize": 5, "alpha": 1.0, "beta": 0.5, "knorm": 1.0}, _lrn, dtypes=FLOATS),
    Row("InstanceNorm", [(2, 3, 4), (3,), (3,)], {"eps": 0.1}, _instance_norm, tol=4e-5),
    Row("InstanceNorm", [(2, 2, 3, 3), (2,), (2,)], {}, _instance_norm, dtypes=("float32", "float64"), tol=4e-5),
    Row("GroupNorm", [(2, 4, 3), (2,), (2,)], {"num_groups": 2}, _group_norm, dtypes=("float32", "float64"), tol=4e-5),
    Row("GroupNorm", [(2, 4, 2, 2), (4,), (4,)], {"num_groups": 4, "eps": 0.1, "output_mean_var": True}, _group_norm,
        dtypes=("float32", "float64"), tol=4e-5),
    Row("_contrib_box_iou", [BOXES, BOXES[:2] + 0.5], {}, _iou, dtypes=("float32", "float64")),
    Row("_contrib_box_iou", [np.stack([BOXES, BOXES * 2]) + 1, BOXES + 1.5], {"format": "center"}, _iou,
        dtypes=("float32",)),
    Row("_image_to_tensor", [np.arange(24).reshape(2, 3, 4)], {}, lambda x: x.transpose(2, 0, 1) / 255,
        dtypes=("uint8", "float32")),
    Row("_image_to_tensor", [np.arange(24).reshape(2, 2, 3, 2)], {}, lambda x: x.transpose(0, 3, 1, 2) / 255,
        dtypes=("uint8",)),
    Row("_image_normalize", [(3, 2, 2)], {"mean": (0.0, 1.0, 2.0), "std": (1.0, 2.0, 4.0)},
        lambda x, mean, std: (x - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))),
    Row("_image_normalize", [(2, 3, 2, 2)], {"mean": 0.5, "std": 0.25}, lambda x, mean, std: (x - mean) / std),
]  # fmt: skip
