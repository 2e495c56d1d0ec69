"""The registry and the rows cover each other: no operator without a row, no row without an operator."""

from cases import ROWS
from ops._run import differentiable, graph_of

from cymx.compiler.gradient import gradient
from cymx.compiler.lower import lower
from cymx.ir import Type
from cymx.ops import REGISTRY, find
from cymx.ops._build import OwnGradient, Value, scope, variable

# What passes make.
PASSES = """_conv_weights _conv_windows _conv_windows_sum _winograd_fwd _winograd_weights _matmul_epilogue"""
PASSES = set(map(find, PASSES.split()))


def _reached(row):
    """Return the operators that run for a row, forward and backward, and the row's own."""
    graph, names = graph_of(row)
    arrays = row.draw(row.dtypes[0])
    typed = lower(graph, {name: Type(x.shape, x.dtype.name) for name, x in zip(names, arrays)}, train=True)
    found = {_operator(node) for node in typed.nodes()}
    wrt = {names[i] for i in differentiable(row)}
    with scope("", train=True, backward=True):
        heads = [variable(f"head:{k}", Value(*y).type) for k, y in enumerate(typed.outputs)]
        nodes = [node for node in typed.nodes() if node.op is None and node.name in wrt]
        for dx in gradient(typed, nodes, heads) if nodes else ():
            found |= set() if dx is None else _operators(dx.node)
    return found | {find(row.op)}


def _operator(node):
    """Return a node's operator; where a composed one states its gradient, that one."""
    return node.params.op if node.op is OwnGradient else node.op


def _operators(node):
    seen, stack = set(), [node]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += [e.node for e in node.inputs]
    return set(map(_operator, seen))


def test_every_operator_has_a_row():
    with_row = {find(row.op) for row in ROWS}
    reached = set().union(*map(_reached, ROWS)) | {OwnGradient} | PASSES
    public = {cls for word, cls in REGISTRY.items() if not word.startswith("_")}
    assert not sorted(cls.name for cls in public - with_row), "public operators without a row"
    inner = set(REGISTRY.values()) - public - with_row
    assert not sorted(cls.name for cls in inner - reached), "inner operators that no row reaches"


def test_every_row_has_one_reference_unless_it_draws():
    wrong = [str(row) for row in ROWS if (row.ref is None) + (row.expect is None) != 1 and not find(row.op).is_random]
    assert not wrong, f"rows with no reference, or with two: {wrong}"


def test_rows_of_an_operator_cover_the_dtypes_of_a_float():
    """Whoever takes float32 takes the other floating dtypes: a row of each operator says so, or one of fixed dtype."""
    narrow = {find(row.op) for row in ROWS} - {find(row.op) for row in ROWS if len(row.dtypes) > 1 or not row.inputs}
    assert not sorted(op.name for op in narrow)
