"""Symbols: networks as graphs, built by composing functions of symbols and run by binding them to arrays."""

from . import _internal, contrib, image, linalg, op, random, sparse
from .functions import (
    Variable,
    arange,
    eye,
    full,
    histogram,
    hypot,
    linspace,
    maximum,
    minimum,
    ones,
    pow,
    power,
    split_v2,
    var,
    zeros,
)
from .register import namespace
from .symbol import Group, Symbol, load, load_json

__getattr__, __dir__ = namespace(__name__)
