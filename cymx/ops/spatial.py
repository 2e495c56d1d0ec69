"""Sampling images at places that a network may compute: grids, bilinear sampling, spatial transformers.

Jaderberg et al. 2015.  A grid (N, 2, h, w) holds x, then y, from -1 (the first pixel) to 1 (the last).
"""

from ..base import ArgumentError
from ._build import F, reshape
from ._build import broadcast_to as spread
from ._def import Composed, op
from ._params import Param, Shape
from ._shapes import FLOATS, same


def _axis(n, dtype):
    """Return n numbers from -1 to 1."""
    return F.arange(start=0.0, stop=n - 0.5, dtype=dtype) * (2 / max(n - 1, 1)) - 1


def _affine_grid(theta, h, w):
    """Return the grid of theta (N, 6), the rows of an affine map of target to source coordinates."""
    n, dtype = theta.shape[0], theta.dtype
    x = spread(reshape(_axis(w, dtype), (1, w)), (h, w))
    y = spread(reshape(_axis(h, dtype), (h, 1)), (h, w))
    places = F.stack(*(reshape(v, (h * w,)) for v in (x, y, F.ones_like(x))), num_args=3, axis=0)
    made = F.matmul(reshape(theta, (n * 2, 3)), places)
    return reshape(made, (n, 2, h, w))


def _sampled(data, grid):
    """Return data (N, C, H, W) between its pixels at the grid's places, 0 outside."""
    (n, _, height, width), (h, w) = data.shape, grid.shape[2:]
    pixels = F.transpose(data, axes=(0, 2, 3, 1))
    x, y = (
        (reshape(F.slice_axis(grid, axis=1, begin=i, end=i + 1), (n, h, w)) + 1) * ((size - 1) / 2)
        for i, size in ((0, width), (1, height))
    )
    x0, y0 = F.floor(x), F.floor(y)
    batch = spread(reshape(F.arange(start=0.0, stop=n - 0.5, dtype=grid.dtype), (n, 1, 1)), (n, h, w))
    total = None
    for column, share_x in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
        for row, share_y in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
            inside = _within(column, width) * _within(row, height)
            at = F.stack(batch, row * inside, column * inside, num_args=3, axis=0)
            part = F.gather_nd(pixels, at) * reshape(share_x * share_y * inside, (n, h, w, 1))
            total = part if total is None else total + part
    return F.transpose(total, axes=(0, 3, 1, 2))


def _within(v, n):
    return F.greater_equal(v, 0) * F.lesser_equal(v, n - 1)


@op("GridGenerator")
class GridGenerator(Composed):
    """The grid of an affine map of the target's coordinates, or of a flow in pixels.

    affine: data (N, 6), h and w from target_shape; warp: data (N, 2, h, w) -> output (N, 2, h, w).
    """

    dtype = same(FLOATS)
    transform_type: str = Param(choices=("affine", "warp"))
    target_shape: Shape = Param((0, 0))

    def shape(p, ins, outs):
        data = ins[0]
        if p.transform_type == "affine":
            if len(p.target_shape) != 2 or min(p.target_shape) < 1:
                raise ArgumentError(f"target_shape is {p.target_shape}, expected a height and a width")
            n = -1 if data is None else data[0]
            return [(n, 6)], [(n, 2, *p.target_shape)]
        if data is not None and (len(data) != 4 or data[1] != 2):
            raise ArgumentError(f"data is {data}, expected (batch, 2, height, width)")
        return ins, [data]

    def compose(p, data):
        if p.transform_type == "affine":
            return _affine_grid(data, *p.target_shape)
        h, w = data.shape[2:]
        x = spread(reshape(_axis(w, data.dtype), (1, 1, w)), (1, h, w))
        y = spread(reshape(_axis(h, data.dtype), (1, h, 1)), (1, h, w))
        scale = F.concat(*(spread(F._full(shape=(1, 1, 1), value=2 / max(n - 1, 1), dtype=data.dtype), (1, h, w))
                           for n in (w, h)), num_args=2, dim=0)  # fmt: skip
        return data * scale + F.concat(x, y, num_args=2, dim=0)


@op("BilinearSampler")
class BilinearSampler(Composed):
    """data at the grid's places, linearly between pixels, 0 outside.

    data (N, C, H, W), grid (N, 2, h, w) -> output (N, C, h, w).
    """

    inputs, dtype = ("data", "grid"), same(FLOATS)
    cudnn_off: bool | None = Param(None)

    def shape(p, ins, outs):
        data, grid = ins
        for name, s in zip(BilinearSampler.inputs, ins):
            if s is not None and len(s) != 4:
                raise ArgumentError(f"{name} is {s}, expected 4 dimensions")
        if data is None or grid is None:
            return ins, outs
        return [data, (data[0], 2, *grid[2:])], [(*data[:2], *grid[2:])]

    def compose(p, data, grid):
        return _sampled(data, grid)


@op("SpatialTransformer")
class SpatialTransformer(Composed):
    """data under an affine map that loc holds: BilinearSampler at GridGenerator's grid.

    data (N, C, H, W), loc (N, 6) -> output (N, C, *target_shape).
    """

    inputs, dtype = ("data", "loc"), same(FLOATS)
    target_shape: Shape = Param((0, 0))
    transform_type: str = Param(choices=("affine",))
    sampler_type: str = Param(choices=("bilinear",))
    cudnn_off: bool | None = Param(None)

    def shape(p, ins, outs):
        data = ins[0]
        if len(p.target_shape) != 2 or min(p.target_shape) < 1:
            raise ArgumentError(f"target_shape is {p.target_shape}, expected a height and a width")
        if data is None:
            return ins, outs
        if len(data) != 4:
            raise ArgumentError(f"data is {data}, expected (batch, channels, height, width)")
        return [data, (data[0], 6)], [(*data[:2], *p.target_shape)]

    def compose(p, data, loc):
        return _sampled(data, _affine_grid(loc, *p.target_shape))
