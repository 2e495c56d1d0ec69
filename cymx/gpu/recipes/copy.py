"""copy, transpose, concat, slice, slice_scatter, pad: what moves elements, by their size alone.

All but pad are moves: sizes with a stride on either side, of which neighbours are joined where both run on.  They
become one launch: a run, strided runs of up to 16 bytes, or tiles where input and output run along different axes.
Called through recipe.find.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ...base import ITEM_BYTES, NUMPY_DTYPES, MXNetError
from ..codegen import row_major
from ..recipe import Device, Fill, In, Kernel, Launch, Out, Scratch, Tensor, Work, ceil_div, recipe

THREADS, UNROLL = 256, 4
TILE_MIN = 8  # shorter sides leave most of a tile empty
MODES = ("constant", "edge", "reflect")
MODE_CONSTANT = 0

Address = In | Out | Scratch


@dataclass
class Move:
    """Where elements go: (size, stride in the input, stride in the output) of each dimension, outer ones first."""

    dims: list[tuple[int, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, dims: Iterable[tuple[int, int, int]]) -> "Move":
        """Return a move with neighbouring dimensions joined where both sides run on."""
        move = cls()
        for size, a, b in dims:
            if size == 1:
                continue
            if move.dims and move.dims[-1][1] == a * size and move.dims[-1][2] == b * size:
                move.dims[-1] = (move.dims[-1][0] * size, a, b)
            else:
                move.dims.append((size, a, b))
        return move

    @property
    def count(self) -> int:
        """The number of elements."""
        return prod(size for size, _, _ in self.dims)

    def packed(self) -> bytes:
        """Return struct Move of kernels/copy.cuh."""
        dims = [*self.dims, *[(0, 0, 0)] * (8 - len(self.dims))]
        strides = (n for column in zip(*dims) for n in column)
        magic = (n for column in zip(*(divisor(size) for size, _, _ in dims)) for n in column)
        return struct.pack("=24q16Iq", *strides, *magic, len(self.dims))


def divisor(size: int) -> tuple[int, int]:
    """Return (multiplier, shift): x // size is ((x * multiplier >> 32) + x) >> shift for x below 2**31."""
    if not 0 < size < 2**31:
        return 0, 0
    shift = (size - 1).bit_length()
    return ((2**shift - size) << 32) // size + 1, shift


def spread(n: int, device: Device) -> tuple[int, int, int]:
    """Return a grid for n threads' work, each of which takes some."""
    return (max(1, min(ceil_div(n, THREADS * UNROLL), 128 * device.n_sm)), 1, 1)


def index_type(n: int) -> str:
    """Return the type that counts to n."""
    return "cymx::u32" if n < 2**31 else "cymx::u64"


def c_type(dtype: str) -> str:
    """Return the unsigned integer of a dtype's size."""
    return f"cymx::u{8 * ITEM_BYTES[dtype]}"


def launch(kernel: str, grid: tuple[int, int, int], *args: Any) -> Launch:
    """Return a launch of a kernel of copy.cuh."""
    return Launch(Kernel('#include "copy.cuh"\n', f"cymx::{kernel}"), grid, (THREADS, 1, 1), args)


def move_launches(
    move: Move, dtype: str, x: Address, y: Address, starts: tuple[int, int], device: Device
) -> tuple[Launch, ...]:
    """Return the launch that moves elements from x and y on; starts: how many elements those are into their arrays."""
    n, size, t = move.count, ITEM_BYTES[dtype], c_type(dtype)
    if n == 0:
        return ()
    if not move.dims or (len(move.dims) == 1 and move.dims[0][1:] == (1, 1)):
        return (launch(f"copy_run<{t}>", spread(ceil_div(n * size, 16), device), x, y, n),)
    inner = move.dims[-1]
    along = next((d for d, (_, a, _) in enumerate(move.dims[:-1]) if a == 1), None)
    if along is not None and inner[2] == 1 and min(inner[0], move.dims[along][0]) >= TILE_MIN:
        return (_tiles(move, along, size, t, x, y),)
    vector = 1
    if inner[1:] == (1, 1):
        numbers = (inner[0], *starts, *(s for _, a, b in move.dims[:-1] for s in (a, b)))
        vector = next(v for v in (16, 8, 4, 2, 1) if v * size <= 16 and not any(s % v for s in numbers))
    runs = Move([*move.dims[:-1], (inner[0] // vector, inner[1] * vector, inner[2] * vector)])
    kernel = f"move_runs<{t}, {vector}, {index_type(n)}>"
    return (launch(kernel, spread(runs.count, device), x, y, runs.packed(), runs.count),)


def _tiles(move: Move, along: int, size: int, t: str, x: Address, y: Address) -> Launch:
    """Return the launch for a move whose input runs along one dimension and whose output along the last."""
    vector = min(16 // size, 8)
    (n_i, from_i, _), (n_j, _, to_j) = move.dims[-1], move.dims[along]
    outer = Move([d for k, d in enumerate(move.dims[:-1]) if k != along])
    whole = not any(s % vector for s in (from_i, to_j, *(s for _, a, b in outer.dims for s in (a, b))))
    blocks = outer.count * ceil_div(n_i, 16 * vector) * ceil_div(n_j, 16 * vector)
    args = (x, y, outer.packed(), n_i, n_j, from_i, to_j, int(whole))
    return launch(f"transpose_tiles<{t}, {vector}>", (blocks, 1, 1), *args)


@recipe("copy")
def copy(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Copy all elements."""
    return Work(move_launches(Move.of([(prod(ins[0].shape), 1, 1)]), ins[0].dtype, In(0), Out(0), (0, 0), device))


@recipe("transpose")
def transpose(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Reorder axes: output axis i is input axis params[i]."""
    x = ins[0]
    return Work(reorder(x.shape, params[: len(x.shape)], x.dtype, In(0), Out(0), device))


def reorder(
    shape: Sequence[int], axes: Sequence[int], dtype: str, x: Address, y: Address, device: Device
) -> tuple[Launch, ...]:
    """Return the launch that reorders the axes of an array of a shape: axis i of y is axis axes[i] of x."""
    strides = row_major(shape)
    move = Move.of(zip((shape[a] for a in axes), (strides[a] for a in axes), row_major([shape[a] for a in axes])))
    return move_launches(move, dtype, x, y, (0, 0), device)


@recipe("concat")
def concat(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Put arrays one after the other along an axis."""
    (y,), axis = outs, params[0]
    outer, inner, length = prod(y.shape[:axis]), prod(y.shape[axis + 1 :]), y.shape[axis]
    launches: list[Launch] = []
    at = 0
    for k, x in enumerate(ins):
        run = x.shape[axis] * inner
        move = Move.of([(outer, run, length * inner), (run, 1, 1)])
        launches += move_launches(move, y.dtype, In(k), Out(0, at * ITEM_BYTES[y.dtype]), (0, at), device)
        at += run
    return Work(tuple(launches))


@recipe("slice", "slice_scatter")
def slice_(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Take elements begin + i * step of every axis, or put elements there and zeros elsewhere."""
    (x,), (y,) = ins, outs
    scatter = row == "slice_scatter"
    part, whole = (x, y) if scatter else (y, x)
    begin, step, strides = params[:8], params[8:16], row_major(whole.shape)
    start = sum(b * s for b, s in zip(begin, strides))
    dims = zip(part.shape, (s * t for s, t in zip(strides, step)), row_major(part.shape))
    move = Move.of((n, b, a) if scatter else (n, a, b) for n, a, b in dims)
    size = ITEM_BYTES[x.dtype]
    if not scatter:
        return Work(move_launches(move, x.dtype, In(0, start * size), Out(0), (start, 0), device) if move.count else ())
    clear = () if move.count == prod(y.shape) else (Fill(Out(0), prod(y.shape) * size),)
    if not move.count:
        return Work(clear)
    return Work((*clear, *move_launches(move, x.dtype, In(0), Out(0, start * size), (0, start), device)))


@recipe("pad")
def pad(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Add elements around: a constant, the edge, or a reflection."""
    (x,), (y,) = ins, outs
    mode, low, value = params[0], params[1:9], params[9]
    n, ndim = prod(y.shape), len(y.shape)
    if n == 0:
        return Work()
    if mode != MODE_CONSTANT and 0 in x.shape:
        raise MXNetError(f"pad: an axis of shape {x.shape} has nothing that mode {MODES[mode]!r} could repeat")
    move = Move(list(zip(y.shape, row_major(x.shape), (0,) * ndim)))
    sides = struct.pack("=16q", *low, *x.shape, *(0,) * (8 - ndim))
    kernel = f"pad<{c_type(x.dtype)}, {index_type(n)}>"
    args = (In(0), Out(0), move.packed(), sides, mode, element_bits(value, x.dtype), n)
    return Work((launch(kernel, spread(n, device), *args),))


def element_bits(value: float, dtype: str) -> int:
    """Return the bits of a number as an element; 16-bit floats are rounded from float32, as on the CPU."""
    with np.errstate(all="ignore"):
        number = np.float32(value) if dtype in ("float16", "bfloat16") else np.float64(value)
        return int.from_bytes(number.astype(NUMPY_DTYPES[dtype]).tobytes(), "little")
