"""What a workload is.  Used by the files in workloads/ and gpu_workloads/, run by worker.py, listed by runner.py.

Everything here and in those folders runs in the peers' own environments too, so it keeps to Python 3.8 and imports
NumPy alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Job:
    """A workload made ready in one peer.

    loop: run it n times, to the end of all work.   result: run it from the start and return the arrays that all peers
    must agree on; None where
    there is nothing to compare.   value: measure something other than the time of a loop, in the workload's unit.
    settle: wait for what the loop has queued.  Where it is given, the loop must not wait, and what is timed is how long
    its calls take to return.
    """

    loop: Callable[[int], None] | None = None
    result: Callable[[], Sequence[np.ndarray] | None] = lambda: None
    value: Callable[[], float] | None = None
    settle: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Workload:
    """A row of the table.

    make: tiny -> the inputs, the same in every process.   peers: peer -> function(library, inputs) that returns its
    Job.
    limits: peer -> the ratio of cymx's figure to the peer's that is to be reached; `under` the same for another row
    of cymx's, `at_most` in the unit.
    operators: what a library must have for its Job to be possible.   fresh: whether each round needs a process that
    has done nothing before;
    without `load` it has not even imported the library, and the functions get the Peer instead.
    tolerance: of results, relative to the largest value.
    """

    name: str
    what: str
    make: Callable[[bool], dict[str, Any]]
    peers: dict[str, Callable[[Any, dict[str, Any]], Job]]
    limits: dict[str, float] = field(default_factory=dict)
    under: tuple[str, float] | None = None
    at_most: float | None = None
    operators: Sequence[str] = ()
    fresh: bool = False
    load: bool = True
    unit: str = "s"
    tolerance: float = 1e-4


def repeat(run: Callable[[], Any], wait: Callable[[], Any] = lambda: None) -> Callable[[int], None]:
    """Return a loop that calls `run` n times and waits once for what is under way."""

    def loop(n: int) -> None:
        for _ in range(n):
            run()
        wait()

    return loop


def seconds(run: Callable[[], Any]) -> float:
    """Return how long one call takes, in seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def uniform(*shape: int, low: float = -1.0, high: float = 1.0, seed: int = 7) -> np.ndarray:
    """Return float32 draws, the same ones in every process."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype("float32")


def tiled(*shape: int, low: float = -1.0, high: float = 1.0, seed: int = 7) -> np.ndarray:
    """Return float32 draws for a large array: a million of them over and over, a prime, so no two rows are alike."""
    return np.resize(uniform(1048583, low=low, high=high, seed=seed), shape)


def sample(x: Any) -> np.ndarray:
    """Return an array's values, flat, or an even choice of about a million where there are more."""
    flat = np.ascontiguousarray(x).reshape(-1)
    return flat[:: max(1, flat.size >> 20)]
