"""rnn_fwd, rnn_bwd: for each step of time a product with the weight, then the gates.

Kernels: kernels/rnn.cuh, kernels/matmul.cuh.  A graph replays the launches without the host.
"""

from typing import Any, NamedTuple

from ..recipe import In, Out, Scratch, Work, recipe
from .common import CPP, ITEM_BYTES, count, kernel, numbers, one_dtype, refuse, rounded, spread
from .matmul import product

RELU, TANH, LSTM, GRU = range(4)  # params.h's rnn_mode
GATES, KEPT = (1, 1, 4, 3), (0, 0, 5, 4)


class Layer(NamedTuple):
    """One layer in one direction: t steps of n sequences and h units."""

    mode: int
    reverse: int
    t: int
    n: int
    h: int
    dtype: str

    def at(self, step: int) -> int:
        """Return the time of a step."""
        return self.t - 1 - step if self.reverse else step

    def of(self, base: Any, width: int, step: int, more: int = 0) -> Any:
        """Return the address of a step's rows in an array (T, N, width), `more` elements on."""
        return type(base)(base.index, (self.at(step) * self.n * width + more) * ITEM_BYTES[self.dtype])

    def before(self, step: int, state: Any, kept: Any, y: Any) -> tuple[Any, int]:
        """Return where the gates' last c or h begins and the distance of its rows, before a step."""
        if self.mode < LSTM:
            return 0, 0
        if step == 0:
            return state, self.h
        if self.mode == LSTM:
            return self.of(kept, 5 * self.h, step - 1, 4 * self.h), 5 * self.h
        return self.of(y, self.h, step - 1), self.h


def _layer(row, params, first, gates_within, ins, outs):
    mode, reverse = numbers(params, "qq")
    refuse(
        not 0 <= mode <= GRU or len(first.shape) != 3 or first.shape[0] < 1,
        f"{row}: mode {mode} and {first.shape} are no cell and (T, N, units), T at least 1",
    )
    t, n, wide = first.shape
    h = wide // GATES[mode] if gates_within else wide
    dtype = one_dtype(row, (*ins, *outs), ("float32", "float64"))
    refuse(n * h >= 2**31, f"{row}: {n} sequences of {h} units are more than one launch counts")
    return Layer(mode, reverse, t, n, h, dtype)


def _check(row, tensors, wanted):
    found = [count(t.shape) for t in tensors]
    refuse(found != wanted, f"{row}: tensors of {found} elements, expected {wanted}")


@recipe("rnn_fwd")
def rnn_fwd(row, ins, outs, params, device):
    """Return the launches of all steps, forward."""
    s = _layer(row, params, ins[0], True, ins, outs)
    nh, wide, lstm = s.n * s.h, GATES[s.mode] * s.h, s.mode == LSTM
    kept = [s.t * nh * KEPT[s.mode]] if s.mode >= LSTM else []
    _check(row, ins, [s.t * s.n * wide, wide * s.h, 2 * wide, *[nh] * (1 + lstm)])
    _check(row, outs, [s.t * nh, *[nh] * (1 + lstm), *kept])
    if nh == 0:
        return Work()
    k = kernel("rnn.cuh", "rnn_forward_step", CPP[s.dtype], s.mode)
    y, all_kept, own = Out(0), Out(len(outs) - 1), rounded(s.n * wide * ITEM_BYTES[s.dtype])
    launches, more = [], 0
    for step in range(s.t):
        state = s.of(y, s.h, step - 1) if step else In(3)
        u = product((state, In(1), Scratch()), (1, 1, 1, s.n, wide, s.h), (False, True), s.dtype, device, own)
        last = step == s.t - 1
        args = (
            s.of(In(0), wide, step), Scratch(), In(2), *s.before(step, In(4 if lstm else 3), all_kept, y),
            s.of(y, s.h, step), s.of(all_kept, KEPT[s.mode] * s.h, step) if kept else 0,
            Out(1) if last else 0, Out(2) if last and lstm else 0, s.n, s.h,
        )  # fmt: skip
        launches += [*u.launches, spread(k, nh, device, *args)]
        more = max(more, u.scratch_bytes)
    return Work(tuple(launches), own + more)


@recipe("rnn_bwd")
def rnn_bwd(row, ins, outs, params, device):
    """Return the launches of all steps, backward: what comes through the weight, then the gates."""
    s = _layer(row, params, ins[0], False, ins, outs)
    nh, wide, lstm, gru = s.n * s.h, GATES[s.mode] * s.h, s.mode == LSTM, s.mode == GRU
    kept = [s.t * nh * KEPT[s.mode]] if s.mode >= LSTM else []
    _check(row, ins, [s.t * nh, *[nh] * (1 + lstm), wide * s.h, s.t * nh, *[nh] * (1 + lstm), *kept])
    _check(row, outs, [s.t * s.n * wide, nh, *([nh] if lstm else [s.t * s.n * wide] if gru else [])])
    if nh == 0:
        return Work()
    first = 3 if lstm else 2  # weight, y, state [, cell] [, kept]
    weight, y, state, all_kept = In(first), In(first + 1), In(first + 2 + lstm), In(len(ins) - 1)
    dr = Out(2) if gru else Out(0)
    k = kernel("rnn.cuh", "rnn_backward_step", CPP[s.dtype], s.mode)
    own, launches, more = rounded(nh * ITEM_BYTES[s.dtype]), [], 0

    def through_weight(step, to):
        nonlocal more
        u = product((s.of(dr, wide, step), weight, to), (1, 1, 1, s.n, s.h, wide), (False, False), s.dtype, device, own)
        launches.extend(u.launches)
        more = max(more, u.scratch_bytes)

    for step in range(s.t - 1, -1, -1):
        last = step == s.t - 1
        if not last:
            through_weight(step + 1, Scratch())
        args = (
            s.of(In(0), s.h, step), 0 if last else Scratch(), In(1) if last else Out(1) if gru else 0,
            (In(2) if last else Out(2)) if lstm else 0, s.of(y, s.h, step),
            s.of(all_kept, KEPT[s.mode] * s.h, step) if kept else 0, *s.before(step, state, all_kept, y),
            s.of(Out(0), wide, step), s.of(dr, wide, step), Out(1) if gru else 0, Out(2) if lstm else 0, s.n, s.h,
        )  # fmt: skip
        launches.append(spread(k, nh, device, *args))
    through_weight(0, Scratch() if gru else Out(1))
    if gru:
        launches.append(spread(kernel("rnn.cuh", "rnn_add", CPP[s.dtype]), nh, device, Scratch(), Out(1), nh))
    return Work(tuple(launches), own + more)
