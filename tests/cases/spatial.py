"""Rows of grids and of sampling at them."""

import numpy as np

from ._row import Row


def _affine(theta, target_shape, **_):
    h, w = target_shape
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    places = np.stack([x.ravel(), y.ravel(), np.ones(h * w)])
    return (theta.reshape(-1, 2, 3) @ places).reshape(-1, 2, h, w)


def _warp(flow, **_):
    h, w = flow.shape[2:]
    y, x = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
    return (flow + np.stack([x, y])) * np.array([2 / (w - 1), 2 / (h - 1)])[:, None, None] - 1


def sample(data, grid, **_):
    """Look every place up by itself."""
    n, c, height, width = data.shape
    y = np.zeros((n, c, *grid.shape[2:]))
    for i, a, b in np.ndindex(n, *grid.shape[2:]):
        gx, gy = (grid[i, 0, a, b] + 1) * (width - 1) / 2, (grid[i, 1, a, b] + 1) * (height - 1) / 2
        for row in (int(np.floor(gy)), int(np.floor(gy)) + 1):
            for column in (int(np.floor(gx)), int(np.floor(gx)) + 1):
                if 0 <= row < height and 0 <= column < width:
                    y[i, :, a, b] += data[i, :, row, column] * (1 - abs(gx - column)) * (1 - abs(gy - row))
    return y


def _transform(data, loc, target_shape, **_):
    return sample(data, _affine(loc, target_shape))


WIDE = ("float32", "float64")
LOC = np.array([[0.73, 0.21, 0.117, -0.31, 0.87, -0.25], [1.13, -0.19, 0.053, 0.41, 0.61, 0.337]])
ROWS = [
    Row("GridGenerator", [(2, 6)], {"transform_type": "affine", "target_shape": (3, 4)}, _affine),
    Row("GridGenerator", [(2, 2, 3, 4)], {"transform_type": "warp"}, _warp),
    Row("BilinearSampler", [(2, 3, 4, 5), (2, 2, 3, 2)], {}, sample, dtypes=WIDE, low=-1.2, high=1.2, tol=4e-5),
    Row("SpatialTransformer", [(2, 2, 4, 5), LOC],
        {"transform_type": "affine", "sampler_type": "bilinear", "target_shape": (3, 4)}, _transform,
        dtypes=WIDE, tol=4e-5),
]  # fmt: skip
