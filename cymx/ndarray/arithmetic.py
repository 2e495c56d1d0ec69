"""Arithmetic and comparison of arrays and numbers: one table makes both the functions and NDArray's operators.

Two arrays broadcast and must have one dtype; a number takes the dtype of the array beside it; two numbers give a
number.  Refuses everything else, NumPy arrays included, as MXNet does.  Called by: ndarray.py and users.
"""

import operator
from collections.abc import Callable
from typing import Any

from .._array import Array
from ..base import ArgumentTypeError, numeric_types
from ..ops import find
from ._invoke import invoke


def _truth(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any], int]:
    return lambda lhs, rhs: int(bool(test(lhs, rhs)))


def _both(lhs: Any, rhs: Any) -> bool:
    return bool(lhs) and bool(rhs)


def _either(lhs: Any, rhs: Any) -> bool:
    return bool(lhs) or bool(rhs)


def _one(lhs: Any, rhs: Any) -> bool:
    return bool(lhs) != bool(rhs)


# function: operators for (array, array), (array, number), (number, array), and what two numbers give
_TABLE: dict[str, tuple[str, str, str, Callable[[Any, Any], Any]]] = {
    "add": ("broadcast_add", "_plus_scalar", "_plus_scalar", operator.add),
    "subtract": ("broadcast_sub", "_minus_scalar", "_rminus_scalar", operator.sub),
    "multiply": ("broadcast_mul", "_mul_scalar", "_mul_scalar", operator.mul),
    "divide": ("broadcast_div", "_div_scalar", "_rdiv_scalar", operator.truediv),
    "modulo": ("broadcast_mod", "_mod_scalar", "_rmod_scalar", operator.mod),
    "power": ("broadcast_power", "_power_scalar", "_rpower_scalar", operator.pow),
    "maximum": ("broadcast_maximum", "_maximum_scalar", "_maximum_scalar", max),
    "minimum": ("broadcast_minimum", "_minimum_scalar", "_minimum_scalar", min),
    "equal": ("broadcast_equal", "_equal_scalar", "_equal_scalar", _truth(operator.eq)),
    "not_equal": ("broadcast_not_equal", "_not_equal_scalar", "_not_equal_scalar", _truth(operator.ne)),
    "greater": ("broadcast_greater", "_greater_scalar", "_lesser_scalar", _truth(operator.gt)),
    "greater_equal": ("broadcast_greater_equal", "_greater_equal_scalar", "_lesser_equal_scalar", _truth(operator.ge)),
    "lesser": ("broadcast_lesser", "_lesser_scalar", "_greater_scalar", _truth(operator.lt)),
    "lesser_equal": ("broadcast_lesser_equal", "_lesser_equal_scalar", "_greater_equal_scalar", _truth(operator.le)),
    "logical_and": ("broadcast_logical_and", "_logical_and_scalar", "_logical_and_scalar", _truth(_both)),
    "logical_or": ("broadcast_logical_or", "_logical_or_scalar", "_logical_or_scalar", _truth(_either)),
    "logical_xor": ("broadcast_logical_xor", "_logical_xor_scalar", "_logical_xor_scalar", _truth(_one)),
}


def _refuse(name: str, value: Any) -> ArgumentTypeError:
    return ArgumentTypeError(f"{name}: type {type(value)} not supported, expected an NDArray or a number")


def _function(name: str) -> Callable[[Any, Any], Any]:
    both, with_number, reflected, numbers = _TABLE[name]
    pair, right, left = find(both), find(with_number), find(reflected)

    def call(lhs, rhs):
        if isinstance(lhs, Array):
            if isinstance(rhs, Array):
                return invoke(pair, (lhs, rhs), {}, cls=type(lhs))
            if isinstance(rhs, numeric_types):
                return invoke(right, (lhs,), {"scalar": float(rhs)}, cls=type(lhs))
            raise _refuse(name, rhs)
        if isinstance(lhs, numeric_types):
            if isinstance(rhs, Array):
                return invoke(left, (rhs,), {"scalar": float(lhs)}, cls=type(rhs))
            if isinstance(rhs, numeric_types):
                return numbers(lhs, rhs)
            raise _refuse(name, rhs)
        raise _refuse(name, lhs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Return {name} of lhs and rhs: arrays of one dtype whose shapes broadcast, or numbers."
    return call


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: function(other, self)


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    both, with_number, _, _ = _TABLE[name]
    pair, right = find(both), find(with_number)

    def call(self, other):
        if isinstance(other, Array):
            return invoke(pair, (self, other), {}, self)
        if isinstance(other, numeric_types):
            return invoke(right, (self,), {"scalar": float(other)}, self)
        raise _refuse(name, other)

    return call


add = _function("add")
subtract = _function("subtract")
multiply = _function("multiply")
divide = _function("divide")
modulo = _function("modulo")
power = _function("power")
maximum = _function("maximum")
minimum = _function("minimum")
equal = _function("equal")
not_equal = _function("not_equal")
greater = _function("greater")
greater_equal = _function("greater_equal")
lesser = _function("lesser")
lesser_equal = _function("lesser_equal")
logical_and = _function("logical_and")
logical_or = _function("logical_or")
logical_xor = _function("logical_xor")
true_divide = divide


def install(cls: type) -> None:
    """Give `cls` its operators."""
    for word, function in _OPERATORS.items():
        setattr(cls, f"__{word}__", function)
        setattr(cls, f"__r{word}__", _reflected(function))
        if function is not power:
            setattr(cls, f"__i{word}__", _in_place(function.__name__))
    for word, function in _COMPARISONS.items():
        setattr(cls, f"__{word}__", function)


# NDArray's operators; the first also have a reflected form and, all but power, one that writes in place.
_OPERATORS = {"add": add, "sub": subtract, "mul": multiply, "truediv": divide, "mod": modulo, "pow": power}
_COMPARISONS = {"eq": equal, "ne": not_equal, "gt": greater, "ge": greater_equal, "lt": lesser, "le": lesser_equal}
