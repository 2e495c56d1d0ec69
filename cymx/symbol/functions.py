"""Functions that are more than one operator's: variables, constants, and those that take a number on either side.

Called by: users.
"""

from typing import Any

from ..base import DTYPE_FLAGS, ArgumentError, ArgumentTypeError, dtype_name, numeric_types
from ..ops import find
from . import _nodes
from .symbol import Symbol

STORAGE_FLAGS = {"default": 0, "row_sparse": 1, "csr": 2}


def var(name, attr=None, shape=None, lr_mult=None, wd_mult=None, dtype=None, init=None, stype=None, **kwargs) -> Symbol:
    """Return a variable: a place for an array of that name.

    attr: {word: string}.   shape (0 where unknown), dtype, stype: what the array will be.   lr_mult, wd_mult: factors
    for optimizers.
    init: an initializer or its description.   kwargs: further attributes, `__word__=value`.
    Raises ArgumentTypeError for a name that is no string, ArgumentError for attributes that are not strings or have no
    underscores.
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"Variable: name is {name!r}, expected a string")
    attrs = dict(attr or {})
    for key, value in attrs.items():
        if not isinstance(value, str):
            raise ArgumentError(f"Variable '{name}': attr {key!r} is {value!r}, expected a string")
    stated: dict[str, Any] = {
        "__shape__": shape,
        "__lr_mult__": lr_mult,
        "__wd_mult__": wd_mult,
        "__dtype__": None if dtype is None else DTYPE_FLAGS[dtype_name(dtype)],
        "__init__": init if init is None or isinstance(init, str) else init.dumps(),
        "__storage_type__": None if stype is None else _storage_flag(name, stype),
    }
    attrs.update({key: value for key, value in stated.items() if value is not None})
    for key, value in kwargs.items():
        if not _nodes.is_dunder(key):
            raise ArgumentError(
                f"Variable '{name}': there is no argument {key!r}; other attributes are spelled __{key.strip('_')}__"
            )
        attrs[key] = value
    return Symbol([_nodes.variable(name, attrs)])


Variable = var


def _storage_flag(name: str, stype: str) -> int:
    if stype not in STORAGE_FLAGS:
        raise ArgumentError(f"Variable '{name}': stype is {stype!r}, expected one of {', '.join(STORAGE_FLAGS)}")
    return STORAGE_FLAGS[stype]


def _make(word: str, *inputs: Symbol, **settings) -> Symbol:
    return Symbol._of(find(word), word, inputs, settings)


def zeros(shape, dtype=None, **kwargs) -> Symbol:
    """Return zeros of a shape; float32 unless dtype says otherwise."""
    return _make("_zeros", shape=shape, dtype=dtype or "float32", **kwargs)


def ones(shape, dtype=None, **kwargs) -> Symbol:
    """Return ones of a shape; float32 unless dtype says otherwise."""
    return _make("_ones", shape=shape, dtype=dtype or "float32", **kwargs)


def full(shape, val, dtype=None, **kwargs) -> Symbol:
    """Return a shape filled with one value; float32 unless dtype says otherwise."""
    return _make("_full", shape=shape, value=float(val), dtype=dtype or "float32", **kwargs)


def arange(start, stop=None, step=1.0, repeat=1, infer_range=False, name=None, dtype=None) -> Symbol:
    """Return the numbers from start to below stop, each `repeat` times; without stop, those from 0 to below start."""
    settings = {"start": start, "stop": stop, "step": step, "repeat": repeat, "infer_range": infer_range}
    return _make("_arange", name=name, dtype=dtype or "float32", **settings)


def linspace(start, stop, num, endpoint=True, name=None, dtype=None) -> Symbol:
    """Return `num` numbers at even distances from start to stop; stop is left out unless endpoint."""
    return _make("_linspace", start=start, stop=stop, num=num, endpoint=endpoint, name=name, dtype=dtype or "float32")


def eye(N, M=0, k=0, dtype=None, **kwargs) -> Symbol:
    """Return N x M (N x N where M is 0) zeros with ones on diagonal k."""
    return _make("_eye", N=N, M=M, k=k, dtype=dtype or "float32", **kwargs)


def histogram(a, bins=10, range=None, **kwargs) -> Symbol:
    """Return (counts, edges) of the values of `a` in bins: edges (a Symbol), or a number of equal ones over `range`."""
    if isinstance(bins, Symbol):
        return _make("_histogram", a, bins, **kwargs)
    if range is None:
        raise ArgumentError(
            "histogram: range is None, expected (low, high), since a symbol holds no data to take it from"
        )
    return _make("_histogram", a, bin_cnt=bins, range=range, **kwargs)


def split_v2(ary, indices_or_sections, axis=0, squeeze_axis=False) -> Symbol:
    """Return the parts of an array along an axis: a number of equal ones, or those that start at the given indices."""
    return ary.split_v2(indices_or_sections, axis, squeeze_axis)


def _either(name: str, pair: str, scalar: str, reverse: str, plain: Any):
    """Return a function of two sides, each a symbol or a number."""

    def call(left, right):
        hints = pair, scalar.replace("_scalar", "scalar"), reverse.replace("_scalar", "scalar")
        if isinstance(left, Symbol):
            return left._with(right, pair, hints[0], scalar, hints[1])
        if isinstance(right, Symbol):
            return right._with(left, pair, hints[0], reverse, hints[2])
        if isinstance(left, numeric_types) and isinstance(right, numeric_types):
            return plain(left, right)
        raise ArgumentTypeError(f"{name}: {left!r:.80} and {right!r:.80} came, expected symbols or numbers")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Return the {name} of two symbols of one shape, or of a symbol and a number."
    return call


maximum = _either("maximum", "_maximum", "_maximum_scalar", "_maximum_scalar", max)
minimum = _either("minimum", "_minimum", "_minimum_scalar", "_minimum_scalar", min)
power = pow = _either("power", "_power", "_power_scalar", "_rpower_scalar", lambda base, exponent: base**exponent)
hypot = _either("hypot", "_hypot", "_hypot_scalar", "_hypot_scalar", lambda a, b: (a * a + b * b) ** 0.5)
