"""What recipes share: C++ names of dtypes, sizes, grids, and parameter blocks by field.

Called by: the recipes of this folder.
"""

import math
import struct
from collections.abc import Sequence
from typing import Any

from ...base import MXNetError
from ..recipe import Device, Kernel, Launch, Tensor, ceil_div

CPP = {
    "float32": "float", "float64": "double", "float16": "cymx::float16", "bfloat16": "cymx::bfloat16",
    "uint8": "cymx::u8", "int8": "cymx::i8", "int32": "cymx::i32", "int64": "cymx::i64", "bool": "bool",
}  # fmt: skip
ITEM_BYTES = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "uint8": 1, "int8": 1, "int32": 4, "int64": 8, "bool": 1,
}  # fmt: skip
# What elements are summed in, as include/cymx/wide.h says.
WIDE = {
    "float32": "float", "float64": "double", "float16": "float", "bfloat16": "float",
    "uint8": "cymx::u32", "int8": "cymx::u32", "int32": "cymx::u32", "int64": "cymx::u64",
}  # fmt: skip
FLOATING = ("float32", "float64", "float16", "bfloat16")

# Elements of a row that one thread keeps: (warps of the row, most elements a thread of 4 bytes or fewer, of 8 bytes).
HELD = ((1, 32, 16), (8, 32, 16), (32, 16, 8))
LONG_WARPS, COLUMN_ROWS = 16, (1, 8, 32)


def wide_bytes(dtype: str) -> int:
    """Return the bytes of the type in which elements of `dtype` are summed."""
    return 8 if dtype in ("float64", "int64") else 4


def count(shape: Sequence[int]) -> int:
    """Return the number of elements of a shape."""
    return math.prod(shape)


def channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that an image or filter of a shape with channels last has with channels first."""
    return (shape[0], shape[-1], *shape[1:-1])


def index_type(n: int) -> str:
    """Return the C++ type in which numbers below n are divided: 32 bits where they do, several times as fast."""
    return "cymx::u32" if n < 2**32 else "cymx::i64"


def kernel(header: str, name: str, *arguments: Any) -> Kernel:
    """Return template `name` of a kernel header, with template arguments as C++ or as Python numbers."""
    texts = [str(a).lower() if isinstance(a, bool) else str(a) for a in arguments]
    return Kernel(f'#include "{header}"\n', f"cymx::{name}" + (f"<{', '.join(texts)}>" if texts else ""))


def spread(k: Kernel, n_threads: int, device: Device, *args: Any, block: int = 256) -> Launch:
    """Return a launch of a grid-stride loop over n_threads pieces of work: enough blocks to fill the device."""
    n_blocks = max(1, min(ceil_div(n_threads, block), device.n_sm * (2048 // block) * 4))
    return Launch(k, (n_blocks, 1, 1), (block, 1, 1), args)


def along_axis(
    row: str,
    name: str,
    words: Sequence[Any],
    x: Tensor,
    axis: int,
    args: Sequence[Any],
    device: Device,
    held: Sequence[tuple[int, int, int]] = HELD,
) -> tuple[Launch, ...]:
    """Return the launch of a kernel that works along one axis of x, each row by itself; nothing where x is empty.

    It is {name}_rows in registers, {name}_long_rows, or {name}_columns where the axis is not the last, all of them in
    {name}.cuh.   words: first template arguments.   args: first arguments; the lengths before, of and after follow.
    held: rows in registers, as HELD says.
    """
    refuse(not 0 <= axis < len(x.shape), f"{row}: axis is {axis}, expected 0 to {len(x.shape) - 1}")
    before, n, after = count(x.shape[:axis]), x.shape[axis], count(x.shape[axis + 1 :])
    if before * n * after == 0:
        return ()

    def launch(kind: str, last: Sequence[int], n_blocks: int, many: int, block: tuple[int, int, int]) -> Launch:
        k = kernel(f"{name}.cuh", f"{name}_{kind}", *words, *last)
        lengths = (before, n, after) if kind == "columns" else (before, n)
        return Launch(k, (min(n_blocks, device.n_sm * many), 1, 1), block, (*args, *lengths))

    if after > 1:
        rows = next((r for r in COLUMN_ROWS if n <= 16 * r), COLUMN_ROWS[-1])
        return (launch("columns", (rows,), before * ceil_div(after, 32), 64, (32, rows, 1)),)
    vector = 16 // ITEM_BYTES[x.dtype]
    for warps, *most in held:
        if n <= warps * 32 * most[x.dtype == "float64"]:
            chunks = 1
            while chunks * warps * 32 * vector < n:
                chunks *= 2
            rows = 4 if warps == 1 else 1
            return (launch("rows", (chunks, warps), ceil_div(before, rows), 64, (warps * 32, rows, 1)),)
    return (launch("long_rows", (LONG_WARPS,), before, 16, (LONG_WARPS * 32, 1, 1)),)


def numbers(params: Any, form: str) -> tuple[Any, ...]:
    """Return a parameter block's fields: form has q for each whole number and d for each double (`3q` repeats)."""
    if isinstance(params, bytes):
        return struct.unpack("=" + form, params)
    wanted = struct.calcsize("=" + form) // 8
    if len(params) != wanted:
        raise MXNetError(f"a kernel's parameters have {len(params)} numbers, expected {wanted}")
    return struct.unpack("=" + form, struct.pack("=" + form, *params))


def refuse(condition: bool, text: str) -> None:
    """Raise MXNetError with `text` where the condition holds."""
    if condition:
        raise MXNetError(text)


def one_dtype(row: str, tensors: Sequence[Tensor], allowed: Sequence[str]) -> str:
    """Return the dtype that all tensors share; raises MXNetError where they differ or it is not allowed."""
    dtype = tensors[0].dtype
    refuse(
        any(t.dtype != dtype for t in tensors) or dtype not in allowed,
        f"{row}: the dtypes are {', '.join(t.dtype for t in tensors)}, expected one of {', '.join(allowed)} for all",
    )
    return dtype


def rounded(n_bytes: int) -> int:
    """Return n_bytes rounded up to where the next part of a scratch may start."""
    return ceil_div(n_bytes, 256) * 256
