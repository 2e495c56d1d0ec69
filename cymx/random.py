"""mx.random: seeds, and the functions of nd.random.   Called by: users."""

from typing import Any

from . import _engine
from .base import ArgumentError, ArgumentTypeError, Context, integer_types
from .ndarray.random import exponential, normal, randint, randn, shuffle, uniform

__all__ = ["exponential", "normal", "randint", "randn", "seed", "shuffle", "uniform"]


def seed(seed_state: int, ctx: Any = "all") -> None:
    """Seed the random numbers of every context, or of one.

    The same seed gives the same numbers on any device and for any number of threads.
    """
    if not isinstance(seed_state, integer_types):
        raise ArgumentError(f"seed_state must be int, came {seed_state!r}")
    number = int(seed_state) % 2**64
    if ctx == "all":
        _engine.seed(number)
    elif isinstance(ctx, Context):
        _engine.seed_context(ctx.device_typeid, ctx.device_id, number)
    else:
        raise ArgumentTypeError(f"seed: ctx is {ctx!r}, expected 'all' or a Context")
