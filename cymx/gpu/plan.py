"""Make a plan run on a GPU: recipes turn its steps into launches, the compiler turns their kernels into functions.

It also decides which steps of a captured graph run side by side.  Called by: compiler/backend.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from math import prod
from typing import Any, NamedTuple

from .. import config
from ..base import ITEM_BYTES, MXNetError
from . import compiler, driver, library, recipes  # noqa: F401  (recipes register themselves)
from ._plan import Plan  # type: ignore[import-not-found]
from .nvrtc import Nvrtc
from .recipe import Call, Device, Kernel, Launch, Scratch, Tensor, Work, find
from .recipes.calls import likes_channels_last

# Streams of one capture: more branches than this share them.
N_LANES = 4
# As csrc/gpu/plan.cpp aligns a library's workspace.
WORKSPACE_ALIGNMENT = 256
# What a block may have without asking.
STATIC_SHARED_BYTES = 48 << 10

_functions: dict[tuple[int, Kernel], int] = {}


class Place(NamedTuple):
    """Where a step stands in a captured graph: its lane, and the steps of other lanes that it waits for."""

    lane: int
    after: tuple[int, ...]


class ReadyCall(NamedTuple):
    """A library's call made ready on a device, and the addresses that it gets; its workspace last."""

    call: Any
    args: tuple[Any, ...]


class Backend:
    """What the compiler's passes ask of a GPU.  Making one touches no device; preparing a step opens it."""

    reorders, filters_last = False, True

    def __init__(self, device_id: int):
        self.device_id = device_id

    @cached_property
    def device(self) -> Device:
        """What recipes may know of the device."""
        info = driver.open(self.device_id)
        return Device(info.arch, info.n_sm, library.Available(), config.allows_tf32())

    @property
    def key(self) -> tuple:
        """Return the device, and what the environment allows."""
        return self.device_id, config.gpu_libraries(), config.allows_tf32()

    def likes_channels_last(self, launch: Any, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> bool:
        """Return whether cuDNN is there, has the convolution so, and is faster."""
        if not likes_channels_last(ins[0], self.device):
            return False
        calls = [each for each in self._work(launch, ins, outs).launches if isinstance(each, Call)]
        return any(library.has(self.device_id, call) for call in calls)

    @property
    def epilogues(self) -> Callable[[Any, Sequence[Tensor], Sequence[Tensor]], bool] | None:
        """Tell whether cuBLASLt has a product with its epilogue; None where it is not here."""
        return self._has if "cublaslt" in self.device.libraries else None

    def _has(self, launch: Any, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> bool:
        (call,) = self._work(launch, ins, outs).launches
        return library.make(self.device_id, call) is not None

    def prepare(self, launch: Any, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> Work:
        """Return what a step does.  Raises MXNetError where its kernel has no GPU form."""
        return self._with_calls(self._work(launch, ins, outs))

    def _work(self, launch: Any, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> Work:
        return find(launch.kernel)(launch.kernel, ins, outs, launch.params, self.device)

    def _with_calls(self, work: Work) -> Work:
        """Return the work with its libraries' calls made ready, or replaced where a library has nothing for them."""
        launches: list[Any] = []
        scratch_bytes = work.scratch_bytes
        for launch in work.launches:
            made = library.make(self.device_id, launch) if isinstance(launch, Call) else None
            if made is not None:
                launches.append(ReadyCall(made, (*launch.args, Scratch(work.scratch_bytes))))
                scratch_bytes = max(scratch_bytes, work.scratch_bytes + WORKSPACE_ALIGNMENT + made.workspace_bytes)
            elif isinstance(launch, Call):
                if launch.otherwise is None:
                    raise MXNetError(f"only {launch.library} does this, and it has nothing for {launch.settings}")
                launches += launch.otherwise.launches  # their scratch is in the work's
            else:
                launches.append(launch)
        return Work(tuple(launches), scratch_bytes)

    def runner(
        self,
        rows: Sequence[tuple],
        works: Sequence[Work],
        n_arrays: int,
        n_forward: int,
        kept: Mapping[int, Any],
        replays: bool,
    ) -> Plan:
        """Return what runs the rows."""
        launches = [launch for work in works for launch in work.launches if isinstance(launch, Launch)]
        functions = load(self.device_id, self.device.arch, (launch.kernel for launch in launches))
        for launch in launches:
            if launch.shared > STATIC_SHARED_BYTES:
                driver.allow_shared(functions[launch.kernel], launch.shared)
        places = schedule(rows, n_arrays, n_forward) if replays else [Place(0, ())] * len(rows)
        return Plan(rows, n_arrays, n_forward, self.device_id, works, functions, places, kept, replays)


def load(device_id: int, arch: int, kernels: Iterable[Kernel]) -> dict[Kernel, int]:
    """Return the function of each kernel on a device, compiling and loading those that are new.

    Raises NotBuiltError where NVRTC does not fit the driver or the device, before anything is compiled.
    """
    wanted = list(dict.fromkeys(kernels))
    new = [k for k in wanted if (device_id, k) not in _functions]
    if new:
        toolchain: Any = compiler.toolchain()
        _check(device_id, arch, toolchain)
    for kernel, image in zip(new, compiler.build_all(new, arch)):
        _functions[device_id, kernel] = _function(device_id, arch, kernel, image)
    return {k: _functions[device_id, k] for k in wanted}


@cache
def _check(device_id: int, arch: int, toolchain: Any) -> None:
    """Check once a device that what the toolchain makes will load there, as far as that is known before."""
    if isinstance(toolchain, Nvrtc):
        driver.check_compiler(toolchain.version, toolchain.archs(), arch)


def _function(device_id: int, arch: int, kernel: Kernel, image: compiler.Image) -> int:
    """Return a kernel's function from its image, or from a new one where the device refuses that."""
    try:
        module = driver.load(device_id, image.code)
    except driver.RefusedImage:
        image = compiler.rebuild(kernel, arch)
        module = driver.load(device_id, image.code)
    return driver.function(module, image.symbol)


def schedule(rows: Sequence[tuple], arena: int, n_forward: int) -> list[Place]:
    """Return the place of each step: one that needs nothing of the step before it may run beside it.

    rows: as _ops.Plan takes them.   arena: the slot of their scratch.   A step waits for all that wrote what it reads
    or writes, and for all that read what it writes; forward and backward are captured apart.
    """
    places: list[Place] = []
    touched = _Touched()
    tails = [-1] * N_LANES
    for number, row in enumerate(rows):
        if number == n_forward:
            touched, tails = _Touched(), [-1] * N_LANES
        needs = touched.by(number, _uses(row, arena))
        # Behind what it needs most recently; a branch of its own takes the lane whose last step lies furthest back.
        lane = max(range(N_LANES), key=lambda k: (tails[k] in needs, tails[k] if tails[k] in needs else -tails[k]))
        latest: dict[int, int] = {}
        for before in needs:
            other = places[before].lane
            latest[other] = max(before, latest.get(other, before))
        places.append(Place(lane, tuple(sorted(step for other, step in latest.items() if other != lane))))
        tails[lane] = number
    return places


def _uses(row: tuple, arena: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (slot, first byte, byte behind the last, whether it is written) of all that a step touches."""
    _, _, inputs, outputs, _, (start, n_bytes), _, _ = row
    for operands, writes in ((inputs, False), (outputs, True)):
        for slot, offset, shape, dtype in operands:
            yield slot, offset, offset + prod(shape) * ITEM_BYTES[dtype], writes
    if n_bytes:
        yield arena, start, start + n_bytes, True


class _Touched:
    """Who used which bytes of a slot, as far as it still matters."""

    def __init__(self) -> None:
        self.uses: dict[int, list[tuple[int, int, int, bool]]] = {}

    def by(self, step: int, uses: Iterable[tuple[int, int, int, bool]]) -> set[int]:
        """Note what a step touches, and return the earlier steps that it must come after."""
        needs: set[int] = set()
        for slot, start, stop, writes in uses:
            kept = []
            for use in self.uses.get(slot, ()):
                first, last, before, wrote = use
                if first < stop and start < last and (writes or wrote) and before != step:
                    needs.add(before)
                if not (writes and start <= first and last <= stop):
                    kept.append(use)  # what is overwritten as a whole matters no longer
            self.uses[slot] = [*kept, (start, stop, step, writes)]
        return needs
