"""Show a symbol: a table of its layers as text, or a drawing through the optional package graphviz.

Counts as parameters what infer_shape finds for the variables of a layer that are neither data nor labels nor auxiliary
states.  Called by: users.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .base import ArgumentTypeError, NotBuiltError
from .compiler.infer import infer
from .ir import Entry, Node
from .ops._def import View
from .ops._shapes import known, n_elements
from .symbol import Symbol

__all__ = ["print_summary", "plot_network"]

PARAMETER_ENDINGS = (
    "_weight",
    "_bias",
    "_beta",
    "_gamma",
    "_moving_var",
    "_moving_mean",
    "_running_var",
    "_running_mean",
)


def print_summary(
    symbol: Symbol,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    line_length: int = 120,
    positions: Sequence[float] = (0.44, 0.64, 0.74, 1.0),
) -> None:
    """Print a table of the layers: output shape without the batch, number of parameters, and the layers before it.

    shape: {data's name: shape}.   positions: where the columns end, as fractions of line_length or in characters.
    """
    _expect_symbol("print_summary", symbol)
    nodes = symbol.graph.nodes()
    shapes = infer(symbol.graph, shape or {}, {}, partial=True)
    data = {node for i, node in enumerate(nodes) if node.op is None and (i == 0 or node.name in (shape or {}))}
    ends = [int(line_length * p) if p <= 1 else int(p) for p in positions]

    def row(*fields: Any) -> None:
        line = ""
        for field, end in zip(fields, ends):
            line = (line + str(field))[:end].ljust(end)
        print(line)

    print("_" * line_length)
    row("Layer (type)", "Output Shape", "Param #", "Previous Layer")
    print("=" * line_length)
    layers = [node for node in nodes if node.op or node in data]
    total = 0
    for i, node in enumerate(layers):
        n_params = sum(n_elements(s) for s in map(shapes.shape_of, _parameters(node, data)) if known(s))
        total += n_params
        before = [entry.node.name for entry in node.inputs if entry.node.op or entry.node in data]
        first, *more = before or [""]
        kind = node.op.name if node.op else "null"
        row(f"{node.name}({kind})", _without_batch(shapes.shape_of(Entry(node))), n_params, first)
        for name in more:
            row("", "", "", name)
        print(("=" if i == len(layers) - 1 else "_") * line_length)
    print(f"Total params: {total}")
    print("_" * line_length)


def _parameters(node: Node, data: set[Node]) -> list[Entry]:
    """Return the inputs of a layer that are learnt."""
    if node.op is None:
        return []
    names = node.op.input_names(node.params)
    return [
        entry
        for entry, name in zip(node.inputs, names)
        if entry.node.op is None and entry.node not in data and name not in node.op.aux and name != "label"
    ]


def _without_batch(shape: Any) -> str:
    return "x".join("?" if n == -1 else str(n) for n in (shape or ())[1:])


COLORS = {
    "variable": "#8dd3c7", "weights": "#fb8072", "normalization": "#bebada", "activation": "#ffffb3",
    "pooling": "#80b1d3", "shape": "#fdb462", "loss": "#b3de69", "other": "#fccde5",
}  # fmt: skip


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    save_format: str = "pdf",
    shape: Mapping[str, tuple[int, ...]] | None = None,
    dtype: Mapping[str, Any] | None = None,
    node_attrs: Mapping[str, str] | None = None,
    hide_weights: bool = True,
) -> Any:
    """Return a graphviz.Digraph of the symbol, from outputs to inputs, with shapes at the edges where `shape` is given.

    node_attrs: graphviz's attributes for every node.   Raises NotBuiltError where graphviz is not installed.
    """
    _expect_symbol("plot_network", symbol)
    try:
        from graphviz import Digraph
    except ImportError:
        raise NotBuiltError("plot_network draws through the package graphviz: pip install graphviz") from None
    found = infer(symbol.graph, shape, dtype or {}, partial=True) if shape else None
    style = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled"}
    dot = Digraph(name=title, format=save_format)
    shown = [n for n in symbol.graph.nodes() if n.op or not (hide_weights and n.name.endswith(PARAMETER_ENDINGS))]
    for node in shown:
        own = {"shape": "oval"} if node.op is None else {}
        dot.node(
            name=node.name, label=_label(node), fillcolor=COLORS[_kind(node)], **{**style, **own, **(node_attrs or {})}
        )
    for node in shown:
        for entry in node.inputs:
            if entry.node in shown:
                label = _without_batch(found.shape_of(entry)) if found else ""
                dot.edge(tail_name=node.name, head_name=entry.node.name, dir="back", arrowtail="open", label=label)
    return dot


def _kind(node: Node) -> str:
    """Return what a layer does, seen from its inputs and settings."""
    op = node.op
    if op is None:
        return "variable"
    tests = {
        "normalization": bool(op.aux),
        "weights": "weight" in op.inputs,
        "activation": "act_type" in op.params,
        "pooling": "pool_type" in op.params,
        "loss": op.is_loss,
        "shape": issubclass(op, View) or op.variadic is not None,
    }
    return next((kind for kind, holds in tests.items() if holds), "other")


def _label(node: Node) -> str:
    """Return operator and main settings, 'Convolution 3x3/2x2, 64', or the name where it has none of these."""
    p = node.params.__dict__ if node.op else {}
    words = [str(p[name]) for name in ("pool_type", "act_type", "num_filter", "num_hidden") if name in p]
    if p.get("kernel"):
        window = "/".join("x".join(map(str, values)) for values in (p["kernel"], p.get("stride") or (1,)))
        words.insert(1 if "pool_type" in p else 0, window)
    return f"{node.op.name}\n{', '.join(words)}" if words else node.name


def _expect_symbol(what: str, symbol: Any) -> None:
    if not isinstance(symbol, Symbol):
        raise ArgumentTypeError(f"{what}: {symbol!r:.80} came, expected a Symbol")
