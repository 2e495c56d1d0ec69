"""What an operator is: one class, registered by `@op(name, aliases...)`.  Nothing else lists operators.

Kinds, by base class:
    Map       element by element: a functor of include/cymx/map.h; inputs broadcast; the fuse pass joins neighbours into
    one step
    Kernel    one kernel row of csrc/kernels, filled by `launch`
    View      the output is the input's memory under another shape
    Composed  a body in terms of other operators; lowered, differentiated and fused like a user's graph

A class states: a docstring with shapes, `inputs`, settings (annotated Params), `shape` and `dtype` rules (see
_shapes.py), and its gradient:
`grad(p, *dys, *inputs, *outputs)` returns an entry or None for each input; `grad = None` says that there is none.
A Composed operator without a `grad`
is differentiated through its body.  A setting called shape or dtype is declared as `shape_`, `dtype_`, since the rules
have those names.  Called by: every module of ops/, the passes, symbol and ndarray.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..base import MXNetError
from ..ir import Type
from ._params import Param, Params, parse

REGISTRY: dict[str, type["Op"]] = {}


class Launch(NamedTuple):
    """How a step fills its kernel: row name, parameters (ints and floats, or their packed block), scratch bytes, Philox
    counters used.

    in_shapes and out_shapes stand in for the entries' own where the kernel wants another view of the same memory.
    """

    kernel: str
    params: tuple | bytes = ()
    scratch_bytes: int = 0
    n_random: int = 0
    in_shapes: Any = None
    out_shapes: Any = None


def always(p: Params, ins: Sequence[Any]) -> bool:
    """Be the per_example of an operator that never mixes examples."""
    return True


class Op:
    """The base of all operators; see the module's text.  Classes are used as they are and never instantiated."""

    name = ""
    aliases: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("data",)
    outputs: tuple[str, ...] = ("output",)
    # Inputs that a training run changes: their new values come from `compose` as {name: value}, or from `update`.
    aux: tuple[str, ...] = ()
    # The setting that counts the inputs, for operators that take any number of them.
    variadic: str | None = None
    # Whether `compose` wants train=True or False.
    uses_mode = False
    # Whether the gradient ignores the head gradient, so that backward() may be called without one.
    is_loss = False
    # Settings that come first when they are given by position, where that is not the order of declaration.
    positional: tuple[str, ...] = ()
    # Input name -> initializer text (JSON), for variables that composition makes.
    inits: dict[str, str] = {}
    # Whether it draws random numbers, so that two equal nodes differ.
    is_random = False
    params: dict[str, Param] = {}
    varying: tuple[str, ...] = ()
    grad: Any
    shape: Any
    dtype: Any

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Params:
        """Return the settings from keyword values or strings."""
        return parse(cls.name, cls.params, given)

    def flops(p: Params, ins: Sequence[Any], outs: Sequence[Any]) -> int:  # type: ignore[misc]
        """Return the floating operations for these shapes, where they outweigh the bytes."""
        return 0

    def per_example(p: Params, ins: Sequence[Any]) -> bool:  # type: ignore[misc]
        """Tell whether, in inference, example i (along axis 0) of each output is made of example i of the inputs that
        hold examples, by a body that uses their number at the head of `size` and `shape` only.   ins: shapes.
        """
        return False

    def live(p: Params) -> Sequence[str]:  # type: ignore[misc]
        """Return the names of the inputs in use; replaced by operators whose settings switch inputs off."""
        raise NotImplementedError

    @classmethod
    def input_names(cls, p: Params) -> tuple[str, ...]:
        """Return the names of the inputs in use, auxiliary states included."""
        if cls.variadic:
            return tuple(f"{cls.inputs[0]}{i}" for i in range(getattr(p, cls.variadic)))
        return tuple(cls.live(p)) if cls.live is not Op.live else cls.inputs

    def visible(p: Params) -> Sequence[str]:  # type: ignore[misc]
        """Return the names of the outputs; replaced by operators whose settings change their number."""
        raise NotImplementedError

    @classmethod
    def output_names(cls, p: Params) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(cls.visible(p)) if cls.visible is not Op.visible else cls.outputs


class Map(Op):
    """Compute element by element with `functor`; inputs broadcast as in NumPy.

    floating: the functor knows floating types only; integers take the way through float32 and back, as in MXNet.
    """

    functor = ""
    floating = False

    per_example = always

    def constants(p: Params, dtype: str) -> Sequence[Any]:  # type: ignore[misc]
        """Return the numbers that the functor takes after the inputs, for an output of `dtype`."""
        return ()


class Kernel(Op):
    """Run one kernel row: `launch(p, in types, out types) -> Launch`."""

    launch: Any


class View(Op):
    """Give the input's memory another shape."""


class Composed(Op):
    """Run a body of other operators: `compose(p, *inputs) -> value, tuple of values, or (values, {aux: new value})`."""

    compose: Any


def op(name: str, *aliases: str):
    """Register the decorated class as operator `name`; refuses one whose meaning is incomplete, and names it."""

    def register(cls: type[Op]) -> type[Op]:
        cls.name, cls.aliases = name, aliases
        declared = {k: v for base in reversed(cls.__mro__) for k, v in _declared(base).items()}
        cls.varying = tuple(k for k, param in declared.items() if param.varies)
        cls.params = {k: declared[k] for k in (*cls.positional, *(k for k in declared if k not in cls.positional))}
        for word in (name, *aliases):
            if word in REGISTRY:
                raise MXNetError(
                    f"operator {word} is registered twice: {REGISTRY[word].__qualname__} and {cls.__qualname__}"
                )
            REGISTRY[word] = cls
        missing = _missing(cls)
        if missing:
            raise MXNetError(f"operator {name} ({cls.__qualname__}) does not state {missing}")
        return cls

    return register


def find(name: str) -> type[Op]:
    """Return the operator of that name or alias; raises MXNetError when there is none."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise MXNetError(f"there is no operator {name!r}") from None


def _declared(cls: type) -> dict[str, Param]:
    found = {}
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():
        param = cls.__dict__.get(name)
        if isinstance(param, Param):
            param.declare(name.rstrip("_"), annotation)
            found[param.name] = param
    return found


def _missing(cls: type[Op]) -> str:
    if not cls.__doc__ or cls.__doc__ == cls.__mro__[1].__doc__:
        return "a docstring with its shapes"
    needs = ["shape", "dtype"]
    if issubclass(cls, Composed):
        needs += ["compose"]
    else:
        needs += ["grad"]
        if issubclass(cls, Kernel):
            needs += ["launch"]
        if issubclass(cls, Map) and not cls.functor:
            return "its functor"
    return " and ".join(f"`{need}`" for need in needs if not hasattr(cls, need))


__all__ = ["REGISTRY", "Composed", "Kernel", "Launch", "Map", "Op", "Type", "View", "always", "find", "op"]
