"""The operators that MXNet offers for sparse arrays too (names start with `_sparse_`), as functions of symbols."""

from .register import namespace

__getattr__, __dir__ = namespace(__name__)
