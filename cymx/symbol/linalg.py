"""The operators whose names start with `_linalg_`, as functions of symbols."""

from .register import namespace

__getattr__, __dir__ = namespace(__name__)
