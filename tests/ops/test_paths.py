"""Every row gives the same results on every road: passes on or off, oneDNN or portable, each instruction set."""

import pytest
from ops._run import ALL_OPTIONS, DEFAULTS, Program, as_wide, assert_close, differentiable, rows_where

from cymx import _ops, random


def _results(row, options=DEFAULTS):
    """Return everything that a run with gradients leaves behind, computed with equal random numbers each time."""
    arrays = row.draw(row.dtypes[0])
    program = Program(row, arrays, options=options)
    names = [program.inputs[i] for i in differentiable(row)]
    heads = program.heads()
    random.seed(5)
    held = program(arrays)
    if names:
        held |= Program(row, arrays, dict.fromkeys(names, "write"), options=options)(arrays, heads)
    return held


def _same(row, found, wanted, tol, what):
    for name, y in wanted.items():
        exact = y.dtype.kind in "iub"
        scale = 1 + (0 if exact else abs(as_wide(y)).max(initial=0, where=as_wide(y) == as_wide(y)))
        assert_close(found[name], y, 0 if exact else min(tol * scale, 1), f"{what}: {name}")


@pytest.mark.parametrize("row", **rows_where(lambda row: True))
def test_passes_change_nothing(row):
    wanted = _results(row)
    for options in ALL_OPTIONS:
        _same(row, _results(row, options), wanted, row.tol, str(options))


@pytest.fixture
def roads():
    """Yield a function that takes one road: (instruction set, oneDNN)."""
    before, isa = _ops.onednn(), _ops.isa()

    def take(name, onednn):
        _ops.select_isa(name)
        _ops.onednn(onednn)

    yield take
    take(isa, before)


@pytest.mark.parametrize("row", **rows_where(lambda row: True))
def test_every_kernel_agrees(row, roads):
    roads("", False)
    wanted = _results(row)
    for isa in _ops.supported_isas():
        for onednn in (False, True):
            roads(isa, onednn)
            _same(row, _results(row), wanted, row.tol, f"{isa}, oneDNN {onednn}")
