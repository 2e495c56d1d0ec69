"""One module a family of kernel rows; importing this registers them all."""

from . import conv, copy, index, map, matmul, norm, pool, random, reduce, rnn, softmax, sort

__all__ = [
    "conv",
    "copy",
    "index",
    "map",
    "matmul",
    "norm",
    "pool",
    "random",
    "reduce",
    "rnn",
    "softmax",
    "sort",
]
