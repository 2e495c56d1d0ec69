"""The recurrence of one layer on the emulator, against the CPU's kernels."""

import numpy as np
import pytest
from gpu.kernel_support import compare_row, run_row

from cymx import _ops
from cymx.base import MXNetError
from cymx.gpu.recipe import Device, Tensor, find

RELU, TANH, LSTM, GRU = range(4)
GATES, KEPT = (1, 1, 4, 3), (0, 0, 5, 4)
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}  # of 1 + |y|: sums in another order, over a few steps


def check(mode, reverse, t, n, h, dtype="float32", n_sm=1):
    """Compare both directions."""
    rng = np.random.default_rng(mode)
    lstm, wide = mode == LSTM, GATES[mode] * h

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def shapes(*lists):
        return [(shape, np.dtype(dtype)) for shape in lists]

    weight, states = draw(wide, h) / np.dtype(dtype).type(h**0.5), [draw(n, h) for _ in range(1 + lstm)]
    ins = [draw(t, n, wide), weight, draw(2, wide), *states]
    kept = [(t, n, KEPT[mode] * h)] if KEPT[mode] else []
    outs = shapes((t, n, h), *[(n, h)] * (1 + lstm), *kept)
    settings = {"tolerance": TOLERANCE[dtype], "device": Device(n_sm=n_sm)}
    compare_row("rnn_fwd", ins, outs, (mode, reverse), **settings)
    made = [np.zeros(shape, dtype) for shape, _ in outs]
    _ops.launch("rnn_fwd", ins, made, (mode, reverse))
    back = [draw(t, n, h), *(draw(n, h) for _ in states), weight, made[0], *states, *made[-1:] * len(kept)]
    grads = shapes((t, n, wide), (n, h), *([(n, h)] if lstm else [(t, n, wide)] if mode == GRU else []))
    compare_row("rnn_bwd", back, grads, (mode, reverse), **settings)


@pytest.mark.parametrize("reverse", (0, 1))
@pytest.mark.parametrize("mode", (RELU, TANH, LSTM, GRU))
def test_cells_and_directions(mode, reverse):
    check(mode, reverse, 4, 3, 5)


@pytest.mark.parametrize("mode", (LSTM, GRU))
def test_one_step_in_float64(mode):
    check(mode, 0, 1, 2, 7, "float64")


@pytest.mark.parametrize("mode", (RELU, LSTM, GRU))
def test_products_in_parts(mode):
    check(mode, 1, 2, 2, 300, n_sm=20)


@pytest.mark.parametrize("mode", (TANH, LSTM, GRU))
def test_a_step_is_two_launches(mode):
    """However the products are cut; a last product, whose parts are joined, goes to the first state."""
    t, n, h, device = 6, 32, 512, Device(90, 132)
    wide, lstm, kept = GATES[mode] * h, mode == LSTM, [(6, 32, KEPT[mode] * 512)] if KEPT[mode] else []
    tensors = lambda *shapes: [Tensor(shape, "float32") for shape in shapes]
    ins, outs = ((t, n, wide), (wide, h), (2, wide), *[(n, h)] * (1 + lstm)), ((t, n, h), *[(n, h)] * (1 + lstm), *kept)
    work = find("rnn_fwd")("rnn_fwd", tensors(*ins), tensors(*outs), (mode, 0), device)
    assert len(work.launches) == 2 * t and work.scratch_bytes >= 2 * 4 * n * wide
    back = ((t, n, h), *[(n, h)] * (1 + lstm), (wide, h), (t, n, h), *[(n, h)] * (1 + lstm), *kept)
    grads = ((t, n, wide), (n, h), *([(n, h)] if lstm else [(t, n, wide)] if mode == GRU else []))
    work = find("rnn_bwd")("rnn_bwd", tensors(*back), tensors(*grads), (mode, 0), device)
    assert len(work.launches) == 2 * t + 1


def test_nothing_and_what_does_not_fit():
    x, w, b, h = (np.zeros(s, np.float32) for s in ((2, 0, 5), (5, 5), (2, 5), (0, 5)))
    outs = [((2, 0, 5), np.float32), ((0, 5), np.float32)]
    assert run_row("rnn_fwd", [x, w, b, h], outs, (TANH, 0))[0].size == 0
    with pytest.raises(MXNetError, match="tensors of"):
        run_row("rnn_fwd", [x, w[:4], b, h], outs, (TANH, 0))
    with pytest.raises(MXNetError, match="T at least 1"):
        run_row("rnn_fwd", [x[:0], w, b, h], outs, (TANH, 0))
