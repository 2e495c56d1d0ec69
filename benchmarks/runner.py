"""Turns: every contestant is a process of its own, and they measure one after another, round by round.  Called by
__main__.py.

Refuses to time a peer whose result differs from the others'.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .peers import PEERS, environment, interpreter
from .workload import Workload

WORKER = Path(__file__).resolve().parent / "worker.py"
# OpenMP's threads spin for a while after their last work; the next contestant must not feel it.
BREATH_S = 0.005


@dataclass(frozen=True)
class Settings:
    """How to measure.

    turn_s: how long a turn is to last.   clock: "wall", or "cpu" for the processor time of all threads.   mxnet: the
    folder of MXNet's environment.   device: of GPU workloads, "cuda" or "emulated".
    """

    threads: int = 2
    rounds: int = 9
    turn_s: float = 0.15
    clock: str = "wall"
    tiny: bool = False
    mxnet: Path | None = None
    device: str = "cuda"


@dataclass
class Cell:
    """What became of a contestant: figures, one a round, or a note why there are none."""

    figures: list[float] = field(default_factory=list)
    note: str = ""

    def figure(self, best: bool) -> float | None:
        """Return the median figure, or the best."""
        return (min if best else statistics.median)(self.figures) if self.figures else None


class Trouble(Exception):
    """A contestant's answer that is no answer."""


class Contestant:
    """A worker process of one peer."""

    def __init__(self, peer: str, settings: Settings):
        self.peer = peer
        python = interpreter(peer, settings.mxnet)
        if python is None:
            raise Trouble("no environment: see --make-peers and --mxnet")
        command = [python, str(WORKER), peer, str(settings.threads), settings.device]
        cores = sorted(os.sched_getaffinity(0))[: settings.threads]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(settings.threads),
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def ask(self, do: str, **question):
        """Return the answer to a question.  Raises Trouble."""
        try:
            print(json.dumps({"do": do, **question}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Trouble(f"failed: the process ended ({self._process.wait()}) {' '.join(last)}")
        answer = json.loads(line)
        if "absent" in answer:
            raise Trouble(answer["absent"])
        if "failed" in answer:
            raise Trouble("failed: " + answer["failed"])
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


def versions(names, settings: Settings) -> dict[str, str | None]:
    """Return peer -> version, None where it is absent."""
    found = {}
    for name in names:
        try:
            contestant = Contestant(name, settings)
            found[name] = contestant.ask("version")["version"]
            contestant.close()
        except Trouble:
            found[name] = None
    return found


def run(workload: Workload, names, settings: Settings) -> dict[str, Cell]:
    """Measure a workload and return peer -> Cell, for the peers among `names` that have it."""
    cells = {name: Cell() for name in names if name in workload.peers}
    return (_fresh if workload.fresh else _turns)(workload, cells, settings)


def _started(workload: Workload, name: str, settings: Settings) -> Contestant:
    contestant = Contestant(name, settings)
    try:
        contestant.ask("prepare", workload=workload.name, tiny=settings.tiny)
    except Trouble:
        contestant.close()
        raise
    return contestant


def _fresh(workload: Workload, cells: dict[str, Cell], settings: Settings) -> dict[str, Cell]:
    for _ in range(settings.rounds):
        for name, cell in cells.items():
            if cell.note:
                continue
            try:
                contestant = _started(workload, name, settings)
            except Trouble as trouble:
                cell.note = str(trouble)
                continue
            try:
                cell.figures.append(contestant.ask("value")["value"])
            except Trouble as trouble:
                cell.note = str(trouble)
            contestant.close()
    return cells


def _turns(workload: Workload, cells: dict[str, Cell], settings: Settings) -> dict[str, Cell]:
    contestants: dict[str, Contestant] = {}
    turns: dict[str, int] = {}
    reference: tuple[str, list[np.ndarray]] | None = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            # NumPy first, where it takes part: what the others are compared with.
            for name in sorted(cells, key=lambda name: name == "cymx"):
                try:
                    contestants[name] = _started(workload, name, settings)
                    path = Path(folder, name + ".npz")
                    if contestants[name].ask("result", path=str(path))["arrays"]:
                        values = list(np.load(path).values())
                        reference = reference or (name, values)
                        if difference := differs(values, reference[1], workload.tolerance):
                            raise Trouble(f"not timed: differs from {PEERS[reference[0]].title}: {difference}")
                    turns[name] = _calibrated(contestants[name], settings)
                except Trouble as trouble:
                    cells[name].note = str(trouble)
                    if name in contestants:
                        contestants.pop(name).close()
        for number in range(settings.rounds + 1):
            for name, contestant in list(contestants.items()):
                time.sleep(BREATH_S)
                try:
                    spent = contestant.ask("run", n=turns[name], clock=settings.clock)["seconds"]
                except Trouble as trouble:
                    cells[name] = Cell(note=str(trouble))
                    contestants.pop(name).close()
                    continue
                if number:  # the first round warms up
                    cells[name].figures.append(spent / turns[name])
    finally:
        for contestant in contestants.values():
            contestant.close()
    return cells


def _calibrated(contestant: Contestant, settings: Settings) -> int:
    """Return how many runs a turn takes to last `turn_s`."""
    n = 1
    while True:
        spent = contestant.ask("run", n=n, clock="wall")["seconds"]
        if spent >= settings.turn_s / 2:
            return max(1, round(n * settings.turn_s / spent))
        n = max(2 * n, min(16 * n, int(n * settings.turn_s / max(spent, 1e-9))))


def differs(values, expected, tolerance: float) -> str:
    """Return in words how two results differ beyond the tolerance, relative to the largest value, or ''."""
    if [v.shape for v in values] != [e.shape for e in expected]:
        return f"shapes {[v.shape for v in values]}, expected {[e.shape for e in expected]}"
    for number, (value, want) in enumerate(zip(values, expected)):
        scale = max(float(np.abs(want).max(initial=0)), 1e-30)
        error = float(np.abs(value.astype("float64") - want).max(initial=0)) / scale
        if not error <= tolerance:
            return f"array {number} is off by {error:.2g} of its largest value, expected at most {tolerance:g}"
    return ""
