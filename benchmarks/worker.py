"""A process that is one peer: it answers the runner's questions, one JSON line each way.

Run as a file by the interpreter of the peer's environment: `worker.py PEER THREADS DEVICE`.  DEVICE is where GPU
workloads run: "cuda", or "emulated" for the tests' own driver and, for PyTorch, the CPU.  What the libraries print goes
to standard error.

    {"do": "version"}                                   -> {"version": ...}
    {"do": "prepare", "workload": ..., "tiny": ...}     -> {}                 make the Job
    {"do": "result", "path": ...}                       -> {"arrays": n}      write what all peers must agree on (.npz)
    {"do": "run", "n": ..., "clock": "wall" or "cpu"}   -> {"seconds": ...}   time n turns
    {"do": "value"}                                     -> {"value": ...}     measure what is no time of a loop

A peer that cannot answers {"absent": why} (library or operator is not there) or {"failed": why}.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path

# At the end of the path, so that an installed cymx comes before the checkout's; the folder of this file is no place
# to import from.
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
sys.path.append(str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.gpu_workloads import WORKLOADS as GPU_WORKLOADS  # noqa: E402
from benchmarks.peers import PEERS, Absent  # noqa: E402
from benchmarks.workload import sample  # noqa: E402
from benchmarks.workloads import WORKLOADS  # noqa: E402

BY_NAME = {workload.name: workload for workload in (*WORKLOADS, *GPU_WORKLOADS)}
# How many calls may be under way where only their return is timed: fewer than a GPU's queue holds.
BURST = 100


class Worker:
    """One peer and the job it has in hand."""

    def __init__(self, peer, threads, device):
        self.peer, self.threads, self.device, self.inputs, self.job = PEERS[peer], threads, device, None, None

    def version(self):
        """Return the library's version without importing it."""
        return {"version": self.peer.version()}

    def prepare(self, workload, tiny):
        """Make a workload's Job.  Raises Absent where library or operators are not there."""
        workload = BY_NAME[workload]
        # Kept: a job in C++ has only the addresses.
        self.inputs = inputs = {**workload.make(tiny), "threads": self.threads, "device": self.device}
        if self.device == "emulated" and self.peer.name in ("cymx", "copy"):
            emulate()
        library = self.peer.load(self.threads) if workload.load else self.peer
        if workload.operators and self.peer.name in ("cymx", "mxnet"):
            missing = [name for name in workload.operators if not hasattr(library.sym, name)]
            if missing:
                raise Absent("not yet: {}".format(", ".join(missing)))
        self.job = workload.peers[self.peer.name](library, inputs)
        return {}

    def result(self, path):
        """Write the job's result."""
        arrays = self.job.result()
        if arrays is None:
            return {"arrays": 0}
        np.savez(path, *[sample(x) for x in arrays])
        return {"arrays": len(arrays)}

    def run(self, n, clock):
        """Time n turns."""
        loop, now = self.job.loop, {"wall": time.perf_counter, "cpu": time.process_time}[clock]
        spent, burst = 0.0, BURST if self.job.settle else n
        gc.disable()
        while n > 0:
            start = now()
            loop(min(n, burst))
            spent += now() - start
            n -= burst
            if self.job.settle:
                self.job.settle()
        gc.enable()
        return {"seconds": spent}

    def value(self):
        """Measure once."""
        return {"value": self.job.value()}


def emulate():
    """Put the emulated driver of tests/gpu in the place of a real one, in this process."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from gpu import driver, emulator

    os.environ["CYMX_GPU_LIBRARIES"] = "off"
    os.environ.setdefault("CYMX_KERNEL_CACHE", str(emulator.BUILDS / "kernels"))
    driver.install()


def main():
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = getattr(worker, question.pop("do"))(**question)
        except Absent as error:
            answer = {"absent": str(error)}
        except Exception as error:
            answer = {"failed": "{}: {}".format(type(error).__name__, " ".join(str(error).split())[:300])}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
