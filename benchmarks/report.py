"""What a run found: a table of ratios in Markdown, JSON, and a bar chart.  Called by __main__.py."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .peers import PEERS
from .runner import Cell, Settings
from .workload import Workload


@dataclass(frozen=True)
class Row:
    """A workload with what became of each contestant.

    best: whether the best of the rounds counts, instead of the median.   judged: whether figures may be held against
    targets.
    """

    workload: Workload
    cells: dict[str, Cell]
    best: bool = False
    judged: bool = True

    def figure(self, peer: str) -> float | None:
        """Return a contestant's figure, None where it has none."""
        return self.cells[peer].figure(self.best) if peer in self.cells else None

    def ratio(self, peer: str) -> float | None:
        """Return cymx's figure over a peer's: the median of the ratios within a round, or the ratio of the best."""
        ours, theirs = self.cells.get("cymx"), self.cells.get(peer)
        if not (ours and theirs and ours.figures and theirs.figures):
            return None
        if self.best:
            return min(ours.figures) / min(theirs.figures)
        return statistics.median(a / b for a, b in zip(ours.figures, theirs.figures))


def cpu() -> str:
    """Return the processor's name and how many cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def gpu(settings: Settings) -> str:
    """Return the first GPU's name and driver, as nvidia-smi has them."""
    if settings.device == "emulated":
        return "no GPU: the tests' emulated driver, so figures mean nothing"
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "no GPU that nvidia-smi shows"
    if told.returncode:
        return "no GPU that nvidia-smi shows"
    return "{}, driver {}".format(*told.stdout.strip().splitlines()[0].split(", "))


def shown(value: float, unit: str) -> str:
    """Return a figure with three digits."""
    if unit != "s":
        return f"{value:.3g} {unit}"
    scale, name = (1, "s") if value >= 1 else (1e-3, "ms") if value >= 1e-3 else (1e-6, "us")
    return f"{value / scale:.3g} {name}"


def targets(row: Row, rows: dict[str, Row]) -> list[tuple[str, bool | None]]:
    """Return (target in words, whether it is met; None where the run cannot tell)."""
    workload, found = row.workload, []
    for peer, limit in workload.limits.items():
        ratio = row.ratio(peer)
        found.append((f"{limit:.3g} x {PEERS[peer].title}", None if ratio is None else ratio <= limit))
    ours = row.figure("cymx")
    if workload.under:
        other, limit = workload.under
        theirs = rows[other].figure("cymx") if other in rows else None
        found.append((f"{limit:.3g} x {other}", None if not (ours and theirs) else ours / theirs <= limit))
    if workload.at_most is not None:
        found.append((shown(workload.at_most, workload.unit), None if ours is None else ours <= workload.at_most))
    return found if row.judged else [(words, None) for words, _ in found]


def table(rows: list[Row], names: list[str], versions: dict[str, str | None]) -> str:
    """Return the table: cymx's figure, its ratio to each peer's (below 1: cymx is ahead), the targets and notes."""
    peers = [name for name in names if name != "cymx"]
    by_name = {row.workload.name: row for row in rows}
    head = [
        "workload",
        "cymx",
        *(PEERS[p].title + ("" if versions.get(p) else " (absent)") for p in peers),
        "at most",
        "",
    ]
    lines, notes = [head, ["---"] * len(head)], []

    def cell(row: Row, peer: str) -> str:
        found = row.cells.get(peer)
        if found is None:
            return ""
        if found.note:
            if versions.get(peer):
                notes.append(f"- {row.workload.name}, {PEERS[peer].title}: {found.note}")
            return (
                "absent" if not versions.get(peer) else "not yet" if found.note.startswith("not yet") else "see below"
            )
        if peer == "cymx":
            return shown(row.figure(peer), row.workload.unit)
        ratio = row.ratio(peer)
        return shown(row.figure(peer), row.workload.unit) if ratio is None else f"{ratio:.2f}"

    for row in rows:
        wanted = targets(row, by_name)
        verdict = ", ".join({True: "met", False: "missed", None: "?"}[met] for _, met in wanted)
        lines.append(
            [
                row.workload.what,
                *(cell(row, n) for n in ("cymx", *peers)),
                ", ".join(words for words, _ in wanted),
                verdict,
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [
        "| " + " | ".join(c.ljust(w) if c != "---" else "-" * w for c, w in zip(line, widths)) + " |" for line in lines
    ]
    return "\n".join([*text, *(["", *dict.fromkeys(notes)] if notes else [])])


def write_json(path: Path, rows: list[Row], versions: dict[str, str | None], settings: Settings) -> None:
    """Write every figure of every round, with the versions and the machine."""
    by_name = {row.workload.name: row for row in rows}
    document = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": cpu(),
        **({"gpu": gpu(settings)} if any(row.workload.name.startswith("gpu_") for row in rows) else {}),
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": settings.threads,
        "rounds": settings.rounds,
        "clock": settings.clock,
        "versions": versions,
        "workloads": {
            row.workload.name: {
                "what": row.workload.what,
                "unit": row.workload.unit,
                "figures": {name: cell.figures for name, cell in row.cells.items() if cell.figures},
                "notes": {name: cell.note for name, cell in row.cells.items() if cell.note},
                "ratios": {
                    name: row.ratio(name) for name in row.cells if name != "cymx" and row.ratio(name) is not None
                },
                "targets": dict(targets(row, by_name)),
            }
            for row in rows
        },
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def draw(path: Path, rows: list[Row], names: list[str], versions: dict[str, str | None]) -> None:
    """Draw each peer's figure over cymx's as bars, on a logarithmic scale.  Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in rows if any(row.ratio(name) for name in row.cells if name != "cymx")]
    present = [[name for name in names if name != "cymx" and row.ratio(name)] for row in rows]
    figure, axes = plt.subplots(figsize=(10, 1.2 + 0.13 * sum(len(peers) + 1 for peers in present)))
    colours = dict(zip(names, plt.get_cmap("tab10").colors))
    at, ticks, labelled = 0, [], set()
    for row, peers in zip(rows, present):
        ticks.append(at + (len(peers) - 1) / 2)
        for peer in peers:
            label = None if peer in labelled else f"{PEERS[peer].title} {versions.get(peer) or ''}"
            labelled.add(peer)
            axes.barh(at, 1 / row.ratio(peer) - 1, left=1, height=0.9, color=colours[peer], label=label)
            at += 1
        at += 1
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(ticks, [row.workload.what for row in rows])
    axes.set_ylim(at, -1)
    axes.set_xlabel("the peer's figure / cymx's: to the right of the line cymx is ahead")
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
