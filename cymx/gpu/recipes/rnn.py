"""rnn_fwd, rnn_bwd: for each step of time a product with the weight, then the gates.

Kernels: kernels/rnn.cuh, kernels/matmul.cuh.  A graph replays the launches without the host.  Where the product's depth
is cut, the gates add the parts, so that a step is two launches.
"""

from typing import Any, NamedTuple

from ..recipe import In, Out, Scratch, Work, recipe
from .common import CPP, ITEM_BYTES, count, kernel, numbers, one_dtype, refuse, rounded, spread
from .matmul import in_parts, product

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


def _sums(operands, sizes, transposes, s, device):
    """Return (launches, number of parts, bytes of scratch) of a product into the beginning of the scratch.

    cuBLASLt's are whole.
    """
    n_bytes = sizes[3] * sizes[4] * ITEM_BYTES[s.dtype]
    if "cublaslt" in device.libraries:
        own = rounded(n_bytes)
        work = product((*operands, Scratch()), sizes, transposes, s.dtype, device, own)
        return work.launches, 1, own + work.scratch_bytes
    launch, n_parts = in_parts((*operands, Scratch()), Scratch(), sizes, transposes, s.dtype, device)
    return (launch,), n_parts, n_parts * n_bytes


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
    y, all_kept, launches, scratch_bytes = Out(0), Out(len(outs) - 1), [], 0
    for step in range(s.t):
        state = s.of(y, s.h, step - 1) if step else In(3)
        sizes = (1, 1, 1, s.n, wide, s.h)
        made, n_parts, scratch_bytes = _sums((state, In(1)), sizes, (False, True), s, device)
        last = step == s.t - 1
        args = (
            s.of(In(0), wide, step), Scratch(), n_parts, In(2), *s.before(step, In(4 if lstm else 3), all_kept, y),
            s.of(y, s.h, step), s.of(all_kept, KEPT[s.mode] * s.h, step) if kept else 0,
            Out(1) if last else 0, Out(2) if last and lstm else 0, s.n, s.h,
        )  # fmt: skip
        launches += [*made, spread(k, nh, device, *args)]
    return Work(tuple(launches), scratch_bytes)


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
    sizes, launches, n_parts, scratch_bytes = (1, 1, 1, s.n, s.h, wide), [], 0, 0
    for step in range(s.t - 1, -1, -1):
        last = step == s.t - 1
        if not last:
            operands = (s.of(dr, wide, step + 1), weight)
            made, n_parts, scratch_bytes = _sums(operands, sizes, (False, False), s, device)
            launches += made
        args = (
            s.of(In(0), s.h, step), Scratch(), n_parts, In(1) if last else Out(1) if gru else 0,
            (In(2) if last else Out(2)) if lstm else 0, s.of(y, s.h, step),
            s.of(all_kept, KEPT[s.mode] * s.h, step) if kept else 0, *s.before(step, state, all_kept, y),
            s.of(Out(0), wide, step), s.of(dr, wide, step), Out(1) if gru else 0, Out(2) if lstm else 0, s.n, s.h,
        )  # fmt: skip
        launches.append(spread(k, nh, device, *args))
    operands = (s.of(dr, wide, 0), weight)
    if gru:
        made, n_parts, scratch_bytes = _sums(operands, sizes, (False, False), s, device)
        k = kernel("rnn.cuh", "rnn_add", CPP[s.dtype])
        return Work((*launches, *made, spread(k, nh, device, Scratch(), n_parts, Out(1), nh)), scratch_bytes)
    to_state = product((*operands, Out(1)), sizes, (False, False), s.dtype, device)
    return Work((*launches, *to_state.launches), max(scratch_bytes, to_state.scratch_bytes))
