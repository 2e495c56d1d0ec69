"""Random arrays.   A distribution's parameters are numbers, or arrays that give `shape` draws for each element.

ctx None is the current context; dtype None is float32; shape None is (1,), or that of the parameters.
Called by: users and cymx.random.
"""

from typing import Any

from ..base import ArgumentError, Context, numeric_types
from ..ops import find
from ._context import context_from
from ._invoke import invoke
from .creation import array
from .ndarray import NDArray
from .register import namespace

__getattr__, __dir__ = namespace(__name__, NDArray)


def _draw(distribution: str, parameters: dict[str, Any], shape, dtype, ctx: Context | None, out: Any) -> Any:
    """Draw by `_random_...` where all parameters are numbers, by `_sample_...` where all are arrays."""
    settings: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    if all(isinstance(value, NDArray) for value in parameters.values()):
        if shape is not None:
            settings["shape"] = shape
        return invoke(find(f"_sample_{distribution}"), tuple(parameters.values()), settings, out, None, NDArray)
    for name, value in parameters.items():
        if not isinstance(value, numeric_types):
            wanted = f"expected {', '.join(parameters)} all as numbers or all as NDArrays"
            raise ArgumentError(f"random.{distribution}: {name} is of {type(value)}, {wanted}")
    if shape is None:
        shape = out.shape if out is not None else (1,)
    settings |= {**parameters, "shape": shape}
    return invoke(find(f"_random_{distribution}"), (), settings, out, context_from(ctx), NDArray)


def uniform(low=0, high=1, shape=None, dtype=None, ctx=None, out=None, **kwargs) -> NDArray:
    """Draw from [low, high) evenly."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, ctx, out)


def normal(loc=0, scale=1, shape=None, dtype=None, ctx=None, out=None, **kwargs) -> NDArray:
    """Draw from the normal distribution of mean loc and standard deviation scale."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, ctx, out)


def randn(*shape, loc=0, scale=1, dtype=None, ctx=None, out=None, **kwargs) -> NDArray:
    """Draw from the normal distribution; the dimensions are positional."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, ctx, out)


def exponential(scale=1, shape=None, dtype=None, ctx=None, out=None, **kwargs) -> NDArray:
    """Draw from the exponential distribution of mean scale."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, ctx, out)


def randint(low, high, shape=None, dtype=None, ctx=None, out=None, **kwargs) -> NDArray:
    """Draw integers from [low, high) evenly; int32 unless dtype is 'int64'."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, ctx, out)


def shuffle(data: NDArray, out=None, **kwargs) -> NDArray:
    """Return data with its rows in random order."""
    order = uniform(shape=data.shape[0], dtype="float64", ctx=data.context).asnumpy().argsort(kind="stable")
    rows = array(order, data.context, "int64")
    return invoke(find("take"), (data, rows), {"axis": 0}, out, None, NDArray)
