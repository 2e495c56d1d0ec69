"""Backend: what the passes ask of a device.  Called by compile.py and plan.py.

One Backend a context: which layouts pay there, how much scratch a step takes, and the runner of a finished plan.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .. import _ops  # type: ignore[attr-defined]
from ..base import Context
from ..gpu.recipe import Tensor
from ..ops._def import Launch

HasProduct = Callable[[Launch, Sequence[Tensor], Sequence[Tensor]], bool]


class Backend(Protocol):
    """What a device answers.

    reorders: whether prepare.py lays weights out anew for its convolutions.   filters_last: whether their weights are
    (O, *kernel, C) where their images are channels last.
    key: what its answers depend on, besides its class: what was made under one key serves no other.
    epilogues: tells of a product with an epilogue, as `prepare` takes it, whether it can be had; None where none can.
    """

    reorders: bool
    filters_last: bool

    @property
    def key(self) -> tuple: ...

    def likes_channels_last(self, launch: Launch, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> bool:
        """Whether a convolution, given as it is with channels last, can be had and is faster so."""

    @property
    def epilogues(self) -> HasProduct | None: ...

    def prepare(self, launch: Launch, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> Any:
        """Return how a step runs there; its `scratch_bytes` say how much scratch that takes."""

    def runner(
        self,
        rows: Sequence[tuple],
        works: Sequence[Any],
        n_arrays: int,
        n_forward: int,
        kept: Mapping[int, Any],
        replays: bool,
    ) -> Any:
        """Return what runs the rows.

        works: what `prepare` returned for each.   kept: as _ops.Plan takes it.   replays: whether the same arrays will
        come many times.
        """


class Cpu:
    """Every CPU context: they share one memory and one set of cores."""

    reorders, filters_last = True, False
    epilogues = None

    @property
    def key(self) -> tuple:
        """Return which kernels there are."""
        return _ops.isa(), _ops.onednn()

    def likes_channels_last(self, launch: Launch, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> bool:
        """Return whether oneDNN is there, whose fastest kernels want images so."""
        return len(ins[0].shape) == 4 and ins[0].dtype != "float64" and _ops.onednn()

    def prepare(self, launch: Launch, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> Launch:
        """Return the launch, with the scratch that its kernel wants."""
        return launch._replace(scratch_bytes=_ops.scratch_bytes(launch.kernel, launch.params, ins, outs))

    def runner(
        self,
        rows: Sequence[tuple],
        works: Sequence[Any],
        n_arrays: int,
        n_forward: int,
        kept: Mapping[int, Any],
        replays: bool,
    ) -> Any:
        """Return a Plan of the door."""
        return _ops.Plan(rows, n_arrays, n_forward, kept)


_CPU = Cpu()


def backend_of(context: Context) -> Backend:
    """Return the backend of a context."""
    if context.device_type != "gpu":
        return _CPU
    from ..gpu.plan import Backend as Gpu  # recipes and compiler: 50 ms that only GPUs need

    return Gpu(context.device_id)
