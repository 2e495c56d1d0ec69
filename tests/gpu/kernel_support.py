"""Run what a recipe yields on NumPy arrays, with no driver between: how the kernels' own tests call them.

Every operand lies between guard bytes, and every launch is made in three thread orders, whose results must be the same
bits.  With ON_DEVICE, which --device=real sets, launches go to device 0 instead.
"""

import importlib
import pkgutil
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from gpu import emulator, on_device

from cymx import _ops
from cymx.base import NUMPY_DTYPES, dtype_name
from cymx.gpu import compiler, recipe, recipes

GUARD = 256  # bytes before and after an operand
GUARD_BYTE, FRESH_BYTE = 0xA5, 0xCB
DEVICE = recipe.Device()
ON_DEVICE = False


def load_recipes() -> None:
    """Import every module of cymx/gpu/recipes."""
    for module in pkgutil.iter_modules(recipes.__path__):
        importlib.import_module(f"cymx.gpu.recipes.{module.name}")


class Operand:
    """Memory of an array between guards, 256-byte aligned as on a device, or `shift` bytes off as a view may be."""

    def __init__(self, n_bytes: int, content: bytes | None = None, shift: int = 0):
        self.n_bytes = n_bytes
        n = n_bytes + 4 * GUARD
        self._memory = on_device.memory(n) if ON_DEVICE else np.empty(n, np.uint8)
        self._memory[:] = GUARD_BYTE
        start = GUARD + -(self._memory.ctypes.data + GUARD) % GUARD + shift
        self.bytes = self._memory[start : start + n_bytes]
        self._guards = (self._memory[:start], self._memory[start + n_bytes :])
        self.bytes[:] = FRESH_BYTE if content is None else np.frombuffer(content, np.uint8)
        self.address = self.bytes.ctypes.data

    def intact(self) -> bool:
        """Return whether nothing was written before or after the array."""
        return all((guard == GUARD_BYTE).all() for guard in self._guards)


def run_row(
    row: str,
    inputs: Sequence[np.ndarray],
    outs: Sequence[tuple[Sequence[int], Any]],
    params: Any = (),
    *,
    seed: int = 0,
    counter: int = 0,
    device: recipe.Device = DEVICE,
    in_place: dict[int, int] | None = None,
    same_bits: bool = True,
    misaligned: bool = False,
) -> list[np.ndarray]:
    """Run a kernel row on the emulator; return its outputs.

    outs: (shape, dtype) of each.   params: what the recipe takes.   seed, counter: the random state.   in_place:
    outputs that share their input's memory, by index.   same_bits: whether three thread orders must agree to the bit
    (float atomics do not).   misaligned: operands lie one element off.  Raises AssertionError
    where they differ, where a write misses its array or reaches an input.
    """
    load_recipes()
    arrays = [np.ascontiguousarray(x) for x in inputs]
    ins = [recipe.Tensor(x.shape, dtype_name(x.dtype)) for x in arrays]
    types = [recipe.Tensor(tuple(shape), dtype_name(dtype)) for shape, dtype in outs]
    work = recipe.find(row)(row, ins, types, params, device)
    orders = emulator.ORDERS[:2] if ON_DEVICE else emulator.ORDERS  # a GPU has its own: only that it repeats itself
    results = [
        run_work(
            work,
            arrays,
            types,
            seed=seed,
            counter=counter,
            device=device,
            in_place=in_place,
            order=order,
            misaligned=misaligned,
        )
        for order in orders
    ]
    if same_bits:
        for order, result in zip(orders[1:], results[1:]):
            for i, (first, other) in enumerate(zip(results[0], result)):
                assert first.tobytes() == other.tobytes(), f"{row}: output {i} differs in {order} thread order"
    return results[0]


def compare_row(
    row: str,
    inputs: Sequence[np.ndarray],
    outs: Sequence[tuple[Sequence[int], Any]],
    params: Any = (),
    *,
    tolerance: float = 0,
    **settings: Any,
) -> list[np.ndarray]:
    """Run a kernel row on the emulator and by the CPU's own kernel; return what the emulator made.

    tolerance: of 1 + |x|; 0 wants equal bits.   settings: as run_row takes them.  Raises AssertionError.
    """
    made = run_row(row, inputs, outs, params, **settings)
    wanted = [np.zeros(x.shape, x.dtype) for x in made]
    numbers = {name: settings[name] for name in ("seed", "counter") if name in settings}
    _ops.launch(row, [np.ascontiguousarray(x) for x in inputs], wanted, params, **numbers)
    for i, (x, y) in enumerate(zip(made, wanted)):
        if tolerance:
            x, y = x.astype(np.float64), y.astype(np.float64)
            np.testing.assert_allclose(x, y, tolerance, tolerance, err_msg=f"{row}: output {i}")
        else:
            assert x.tobytes() == y.tobytes(), f"{row}: output {i} differs from the CPU's:\n{x}\n{y}"
    return made


def run_work(
    work: recipe.Work,
    inputs: Sequence[np.ndarray],
    outs: Sequence[recipe.Tensor],
    *,
    seed: int = 0,
    counter: int = 0,
    device: recipe.Device = DEVICE,
    in_place: dict[int, int] | None = None,
    order: str = "forward",
    misaligned: bool = False,
) -> list[np.ndarray]:
    """Run a recipe's work once, in one thread order; return the outputs."""
    shared = in_place or {}
    contents = [x.tobytes() for x in inputs]
    given = [Operand(len(c), c, misaligned * x.itemsize) for c, x in zip(contents, inputs)]
    dtypes = [NUMPY_DTYPES[t.dtype] for t in outs]
    made = [
        given[shared[i]]
        if i in shared
        else Operand(int(np.prod(t.shape, dtype=np.int64)) * dtype.itemsize, None, misaligned * dtype.itemsize)
        for i, (t, dtype) in enumerate(zip(outs, dtypes))
    ]
    scratch = Operand(work.scratch_bytes)
    state = Operand(16, struct.pack("=QQ", seed, counter))
    operands = [*given, *made, scratch, state]

    def address(arg: Any) -> int:
        if isinstance(arg, recipe.RandomState):
            return state.address
        owner = {recipe.In: given, recipe.Out: made}.get(type(arg))
        operand = owner[arg.index] if owner else scratch
        assert 0 <= arg.offset <= operand.n_bytes, f"{arg} lies outside its {operand.n_bytes} bytes"
        return operand.address + arg.offset

    for launch in work.launches:
        if isinstance(launch, recipe.Fill):
            start = address(launch.target)
            operand = next(o for o in operands if o.address <= start <= o.address + o.n_bytes)
            begin = start - operand.address
            assert begin + launch.n_bytes <= operand.n_bytes, f"{launch} reaches past its {operand.n_bytes} bytes"
            operand.bytes[begin : begin + launch.n_bytes] = launch.value
            continue
        args = [pack(arg, address) for arg in launch.args]
        if ON_DEVICE:
            on_device.run(launch, args)
        else:
            image = _image(launch.kernel, device.arch)
            emulator.launch(image, launch.grid, launch.block, launch.shared, args, order)
        for what, group in (("input", given), ("output", made), ("scratch", [scratch]), ("random state", [state])):
            for i, operand in enumerate(group):
                assert operand.intact(), f"{launch.kernel.name} writes outside {what} {i}"
    for i, (operand, content) in enumerate(zip(given, contents)):
        if i not in shared.values():
            assert operand.bytes.tobytes() == content, f"input {i} was written"
    return [o.bytes.view(dtype).reshape(t.shape).copy() for o, dtype, t in zip(made, dtypes, outs)]


def pack(arg: Any, address: Any) -> bytes:
    """Return the bytes of a kernel's argument."""
    if isinstance(arg, bytes):
        return arg
    if isinstance(arg, bool | int | np.integer):
        return struct.pack("=q", int(arg))
    if isinstance(arg, float):
        return struct.pack("=d", arg)
    return struct.pack("=Q", address(arg))


_kernels: dict[bytes, int] = {}


def _image(kernel: recipe.Kernel, arch: int) -> int:
    """Return a kernel, compiled for the emulator and loaded."""
    before = compiler.toolchain()
    compiler.use(TOOLCHAIN)
    try:
        image = compiler.build(kernel, arch)
    finally:
        compiler.use(before)
    if image.code not in _kernels:
        _kernels[image.code] = emulator.load(image.code, image.symbol)
    return _kernels[image.code]


TOOLCHAIN = emulator.Gpp()
