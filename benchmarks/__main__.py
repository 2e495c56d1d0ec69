"""Run the workloads in cymx and in each peer that is there, and print one table of ratios."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import report
from .gpu_workloads import WORKLOADS as GPU_WORKLOADS
from .peers import ON_CPU, ON_GPU, PEERS, make_mxnet
from .runner import Cell, Settings, run, versions
from .workloads import WORKLOADS


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = lambda text: [name for name in text.split(",") if name]
    parser.add_argument(
        "--only",
        type=names,
        metavar="NAMES",
        help="workloads, by commas: "
        + ", ".join(w.name for w in WORKLOADS)
        + "; with --gpu: "
        + ", ".join(w.name for w in GPU_WORKLOADS),
    )
    parser.add_argument(
        "--peers",
        type=names,
        metavar="NAMES",
        help=f"contestants, by commas: {', '.join(ON_CPU)}; with --gpu: {', '.join(ON_GPU)}",
    )
    parser.add_argument("--gpu", action="store_true", help="run the workloads of mx.gpu(0)")
    parser.add_argument(
        "--emulated",
        action="store_true",
        help="with --gpu: on the tests' own driver, and PyTorch on the CPU; with --tiny, to see that everything runs",
    )
    parser.add_argument(
        "--make-peers", type=Path, metavar="DIR", help="make MXNet 1.9.1's environment in DIR, from PyPI, and use it"
    )
    parser.add_argument("--mxnet", type=Path, metavar="DIR", help="the environment that MXNet 1.9.1 is installed in")
    parser.add_argument("--threads", type=int, default=2, help="threads of every contestant (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="turns of every contestant (default: 9, with --quick 3)")
    parser.add_argument(
        "--best", action="store_true", help="compare the best turns, not the medians: for a machine that is shared"
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time of all threads; fair with --threads 1",
    )
    parser.add_argument("--quick", action="store_true", help="few and short turns")
    parser.add_argument("--tiny", action="store_true", help="tiny inputs: to see that everything runs, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw a bar chart there; needs matplotlib")
    options = parser.parse_args(argv)
    if options.emulated and not (options.gpu and options.tiny):
        parser.error("--emulated needs --gpu and --tiny: what it measures tells nothing of a GPU")
    options.workloads = GPU_WORKLOADS if options.gpu else WORKLOADS
    contestants = ON_GPU if options.gpu else ON_CPU
    options.peers = contestants if options.peers is None else options.peers
    known = [w.name for w in options.workloads]
    for given, all_names in ((options.only or [], known), (options.peers, contestants)):
        for name in given:
            if name not in all_names:
                parser.error(f"there is no {name!r}; there are {', '.join(all_names)}")
    return options


def main(argv=None) -> None:
    """Measure, print, write and draw."""
    options = _arguments(argv)
    if options.make_peers:
        make_mxnet(options.make_peers)
    settings = Settings(
        threads=options.threads,
        rounds=options.rounds or (3 if options.quick else 9),
        turn_s=0.03 if options.quick else 0.15,
        clock=options.clock,
        tiny=options.tiny,
        mxnet=options.mxnet or options.make_peers,
        device="emulated" if options.emulated else "cuda",
    )
    names = list(dict.fromkeys(["cymx", *options.peers]))
    found = versions(names, settings)
    kind = f"{'best' if options.best else 'medians'} of {settings.rounds} rounds, {settings.clock} clock"
    machine = "; ".join([*([report.gpu(settings)] if options.gpu else []), report.cpu()])
    print(f"{machine}; {settings.threads} threads; {kind}; cymx's figure, then cymx / peer")
    print("; ".join(f"{PEERS[name].title} {version or 'absent'}" for name, version in found.items()) + "\n", flush=True)
    rows = []
    for workload in options.workloads:
        if not options.only or workload.name in options.only:
            print(f"{workload.name} ...", file=sys.stderr, flush=True)
            cells = run(workload, [n for n in names if found[n]], settings)
            rows.append(report.Row(workload, cells, options.best, judged=not options.emulated))
            rows[-1].cells.update({n: Cell(note="absent") for n in names if not found[n] and n in workload.peers})
            if options.json:  # after each workload: a run that is broken off leaves what it found
                report.write_json(options.json, rows, found, settings)
    print(report.table(rows, names, found))
    if options.chart:
        report.draw(options.chart, rows, names, found)


if __name__ == "__main__":
    main()
