"""Make `sym.X` from the operators' classes when it is first asked for, in the namespaces that the prefixes of
operators' names give.

Called by: the namespaces of symbol.
"""

from typing import Any

from ..ops import REGISTRY, _signature
from .symbol import Symbol


def function(word: str, name: str, module: str) -> Any:
    """Return the function of the operator registered as `word`; its `name` is the stem of its automatic names too."""
    op, hint = REGISTRY[word], name.lower()

    def call(*args, **kwargs):
        return Symbol._of(op, hint, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    call.__doc__ = _signature.doc_of(op)
    call.__signature__ = _signature.signature_of(op, ("name", "attr"))  # type: ignore[attr-defined]
    return call


def namespace(module: str) -> Any:
    """Return `__getattr__` and `__dir__` of a namespace module."""
    return _signature.namespace(module, function)
