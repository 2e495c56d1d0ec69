"""softmax, log_softmax: by rows in registers, by long rows, by columns.  Kernels: kernels/softmax.cuh."""

from ..recipe import In, Launch, Out, Work, ceil_div, recipe
from .common import CPP, FLOATING, ITEM_BYTES, count, kernel, numbers, one_dtype, refuse

# Elements of a row that one thread keeps: (warps of the row, most elements a thread of 4 bytes or fewer, of 8 bytes).
HELD = ((1, 32, 16), (8, 32, 16), (32, 16, 8))
LONG_WARPS, COLUMN_ROWS = 16, (1, 8, 32)


@recipe("softmax", "log_softmax")
def softmax(row, ins, outs, params, device):
    """Return the launch of softmax or log_softmax over one axis."""
    (axis,) = numbers(params, "q")
    x = ins[0]
    dtype = one_dtype(row, (x, outs[0]), FLOATING)
    refuse(not 0 <= axis < len(x.shape), f"{row}: axis is {axis}, expected 0 to {len(x.shape) - 1}")
    before, n, after = count(x.shape[:axis]), x.shape[axis], count(x.shape[axis + 1 :])
    if before * n * after == 0:
        return Work()
    made = _columns if after > 1 else _rows
    return Work((made(dtype, row == "log_softmax", before, n, after, device),))


def _rows(dtype, log, n_rows, n, _, device):
    args = (In(0), Out(0), n_rows, n)
    vector = 16 // ITEM_BYTES[dtype]
    for warps, *most in HELD:
        held = most[dtype == "float64"]
        if n <= warps * 32 * held:
            chunks = 1
            while chunks * warps * 32 * vector < n:
                chunks *= 2
            rows = 4 if warps == 1 else 1
            k = kernel("softmax.cuh", "softmax_rows", CPP[dtype], log, chunks, warps)
            return Launch(k, (min(ceil_div(n_rows, rows), device.n_sm * 64), 1, 1), (warps * 32, rows, 1), args)
    k = kernel("softmax.cuh", "softmax_long_rows", CPP[dtype], log, LONG_WARPS)
    return Launch(k, (min(n_rows, device.n_sm * 16), 1, 1), (LONG_WARPS * 32, 1, 1), args)


def _columns(dtype, log, before, n, after, device):
    rows = next((r for r in COLUMN_ROWS if n <= 16 * r), COLUMN_ROWS[-1])
    n_tiles = before * ceil_div(after, 32)
    k = kernel("softmax.cuh", "softmax_columns", CPP[dtype], log, rows)
    return Launch(k, (min(n_tiles, device.n_sm * 64), 1, 1), (32, rows, 1), (In(0), Out(0), before, n, after))
