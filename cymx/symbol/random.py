"""Random numbers as symbols: a distribution's parameters are numbers, or symbols that give a row of draws each.

Called by: users.
"""

from typing import Any

from ..base import ArgumentTypeError
from ..ops import find
from .register import namespace
from .symbol import Symbol

__getattr__, __dir__ = namespace(__name__)


def _draw(distribution: str, parameters: dict[str, Any], shape, dtype, kwargs) -> Symbol:
    """Draw `shape` numbers where all parameters are numbers, or that many for every element where all are symbols."""
    kinds = {isinstance(value, Symbol) for value in parameters.values()}
    if len(kinds) != 1:
        raise ArgumentTypeError(f"random.{distribution}: {', '.join(parameters)} must be all numbers or all symbols")
    given = {"shape": shape, "dtype": dtype}
    settings = {**{key: value for key, value in given.items() if value is not None}, **kwargs}
    # The inputs of the one are not always named like the settings of the other, but stand in the same order.
    if kinds.pop():
        return Symbol._of(
            find(f"_sample_{distribution}"), f"_sample_{distribution}", tuple(parameters.values()), settings
        )
    return Symbol._of(find(f"_random_{distribution}"), f"_random_{distribution}", (), {**parameters, **settings})


def uniform(low=0, high=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw from [low, high) evenly."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc=0, scale=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw from the normal distribution of mean loc and standard deviation scale."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def randn(*shape, loc=0, scale=1, dtype=None, **kwargs) -> Symbol:
    """Draw from the normal distribution; the dimensions are positional."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def poisson(lam=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw from the Poisson distribution of mean lam."""
    return _draw("poisson", {"lam": lam}, shape, dtype, kwargs)


def exponential(scale=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw from the exponential distribution of mean scale."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def gamma(alpha=1, beta=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw from the gamma distribution of shape alpha and scale beta."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def negative_binomial(k=1, p=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw the failures before k successes of probability p."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, kwargs)


def generalized_negative_binomial(mu=1, alpha=1, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw from the negative binomial distribution of mean mu and dispersion alpha."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, kwargs)


def randint(low, high, shape=None, dtype=None, **kwargs) -> Symbol:
    """Draw integers from [low, high) evenly."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, kwargs)


def multinomial(data, shape=None, get_prob=True, dtype="int32", **kwargs) -> Symbol:
    """Draw indices from the rows of probabilities in data; with get_prob, also their log probabilities."""
    given = {} if shape is None else {"shape": shape}
    return Symbol._of(
        find("_sample_multinomial"),
        "_sample_multinomial",
        (data,),
        {**given, "get_prob": get_prob, "dtype": dtype, **kwargs},
    )


def shuffle(data, **kwargs) -> Symbol:
    """Return data with its rows in random order."""
    return Symbol._of(find("_shuffle"), "_shuffle", (data,), kwargs)
