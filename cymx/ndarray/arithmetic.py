"""Arithmetic and comparison of arrays and numbers: one table makes both the functions and NDArray's operators.

Two arrays broadcast and must have one dtype; a number takes the dtype of the array beside it; two numbers give a
number.  Refuses everything else, NumPy arrays included, as MXNet does.  Called by: ndarray.py and users.
"""

import operator
from collections.abc import Callable
from typing import Any

from .._array import Array
from .._eager import general
from ..base import ArgumentTypeError, numeric_types
from ..ops import find
from ._host import scalar_like
from ._invoke import invoke, scalar_of


def _truth(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any], int]:
    return lambda lhs, rhs: int(bool(test(lhs, rhs)))


def _both(lhs: Any, rhs: Any) -> bool:
    return bool(lhs) and bool(rhs)


def _either(lhs: Any, rhs: Any) -> bool:
    return bool(lhs) or bool(rhs)


def _one(lhs: Any, rhs: Any) -> bool:
    return bool(lhs) != bool(rhs)


# function: its operator, and what two numbers give
_TABLE: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "add": ("broadcast_add", operator.add),
    "subtract": ("broadcast_sub", operator.sub),
    "multiply": ("broadcast_mul", operator.mul),
    "divide": ("broadcast_div", operator.truediv),
    "modulo": ("broadcast_mod", operator.mod),
    "power": ("broadcast_power", operator.pow),
    "maximum": ("broadcast_maximum", max),
    "minimum": ("broadcast_minimum", min),
    "equal": ("broadcast_equal", _truth(operator.eq)),
    "not_equal": ("broadcast_not_equal", _truth(operator.ne)),
    "greater": ("broadcast_greater", _truth(operator.gt)),
    "greater_equal": ("broadcast_greater_equal", _truth(operator.ge)),
    "lesser": ("broadcast_lesser", _truth(operator.lt)),
    "lesser_equal": ("broadcast_lesser_equal", _truth(operator.le)),
    "logical_and": ("broadcast_logical_and", _truth(_both)),
    "logical_or": ("broadcast_logical_or", _truth(_either)),
    "logical_xor": ("broadcast_logical_xor", _truth(_one)),
}


def _refuse(name: str, value: Any) -> ArgumentTypeError:
    return ArgumentTypeError(f"{name}: type {type(value)} not supported, expected an NDArray or a number")


def _lifted(name: str, number: Any, beside: Array) -> Array:
    if not isinstance(number, numeric_types):
        raise _refuse(name, number)
    if not number:  # 0.0 and -0.0 are equal
        return scalar_like(beside, number)
    cls: Any = type(beside)
    return scalar_of(cls, beside.dtype_name, (beside.device_type, beside.device_id), number)


def _function(name: str) -> Callable[[Any, Any], Any]:
    word, of_numbers = _TABLE[name]
    op = find(word)

    def call(lhs, rhs):
        if isinstance(lhs, Array):
            if not isinstance(rhs, Array):
                rhs = _lifted(name, rhs, lhs)
            return invoke(op, (lhs, rhs), {}, cls=type(lhs))
        if isinstance(rhs, Array):
            return invoke(op, (_lifted(name, lhs, rhs), rhs), {}, cls=type(rhs))
        if isinstance(lhs, numeric_types) and isinstance(rhs, numeric_types):
            return of_numbers(lhs, rhs)
        raise _refuse(name, rhs if isinstance(lhs, numeric_types) else lhs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Return {name} of lhs and rhs: arrays of one dtype whose shapes broadcast, or numbers."
    return call


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    op = find(_TABLE[name][0])

    def call(self, other):
        if not isinstance(other, Array):
            other = _lifted(name, other, self)
        return invoke(op, (self, other), {}, self)

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


# What Python's operators do where EagerArray's own way does not apply; all but power have a form that writes in place.
_OPERATORS = (add, subtract, multiply, divide, modulo, power)
_COMPARISONS = (equal, not_equal, greater, greater_equal, lesser, lesser_equal)
general.update({f.__name__: f for f in (*_OPERATORS, *_COMPARISONS)})
general.update({f"{f.__name__}_in_place": _in_place(f.__name__) for f in _OPERATORS if f is not power})
