"""matmul: tiles of the product, and of parts of its depth where there are too few tiles.  Kernels: kernels/matmul.cuh.

`product` yields a product of any operands for other recipes, `in_parts` one whose parts they add themselves.  Products
with epilogues are cuBLASLt's alone.
"""

import struct
from dataclasses import dataclass
from typing import Any

from ..recipe import Device, In, Launch, Out, Scratch, Work, ceil_div, recipe
from .calls import EPILOGUE_DTYPES, EPILOGUES, by_cublaslt, with_epilogue
from .common import CPP, WIDE, count, kernel, numbers, one_dtype, refuse, rounded, spread, wide_bytes

DEPTH = 16  # gemm.cuh's gemm_depth
# (tile's side, side of what one thread makes), largest first; sums of 8 bytes have no room for the first.
TILES = ((128, 8), (64, 4), (32, 4))
NUMBERS = tuple(name for name in CPP if name != "bool")


@dataclass(frozen=True)
class Tiling:
    """How a batch of products of (m, k) and (k, n) is cut.   part: depths of one of the n_parts sums."""

    tile: int
    each: int
    n_blocks: int
    n_parts: int
    part: int

    @property
    def threads(self) -> int:
        """Return the threads of a block."""
        return (self.tile // self.each) ** 2


def tiling(batch: int, m: int, n: int, k: int, dtype: str, device: Device) -> Tiling:
    """Return the largest tiles that keep the device busy, with the depth cut where even small ones are too few."""

    def blocks(tile: int) -> int:
        return batch * ceil_div(m, tile) * ceil_div(n, tile)

    fitting = [t for t in TILES[wide_bytes(dtype) == 8 :] if min(m, n) > t[0] // 2] or [TILES[-1]]
    tile, each = next((t for t in fitting if blocks(t[0]) >= 2 * device.n_sm), fitting[-1])
    if min(m, n) > 32 and k >= 1024 and blocks(64) * (k // 256) >= 2 * device.n_sm and tile == 32:
        tile, each = TILES[1]
    wanted = ceil_div(2 * device.n_sm, max(1, blocks(tile)))
    part = max(256, ceil_div(ceil_div(k, wanted), DEPTH) * DEPTH)
    n_parts = max(1, ceil_div(k, part))
    return Tiling(tile, each, blocks(tile) * n_parts, n_parts, part if n_parts > 1 else max(k, 1))


def product(
    operands: tuple[Any, Any, Any],
    sizes: tuple[int, int, int, int, int, int],
    transposes: tuple[bool, bool],
    dtype: str,
    device: Device,
    scratch: int = 0,
) -> Work:
    """Return the launches of c = a b.

    operands: the addresses of a, b and c.   sizes: matrices of c, of a, of b (each 1 or as c's), m, n, k.   scratch:
    where the product's own starts.
    """
    n_sums = sizes[0] * sizes[3] * sizes[4]
    if n_sums == 0:
        return Work()
    parts = Scratch(scratch)
    launch, n_parts = in_parts(operands, parts, sizes, transposes, dtype, device)
    plain = Work((launch,))
    if n_parts > 1:
        join = sum_parts(parts, operands[2], n_sums, n_parts, dtype, device)
        plain = Work((launch, join), rounded(n_parts * n_sums * wide_bytes(dtype)))
    return by_cublaslt(plain, operands, sizes, transposes, dtype, device)


def in_parts(
    operands: tuple[Any, Any, Any],
    parts: Any,
    sizes: tuple[int, int, int, int, int, int],
    transposes: tuple[bool, bool],
    dtype: str,
    device: Device,
) -> tuple[Launch, int]:
    """Return the launch of a product of some elements, and the number of parts that it makes.

    parts: where these go instead of to c if there are several, one array of sums after the other; else as `product`.
    """
    batch, a_batch, b_batch, m, n, k = sizes
    cut = tiling(batch, m, n, k, dtype, device)
    refuse(cut.n_blocks >= 2**31, f"matmul: {batch} products of {m} x {n} take more blocks than one launch has")
    steps = (m * k if a_batch > 1 else 0, k * n if b_batch > 1 else 0)
    shape = struct.pack("=8q", batch, m, n, k, *steps, cut.n_parts, cut.part)
    made, target = (CPP[dtype], operands[2]) if cut.n_parts == 1 else (WIDE[dtype], parts)
    kern = kernel("matmul.cuh", "matmul", CPP[dtype], made, cut.tile, cut.each, *map(bool, transposes))
    args = (*operands[:2], target, shape)
    return Launch(kern, (cut.n_blocks, 1, 1), (cut.threads, 1, 1), args), cut.n_parts


def sum_parts(
    parts: Scratch, to: Any, n: int, n_parts: int, dtype: str, device: Device, finish: tuple[Any, ...] = (0, 0, 0, 1, 1)
) -> Launch:
    """Return the launch that adds n_parts arrays of n sums.

    finish: bias, residual, relu, and what an index is divided by and taken modulo for its channel.
    """
    k = kernel("gemm.cuh", "sum_parts", CPP[dtype])
    return spread(k, n, device, parts, to, n, n_parts, *finish)


@recipe("matmul")
def matmul(row, ins, outs, params, device):
    """Return the launches of a batch of matrix products."""
    sizes, transposes, dtype = _sizes(row, ins, outs[0], params, NUMBERS)
    return product((In(0), In(1), Out(0)), sizes, transposes, dtype, device)


@recipe(*(f"matmul_{name}" for name in EPILOGUES))
def matmul_epilogue(row, ins, outs, params, device):
    """Return cuBLASLt's product of two matrices with an epilogue.  It has been asked whether it has that one."""
    epilogue = row.removeprefix("matmul_")
    sizes, transposes, dtype = _sizes(row, ins[:2], outs[0], params, EPILOGUE_DTYPES)
    vectors = [In(2)] if "bias" in epilogue else [Out(1)] if "sums" in epilogue else []
    masks = [In(2)] if epilogue.startswith("masked") else [Out(1)] if "mask" in epilogue else []
    return with_epilogue(epilogue, (In(0), In(1), Out(0), *vectors, *masks), sizes, transposes, dtype, device)


def _sizes(row, ins, c, params, allowed):
    """Return (sizes, transposes, dtype) as `product` takes them; raises MXNetError where operands do not fit."""
    transpose_a, transpose_b = numbers(params, "qq")
    a, b = ins
    dtype = one_dtype(row, (a, b, c), allowed)
    refuse(min(len(t.shape) for t in (a, b, c)) < 2, f"{row}: wants two matrices, or batches of them")
    (m, n), k = c.shape[-2:], a.shape[-2 if transpose_a else -1]
    batch, a_batch, b_batch = (count(t.shape[:-2]) for t in (c, a, b))
    refuse(
        a.shape[-1 if transpose_a else -2] != m or b.shape[-2 if transpose_b else -1] != n
        or b.shape[-1 if transpose_b else -2] != k or a_batch not in (1, batch) or b_batch not in (1, batch),
        f"{row}: a {a.shape}, b {b.shape} and c {c.shape} do not fit each other",
    )  # fmt: skip
    return (batch, a_batch, b_batch, m, n, k), (transpose_a, transpose_b), dtype
