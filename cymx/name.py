"""Automatic names of symbols: the operator's name and a counter, or what a `with` block says.  Called by: symbol."""

import threading

from .base import ArgumentTypeError

__all__ = ["NameManager", "Prefix"]


class NameManager:
    """Name what has no name: `hint0`, `hint1`, ...

    As a `with` block it replaces the thread's manager, so counting starts again.
    """

    _local = threading.local()

    def __init__(self):
        self._counts: dict[str, int] = {}
        self._outer: list[NameManager] = []

    def get(self, name: str | None, hint: str) -> str:
        """Return `name`, or a new name made of `hint` where there is none."""
        if name is not None and not isinstance(name, str):
            raise ArgumentTypeError(f"name is {name!r}, expected a word")
        if name:
            return name
        count = self._counts.get(hint, 0)
        self._counts[hint] = count + 1
        return f"{hint}{count}"

    @classmethod
    def current(cls) -> "NameManager":
        """Return the manager of the innermost `with` block of this thread."""
        if not hasattr(cls._local, "manager"):
            cls._local.manager = NameManager()
        return cls._local.manager

    def __enter__(self):
        self._outer.append(NameManager.current())
        NameManager._local.manager = self
        return self

    def __exit__(self, *exc):
        NameManager._local.manager = self._outer.pop()


class Prefix(NameManager):
    """Put a prefix before every operator's name, given or automatic."""

    def __init__(self, prefix: str):
        super().__init__()
        self._prefix = prefix

    def get(self, name, hint):
        """Return the prefixed name."""
        return self._prefix + super().get(name, hint)
