"""Make nodes out of what a user writes, and say what stands in them: names of entries, attributes, versions of
auxiliary states.

A variable's attributes and a node's are strings; `lr_mult` and its kind are kept as `__lr_mult__` and listed under
both names.
Called by: the other modules of symbol.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..attribute import AttrScope
from ..base import ArgumentError, MXNetError
from ..ir import Entry, Graph, Node
from ..name import NameManager
from ..ops import _signature
from ..ops._params import to_string
from .json_format import HIDDEN_KEYS


def variable(name: str, attrs: Mapping[str, str]) -> Entry:
    """Return a new variable with the scope's attributes and its own."""
    return Entry(Node(None, name, attrs=hidden(AttrScope.current().get(attrs))))


def apply(
    op: Any,
    inputs: Mapping[str, Entry],
    settings: Mapping[str, Any],
    hint: str,
    name: str | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> tuple[Entry, ...]:
    """Return the outputs of a new node of operator `op`; inputs that are missing become variables named
    `{name}_{input}`.

    settings: as the user wrote them; words like `__lr_mult__` and `ctx_group` among them are attributes.   hint: the
    stem of an automatic name.
    Raises ArgumentError or ArgumentTypeError, naming operator and node, where settings or inputs do not fit.
    """
    name = NameManager.current().get(name, hint)
    scope = AttrScope.current().get(attrs)
    given = {**scope, **settings}
    # An operator without settings takes any word of `attrs` as an attribute, as in MXNet; a wrong keyword is an error.
    own = {key: given.pop(key) for key in list(given) if is_attribute(key) or not (op.params or key in settings)}
    with blame(op, name):
        params = op.parse(given)
        arranged = _signature.arrange(op, params, inputs)
    node_attrs = hidden(own)
    missing_attrs = {**params.given, **node_attrs}
    inits = getattr(op, "inits", {})
    entries = []
    for input_name, entry in zip(op.input_names(params), arranged):
        if entry is None:
            entry = Entry(Node(None, f"{name}_{input_name}", attrs=dict(missing_attrs)))
        if entry.node.op is None and input_name in inits:
            entry.node.attrs.setdefault("__init__", inits[input_name])
        if entry.node.op is not None and input_name in op.aux:
            came = f"the output of {entry.node.label}"
            raise ArgumentError(f"{op.name} '{name}': {input_name} is {came}, expected a variable: training changes it")
        entries.append(entry)
    return visible(Node(op, name, tuple(entries), params, node_attrs))


@contextmanager
def blame(op: Any, name: str | None) -> Iterator[None]:
    """Name the operator and the node in errors raised inside the block."""
    try:
        yield
    except MXNetError as e:
        label = f"{op.name} '{name}'" if name else op.name
        raise type(e)(f"{label}: {str(e).removeprefix(op.name + ': ')}") from None


def hidden(attrs: Mapping[str, Any]) -> dict[str, str]:
    """Return attributes as they are kept: strings, `lr_mult` and its kind between underscores."""
    return {f"__{key}__" if key in HIDDEN_KEYS else key: to_string(value) for key, value in attrs.items()}


def is_dunder(key: str) -> bool:
    """Tell whether a word starts and ends with two underscores."""
    return key.startswith("__") and key.endswith("__") and len(key) > 4


def is_attribute(key: str) -> bool:
    """Tell whether an operator's keyword is an attribute: `__word__`, `ctx_group`, `lr_mult` and their kind."""
    return is_dunder(key) or key in HIDDEN_KEYS


def strings(node: Node) -> dict[str, str]:
    """Return the node's settings and attributes as a saved symbol holds them."""
    return {**(node.params.given if node.op else {}), **node.attrs}


def listed(node: Node) -> dict[str, str]:
    """Return the node's settings and attributes as users list them: `__lr_mult__` under the name `lr_mult` too."""
    found = strings(node)
    return found | {key: found[f"__{key}__"] for key in HIDDEN_KEYS if f"__{key}__" in found}


def visible(node: Node) -> tuple[Entry, ...]:
    """Return the outputs of a node that users see."""
    return tuple(Entry(node, i) for i in range(len(node.op.output_names(node.params)) if node.op else 1))


def output_name(entry: Entry) -> str:
    """Return `node_output`, or a variable's own name."""
    node = entry.node
    return f"{node.name}_{node.op.output_names(node.params)[entry.index]}" if node.op else node.name


def auxiliary(node: Node) -> set[int]:
    """Return the positions of the inputs that a training run changes."""
    if not node.op or not node.op.aux:
        return set()
    return {i for i, name in enumerate(node.op.input_names(node.params)) if name in node.op.aux}


def auxiliary_states(nodes: Iterable[Node]) -> set[Node]:
    """Return the variables that some node changes."""
    return {node.inputs[i].node for node in nodes for i in auxiliary(node)}


def versions(graph: Graph) -> dict[tuple[Node, int], int]:
    """Return for (node, position of an input) how often that variable has been changed, this node's change included."""
    changes: dict[Node, int] = {}
    found = {}
    for node in graph.nodes():
        changed = auxiliary(node)
        for i in changed:
            changes[node.inputs[i].node] = changes.get(node.inputs[i].node, 0) + 1
        for i, entry in enumerate(node.inputs):
            found[node, i] = changes.get(entry.node, 0)
    return found


def debug_text(graph: Graph) -> str:
    """Return the graph as text in the form of MXNet 1.9.1's `debug_str`."""
    outputs = graph.outputs
    if len(outputs) == 1 and outputs[0].node.op is None:
        return f"Variable:{outputs[0].node.name}\n"
    lines = ["Symbol Outputs:"]
    lines += [f"\toutput[{i}]={entry.node.name}({entry.index})" for i, entry in enumerate(outputs)]
    version = versions(graph)
    for node in graph.nodes():
        if node.op is None:
            lines.append(f"Variable:{node.name}")
            continue
        lines += ["-" * 20, f"Op:{node.op.name}, Name={node.name}", "Inputs:"]
        for i, (source, index) in enumerate(node.inputs):
            suffix = "" if source.op else f" version={version[node, i]}"
            lines.append(f"\targ[{i}]={source.name}({index}){suffix}")
        attrs = sorted(strings(node).items())
        lines += ["Attrs:", *(f"\t{key}={value}" for key, value in attrs)] if attrs else []
    return "\n".join(lines) + "\n"
