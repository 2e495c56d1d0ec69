"""Make `nd.X` from the operators' classes when it is first asked for, in the namespaces that names' prefixes give.

NDArray's methods are the same functions, with the array itself as first input.  Called by: ndarray.py, the namespaces.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from .._array import Array
from ..base import ArgumentTypeError
from ..ops import REGISTRY
from ..ops._def import Op
from ..ops._signature import arrange, doc_of, signature_of, split_arguments
from ._context import context_from
from ._invoke import invoke

# Operators of a prefix live in a namespace; what else starts with an underscore is in _internal.
PREFIXES = {kind: f"_{kind}_" for kind in ("random", "linalg", "contrib", "image", "sparse")}


def function(word: str, name: str, module: str, cls: type[Array]) -> Callable[..., Any]:
    """Return the function `name` of the operator registered as `word`; it makes arrays of class `cls`.

    It is called as f(*inputs, *settings, out=None, name=None, **inputs_and_settings).
    """
    op = REGISTRY[word]
    n_inputs, by_name = len(op.inputs), frozenset(op.inputs)
    takes_context = "ctx" in op.params

    def call(*args, out=None, name=None, **settings):
        ctx = context_from(settings.pop("ctx", None)) if takes_context else None
        plain = len(args) == n_inputs and op.variadic is None and by_name.isdisjoint(settings) and _all_arrays(args)
        if not plain:
            args, settings = _arranged(op, args, settings)
        return invoke(op, args, settings, out, ctx, cls)

    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    call.__doc__ = doc_of(op)
    call.__signature__ = signature_of(op, ("out", "name"))  # type: ignore[attr-defined]
    return call


def _all_arrays(values: Sequence[Any]) -> bool:
    for value in values:  # noqa: SIM110  (a generator would cost more than the loop)
        if not isinstance(value, Array):
            return False
    return True


def _arranged(op: type[Op], args: Sequence[Any], settings: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return (inputs in the operator's order, settings) of a call that is not just all inputs by position."""
    if op.variadic is not None and len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = args[0]
    inputs, settings = split_arguments(op, args, settings, lambda value: isinstance(value, Array), "an NDArray")
    p = op.parse(settings)
    ordered = arrange(op, p, inputs)
    for name, value in zip(op.input_names(p), ordered):
        if value is None:
            raise ArgumentTypeError(f"{op.name}: {name} is missing, expected {', '.join(op.input_names(p))}")
    return ordered, settings


def namespace(module: str, cls: type[Array]):
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
        made = function(word, name, module, cls)
        setattr(sys.modules[module], name, made)
        return made

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[module]), *(word[len(prefix) :] for word in REGISTRY if belongs(word))})

    return __getattr__, __dir__
