"""Epilogue: let matrix products do what follows them on their way out, where the device's library says that it can.

Forward a bias along the last axis and relu; backward the mask of a relu, which the relu's own product leaves as bits,
and the gradient of a bias: sums of the rows that a product makes, or of an operand over the axis along which it is
multiplied.  What a product made without these must be read by them alone.  Batches, integers and float64 stay as they
are.  Called by compile.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..gpu.recipe import Tensor
from ..ir import Entry, Graph, Node, Type
from ..ops._build import Value, apply, reshape, scope
from ..ops._def import find
from ..ops._params import Params
from ..ops._shapes import n_elements
from ..ops._types import resolve
from ..ops.matrix import MatmulEpilogue, mask_bytes
from ..ops.reduce import Sum
from .backend import Backend, HasProduct

DTYPES = ("float32", "float16", "bfloat16")

_MATMUL = find("_matmul")
_ADD, _MUL, _GREATER = (find("broadcast_" + word) for word in ("add", "mul", "greater"))
_RELU, _VIEW, _CONSTANT = find("relu"), find("_view"), find("_constant")


@dataclass(frozen=True)
class _Change:
    """A product with an epilogue.

    last: the node whose value it makes now.   relu: the product whose mask it reads.   sums: the node whose value its
    last output is.
    """

    product: Node
    epilogue: str
    last: Node
    bias: Entry | None = None
    relu: Node | None = None
    sums: Node | None = None

    def settings(self) -> Params:
        """Return the settings of MatmulEpilogue."""
        p = self.product.params
        return MatmulEpilogue.parse(
            {"transpose_a": p.transpose_a, "transpose_b": p.transpose_b, "epilogue": self.epilogue}
        )


def epilogue(graph: Graph, backend: Backend) -> Graph:
    """Return the graph with the epilogues that the backend has."""
    products = [node for node in graph.nodes() if _is_product(node)]
    has = backend.epilogues if products else None  # whose library is looked for when somebody multiplies
    if has is None:
        return graph
    search = _Search(graph, has)
    for product in products:
        search.forward(product)
    for product in products:
        search.masked(product)
    for node in graph.nodes():
        search.summed(node)
    return _rebuilt(graph, search.changes) if search.changes else graph


class _Search:
    """The changes of a graph while they are found, by product.   relus: those that make a relu's value, by the relu."""

    def __init__(self, graph: Graph, has: HasProduct):
        self.has = has
        self.roots = set(graph.roots)
        self.index = {node: i for i, node in enumerate(graph.nodes())}
        self.users: dict[Entry, list[Node]] = {}
        for node in self.index:
            for e in node.inputs:
                self.users.setdefault(e, []).append(node)
        self.changes: dict[Node, _Change] = {}
        self.relus: dict[Node, Node] = {}

    def forward(self, product: Node) -> None:
        """Give a product the bias and the relu that follow it."""
        found = []
        bias, last = None, self._only_reader(product)
        if last and (bias := _bias(last, product)):
            found.append(_Change(product, "bias", last, bias))
            last = self._only_reader(last)
        if last and last.op is _RELU:
            found.append(_Change(product, "bias_relu" if bias else "relu", last, bias))
        if self._take(*reversed(found)) and self.changes[product].last.op is _RELU:
            self.relus[self.changes[product].last] = product

    def masked(self, product: Node) -> None:
        """Give a product the mask of a relu that another made, and the sums of its rows."""
        last = self._only_reader(product)
        if product in self.changes or not last or last.op is not _MUL:
            return
        mask = next(e for e in last.inputs if _source(e).node is not product)
        of = _where_positive(mask.node)
        relu = of and self.relus.get(of)
        if not relu or relu.types != product.types or any(e.shape != mask.shape for e in last.inputs):
            return
        made = self.changes[relu]
        making = made if made.epilogue.endswith("mask") else replace(made, epilogue=f"{made.epilogue}_mask")
        found = [_Change(product, "masked", last, relu=relu)]
        for _, node in self._readers(Entry(last)):
            if _is_sum_of_rows(node, product.types[0].shape[1]) and node.backward == product.backward:
                found.append(replace(found[0], epilogue="masked_sums", sums=node))
        if (making is made or self._can(making)) and self._take(*reversed(found)):
            self.changes[relu] = making

    def summed(self, node: Node) -> None:
        """Give the sums of an operand's rows to a product that reads it along them."""
        if node.op is not Sum or any(change.sums is node for change in self.changes.values()):
            return
        for e, product in self._readers(_source(node.inputs[0])):
            if not _is_product(product) or product in self.changes or not _is_sum_of_rows(node, e.shape[1]):
                continue
            # The product makes the sums, so its operands must not need them.
            if product.backward != node.backward or any(self.index[i.node] > self.index[node] for i in product.inputs):
                continue
            sides = (product.params.transpose_a, "lhs_sums"), (not product.params.transpose_b, "rhs_sums")
            found = [side for (along, side), i in zip(sides, product.inputs) if along and i == e]
            if self._take(*(_Change(product, side, product, sums=node) for side in found)):
                return

    def _take(self, *changes: _Change) -> bool:
        """Make the first change that the device has."""
        for change in changes:
            if self._can(change):
                self.changes[change.product] = change
                return True
        return False

    def _can(self, change: _Change) -> bool:
        settings, (m, n) = change.settings(), change.product.types[0].shape
        ins = [e.type for e in change.product.inputs]
        ins += [Type((n,), ins[0].dtype)] if change.bias else []
        ins += [Type((m, mask_bytes(n)), "uint8")] if change.relu else []
        outs = resolve(MatmulEpilogue, settings, ins)
        launch = MatmulEpilogue.launch(settings, ins, outs)  # type: ignore[arg-type]
        return self.has(launch, [Tensor(*t) for t in ins], [Tensor(*t) for t in outs])

    def _readers(self, e: Entry) -> Iterator[tuple[Entry, Node]]:
        """Yield (what is read, node) for all that read an entry or a view of it."""
        for node in self.users.get(e, ()):
            if node.op is _VIEW:
                yield from self._readers(Entry(node))
            else:
                yield e, node

    def _only_reader(self, node: Node) -> Node | None:
        """Return the node that alone reads a node's value, itself or as a view; forward and backward stay apart."""
        e = Entry(node)
        while e not in self.roots and len(self.users.get(e, ())) == 1:
            (reader,) = self.users[e]
            if reader.op is not _VIEW:
                return reader if reader.backward == node.backward else None
            e = Entry(reader)
        return None


def _is_product(node: Node) -> bool:
    if node.op is not _MATMUL or node.types[0].dtype not in DTYPES:
        return False
    shapes = [e.shape for e in node.inputs]
    return all(len(shape) == 2 and n_elements(shape) > 0 for shape in shapes)


def _source(e: Entry) -> Entry:
    """Return the entry that is not a view whose memory this one is."""
    while e.node.op is _VIEW:
        e = e.node.inputs[0]
    return e


def _bias(node: Node, product: Node) -> Entry | None:
    """Return the vector along the last axis that a node adds to a product, or to a view of one."""
    n = product.types[0].shape[1]
    if node.op is not _ADD:
        return None
    for x, bias in (node.inputs, node.inputs[::-1]):
        vector = bias.shape[-1:] == (n,) == (n_elements(bias.shape),) and bias.node.op is not _CONSTANT
        if _source(x).node is product and x.type == node.types[0] and x.shape[-1] == n and vector:
            return bias if bias.dtype == x.dtype else None
    return None


def _where_positive(node: Node) -> Node | None:
    """Return the node of whose value this one tells where it is above 0."""
    if node.op is not _GREATER or node.inputs[1].node.op is not _CONSTANT or node.inputs[1].node.params.value != 0:
        return None
    return _source(node.inputs[0]).node


def _is_sum_of_rows(node: Node, n: int) -> bool:
    """Whether a node sums rows of n elements: over all axes but the last."""
    if node.op is not Sum:
        return False
    shape = node.inputs[0].shape
    return shape[-1:] == (n,) and Sum.reduced_axes(node.params, shape) == tuple(range(len(shape) - 1)) != ()


def _rebuilt(graph: Graph, changes: dict[Node, _Change]) -> Graph:
    """Return the graph with the changes made."""
    new: dict[Entry, Entry] = {}
    made: dict[Node, tuple[Value, ...]] = {}
    ends = {node: change for change in changes.values() for node in (change.last, change.sums) if node}

    def make(change: _Change) -> tuple[Value, ...]:
        inputs = [Value(*new[e]) for e in change.product.inputs]
        if change.bias:
            inputs.append(reshape(Value(*new[change.bias]), change.product.types[0].shape[1:]))
        if change.relu:
            inputs.append(made[change.relu][1])
        return apply(MatmulEpilogue, inputs, change.settings())

    for node in graph.nodes():
        if node.op is None:
            new[Entry(node)] = Entry(node)
        elif node in ends:
            change = ends[node]
            with scope(change.product.name, train=False, backward=node.backward):
                if change.product not in made:
                    made[change.product] = make(change)
                outputs = made[change.product]
                new[Entry(node)] = reshape(outputs[-1 if node is change.sums else 0], node.types[0].shape)
        else:
            new.update(zip(node.entries(), node.again(tuple(new[e] for e in node.inputs))))
    return Graph(tuple(new[e] for e in graph.outputs), {v: new[e] for v, e in graph.updates.items()})
