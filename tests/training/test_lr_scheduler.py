"""Schedules against values recorded from MXNet 1.9.1."""

import pytest

from cymx import lr_scheduler as lrs

# Rates of MXNet 1.9.1 at updates 0 to 11.
RECORDED = [
    (
        lrs.FactorScheduler(3, 0.5, base_lr=1, warmup_steps=4, warmup_begin_lr=0.1),
        [0.1, 0.325, 0.55, 0.775, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125],
    ),
    (lrs.FactorScheduler(1, 0.1, 0.05, base_lr=1), [1, 1, 0.1] + [0.05] * 9),
    (
        lrs.MultiFactorScheduler([2, 5], 0.5, base_lr=1, warmup_steps=2, warmup_mode="constant"),
        [0, 0, 1, 0.5, 0.5, 0.5] + [0.25] * 6,
    ),
    (
        lrs.PolyScheduler(8, 1, 2, 0.1, 2, 0.2),
        [0.2, 0.6, 1, 0.725, 0.5, 0.325, 0.2, 0.125, 0.1, 0.1, 0.1, 0.1],
    ),
    (
        lrs.CosineScheduler(8, 1, 0.1, 2, 0.2),
        [0.2, 0.6, 1, 0.93971143, 0.775, 0.55, 0.325, 0.16028857, 0.1, 0.1, 0.1, 0.1],
    ),
]


@pytest.mark.parametrize(("schedule", "rates"), RECORDED, ids=lambda x: type(x).__name__)
def test_rates_are_those_of_mxnet(schedule, rates):
    assert [schedule(n) for n in range(12)] == pytest.approx(rates)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: lrs.FactorScheduler(0), ValueError, "step=0"),
        (lambda: lrs.FactorScheduler(1, 2), ValueError, "factor=2"),
        (lambda: lrs.MultiFactorScheduler([3, 2]), ValueError, r"\[3, 2\]"),
        (lambda: lrs.MultiFactorScheduler(3), TypeError, "step=3"),
        (lambda: lrs.PolyScheduler(0), ValueError, "max_update=0"),
        (lambda: lrs.CosineScheduler(1.5), TypeError, "max_update=1.5"),
        (lambda: lrs.LRScheduler(warmup_steps=-1), ValueError, "warmup_steps=-1"),
        (lambda: lrs.LRScheduler(warmup_begin_lr=3), ValueError, "warmup_begin_lr=3"),
        (lambda: lrs.LRScheduler(warmup_mode="x"), ValueError, "'x'"),
    ],
)
def test_wrong_settings_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
