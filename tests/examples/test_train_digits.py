"""The main job runs as its user runs it, reaches its targets, and what it saves predicts as well as what it trained."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cymx as mx
from cymx.data import digits_split

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_digits.py"


def test_main_job(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(Path(mx.__path__[0]).parent)}
    command = [sys.executable, str(EXAMPLE), "--out", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    told = dict(re.findall(r"^(\w+): test accuracy ([0-9.]+)", run.stdout, re.MULTILINE))
    assert float(told["mlp"]) >= 0.96 and float(told["lenet"]) >= 0.98

    losses = json.loads((tmp_path / "losses.json").read_text())
    assert [len(losses[name]) for name in ("mlp", "lenet")] == [30, 25]
    assert all(curve[-1] < 0.1 < curve[0] for curve in losses.values())

    *_, x_test, y_test = digits_split()
    test_data = mx.io.NDArrayIter(x_test, y_test, batch_size=60)
    for name, epoch in (("mlp", 30), ("lenet", 25)):
        module = mx.mod.Module.load(str(tmp_path / name), epoch)
        module.bind(test_data.provide_data, test_data.provide_label, for_training=False)
        assert f"{dict(module.score(test_data, 'acc'))['accuracy']:.4f}" == told[name]
