"""The operators whose names start with an underscore, as functions of symbols."""

from .register import namespace

__getattr__, __dir__ = namespace(__name__)
