"""The text of a ``-symbol.json`` file, read into and written from plain dataclasses.

Holds the layouts of every version since 0.8, the upgrades that bring an old graph to what MXNet 1.9.1 makes of it, and
a writer of 1.9.1's own text.  Refuses graphs with dangling entries, cycles or unknown fields.  Knows no operator: what
it must ask about them comes in as callbacks.
Called by: symbol (``load``, ``load_json``, ``tojson``, ``save``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..base import MXNetError

VERSION = 10901  # of the files that are written: 1.9.1
FIRST_VERSION = 800  # files before 0.9 do not tell theirs
HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")

Entry = tuple[int, int, int]  # node, which of its outputs, version (1 where an auxiliary state was composed in, else 0)
OpInputs = Callable[[str, dict[str, str]], Sequence[str]]  # (op, attrs) -> names of its inputs, auxiliary states last
OpOutputs = Callable[[str, dict[str, str]], int]  # (op, attrs) -> number of its outputs, hidden ones too
InputInit = Callable[[str, dict[str, str], int], "str | None"]  # (op, attrs, which input) -> its variable's initializer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JsonNode:
    """Hold one node.  Op "null" is a variable; attrs are the operator's settings and the user's attributes, as text."""

    op: str
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    inputs: tuple[Entry, ...] = ()
    control_deps: tuple[int, ...] = ()
    subgraphs: tuple[JsonGraph, ...] = ()

    @property
    def is_variable(self) -> bool:
        return self.op == "null"


@dataclass(frozen=True)
class JsonGraph:
    """Hold a graph: its nodes, its outputs as entries, and the file's own attributes ({name: [type, value]})."""

    nodes: tuple[JsonNode, ...]
    heads: tuple[Entry, ...]
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def arg_nodes(self) -> tuple[int, ...]:
        return tuple(i for i, node in enumerate(self.nodes) if node.is_variable)

    @property
    def version(self) -> int:
        return int(self.attrs["mxnet_version"][1]) if "mxnet_version" in self.attrs else FIRST_VERSION


# ---- reading --------------------------------------------------------------------------------------------------------


def loads(text: str, op_inputs: OpInputs, input_init: InputInit | None = None) -> JsonGraph:
    """Read a file's text, of any version, as MXNet 1.9.1 does.  Nodes that no head needs are dropped.

    op_inputs and input_init are asked only about operators of old files.  Raises MXNetError that names the node and
    field in question.
    """
    graph = order(parse(text))
    if graph.version > VERSION:
        _log.warning("this symbol was saved by version %s, newer than 1.9.1; it may be misread", _dotted(graph.version))
    elif graph.version < VERSION:
        _log.info("upgrading a symbol that was saved by version %s", _dotted(graph.version))
    return order(upgrade(graph, op_inputs, input_init))


def parse(text: str) -> JsonGraph:
    """Read a file's text into a graph as it stands; `param` and `attr` join `attrs`.  Raises MXNetError."""
    try:
        raw = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MXNetError(f"symbol file: not JSON: {error}") from None
    return _graph(raw, "symbol file")


def _graph(raw: Any, where: str) -> JsonGraph:
    fields = _fields(
        raw, where, {"nodes": list, "heads": list}, {"arg_nodes": list, "node_row_ptr": list, "attrs": dict}
    )
    nodes = tuple(_node(node, f"{where}: node {i}") for i, node in enumerate(fields["nodes"]))
    graph = JsonGraph(nodes, _entries(fields["heads"], f"{where}: heads"), _graph_attrs(fields.get("attrs", {}), where))
    for i in fields.get("arg_nodes", ()):
        if not _is_index(i) or i >= len(nodes) or not nodes[i].is_variable:
            raise MXNetError(f"{where}: arg_nodes has {i!r}, expected the index of a variable among {len(nodes)} nodes")
    needed = [("heads", [head[0] for head in graph.heads]), *((f"node '{n.name}'", _needs(n)) for n in nodes)]
    for source, indices in needed:
        for i in indices:
            if i >= len(nodes):
                raise MXNetError(f"{where}: {source} refers to node {i}, but there are {len(nodes)}")
    return graph


_NODE_OPTIONS: dict[str, type] = {
    **dict.fromkeys(("attrs", "attr", "param"), dict),
    **dict.fromkeys(("control_deps", "subgraphs"), list),
    "backward_source_id": int,  # written before 0.9, of no use since
}


def _node(raw: Any, where: str) -> JsonNode:
    fields = _fields(raw, where, {"op": str, "name": str, "inputs": list}, _NODE_OPTIONS)
    where = f"{where} '{fields['name']}'"
    attrs = {**fields.get("param", {}), **fields.get("attr", {}), **fields.get("attrs", {})}
    for key, value in attrs.items():
        if not isinstance(value, str):
            raise MXNetError(f"{where}: attribute '{key}' is {value!r}, expected text")
    deps = fields.get("control_deps", [])
    if not all(map(_is_index, deps)):
        raise MXNetError(f"{where}: control_deps is {deps!r}, expected node indices")
    subgraphs = tuple(_graph(g, f"{where}: subgraph {i}") for i, g in enumerate(fields.get("subgraphs", ())))
    return JsonNode(
        fields["op"], fields["name"], attrs, _entries(fields["inputs"], f"{where}: inputs"), tuple(deps), subgraphs
    )


def _fields(raw: Any, where: str, required: Mapping[str, type], optional: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise MXNetError(f"{where}: {raw!r:.60} came, expected an object")
    for key, value in raw.items():
        kind = required.get(key) or optional.get(key)
        if kind is None:
            raise MXNetError(f"{where}: unknown field '{key}', expected one of {', '.join([*required, *optional])}")
        if not isinstance(value, kind):
            raise MXNetError(f"{where}: '{key}' is {value!r:.60}, expected {kind.__name__}")
    for key in required:
        if key not in raw:
            raise MXNetError(f"{where}: field '{key}' is missing")
    return raw


def _entries(raw: list, where: str) -> tuple[Entry, ...]:
    for e in raw:
        if not isinstance(e, list) or len(e) not in (2, 3) or not all(map(_is_index, e)):
            raise MXNetError(f"{where}: {e!r:.60} came, expected [node, output] or [node, output, version]")
    return tuple((e[0], e[1], e[2] if len(e) == 3 else 0) for e in raw)


def _graph_attrs(raw: dict, where: str) -> dict[str, Any]:
    version = raw.get("mxnet_version", ["int", 0])
    if not isinstance(version, list) or len(version) != 2 or not _is_index(version[1]):
        raise MXNetError(f'{where}: mxnet_version is {version!r}, expected ["int", number]')
    return raw


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def _dotted(version: int) -> str:
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


# ---- order ----------------------------------------------------------------------------------------------------------


def order(graph: JsonGraph) -> JsonGraph:
    """Put the nodes that the heads need into MXNet's order: depth first, inputs before their users.

    Raises MXNetError where a node needs itself.
    """
    new_index: dict[int, int] = {}
    kept: list[int] = []
    for head in graph.heads:
        stack = [] if head[0] in new_index else [(head[0], iter(_needs(graph.nodes[head[0]])))]
        open_nodes = {head[0]}
        while stack:
            i, needs = stack[-1]
            for j in needs:
                if j in open_nodes:
                    raise MXNetError(f"symbol file: node '{graph.nodes[j].name}' needs its own output")
                if j not in new_index:
                    stack.append((j, iter(_needs(graph.nodes[j]))))
                    open_nodes.add(j)
                    break
            else:
                stack.pop()
                open_nodes.discard(i)
                new_index[i] = len(kept)
                kept.append(i)

    def moved(entries: Iterable[Entry]) -> tuple[Entry, ...]:
        return tuple((new_index[node], output, version) for node, output, version in entries)

    nodes = (graph.nodes[i] for i in kept)
    return replace(
        graph,
        nodes=tuple(
            replace(n, inputs=moved(n.inputs), control_deps=tuple(new_index[d] for d in n.control_deps)) for n in nodes
        ),
        heads=moved(graph.heads),
    )


def _needs(node: JsonNode) -> list[int]:
    return [*(entry[0] for entry in node.inputs), *node.control_deps]


# ---- upgrades -------------------------------------------------------------------------------------------------------


def upgrade(graph: JsonGraph, op_inputs: OpInputs, input_init: InputInit | None = None) -> JsonGraph:
    """Bring an ordered graph of an old version to today's.  New nodes come last: order it again."""
    version = graph.version
    if version < VERSION:
        graph = hide_keys(graph, op_inputs)
    if version < 900:
        graph = add_missing_inputs(graph, op_inputs)
    if version < 904 and input_init is not None:
        graph = set_initializers(graph, input_init)
    if version < 905:
        graph = free_argmax_axis(graph)
    return graph


def hide_keys(graph: JsonGraph, op_inputs: OpInputs) -> JsonGraph:
    """Rename `lr_mult` and its kind to `__lr_mult__`; move a node's `weight_lr_mult` to the variable at `weight`."""
    attrs = [dict(node.attrs) for node in graph.nodes]
    for node, own in zip(graph.nodes, attrs, strict=True):
        found = [(text, key) for text in own for key in HIDDEN_KEYS if text.endswith(key)]
        values = {text: own.pop(text) for text, _ in found}
        for text, key in found:
            target, hidden = own, f"__{key}__"
            if text != key:
                variable = _variable_at(graph, node, text[: -len(key) - 1], dict(own), op_inputs)
                target, hidden = (own, text) if variable is None else (attrs[variable], hidden)
            target[hidden] = values[text]
    return replace(graph, nodes=tuple(replace(n, attrs=a) for n, a in zip(graph.nodes, attrs, strict=True)))


def _variable_at(
    graph: JsonGraph, node: JsonNode, input_name: str, attrs: dict[str, str], op_inputs: OpInputs
) -> int | None:
    if node.is_variable:
        return None
    names = list(op_inputs(node.op, attrs))
    at = names.index(input_name) if input_name in names else len(node.inputs)
    if at >= len(node.inputs):
        return None
    i = node.inputs[at][0]
    return i if graph.nodes[i].is_variable else None


def add_missing_inputs(graph: JsonGraph, op_inputs: OpInputs) -> JsonGraph:
    """Add the variables that files before 0.9.0 left out (auxiliary states), each with the node's attributes."""
    nodes = list(graph.nodes)
    for i, node in enumerate(graph.nodes):
        if node.is_variable:
            continue
        missing = op_inputs(node.op, node.attrs)[len(node.inputs) :]
        entries = tuple((len(nodes) + k, 0, 0) for k in range(len(missing)))
        nodes[i] = replace(node, inputs=node.inputs + entries)
        nodes += [JsonNode("null", f"{node.name}_{name}" if node.name else name, dict(node.attrs)) for name in missing]
    return replace(graph, nodes=tuple(nodes))


def set_initializers(graph: JsonGraph, input_init: InputInit) -> JsonGraph:
    """Write down, as 0.9.4 began to, the initializer that an operator wants for its input, on variables without one."""
    attrs = [dict(node.attrs) for node in graph.nodes]
    for node in graph.nodes:
        for at, (i, _, _) in enumerate(node.inputs):
            init = input_init(node.op, node.attrs, at) if graph.nodes[i].is_variable else None
            if init is not None:
                attrs[i].setdefault("__init__", init)
    return replace(graph, nodes=tuple(replace(n, attrs=a) for n, a in zip(graph.nodes, attrs, strict=True)))


def free_argmax_axis(graph: JsonGraph) -> JsonGraph:
    """Drop axis=-1 of argmax and argmin, which meant all axes before 0.9.5."""

    def fixed(node: JsonNode) -> JsonNode:
        if node.op not in ("argmax", "argmin") or node.attrs.get("axis") != "-1":
            return node
        return replace(node, attrs={k: v for k, v in node.attrs.items() if k != "axis"})

    return replace(graph, nodes=tuple(map(fixed, graph.nodes)))


# ---- writing --------------------------------------------------------------------------------------------------------


def dumps(graph: JsonGraph, op_outputs: OpOutputs, np_shape: bool = False) -> str:
    """Write what 1.9.1's `tojson()` gives for an ordered graph.  np_shape notes that NumPy shapes were on."""
    flags = {"is_np_shape": 1} if np_shape else {}
    attrs = {key: _row([_text("int"), str(value)]) for key, value in {**flags, "mxnet_version": VERSION}.items()}
    return _dump_graph(graph, op_outputs, 0, {"attrs": _object(attrs, 1, multi=len(attrs) > 1)})


def _dump_graph(graph: JsonGraph, op_outputs: OpOutputs, depth: int, more: dict[str, str]) -> str:
    row_ptr = [0]
    for node in graph.nodes:
        row_ptr.append(row_ptr[-1] + (1 if node.is_variable else op_outputs(node.op, node.attrs)))
    nodes = [_dump_node(node, op_outputs, depth + 2) for node in graph.nodes]
    fields = {
        "nodes": _array(nodes, depth + 1, multi=True),
        "arg_nodes": _numbers(graph.arg_nodes, depth + 1),
        "node_row_ptr": _numbers(row_ptr, depth + 1),
        "heads": _entry_array(graph.heads, depth + 1),
    }
    return _object({**fields, **more}, depth, multi=True)


def _dump_node(node: JsonNode, op_outputs: OpOutputs, depth: int) -> str:
    fields = {"op": _text(node.op), "name": _text(node.name)}
    if node.attrs:
        attrs = {key: _text(value) for key, value in sorted(node.attrs.items())}
        fields["attrs"] = _object(attrs, depth + 1, multi=len(attrs) > 1)
    fields["inputs"] = _entry_array(node.inputs, depth + 1)
    if node.control_deps:
        fields["control_deps"] = _numbers(node.control_deps, depth + 1)
    if node.subgraphs:
        graphs = [_dump_graph(g, op_outputs, depth + 2, {}) for g in node.subgraphs]
        fields["subgraphs"] = _array(graphs, depth + 1, multi=True)
    return _object(fields, depth, multi=True)


def _text(value: str) -> str:
    # MXNet escapes these five and writes all else as it is.
    for char, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t")):
        value = value.replace(char, escaped)
    return f'"{value}"'


def _row(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _array(items: Sequence[str], depth: int, multi: bool) -> str:
    if not multi or not items:
        return _row(items)
    pad = "\n" + "  " * depth
    return "[" + ", ".join(f"{pad}  {item}" for item in items) + pad + "]"


def _object(fields: dict[str, str], depth: int, multi: bool) -> str:
    items = [f"{_text(key)}: {value}" for key, value in fields.items()]
    return "{" + _array(items, depth, multi)[1:-1] + "}"


def _numbers(values: Sequence[int], depth: int) -> str:
    return _array([str(v) for v in values], depth, multi=len(values) > 10)


def _entry_array(entries: Sequence[Entry], depth: int) -> str:
    return _array([_row(map(str, e)) for e in entries], depth, multi=len(entries) > 10)
