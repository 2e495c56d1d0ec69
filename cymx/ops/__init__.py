"""Operators, a module a family.  Importing this registers them all; `find` gives one by name."""

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
    trig,
    update,
)
from ._def import REGISTRY, find

__all__ = ["REGISTRY", "find"]
