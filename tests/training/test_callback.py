"""Callbacks: what they log, draw and save, and when."""

import io
import logging
import re

import pytest

import cymx as mx
from cymx import callback, metric
from cymx.model import BatchEndParam


def accuracy():
    measure = metric.Accuracy()
    measure.update([mx.nd.array([0, 1])], [mx.nd.array([[0.3, 0.7], [0.2, 0.8]])])
    return measure


def run(call, measure, n_batches=5, epochs=(0,)):
    for epoch in epochs:
        for nbatch in range(n_batches):
            call(BatchEndParam(epoch=epoch, nbatch=nbatch, eval_metric=measure, locals={}))


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [re.sub(r"Speed: [\d.]+|Speed: inf", "Speed: S", m) for m in caplog.messages]


def test_speedometer_writes_mxnet_s_lines(logged):
    run(callback.Speedometer(4, frequent=2), accuracy())
    run(callback.Speedometer(4, frequent=2, auto_reset=False), accuracy())
    run(callback.Speedometer(4, frequent=4), None)
    assert logged() == [
        "Epoch[0] Batch [0-2]\tSpeed: S samples/sec\taccuracy=0.500000",
        "Epoch[0] Batch [2-4]\tSpeed: S samples/sec\taccuracy=nan",
        "Epoch[0] Batch [0-2]\tSpeed: S samples/sec\taccuracy=0.500000",
        "Epoch[0] Batch [0-4]\tSpeed: S samples/sec\taccuracy=0.500000",
        "Iter[0] Batch [4]\tSpeed: S samples/sec",
    ]


def test_other_loggers_write_mxnet_s_lines(logged):
    run(callback.log_train_metric(2), accuracy(), 3)
    run(callback.ProgressBar(10, 20), None, 2)
    callback.LogValidationMetricsCallback()(BatchEndParam(1, 1, accuracy(), {}))
    assert logged() == [
        "Iter[0] Batch[0] Train-accuracy=0.500000",
        "Iter[0] Batch[2] Train-accuracy=0.500000",
        "[--------------------] 0%\r",
        "[==------------------] 10%\r",
        "Epoch[1] Validation-accuracy=0.500000",
    ]


def test_the_live_bar_writes_plain_lines_to_a_file():
    out = io.StringIO()
    run(callback.LiveProgressBar(4, total=3, interval=1000, file=out), accuracy(), 3, epochs=(0, 1))
    lines = [re.sub(r"\d+ samples/s", "S samples/s", line) for line in out.getvalue().splitlines()]
    assert lines == [f"Epoch {e}: batch 3/3, S samples/s, accuracy=0.5000" for e in (0, 1)]


def test_the_live_bar_ends_an_epoch_of_unknown_length_with_the_next():
    out = io.StringIO()
    bar = callback.LiveProgressBar(4, interval=1000, file=out)
    run(bar, None, 3, epochs=(0, 1))
    assert [line.split(",")[0] for line in out.getvalue().splitlines()] == ["Epoch 0: batch 3"]
    bar.close()
    assert [line.split(",")[0] for line in out.getvalue().splitlines()] == ["Epoch 0: batch 3", "Epoch 1: batch 3"]


def test_the_live_bar_redraws_one_line_in_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    run(callback.LiveProgressBar(4, total=3, interval=0, file=out), accuracy(), 3, epochs=(0, 1))
    text = out.getvalue()
    assert text.count("\n") == 2
    assert "\rEpoch 0:  33%" in text
    assert re.search(r"Epoch 1: 100%\|.*\| batch 3/3 \[\d\d:\d\d, \d+ samples/s, accuracy=0.5000\]", text)


def test_checkpoints_are_saved_every_period(monkeypatch):
    saved = []
    monkeypatch.setattr(callback, "save_checkpoint", lambda *args: saved.append(args))

    class Saver:
        def save_checkpoint(self, *args):
            saved.append(args)

    for call in (callback.do_checkpoint("p", 2), callback.module_checkpoint(Saver(), "q", 2, True)):
        for epoch in range(4):
            call(epoch, "sym", {}, {})
    assert saved == [("p", 2, "sym", {}, {}), ("p", 4, "sym", {}, {}), ("q", 2, True), ("q", 4, True)]
