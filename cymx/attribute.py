"""Attributes for all symbols that are made inside a `with` block.  Called by: symbol."""

import threading
from collections.abc import Mapping

from .base import ArgumentError

__all__ = ["AttrScope"]


class AttrScope:
    """Give attributes to what is made inside the block: `with AttrScope(ctx_group='dev1', __lr_mult__='2'):`.  Inner
    blocks win.

    Raises ArgumentError for values that are not strings.
    """

    _local = threading.local()

    def __init__(self, **attrs: str):
        for key, value in attrs.items():
            if not isinstance(value, str):
                raise ArgumentError(f"AttrScope: {key} is {value!r}, expected a string")
        self._own = attrs
        self._attrs = attrs
        self._outer: list[AttrScope] = []

    def get(self, attrs: Mapping[str, str] | None) -> dict[str, str]:
        """Return the scope's attributes with `attrs` over them."""
        return {**self._attrs, **(attrs or {})}

    @classmethod
    def current(cls) -> "AttrScope":
        """Return the innermost scope of this thread."""
        if not hasattr(cls._local, "scope"):
            cls._local.scope = AttrScope()
        return cls._local.scope

    def __enter__(self):
        outer = AttrScope.current()
        self._outer.append(outer)
        self._attrs = outer.get(self._own)
        AttrScope._local.scope = self
        return self

    def __exit__(self, *exc):
        AttrScope._local.scope = self._outer.pop()
