"""Memory: give every value that a plan leaves behind its place: a bound array, or an offset in the plan's arena.

Values whose lives do not overlap share memory.  A Map step may write over an input that it is the last to read.  A
kernel's scratch lies in what is free while it runs.  What forward steps leave for backward ones stays untouched to the
end, so that backward may run more than once.  Offsets are multiples of 64 bytes.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..base import ITEM_BYTES
from ..ir import Entry
from ..ops._shapes import n_elements
from .fuse import Step, stored

ALIGNMENT = 64


@dataclass
class Memory:
    """offsets: stored entry -> offset in the arena.

    scratch: step number -> (offset, bytes) of its scratch.   arena_bytes: the arena's size.
    """

    offsets: dict[Entry, int] = field(default_factory=dict)
    scratch: dict[int, tuple[int, int]] = field(default_factory=dict)
    arena_bytes: int = 0


def memory(
    steps: Sequence[Step],
    outside: Mapping[Entry, int],
    scratch_bytes: Sequence[int],
    enabled: bool = True,
    lasting: Iterable[Entry] = (),
) -> Memory:
    """Return where everything lies.

    outside: stored entries that have a bound array instead of arena memory.   scratch_bytes: for each step what its
    kernel asks for.   lasting: stored entries whose memory nothing else ever uses.
    Unless enabled, nothing shares memory.
    """
    last_use = _last_uses(steps)
    result = Memory()
    arena = _Arena()
    for entry in lasting:
        last_use[entry] = len(steps) + 1
        result.offsets[entry] = arena.take(entry, n_bytes(entry))
    dying: dict[int, list[Entry]] = {}
    for entry, last in last_use.items():
        dying.setdefault(last, []).append(entry)
    for number, step in enumerate(steps):
        for output in step.outputs:
            if output in outside or output in result.offsets:
                continue
            reused = _overwritten(step, output, number, last_use, result, outside) if enabled else None
            if reused is not None:
                result.offsets[output] = result.offsets.pop(reused)
                arena.moved(reused, output)
                last_use[reused] = -1
            else:
                result.offsets[output] = arena.take(output, n_bytes(output))
        if scratch_bytes[number]:
            n = scratch_bytes[number]
            result.scratch[number] = (arena.lend(n) if enabled else arena.take(number, n)), n
        if enabled:
            for entry in dying.get(number, ()):
                if last_use[entry] == number and entry in result.offsets:
                    arena.give_back(entry)
    # An entry written over keeps the offset it had: its readers have all run by then.
    for old, new in arena.history():
        result.offsets[old] = result.offsets[new]
    result.arena_bytes = arena.most
    return result


def n_bytes(entry: Entry) -> int:
    """Return the bytes of an entry's value."""
    return n_elements(entry.shape) * ITEM_BYTES[entry.dtype]


def _last_uses(steps: Sequence[Step]) -> dict[Entry, int]:
    """Return for each value the number of the last step that needs it;

    crossing from forward to backward means to the end.
    """
    made: dict[Entry, int] = {}
    last: dict[Entry, int] = {}
    for number, step in enumerate(steps):
        for output in step.outputs:
            made[output] = last[output] = number
        for e in step.inputs:
            source = stored(e)
            if source in made:
                crosses = step.backward and not steps[made[source]].backward
                last[source] = len(steps) if crosses else max(last[source], number)
    return last


def _overwritten(step: Step, output: Entry, number: int, last_use, result: Memory, outside) -> Entry | None:
    """Return an input in the arena that this Map step may write `output` over: same bytes, same shape, read by nobody
    later.
    """
    if not step.is_program or output.node in step.tails:
        return None
    for e in step.inputs:
        source = stored(e)
        if last_use.get(source) != number or source not in result.offsets or source in outside:
            continue
        fits = e.shape == output.shape and ITEM_BYTES[e.dtype] == ITEM_BYTES[output.dtype]
        if fits and [stored(other) for other in step.inputs].count(source) == 1:
            return source
    return None


class _Arena:
    """Free and taken stretches of one block of memory; best fit."""

    def __init__(self):
        self.size = self._lent = 0
        self._free: list[tuple[int, int]] = []  # (bytes, offset), sorted
        self._taken: dict[object, tuple[int, int]] = {}
        self._moves: list[tuple[Entry, Entry]] = []

    def take(self, key: object, n: int) -> int:
        """Return the offset of a stretch of at least n bytes."""
        n = max(ALIGNMENT, -(-n // ALIGNMENT) * ALIGNMENT)
        length, offset = stretch = self._room(n)
        if length:
            self._free.remove(stretch)
        if length > n:
            insort(self._free, (length - n, offset + n))
        self.size = max(self.size, offset + n)
        self._taken[key] = (n, offset)
        return offset

    def lend(self, n: int) -> int:
        """Return the offset of n bytes that nobody holds now; they are not taken, so that they part no values."""
        offset = self._room(n)[1]
        self._lent = max(self._lent, offset + n)
        return offset

    def _room(self, n: int) -> tuple[int, int]:
        """Return the smallest free stretch of n bytes, or else the one that may grow, at the end."""
        for stretch in self._free:
            if stretch[0] >= n:
                return stretch
        return next((s for s in self._free if sum(s) == self.size), (0, self.size))

    @property
    def most(self) -> int:
        """How many bytes were needed."""
        return max(self.size, self._lent)

    def give_back(self, key: object) -> None:
        """Free a stretch and join it with its free neighbours."""
        if key not in self._taken:
            return
        n, offset = self._taken.pop(key)
        for stretch in list(self._free):
            length, start = stretch
            if start + length == offset or offset + n == start:
                self._free.remove(stretch)
                n, offset = n + length, min(offset, start)
        insort(self._free, (n, offset))

    def moved(self, old: Entry, new: Entry) -> None:
        """Hand a stretch from one entry to another."""
        self._taken[new] = self._taken.pop(old)
        self._moves.append((old, new))

    def history(self) -> list[tuple[Entry, Entry]]:
        """Return the hand-overs, last first."""
        return self._moves[::-1]
