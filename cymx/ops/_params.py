"""An operator's settings: declared once as annotated class attributes, parsed alike from Python values and from the
strings of a saved symbol.

    num_hidden: int = Param(ge=1)         required
    axis: Axes = Param(())                None, an integer or several
"""

import ast
import math
from typing import Any

from ..base import ArgumentError, dtype_name

REQUIRED = object()


class Shape:
    """Annotate a tuple of integers; an integer stands for a tuple of one."""


class OptionalShape:
    """Annotate a tuple of integers and Nones."""


class Numbers:
    """Annotate a tuple of numbers; a number stands for a tuple of one."""


class Axes:
    """Annotate None, an integer or a tuple of integers."""


class DType:
    """Annotate the name of a dtype."""


class Param:
    """Declare one setting: its default (none: required), least value and allowed words.

    varies: it changes from call to call (a learning rate), so eager calls pass it as data, and a new value compiles
    nothing.  The body must use it in
    arithmetic only.
    """

    __slots__ = ("default", "ge", "choices", "varies", "kind", "optional", "name")

    def __init__(
        self,
        default: Any = REQUIRED,
        *,
        ge: float | None = None,
        choices: tuple[str, ...] | None = None,
        varies: bool = False,
    ):
        self.default, self.ge, self.choices, self.varies = default, ge, choices, varies
        self.kind: Any = None
        self.optional = False
        self.name = ""

    def declare(self, name: str, annotation: Any) -> None:
        """Take name and kind from the class body; `int | None` makes a setting optional."""
        kinds = [k for k in getattr(annotation, "__args__", (annotation,)) if k is not type(None)]
        self.name, self.kind = name, kinds[0]
        self.optional = len(kinds) != len(getattr(annotation, "__args__", (annotation,))) or self.default is None

    def parse(self, value: Any) -> Any:
        """Return the value as the operator wants it, or raise ArgumentError saying what came and what was wanted."""
        if value is None or (
            isinstance(value, str) and value == "None" and not (self.choices and "None" in self.choices)
        ):
            if self.optional or self.kind is Axes:
                return None
            raise ArgumentError(f"{self.name} is None, expected {self.wanted()}")
        try:
            parsed = _PARSERS[self.kind](value)
        except (ValueError, TypeError, SyntaxError) as e:
            detail = f" ({e})" if isinstance(e, ArgumentError) else ""
            raise ArgumentError(f"{self.name} is {value!r}, expected {self.wanted()}{detail}") from None
        if self.choices is not None and parsed not in self.choices:
            raise ArgumentError(f"{self.name} is {value!r}, expected {self.wanted()}")
        if self.ge is not None and (min(parsed, default=self.ge) if isinstance(parsed, tuple) else parsed) < self.ge:
            raise ArgumentError(f"{self.name} is {value!r}, expected {self.wanted()}")
        return parsed

    def wanted(self) -> str:
        """Return in words what the setting takes."""
        if self.choices is not None:
            return "one of " + ", ".join(repr(c) for c in self.choices)
        words = _WORDS[self.kind] + (f" of at least {self.ge}" if self.ge is not None else "")
        return words + (" or None" if self.optional else "")


class Params:
    """The parsed settings of one use of an operator: attributes by name, hashable by value.

    given: what the user wrote, as the strings that a saved symbol holds.
    """

    def __init__(self, values: dict[str, Any], given: dict[str, str]):
        self.__dict__.update(values)
        self.key = tuple(values.items())
        self.given = given

    def replace(self, changes: dict[str, Any]) -> "Params":
        """Return the same settings with some changed."""
        return Params({**dict(self.key), **changes}, self.given)

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return isinstance(other, Params) and self.key == other.key

    def __str__(self):
        return ", ".join(f"{k}={v}" for k, v in self.given.items())

    def __getattr__(self, name) -> Any:
        raise AttributeError(f"no setting {name!r}")


def parse(op_name: str, declared: dict[str, Param], given: dict[str, Any]) -> Params:
    """Return the Params of operator `op_name` from keyword values;

    raises ArgumentError naming the operator and the setting.
    """
    values = {}
    for name, param in declared.items():
        value = given.get(name, param.default)
        if value is REQUIRED:
            raise ArgumentError(f"{op_name}: {name} is missing, expected {param.wanted()}")
        try:
            values[name] = param.parse(value) if name in given else value
        except ArgumentError as e:
            raise ArgumentError(f"{op_name}: {e}") from None
    unknown = [k for k in given if k not in declared]
    if unknown:
        known = ", ".join(declared) or "none"
        raise ArgumentError(f"{op_name}: there is no setting {unknown[0]!r}; known settings: {known}")
    return Params(values, {k: to_string(v) for k, v in given.items()})


def to_string(value: Any) -> str:
    """Return a setting as a saved symbol spells it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return str(tuple(value))
    try:
        return (
            dtype_name(value)
            if isinstance(value, type) or hasattr(value, "itemsize") and hasattr(value, "kind")
            else str(value)
        )
    except ArgumentError:
        return str(value)


def _int(value: Any) -> int:
    if isinstance(value, str):
        value = (
            ast.literal_eval(value.rstrip("L"))
            if value not in ("True", "true", "False", "false")
            else value in ("True", "true")
        )
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _float(value: Any) -> float:
    return float(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        if value in ("True", "true", "1"):
            return True
        if value in ("False", "false", "0"):
            return False
        raise ValueError
    if not isinstance(value, bool) and value not in (0, 1):
        raise ValueError
    return bool(value)


def _str(value: Any) -> str:
    # Among choices of dtypes a type stands for its name.
    return value if isinstance(value, str) else dtype_name(value)


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        value = ast.literal_eval(value.replace("L", ""))
    if not hasattr(value, "__iter__"):
        value = (value,)
    return tuple(-1 if v is None else _int(v) for v in value)


def _optional_shape(value: Any) -> tuple[int | None, ...]:
    if isinstance(value, str):
        value = ast.literal_eval(value.replace("L", ""))
    if not hasattr(value, "__iter__"):
        value = (value,)
    return tuple(None if v is None else _int(v) for v in value)


def _numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, str):
        value = ast.literal_eval(value)
    return tuple(float(v) for v in value) if hasattr(value, "__iter__") else (float(value),)


def _axes(value: Any) -> Any:
    if isinstance(value, str):
        value = ast.literal_eval(value)
    return tuple(_int(v) for v in value) if hasattr(value, "__iter__") else _int(value)


_PARSERS: dict[Any, Any] = {
    int: _int, float: _float, bool: _bool, str: _str, Shape: _shape, OptionalShape: _optional_shape,
    Axes: _axes, Numbers: _numbers, DType: dtype_name,
}  # fmt: skip
_WORDS: dict[Any, str] = {
    int: "an integer", float: "a number", bool: "True or False", str: "a word", Shape: "a tuple of integers",
    OptionalShape: "a tuple of integers and Nones",
    Axes: "an axis or a tuple of axes", Numbers: "a tuple of numbers", DType: "the name of a dtype",
}  # fmt: skip

INFINITY = math.inf
