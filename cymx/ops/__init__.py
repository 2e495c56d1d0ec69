"""Operators, a module a family.  Importing this registers them all; `find` gives one by name."""

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
    trig,
    update,
    vision,
    windows,
    winograd,
)
from ._def import REGISTRY, find

__all__ = ["REGISTRY", "find"]
