"""reduce_sum, reduce_prod, reduce_max, reduce_min, argmax, argmin.

A reduction is a fused group of one input and no arithmetic: it is generated like any other.  Called through
recipe.find.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

from ...base import MXNetError
from ..codegen import STORE_KINDS, Program, c_name, map_reduce_work, row_major
from ..recipe import Device, In, Kernel, Launch, Out, Scratch, Tensor, Work, ceil_div, recipe

THREADS = 256


@recipe("reduce_sum", "reduce_prod", "reduce_max", "reduce_min")
def reduce(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Reduce the axes of a mask."""
    (x,), (y,) = ins, outs
    kind = STORE_KINDS.index(row.removeprefix("reduce_"))
    strides = (row_major(x.shape),)
    return map_reduce_work(Program(x.shape, strides, (x.dtype,), (y.dtype,), (), (), (0,), (kind,), params[0]), device)


@recipe("argmax", "argmin")
def arg(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Find the first index of the largest or smallest along an axis, or of all (-1)."""
    (x,), (y,) = ins, outs
    axis = params[0]
    n = prod(x.shape) if axis < 0 else x.shape[axis]
    inner = 1 if axis < 0 else prod(x.shape[axis + 1 :])
    n_cells = prod(y.shape)
    if n_cells == 0:
        return Work()
    if n == 0:
        raise MXNetError("the largest or smallest of no elements has no index: the axis has length 0")
    if inner == 1:
        lanes = next(t for t in (1, 2, 4, 8, 16, 32, THREADS) if t == THREADS or n <= 4 * t or (t == 32 and n <= 1024))
    else:
        lanes = THREADS // next(c for c in (1, 2, 4, 8, 16, 32) if c >= inner or c == 32)
    cells = THREADS // lanes
    blocks = ceil_div(n_cells, cells)
    pieces = max(1, min(ceil_div(8 * device.n_sm, blocks), n // (16 * lanes), 65535))
    types = f"cymx::reducer::{row.removeprefix('arg')}, {c_name(x.dtype)}, {c_name(y.dtype)}"

    def launch(kernel: str, grid: tuple[int, int, int], *args: Any) -> Launch:
        return Launch(Kernel('#include "arg.cuh"\n', f"cymx::{kernel}<{types}>"), grid, (THREADS, 1, 1), args)

    if pieces == 1:
        return Work((launch("arg_reduce", (blocks, 1, 1), In(0), Out(0), 0, 0, n_cells, n, inner, cells),))
    values, indices = Scratch(8 * pieces * n_cells), Scratch()
    return Work(
        (
            launch("arg_reduce", (blocks, pieces, 1), In(0), Out(0), values, indices, n_cells, n, inner, cells),
            launch("arg_pieces", (n_cells, 1, 1), values, indices, Out(0), n_cells, pieces),
        ),
        16 * pieces * n_cells,
    )
