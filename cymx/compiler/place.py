"""Place: decide on which device the graph runs.  Refuses a graph whose groups lie on devices of different kinds."""

from collections.abc import Mapping

from ..base import Context, MXNetError
from ..ir import Graph


def place(graph: Graph, context: Context, groups: Mapping[str, Context] | None = None) -> Context:
    """Return the context of the whole graph: the one it is bound to.

    groups: the context of each `ctx_group` attribute.  CPU contexts share one memory and one set of cores, so groups on
    other CPU ids run with the rest.
    """
    for name, other in (groups or {}).items():
        if other.device_type != context.device_type:
            raise MXNetError(
                f"group '{name}' is on {other} and the graph is bound to {context}: "
                "one graph runs on one kind of device"
            )
    return context
