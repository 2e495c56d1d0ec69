"""softmax, log_softmax: by rows in registers, by long rows, by columns.  Kernels: kernels/softmax.cuh."""

from ..recipe import In, Out, Work, recipe
from .common import CPP, FLOATING, along_axis, numbers, one_dtype


@recipe("softmax", "log_softmax")
def softmax(row, ins, outs, params, device):
    """Return the launch of softmax or log_softmax over one axis."""
    (axis,) = numbers(params, "q")
    dtype = one_dtype(row, (ins[0], outs[0]), FLOATING)
    made = along_axis(row, "softmax", (CPP[dtype], row == "log_softmax"), ins[0], axis, (In(0), Out(0)), device)
    return Work(made)
