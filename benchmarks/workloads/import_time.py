"""What it costs to have the library: the time of its import after NumPy's, and the room it takes on disk."""

import importlib
from pathlib import Path

from ..workload import Job, Workload, seconds


def make(tiny):
    return {}


def import_of(peer, x):
    return Job(value=lambda: seconds(lambda: importlib.import_module(peer.module)))


def size_of(peer, x):
    """Count the package's folder; of a checkout what an installation would have, so no generated C++."""

    def megabytes():
        folder = Path(importlib.util.find_spec(peer.module).origin).parent
        left_out = (".cpp", ".pyx", ".pyc") if (folder.parent / "pyproject.toml").exists() else ()
        return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.suffix not in left_out) / 1e6

    return Job(value=megabytes)


WORKLOADS = [
    Workload(
        "import_time",
        "import beyond NumPy",
        make,
        dict.fromkeys(("cymx", "torch", "jax", "mxnet"), import_of),
        at_most=0.12,
        fresh=True,
        load=False,
    ),
    Workload(
        "installed_size",
        "installed size, without oneDNN",
        make,
        dict.fromkeys(("cymx", "torch", "jax", "mxnet"), size_of),
        at_most=12.0,
        fresh=True,
        load=False,
        unit="MB",
    ),
]
