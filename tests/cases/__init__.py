"""All rows, from one module a family.  Every generic test in tests/ops runs over ROWS, as do the benchmarks."""

from . import (
    broadcast,
    conv,
    create,
    elemwise,
    index,
    loss,
    matrix,
    nn,
    random,
    reduce,
    rnn,
    shape,
    slice,
    sort,
    update,
)
from ._row import Row

FAMILIES = (elemwise, broadcast, reduce, create, random, update, matrix, shape, slice, index, conv, nn, loss, rnn, sort)
ROWS: list[Row] = [row for family in FAMILIES for row in family.ROWS]

__all__ = ["ROWS", "Row"]
