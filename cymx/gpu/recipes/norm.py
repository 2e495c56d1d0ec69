"""layer_norm: by rows in registers, by long rows, by columns.  Kernels: kernels/norm.cuh."""

from ..recipe import In, Out, Work, recipe
from .common import CPP, FLOATING, along_axis, count, numbers, one_dtype, refuse


@recipe("layer_norm")
def layer_norm(row, ins, outs, params, device):
    """Return the launch of layer_norm over one axis."""
    axis, eps = numbers(params, "qd")
    dtype = one_dtype(row, (*ins, *outs), FLOATING)
    args = (*map(In, range(3)), *map(Out, range(3)), eps)
    made = along_axis(row, "norm", (CPP[dtype],), ins[0], axis, args, device)
    n, total = ins[0].shape[axis], count(ins[0].shape)
    sizes = [count(t.shape) for t in (*ins[1:], outs[0])]
    refuse(sizes != [n, n, total], f"{row}: gamma, beta and y have {sizes} elements, expected {[n, n, total]}")
    return Work(made)
