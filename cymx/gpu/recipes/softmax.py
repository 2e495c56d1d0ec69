"""softmax, log_softmax: by rows in registers, by long rows, by columns.  Kernels: kernels/softmax.cuh."""

from ..recipe import In, Out, Work, recipe
from .common import CPP, FLOATING, along_axis, numbers, one_dtype

# Long rows go to 16 warps and not to 32, so that a multiprocessor has two: one is loaded while the other is computed.
HELD = ((1, 32, 16), (8, 32, 16), (16, 32, 16))


@recipe("softmax", "log_softmax")
def softmax(row, ins, outs, params, device):
    """Return the launch of softmax or log_softmax over one axis."""
    (axis,) = numbers(params, "q")
    dtype = one_dtype(row, (ins[0], outs[0]), FLOATING)
    words = CPP[dtype], row == "log_softmax"
    made = along_axis(row, "softmax", words, ins[0], axis, (In(0), Out(0)), device, HELD)
    return Work(made)
