"""map and map_reduce: fused groups become generated kernels.  Called through recipe.find."""

from collections.abc import Sequence
from typing import Any

from ..codegen import map_reduce_work, map_work, parse
from ..recipe import Device, Tensor, Work, recipe, words


@recipe("map")
def map_(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Run a program of functors element by element."""
    return map_work(parse(_words(params), ins, outs, False), device)


@recipe("map_reduce")
def map_reduce(row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], params: Any, device: Device) -> Work:
    """Run a program of functors, some of whose registers are reduced over axes of the iteration space."""
    return map_reduce_work(parse(_words(params), ins, outs, True), device)


def _words(params: Any) -> Sequence[int]:
    return words(params) if isinstance(params, bytes) else params
