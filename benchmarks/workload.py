"""What a workload is.  Used by the files in workloads/, run by worker.py, listed by runner.py.

Everything here and in workloads/ runs in the peers' own environments too, so it keeps to Python 3.8 and imports NumPy alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np


@dataclass
class Job:
    """A workload made ready in one peer.

    loop: run it n times, to the end of all work.   result: run it from the start and return the arrays that all peers must agree on; None where
    there is nothing to compare.   value: measure something other than the time of a loop, in the workload's unit.
    """

    loop: Optional[Callable[[int], None]] = None
    result: Callable[[], Optional[Sequence[np.ndarray]]] = lambda: None
    value: Optional[Callable[[], float]] = None


@dataclass(frozen=True)
class Workload:
    """A row of the table.

    make: tiny -> the inputs, the same in every process.   peers: peer -> function(library, inputs) that returns its Job.
    limits: peer -> the ratio of cymx's figure to the peer's that is to be reached; `under` the same for another row of cymx's, `at_most` in the unit.
    operators: what a library must have for its Job to be possible.   fresh: whether each round needs a process that has done nothing before;
    without `load` it has not even imported the library, and the functions get the Peer instead.
    tolerance: of results, relative to the largest value.
    """

    name: str
    what: str
    make: Callable[[bool], Dict[str, Any]]
    peers: Dict[str, Callable[[Any, Dict[str, Any]], Job]]
    limits: Dict[str, float] = field(default_factory=dict)
    under: Optional[Tuple[str, float]] = None
    at_most: Optional[float] = None
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
