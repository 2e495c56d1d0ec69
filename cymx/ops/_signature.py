"""What a Python function of an operator looks like: signature, docstring, namespace, and how its arguments divide into
inputs and settings.

Knows neither arrays nor symbols.  Called by: ndarray and symbol, which make `nd.X` and `sym.X` from the registry.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..base import ArgumentTypeError
from ._def import REGISTRY, Op
from ._params import REQUIRED, Params

# Operators of a prefix live in a namespace; what else starts with an underscore is in _internal.
PREFIXES = {
    "random": "_random_",
    "linalg": "_linalg_",
    "contrib": "_contrib_",
    "image": "_image_",
    "sparse": "_sparse_",
}


class _Required:
    """Stand in a signature for the default of a setting that must be given.

    Inputs before it have defaults, so Python wants one too.
    """

    def __repr__(self):
        return "<required>"


_REQUIRED = _Required()


def signature_of(op: type[Op], extras: Iterable[str] = ("name",)) -> inspect.Signature:
    """Return the signature of the function of `op`: inputs, settings, then `extras` by keyword."""
    kind = inspect.Parameter.KEYWORD_ONLY if op.variadic else inspect.Parameter.POSITIONAL_OR_KEYWORD
    if op.variadic:
        parameters = [inspect.Parameter(op.inputs[0], inspect.Parameter.VAR_POSITIONAL)]
    else:
        parameters = [inspect.Parameter(name, kind, default=None) for name in op.inputs]
    for name, param in op.params.items():
        if name != op.variadic:
            default = _REQUIRED if param.default is REQUIRED else param.default
            parameters.append(inspect.Parameter(name, kind, default=default))
    parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in extras]
    parameters.append(inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


def doc_of(op: type[Op]) -> str:
    """Return the operator's docstring with a line for each setting."""
    lines = [inspect.cleandoc(op.__doc__ or "")]
    if op.params:
        lines += ["", "Settings:"]
    for name, param in op.params.items():
        default = "required" if param.default is REQUIRED else f"default {param.default!r}"
        lines.append(f"    {name}: {param.wanted()} ({default})")
    return "\n".join(lines)


def split_arguments(
    op: type[Op],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    is_input: Callable[[Any], bool],
    wanted: str = "an array",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (inputs, settings), both by name, of a call `op(*args, **kwargs)`; an input that is None is left out.

    Positional arguments are inputs, then settings, in the order of the class; all are inputs where the operator takes
    any number of them, and
    then the setting that counts them is filled in.  Settings come back unparsed.  Raises ArgumentTypeError naming
    operator and argument.
    """
    inputs: dict[str, Any] = {}
    settings = dict(kwargs)
    if op.variadic:
        named = {
            key: settings.pop(key) for key in list(settings) if _is_numbered(key, op.inputs[0]) and key not in op.params
        }
        if args and named:
            raise ArgumentTypeError(
                f"{op.name}: inputs came by position and as {', '.join(named)}, expected one of the two"
            )
        inputs = named or {f"{op.inputs[0]}{i}": value for i, value in enumerate(args)}
        settings.setdefault(op.variadic, len(inputs))
    else:
        names = (*op.inputs, *op.params)
        if len(args) > len(names):
            raise ArgumentTypeError(
                f"{op.name}: {len(args)} positional arguments came, expected at most {len(names)}: {', '.join(names)}"
            )
        for name, value in zip(names, args):
            if name in settings:
                raise ArgumentTypeError(f"{op.name}: {name} came by position and by name")
            settings[name] = value
        inputs = {name: settings.pop(name) for name in op.inputs if name in settings}
        inputs = {name: value for name, value in inputs.items() if value is not None}
    for name, value in inputs.items():
        if not is_input(value):
            raise ArgumentTypeError(f"{op.name}: {name} is {value!r:.80}, expected {wanted}")
    return inputs, settings


def arrange(op: type[Op], p: Params, inputs: Mapping[str, Any]) -> list[Any]:
    """Return the inputs in the operator's order, None for one that is missing.

    Raises ArgumentTypeError for one that is not in use.
    """
    names = op.input_names(p)
    if op.variadic:  # the inputs have come by number; some operators name theirs
        by_number = {f"{op.inputs[0]}{i}": name for i, name in enumerate(names)}
        inputs = {by_number.get(name, name): value for name, value in inputs.items()}
    for name in inputs:
        if name not in names:
            reason = f" with {p}" if str(p) else ""
            raise ArgumentTypeError(f"{op.name}: {name} came, but the inputs{reason} are {', '.join(names) or 'none'}")
    return [inputs.get(name) for name in names]


def namespace(module: str, function: Callable[[str, str, str], Any]) -> tuple[Callable, Callable]:
    """Return `__getattr__` and `__dir__` of a module of functions: its last name says which operators are in it.

    function(word, name, module) makes the function `name` of the operator registered as `word`; each is made once.
    """
    kind = module.rpartition(".")[2]
    prefix = PREFIXES.get(kind, "")

    def belongs(word: str) -> bool:
        return word.startswith(prefix) if prefix else word.startswith("_") == (kind == "_internal")

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


def _is_numbered(key: str, stem: str) -> bool:
    return key.startswith(stem) and key[len(stem) :].isdigit()
