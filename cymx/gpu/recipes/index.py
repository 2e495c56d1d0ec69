"""take, take_grad, pick, pick_grad, one_hot, gather_nd, scatter_nd, gather_nd_grad.

A GPU cannot stop at an index that is out of range: mode 'raise' is refused, and the *_nd rows read zeros there and
write nothing.  Gradients add in the order of the indices, so they are the same at every run.  Called through
recipe.find.
"""

import struct
from collections.abc import Sequence
from math import prod
from typing import Any

from ...base import ITEM_BYTES, MXNetError
from ..codegen import c_name
from ..recipe import Device, Fill, In, Kernel, Launch, Out, Scratch, Tensor, Work, ceil_div, recipe
from .copy import THREADS, Move, c_type, element_bits, index_type, spread

MODE_RAISE = 2
RANK_SORT = 4096  # up to so many indices, comparing all of them with each other is the fastest way to sort them
SORT_TILE, DIGIT_BITS = 1024, 8
SUMS = {"float64": 8, "int64": 8}  # bytes of a sum; all others have 4


def _launch(header: str, kernel: str, grid: tuple[int, int, int], *args: Any, threads: int = THREADS) -> Launch:
    return Launch(Kernel(f'#include "{header}.cuh"\n', f"cymx::{kernel}"), grid, (threads, 1, 1), args)


def _axis(row: str, table: Tensor, n_indices: int, params: Any) -> tuple[int, int, int, int]:
    """Return (outer, length, inner, mode) of a table around its indexed axis.  Raises MXNetError for what cannot be."""
    axis, mode = params[:2]
    if mode == MODE_RAISE:
        raise MXNetError(f"{row}: mode 'raise' needs the CPU, a GPU cannot stop at an index; use 'clip' or 'wrap'")
    if table.shape[axis] == 0 and n_indices:
        raise MXNetError(f"{row}: {n_indices} indices point into an axis of length 0")
    return prod(table.shape[:axis]), table.shape[axis], prod(table.shape[axis + 1 :]), mode


def _vector(inner: int, dtype: str, most: int = 16) -> int:
    """Return how many elements of a run are moved at a time."""
    return next(v for v in (16, 8, 4, 2, 1) if v * ITEM_BYTES[dtype] <= 16 and v <= most and inner % v == 0)


def _move(*dims: tuple[int, int, int]) -> bytes:
    return Move([d for d in dims if d[0] != 1]).packed()


@recipe("take")
def take(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Take runs of a table at indices along an axis."""
    (x, indices), n = ins, prod(ins[1].shape)
    outer, length, inner, mode = _axis(row, x, n, params)
    if outer * n * inner == 0:
        return Work()
    vector = _vector(inner, x.dtype)
    n_packs = outer * n * inner // vector
    move = _move((outer, length * inner, 0), (n, 0, 1), (inner // vector, vector, 0))
    kernel = f"take<{c_type(x.dtype)}, {vector}, {c_name(indices.dtype)}, {index_type(n_packs)}>"
    args = (In(0), In(1), Out(0), move, length, inner, mode, n_packs)
    return Work((_launch("index", kernel, spread(n_packs, device), *args),))


@recipe("pick")
def pick(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Pick one element of each run along an axis."""
    x, index = ins
    outer, length, inner, mode = _axis(row, x, prod(index.shape), params)
    if outer * inner == 0:
        return Work()
    n = outer * inner
    move = _move((outer, length * inner, 0), (inner, 1, 0))
    kernel = f"pick<{c_type(x.dtype)}, {c_name(index.dtype)}, {index_type(n)}>"
    return Work((_launch("index", kernel, spread(n, device), In(0), In(1), Out(0), move, length, inner, mode, n),))


@recipe("pick_grad")
def pick_grad(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Put elements where they were picked, and zeros elsewhere."""
    (_, index), (dx,) = ins, outs
    outer, length, inner, mode = _axis(row, dx, prod(index.shape), params)
    n = outer * length * inner
    if n == 0:
        return Work()
    move = _move((outer, inner, 0), (length, 0, 1), (inner, 1, 0))
    kernel = f"pick_grad<{c_type(dx.dtype)}, {c_name(index.dtype)}, {index_type(n)}>"
    return Work((_launch("index", kernel, spread(n, device), In(0), In(1), Out(0), move, length, mode, n),))


@recipe("one_hot")
def one_hot(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Write `on` at each index of a row and `off` elsewhere."""
    (indices,), (y,), n = ins, outs, prod(outs[0].shape)
    if n == 0:
        return Work()
    move = _move((n // y.shape[-1], 1, 0), (y.shape[-1], 0, 1))
    values = (element_bits(v, y.dtype) for v in params[:2])
    kernel = f"one_hot<{c_type(y.dtype)}, {c_name(indices.dtype)}, {index_type(n)}>"
    return Work((_launch("index", kernel, spread(n, device), In(0), Out(0), move, *values, n),))


def _runs(table: Tensor, indices: Tensor) -> tuple[int, int, int, bytes]:
    """Return (how many runs the indices name, runs of the table, elements of a run, struct Coordinates)."""
    m = indices.shape[0] if indices.shape else 0
    if not 0 < m <= len(table.shape):
        raise MXNetError(f"indices of {m} coordinates do not fit an array of {len(table.shape)} dimensions")
    lengths = table.shape[:m]
    packed = struct.pack("=9q", m, *lengths, *(0,) * (8 - m))
    return prod(indices.shape[1:]), prod(lengths), prod(table.shape[m:]), packed


@recipe("gather_nd")
def gather_nd(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Take the runs that columns of indices name."""
    x, indices = ins
    n, _, inner, coordinates = _runs(x, indices)
    if n * inner == 0:
        return Work()
    vector = _vector(inner, x.dtype)
    n_packs = n * inner // vector
    move = _move((n, 0, 1), (inner // vector, vector, 0))
    kernel = f"gather_nd<{c_type(x.dtype)}, {vector}, {c_name(indices.dtype)}, {index_type(n_packs)}>"
    args = (In(0), In(1), Out(0), move, coordinates, n, inner, n_packs)
    return Work((_launch("index", kernel, spread(n_packs, device), *args),))


@recipe("scatter_nd")
def scatter_nd(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Put runs where columns of indices say, the last one where they repeat, and zeros elsewhere."""
    (x, indices), (y,) = ins, outs
    n, n_runs, inner, coordinates = _runs(y, indices)
    clear = Fill(Out(0), prod(y.shape) * ITEM_BYTES[y.dtype])
    if n * n_runs * inner == 0:
        return Work((clear,) if clear.n_bytes else ())
    vector = _vector(inner, x.dtype)
    n_packs = n * inner // vector
    move = _move((n, 0, 1), (inner // vector, vector, 0))
    kernel = f"scatter_nd<{c_type(x.dtype)}, {vector}, {c_name(indices.dtype)}, {index_type(n_packs)}>"
    args = (In(0), In(1), Scratch(), Out(0), move, coordinates, n, inner, n_packs)
    last = _launch("index", f"find_last<{c_name(indices.dtype)}>", spread(n, device), In(1), Scratch(), coordinates, n)
    put = _launch("index", kernel, spread(n_packs, device), *args)
    return Work((clear, Fill(Scratch(), 4 * n_runs), last, put), 4 * n_runs)


# ---- gradients -------------------------------------------------------------------------------------------------------


@recipe("take_grad")
def take_grad(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Add runs to where they were taken from."""
    (_, indices), (dx,), n = ins, outs, prod(ins[1].shape)
    outer, length, inner, mode = _axis(row, dx, n, params)
    find = _launch(
        "scatter_add", f"find_rows<{c_name(indices.dtype)}>", spread(n, device), In(1), Scratch(), length, mode, n
    )
    return _add_rows(row, find, dx, (outer, length, inner), n)


@recipe("gather_nd_grad")
def gather_nd_grad(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Add runs to where columns of indices say."""
    (_, indices), (dx,) = ins, outs
    n, length, inner, coordinates = _runs(dx, indices)
    kernel = f"find_runs<{c_name(indices.dtype)}>"
    find = _launch("scatter_add", kernel, spread(n, device), In(1), Scratch(), coordinates, length, n)
    return _add_rows(row, find, dx, (1, length, inner), n)


def _add_rows(row: str, find: Launch, dx: Tensor, around: tuple[int, int, int], n: int) -> Work:
    """Return the work that adds dy (outer, n, inner) to the rows of dx (outer, length, inner) which `find` finds.

    Scratch: rows, rows sorted, their positions, the same again for sorting, counts of digits, heads and tails.
    """
    outer, length, inner = around
    clear = Fill(Out(0), prod(dx.shape) * ITEM_BYTES[dx.dtype])
    if n * outer * length * inner == 0:
        return Work((clear,) if clear.n_bytes else ())
    if n >= 2**31 or length >= 2**32 - 1:
        raise MXNetError(f"{row}: {n} indices into {length} rows are beyond 2**31 and 2**32")
    offsets, total = [], 0
    vector = _vector(inner, dx.dtype, 4)
    tile = min(256, max(8, 1 << max(0, n.bit_length() // 2 - 1)))
    n_tiles, columns = ceil_div(n, tile), outer * inner
    partial = n_tiles * columns * SUMS.get(dx.dtype, 4)
    for n_bytes in (4 * n, 4 * n, 4 * n, 4 * n, 4 * n, 1024 * ceil_div(n, SORT_TILE), partial, partial):
        offsets.append(Scratch(total))
        total += ceil_div(n_bytes, 256) * 256
    rows, *first, counts, heads, tails = offsets
    sorts, (keys, positions) = _sorts(n, length, rows, (first[0], first[1]), (first[2], first[3]), counts)
    threads = min(THREADS, 32 * ceil_div(columns, 32 * vector))
    grid = (n_tiles, ceil_div(columns, threads * vector), 1)
    sizes = (n, tile, length, outer, inner)

    def launch(kernel: str, *args: Any) -> Launch:
        return _launch(
            "scatter_add", f"{kernel}<{c_name(dx.dtype)}, {vector}>", grid, *args, heads, tails, *sizes, threads=threads
        )

    add, join = launch("add_tiles", In(0), keys, positions, Out(0)), launch("join_tiles", keys, Out(0))
    return Work((clear, find, *sorts, add, *([join] if n_tiles > 1 else [])), total)


Pair = tuple[Scratch, Scratch]


def _sorts(n: int, length: int, rows: Scratch, a: Pair, b: Pair, counts: Scratch) -> tuple[list[Launch], Pair]:
    """Return the launches that sort rows up to `length` by (row, position), and where rows and positions end up."""
    if n <= RANK_SORT:
        return [_launch("scatter_add", "sort_by_rank", (ceil_div(n, THREADS), 1, 1), rows, *a, n)], a
    launches = []
    blocks = ceil_div(n, SORT_TILE)
    source: tuple[Any, Any] = (rows, 0)
    for shift in range(0, length.bit_length(), DIGIT_BITS):
        target = b if source == a else a
        launches += [
            _launch("scatter_add", "count_digits", (blocks, 1, 1), source[0], counts, shift, n),
            _launch("scatter_add", "sum_before", (1, 1, 1), counts, blocks << DIGIT_BITS),
            _launch("scatter_add", "move_digits", (blocks, 1, 1), *source, counts, *target, shift, n),
        ]
        source = target
    return launches, source
