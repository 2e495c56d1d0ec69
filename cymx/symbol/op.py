"""The operators that users call by name, as functions of symbols."""

from .register import namespace

__getattr__, __dir__ = namespace(__name__)
