"""Between graphs and `-symbol.json` files: operators and settings on one side, names and text on the other.

Called by: symbol.
"""

import os
from typing import Any

from ..base import ArgumentTypeError, MXNetError
from ..files import write_atomic
from ..ir import Entry, Graph, Node, rewrite
from ..ops import find
from . import _nodes, json_format


def to_json(graph: Graph, remove_amp_cast: bool) -> str:
    """Return the text that MXNet 1.9.1 writes for the graph, without casts of automatic mixed precision where asked."""
    graph = _without_amp_casts(graph) if remove_amp_cast else graph
    nodes = graph.nodes()
    number = {node: i for i, node in enumerate(nodes)}
    version = _nodes.versions(graph)
    written = [
        json_format.JsonNode(
            node.op.name if node.op else "null",
            node.name,
            _nodes.strings(node),
            tuple((number[e.node], e.index, version[node, i]) for i, e in enumerate(node.inputs)),
        )
        for node in nodes
    ]
    heads = tuple((number[entry.node], entry.index, 0) for entry in graph.outputs)
    return json_format.dumps(json_format.JsonGraph(tuple(written), heads), _n_outputs)


def from_json(text: str) -> tuple[Entry, ...]:
    """Return the outputs of the graph in a file's text.

    Raises MXNetError, naming operator and node, for what cannot be understood.
    """
    graph = json_format.loads(text, _input_names, _input_init)
    made: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(Entry(made[i], index) for i, index, _ in node.inputs)
        made.append(Node(None, node.name, attrs=dict(node.attrs)) if node.is_variable else _operator(node, inputs))
    return tuple(Entry(made[i], index) for i, index, _ in graph.heads)


def _operator(node: json_format.JsonNode, inputs: tuple[Entry, ...]) -> Node:
    op = find(node.op)
    with _nodes.blame(op, node.name):
        attrs = {k: v for k, v in node.attrs.items() if k not in op.params and (_nodes.is_dunder(k) or not op.params)}
        params = op.parse({k: v for k, v in node.attrs.items() if k not in attrs})
        names = op.input_names(params)
        if len(inputs) != len(names):
            raise MXNetError(f"{op.name}: {len(inputs)} inputs came, expected {len(names)}: {', '.join(names)}")
    return Node(op, node.name, inputs, params, attrs)


def save(fname: str, text: str) -> None:
    """Write text to a file, whole or not at all.  Raises MXNetError naming the file."""
    if not hasattr(fname, "__fspath__") and not isinstance(fname, str):
        raise ArgumentTypeError(f"save: {fname!r} came, expected the name of a file")
    try:
        write_atomic(fname, text.encode("utf-8"))
    except OSError as e:
        raise MXNetError(f"save: cannot write {os.path.abspath(fname)}: {e}") from None


def _without_amp_casts(graph: Graph) -> Graph:
    def visit(node, inputs):
        if node.op and node.op.name in ("amp_cast", "amp_multicast"):
            return inputs
        if inputs == node.inputs:
            return _nodes.visible(node)
        return _nodes.visible(Node(node.op, node.name, inputs, node.params, node.attrs))

    return rewrite(graph, visit)


def _parsed(op_name: str, attrs: dict[str, str]) -> tuple[Any, Any]:
    op = find(op_name)
    return op, op.parse({k: v for k, v in attrs.items() if k in op.params})


def _input_names(op_name: str, attrs: dict[str, str]) -> tuple[str, ...]:
    op, params = _parsed(op_name, attrs)
    return op.input_names(params)


def _input_init(op_name: str, attrs: dict[str, str], at: int) -> str | None:
    op, params = _parsed(op_name, attrs)
    names = op.input_names(params)
    return getattr(op, "inits", {}).get(names[at]) if at < len(names) else None


def _n_outputs(op_name: str, attrs: dict[str, str]) -> int:
    op, params = _parsed(op_name, attrs)
    # An operator that can hide outputs names all of them in its class; MXNet counts those too.
    return max(len(op.outputs), len(op.output_names(params)))
