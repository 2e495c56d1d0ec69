"""One module a family of kernel rows; importing this registers them all."""

from . import copy, index, map, reduce

__all__ = ["copy", "index", "map", "reduce"]
