"""The benchmarks work: cymx can run every workload, results are compared, and a table comes out.

Nothing here looks at a time.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cymx

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # at the end: the cymx under test stays the installed one

from benchmarks import nets, report, runner, worker  # noqa: E402
from benchmarks.gpu_workloads import WORKLOADS as GPU_WORKLOADS  # noqa: E402
from benchmarks.workload import Job, Workload, sample  # noqa: E402
from benchmarks.workloads import WORKLOADS  # noqa: E402

BY_NAME = {workload.name: workload for workload in WORKLOADS}


@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w.load], ids=lambda w: w.name)
def test_cymx_runs_and_agrees_with_numpy(workload):
    absent = [name for name in workload.operators if not hasattr(cymx.sym, name)]
    if absent:
        pytest.skip(f"cymx has no {', '.join(absent)}")
    inputs = workload.make(True)
    job = workload.peers["cymx"](cymx, inputs)
    if job.value:
        assert job.value() > -1
        return
    values = job.result()
    assert all(np.isfinite(np.asarray(v)).all() for v in values)
    if "numpy" in workload.peers:
        expected = workload.peers["numpy"](np, workload.make(True)).result()
        assert runner.differs([sample(v) for v in values], [sample(e) for e in expected], workload.tolerance) == ""
    job.loop(2)


def test_names_are_unique_and_targets_name_what_there_is():
    names = [w.name for w in (*WORKLOADS, *GPU_WORKLOADS)]
    assert len(set(names)) == len(names)
    for w in (*WORKLOADS, *GPU_WORKLOADS):
        assert "cymx" in w.peers and (w.limits or w.under or w.at_most), w.name
        assert set(w.limits) <= set(w.peers), w.name
        assert w.under is None or names.index(w.under[0]) < names.index(w.name), w.name


def test_training_moves_every_weight():
    for name in ("mlp_step", "lenet_step", "resnet18_step"):
        _, sizes, _ = BY_NAME[name].peers["cymx"](cymx, BY_NAME[name].make(True)).result()
        assert (sizes > 0).all(), name


@pytest.mark.parametrize("depth, classes, millions", [(18, 1000, 11.7), (50, 1000, 25.6)])
def test_residual_networks_have_the_known_number_of_weights(depth, classes, millions):
    params, _ = nets.weights_of(nets.resnet(depth, classes), (1, 3, 224, 224))
    assert round(sum(p.size for p in params.values()) / 1e6, 1) == millions


def test_a_different_result_is_told_in_words():
    a = np.array([1.0, 2.0])
    assert runner.differs([a], [a + 1e-7], 1e-5) == ""
    assert "off by" in runner.differs([a], [a + 1e-3], 1e-5)
    assert "off by" in runner.differs([a], [a * np.nan], 1e-5)
    assert "shapes" in runner.differs([a], [a[:1]], 1e-5)


def test_a_ratio_is_the_median_within_rounds():
    w = Workload("x", "x", None, {}, limits={"numpy": 0.5})
    row = report.Row(w, {"cymx": runner.Cell([1.0, 2.0, 9.0]), "numpy": runner.Cell([2.0, 8.0, 9.0])})
    assert row.ratio("numpy") == 0.5
    assert report.targets(row, {"x": row}) == [("0.5 x NumPy", True)]
    assert report.Row(w, {"cymx": runner.Cell([3.0])}).ratio("numpy") is None


def test_the_command_prints_a_table_and_writes_figures(tmp_path):
    path = tmp_path / "figures.json"
    done = _command("--only", "small_add,installed_size", "--peers", "numpy,mxnet", "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "| c = a + b, ten float32, eager " in done.stdout and "MXNet (absent)" in done.stdout
    found = json.loads(path.read_text())
    assert found["versions"]["numpy"] == np.__version__ and found["versions"]["mxnet"] is None
    assert found["workloads"]["small_add"]["ratios"]["numpy"] > 0


def test_gpu_workloads_run_on_the_emulated_driver(tmp_path):
    pytest.importorskip("cuda.bindings")
    path = tmp_path / "figures.json"
    timed = ["gpu_fused", "gpu_sum_columns", "gpu_sgd", "gpu_matmul_bf16", "gpu_conv_weight_tf32", "gpu_small_add"]
    timed += ["gpu_mlp_step_bf16", "gpu_cached_run"]
    done = _command("--gpu", "--emulated", "--only", ",".join(timed), "--json", str(path))
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    for name in timed:
        told = found["workloads"][name]
        assert told["figures"]["cymx"] and "cymx" not in told["notes"], (name, told)
        assert set(told["targets"].values()) == {None}, "an emulated GPU meets no target"
    assert found["workloads"]["gpu_fused"]["ratios"]["copy"] > 0
    if found["versions"]["torch"] is None:
        assert "PyTorch (absent)" in done.stdout
        assert found["workloads"]["gpu_fused"]["notes"] == {"torch": "absent", "compile": "absent"}
    else:
        assert found["workloads"]["gpu_fused"]["figures"]["torch"]


@pytest.mark.parametrize("arguments", [["--emulated"], ["--peers", "copy"], ["--gpu", "--only", "dot"]])
def test_the_command_refuses_what_does_not_fit(arguments):
    done = _command(*arguments)
    assert done.returncode == 2 and ("--emulated needs" in done.stderr or "there is no" in done.stderr)


def test_time_to_return_leaves_out_the_wait():
    calls, waits = [], []
    answering = worker.Worker("numpy", 1, "cuda")
    answering.job = Job(calls.append, settle=lambda: waits.append(time.sleep(0.2)))
    assert answering.run(250, "wall")["seconds"] < 0.2
    assert calls == [100, 100, 50] and len(waits) == 3
    answering.job = Job(calls.append)
    answering.run(250, "wall")
    assert calls[3:] == [250]


def _command(*arguments):
    """Run the benchmarks' command on tiny inputs."""
    path = os.pathsep.join(filter(None, [_home_of_cymx(), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--quick", "--rounds", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def _home_of_cymx():
    """Return the folder that the cymx under test lies in: the workers' interpreter is to find the same one."""
    return str(Path(cymx.__file__).resolve().parents[1])
