"""Contexts as arrays meet them: from device numbers, and from what users pass as `ctx`.

Called by: the rest of ndarray.
"""

import re
from functools import cache
from typing import Any

from ..base import ArgumentTypeError, Context, current_context


@cache
def context_of(device_type: int, device_id: int) -> Context:
    """Return the context of MXNet's device number and id."""
    return Context(Context.devtype2str[device_type], device_id)


def context_from(ctx: Any) -> Context:
    """Return the context that `ctx` means: None is the current one; 'cpu(1)' is read as well.

    Raises ArgumentTypeError.
    """
    if ctx is None:
        return current_context()
    if isinstance(ctx, Context):
        return ctx
    match = re.fullmatch(r"(\w+?)(?:\((\d+)\))?", ctx) if isinstance(ctx, str) else None
    if match is None or match[1] not in Context.devstr2type:
        raise ArgumentTypeError(f"ctx is {ctx!r}, expected a Context such as mx.cpu(0)")
    return Context(match[1], int(match[2] or 0))
