"""What a recipe is: how one kernel row becomes launches on a GPU.  One function a row, found by the row's name.

A recipe sees the types of a step's operands and its parameter block, the same that the CPU's kernel gets, and returns
Work: launches in order, and the scratch that they share.  It knows no addresses, so a plan calls it once and the result
serves every run.  Refuses rows that nobody wrote: `find` names them.  Called by: gpu/plan.py, the compile tests.
"""

import struct
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..base import MXNetError


class Tensor(NamedTuple):
    """The type of an operand: a contiguous row-major array."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Device:
    """What recipes may know of a device.

    arch: compute capability as one number, 90 for 9.0.   n_sm: multiprocessors.   libraries: those of gpu/library.py
    that are here.   tf32: whether float32 products may be made in TF32, of 10 bits.
    """

    arch: int = 80
    n_sm: int = 108
    libraries: Container[str] = ()
    tf32: bool = False


@dataclass(frozen=True)
class Kernel:
    """A __global__ function: the text of its translation unit, and the name expression that picks it there.

    The text includes headers by bare name: those of include/cymx and gpu/kernels.   options: NVRTC's, beside ours.
    """

    source: str
    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class In:
    """The address of input `index`, `offset` bytes in."""

    index: int
    offset: int = 0


@dataclass(frozen=True)
class Out:
    """The address of output `index`, `offset` bytes in."""

    index: int
    offset: int = 0


@dataclass(frozen=True)
class Scratch:
    """An address `offset` bytes into the step's scratch, which is 64-byte aligned and holds anything at first."""

    offset: int = 0


@dataclass(frozen=True)
class RandomState:
    """The address of two u64: the Philox key, and this step's first counter."""


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel.

    grid, block: (x, y, z).   args: addresses (In, Out, Scratch, RandomState) or values: int is i64, float is double,
    bytes a struct by value (see `f32`).   shared: bytes of dynamic shared memory.
    """

    kernel: Kernel
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    args: tuple[Any, ...]
    shared: int = 0


@dataclass(frozen=True)
class Fill:
    """Set `n_bytes` bytes from an address (Out or Scratch) to one value."""

    target: Any
    n_bytes: int
    value: int = 0


@dataclass(frozen=True)
class Call:
    """A library's function: 'cublaslt' multiplies matrices, 'cudnn' convolves.

    args: the addresses of operands in the order of csrc/gpu/library.h; the workspace is seen to.   settings: the
    fields that it lists.   otherwise: what is done where the library has nothing for these settings, in the scratch of
    the work that this call stands in; None where the library was asked before the step was made.
    """

    library: str
    args: tuple[Any, ...]
    settings: tuple[Any, ...]
    otherwise: "Work | None"


@dataclass(frozen=True)
class Work:
    """What a step does: launches, fills and calls in order, and the bytes of scratch that they share."""

    launches: tuple[Any, ...] = ()
    scratch_bytes: int = 0


Recipe = Callable[[str, Sequence[Tensor], Sequence[Tensor], Any, Device], Work]
RECIPES: dict[str, Recipe] = {}


def recipe(*rows: str) -> Callable[[Recipe], Recipe]:
    """Register the decorated function for kernel rows: `fn(row, ins, outs, params, device) -> Work`.

    params: the row's numbers (ints and floats), or its packed block as bytes.
    """

    def register(fn: Recipe) -> Recipe:
        for row in rows:
            if row in RECIPES:
                raise MXNetError(f"the GPU has two recipes for kernel {row!r}")
            RECIPES[row] = fn
        return fn

    return register


def find(row: str) -> Recipe:
    """Return the recipe of a kernel row; raises MXNetError where there is none."""
    try:
        return RECIPES[row]
    except KeyError:
        raise MXNetError(f"kernel {row!r} has no GPU form") from None


def words(block: bytes) -> tuple[int, ...]:
    """Return a packed parameter block as 8-byte integers."""
    return struct.unpack(f"={len(block) // 8}q", block)


def f32(value: float) -> bytes:
    """Return a float argument of a kernel."""
    return struct.pack("=f", value)


def ceil_div(n: int, d: int) -> int:
    """Return n / d, rounded up."""
    return -(-n // d)


def as_bytes(value: Any) -> bytes:
    """Return a value argument as the kernel takes it: int as i64, float as double, bytes as they are."""
    if isinstance(value, bytes):
        return value
    return struct.pack("=d" if isinstance(value, float) else "=q", value)
