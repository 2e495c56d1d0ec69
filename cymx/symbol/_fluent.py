"""What a symbol can do by operators and methods: arithmetic, comparison, and `x.reshape(...)`, `x.sum()`, ... for the
functions of those names.

Every one of them makes a node through Fluent._of, as the functions of the module do.  Called by: symbol, functions,
register.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..base import ArgumentError, ArgumentTypeError, NotImplementedForSymbol, numeric_types
from ..ir import Entry, Graph
from ..ops import find
from ..ops._signature import split_arguments
from . import _nodes


def _binary(pair: str, pair_hint: str, scalar: str, scalar_hint: str):
    """Return a method: operator `pair` for two symbols, `scalar` for a symbol and a number.

    The hints are the stems of automatic names.
    """

    def method(self, other):
        return self._with(other, pair, pair_hint, scalar, scalar_hint)

    return method


def _absent(name: str):
    def method(self, *args, **kwargs):
        raise NotImplementedForSymbol(f"{self!r} holds no data, so it has no {name}; bind it, or use an NDArray")

    method.__name__ = name
    return method


class Fluent:
    """The base of Symbol: outputs of a graph, their arithmetic, and functions as methods."""

    __slots__ = ("graph",)

    def __init__(self, entries: Iterable[Entry]):
        self.graph = Graph(tuple(entries))

    @property
    def _entries(self) -> tuple[Entry, ...]:
        return self.graph.outputs

    def entry(self, what: str) -> Entry:
        """Return the only output; raises ArgumentError, saying `what` it is, where there are several."""
        if len(self._entries) != 1:
            names = ", ".join(map(_nodes.output_name, self._entries))
            raise ArgumentError(f"{what} has {len(self._entries)} outputs ({names}), expected one; pick it by [index]")
        return self._entries[0]

    @classmethod
    def _of(cls, op: Any, hint: str, args: tuple, kwargs: dict[str, Any]):
        """Return the symbol that `op(*args, **kwargs)` makes.

        Besides inputs and settings there may be name and attr, and out is ignored, as in MXNet.
        """
        name, attrs = kwargs.pop("name", None), kwargs.pop("attr", None)
        kwargs.pop("out", None)
        with _nodes.blame(op, name):
            inputs, settings = split_arguments(op, args, kwargs, lambda value: isinstance(value, Fluent), "a Symbol")
            entries = {key: value.entry(key) for key, value in inputs.items()}
        return cls(_nodes.apply(op, entries, settings, hint, name, attrs))

    def _with(self, other: Any, pair: str, pair_hint: str, scalar: str, scalar_hint: str):
        if isinstance(other, Fluent):
            return self._of(find(pair), pair_hint, (self, other), {})
        if isinstance(other, numeric_types):
            number = int(other) if isinstance(other, (bool, np.bool_)) else other
            return self._of(find(scalar), scalar_hint, (self,), {"scalar": number})
        raise ArgumentTypeError(f"{pair}: the other side of {self!r} is {other!r:.80}, expected a Symbol or a number")

    __add__ = __radd__ = __iadd__ = _binary("elemwise_add", "_plus", "_plus_scalar", "_plusscalar")
    __sub__ = __isub__ = _binary("elemwise_sub", "_minus", "_minus_scalar", "_minusscalar")
    __rsub__ = _binary("elemwise_sub", "_minus", "_rminus_scalar", "_rminusscalar")
    __mul__ = __rmul__ = __imul__ = _binary("elemwise_mul", "_mul", "_mul_scalar", "_mulscalar")
    __truediv__ = __itruediv__ = _binary("elemwise_div", "_div", "_div_scalar", "_divscalar")
    __rtruediv__ = _binary("elemwise_div", "_div", "_rdiv_scalar", "_rdivscalar")
    __mod__ = _binary("_mod", "_mod", "_mod_scalar", "_modscalar")
    __rmod__ = _binary("_mod", "_mod", "_rmod_scalar", "_rmodscalar")
    __pow__ = _binary("_power", "_power", "_power_scalar", "_powerscalar")
    __rpow__ = _binary("_power", "_power", "_rpower_scalar", "_rpower_scalar")
    __eq__ = _binary("_equal", "_equal", "_equal_scalar", "_equal_scalar")  # type: ignore[assignment]
    __ne__ = _binary("_not_equal", "_not_equal", "_not_equal_scalar", "_not_equal_scalar")  # type: ignore[assignment]
    __gt__ = _binary("_greater", "_greater", "_greater_scalar", "_greater_scalar")
    __ge__ = _binary("_greater_equal", "_greater_equal", "_greater_equal_scalar", "_greater_equal_scalar")
    __lt__ = _binary("_lesser", "_lesser", "_lesser_scalar", "_lesser_scalar")
    __le__ = _binary("_lesser_equal", "_lesser_equal", "_lesser_equal_scalar", "_lesser_equal_scalar")
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self):
        return self * -1.0

    def __abs__(self):
        return self._of(find("abs"), "abs", (self,), {})

    def split_v2(self, indices_or_sections, axis=0, squeeze_axis=False):
        """Return the parts along an axis: a number of equal ones, or those that start at the given indices."""
        sections = indices_or_sections if isinstance(indices_or_sections, int) else 0
        if not sections and not isinstance(indices_or_sections, tuple):
            raise ArgumentTypeError(
                f"split_v2: indices_or_sections is {indices_or_sections!r}, expected an integer or a tuple of them"
            )
        settings = {
            "indices": () if sections else (0, *indices_or_sections),
            "axis": axis,
            "squeeze_axis": squeeze_axis,
            "sections": sections,
        }
        return self._of(find("_split_v2"), "_split_v2", (self,), settings)

    def __bool__(self):
        raise NotImplementedForSymbol(f"{self!r} holds no data, so it is neither true nor false")


# Methods of NDArray that need data.
for _name in ("asnumpy", "asscalar", "wait_to_read", "copy", "as_in_context", "detach", "backward"):
    setattr(Fluent, _name, _absent(_name))

# Functions that are methods as well: x.name(...) is name(x, ...).
METHODS = """
    reshape reshape_like astype=cast zeros_like ones_like broadcast_axes repeat pad swapaxes split slice slice_axis
    slice_like take one_hot
    pick sort topk argsort argmax argmax_channel argmin clip abs sign flatten shape_array size_array expand_dims
    broadcast_to broadcast_like
    tile transpose flip depth_to_space space_to_depth diag sum nansum prod nanprod mean max min norm round rint fix
    floor ceil trunc sin cos
    tan arcsin arccos arctan degrees radians sinh cosh tanh arcsinh arccosh arctanh exp expm1 log log10 log2 log1p sqrt
    rsqrt cbrt rcbrt
    square reciprocal relu sigmoid softmax log_softmax softmin squeeze
""".split()


def _method(name: str, word: str):
    def method(self, *args, **kwargs):
        kwargs.pop("inplace", None)
        return self._of(find(word), word, (self, *args), kwargs)

    method.__name__ = name
    method.__qualname__ = f"Symbol.{name}"
    method.__doc__ = f"Return {word}(self, ...)."
    return method


for _name in METHODS:
    setattr(Fluent, _name.split("=")[0], _method(_name.split("=")[0], _name.split("=")[-1]))
