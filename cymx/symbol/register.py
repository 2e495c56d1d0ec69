"""Make `sym.X` from the operators' classes when it is first asked for, in the namespaces that the prefixes of
operators' names give.

Called by: the namespaces of symbol.
"""

import sys
from typing import Any

from ..ops import REGISTRY
from ..ops._signature import doc_of, signature_of
from .symbol import Symbol

# Operators of a prefix live in a namespace; what else starts with an underscore is in _internal.
PREFIXES = {
    "random": "_random_",
    "linalg": "_linalg_",
    "contrib": "_contrib_",
    "image": "_image_",
    "sparse": "_sparse_",
}


def function(word: str, name: str, module: str) -> Any:
    """Return the function of the operator registered as `word`; its `name` is the stem of its automatic names too."""
    op, hint = REGISTRY[word], name.lower()

    def call(*args, **kwargs):
        return Symbol._of(op, hint, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    call.__doc__ = doc_of(op)
    call.__signature__ = signature_of(op, ("name", "attr"))  # type: ignore[attr-defined]
    return call


def namespace(module: str):
    """Return `__getattr__` and `__dir__` of a namespace module: its last name says which operators are in it."""
    kind = module.rpartition(".")[2]
    prefix = PREFIXES.get(kind, "")

    def belongs(word: str) -> bool:
        if prefix:
            return word.startswith(prefix)
        return word.startswith("_") == (kind == "_internal")

    def __getattr__(name: str) -> Any:
        word = prefix + name
        if name.startswith("__") or word not in REGISTRY or not belongs(word):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        made = function(word, name, module)
        setattr(sys.modules[module], name, made)
        return made

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[module]), *(word[len(prefix) :] for word in REGISTRY if belongs(word))})

    return __getattr__, __dir__
