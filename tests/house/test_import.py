"""Importing cymx does no work: no thread, no device library, no package that only some users need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cymx

PROBE = """
import json, os, sys
import numpy, ml_dtypes                       # what they start and load is theirs
threads = lambda: len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
before, loaded = threads(), set(sys.modules)
import cymx
maps = open("/proc/self/maps").read() if os.path.exists("/proc/self/maps") else ""
libraries = sorted({line.split("/")[-1] for line in maps.splitlines() if ".so" in line})
print(json.dumps({"threads": threads() - before, "modules": sorted(set(sys.modules) - loaded), "libraries": libraries}))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """What importing cymx did in a fresh interpreter, away from the checkout."""
    env = {**os.environ, "PYTHONPATH": str(Path(cymx.__path__[0]).parent)}
    folder = tmp_path_factory.mktemp("fresh")
    run = subprocess.run([sys.executable, "-c", PROBE], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_import_starts_no_thread(fresh):
    assert fresh["threads"] == 0


@pytest.mark.parametrize(
    "package", ["cuda", "tqdm", "PIL", "graphviz", "matplotlib", "torch", "hypothesis", "unittest"]
)
def test_import_loads_no_optional_package(fresh, package):
    assert package not in {module.split(".")[0] for module in fresh["modules"]}


def test_import_loads_no_device_library(fresh):
    assert not [name for name in fresh["libraries"] if name.startswith(("libdnnl", "libcuda", "libnvrtc", "libcudart"))]


def test_import_stays_small(fresh):
    assert "cymx" in fresh["modules"] and len(fresh["modules"]) < 400
