"""sort: tiles in shared memory, then merges; only the first k items of a run go on.  Kernels: kernels/sort.cuh."""

import struct
from typing import NamedTuple

from ..recipe import In, Launch, Out, Scratch, Work, ceil_div, recipe
from .common import CPP, ITEM_BYTES, count, kernel, numbers, refuse, rounded

TILE, MERGE_TILE, MERGE_BLOCK = 2048, 1024, 256


class Pass(NamedTuple):
    """One pass over rows of n items: of each `run` of them (two runs, where it merges) the first `keep` go on."""

    merges: bool
    n: int
    run: int
    keep: int

    @property
    def kept(self):
        """Return how many items of a row go on."""
        whole, rest = divmod(self.n, self.run)
        return whole * self.keep + min(rest, self.keep)


def passes(n, k):
    """Return the passes that leave the first k of n items in order."""
    made = [Pass(False, n, min(n, TILE), min(n, TILE, k))]
    while made[-1].n > made[-1].run:
        _, _, _, run = last = made[-1]
        merges = last.merges or run > TILE // 4  # tiles again, as long as they keep few
        made.append(Pass(merges, last.kept, 2 * run if merges else TILE, min(2 * run if merges else TILE, k)))
    return made


@recipe("sort")
def sort(row, ins, outs, params, device):
    """Return the launches that sort the last axis and write the first k values and their indices."""
    ascending, k = numbers(params, "qq")
    x, (values, indices) = ins[0], outs
    n = x.shape[-1] if x.shape else 1
    refuse(not 0 <= k <= n < 2**32, f"sort: k is {k}, expected 0 to {n}, the length of the axis (below 2**32)")
    refuse(
        values.dtype != x.dtype or indices.dtype == "bool",
        f"sort: the outputs are {values.dtype} and {indices.dtype}, expected data's {x.dtype} and a number's",
    )
    n_rows = count(x.shape) // n if n else 0
    if n_rows * k == 0:
        return Work()
    item_bytes = 16 if ITEM_BYTES[x.dtype] == 8 else 8
    todo = passes(n, k)
    half = [max([rounded(n_rows * p.kept * item_bytes) for p in todo[i:-1:2]], default=0) for i in (0, 1)]
    launches = []
    for i, p in enumerate(todo):
        source = Scratch(half[0] * ((i - 1) % 2)) if i else 0
        last = i + 1 == len(todo)
        to = (Out(0), Out(1), n, source, 0) if last else (0, 0, n, source, Scratch(half[0] * (i % 2)))
        launches.append(
            _launch(p, (x.dtype, indices.dtype), (In(0), *to, p.kept, n_rows), ascending, item_bytes, device)
        )
    return Work(tuple(launches), sum(half))


def _launch(p, dtypes, args, ascending, item_bytes, device):
    types = [CPP[dtype] for dtype in dtypes]
    n_blocks = args[-1] * ceil_div(p.n, p.run)
    if p.merges:
        k, block, size = kernel("sort.cuh", "merge_runs", *types), MERGE_BLOCK, MERGE_TILE
        args += (struct.pack("=qqq", p.n, p.run // 2, p.keep), size)
        n_blocks, size = n_blocks * ceil_div(p.keep, size), 2 * size
    else:
        size = max(32, 1 << (p.run - 1).bit_length())
        k, block = kernel("sort.cuh", "sort_tiles", *types), max(32, min(1024, size // 2))
        args += (struct.pack("=qqq", p.n, p.run, p.keep), size, ascending)
    return Launch(k, (min(n_blocks, device.n_sm * 64), 1, 1), (block, 1, 1), args, size * item_bytes)
