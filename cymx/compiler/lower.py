"""Lower: turn a user's graph and the types of its variables into a typed graph of kernel operators;

composed operators are replaced by their bodies.
"""

from collections.abc import Mapping

from ..base import MXNetError
from ..ir import Entry, Graph, Node, Type
from ..ops._build import Value, apply, scope
from ..ops._shapes import known
from ..ops._types import resolve_shapes
from .infer import Inferred, infer


def lower(graph: Graph, types: Mapping[str, Type], train: bool) -> Graph:
    """Return the typed graph.  types: variable name -> type.   train: what operators with a mode (Dropout, BatchNorm)
    do.

    Raises MXNetError naming operator and node.
    """
    values: dict[Entry, Value] = {}
    updates: dict[Node, Entry] = {}
    held_by: dict[Entry, Node] = {}  # the new value of a state -> its variable
    inferred: Inferred | None = None
    for node in graph.nodes():
        if node.op is None:
            values[Entry(node)] = Value(Node(None, node.name, attrs=node.attrs, types=(types[node.name],)))
            continue
        inputs, params = [values[e] for e in node.inputs], node.params
        if _is_open(node):
            inferred = inferred or infer(
                graph, {k: v.shape for k, v in types.items()}, {k: v.dtype for k, v in types.items()}, partial=True
            )
            params = params.replace({"shape": inferred.shape_of(Entry(node))})
        n = len(node.op.input_names(params))
        if len(inputs) > n:  # an eager call passes varying settings as further inputs
            params = params.replace(dict(zip(node.op.varying, inputs[n:])))
        with scope(node.label, train) as here:
            try:
                outputs = apply(node.op, inputs[:n], params)
            except MXNetError as e:
                raise type(e)(f"{node.label}: {e}") from None
        values.update((Entry(node, i), v) for i, v in enumerate(outputs))
        for state, new in here.updates:
            variable = held_by.get(state, state.node)
            if variable.op is not None:
                raise MXNetError(
                    f"{node.label}: an auxiliary state must be a variable, not the output of {variable.label}"
                )
            updates[variable] = new
            held_by[new] = variable
            # Later nodes see the new value, so a state that two nodes share is updated twice.
            values.update((e, Value(*new)) for e in node.inputs if values[e] == state)
    return Graph(tuple([values[e] for e in graph.outputs]), updates)


def _is_open(node: Node) -> bool:
    """Tell whether the node makes an array whose shape is left to those who use it, as the 0 in zeros((0, 4)) does."""
    if node.inputs or not hasattr(node.params, "shape"):
        return False
    return not known(resolve_shapes(node.op, node.params, [], [None] * len(node.op.output_names(node.params)))[1][0])
