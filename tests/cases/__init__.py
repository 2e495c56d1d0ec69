"""All rows, from one module a family.  Every generic test in tests/ops runs over ROWS, as do the benchmarks."""

from . import (
    broadcast,
    conv,
    create,
    elemwise,
    index,
    linalg,
    loss,
    matrix,
    nn,
    random,
    reduce,
    rnn,
    sample,
    scatter,
    sequence,
    shape,
    slice,
    sort,
    spatial,
    svm,
    update,
    vision,
)
from ._row import Row

FAMILIES = (
    elemwise, broadcast, reduce, create, random, sample, update, matrix, linalg, shape, slice, index, scatter, sequence,
    sort, conv, nn, loss, rnn, vision, spatial, svm,
)  # fmt: skip
ROWS: list[Row] = [row for family in FAMILIES for row in family.ROWS]

__all__ = ["ROWS", "Row"]
