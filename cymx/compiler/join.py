"""Join: small matrix products become one large product, and pieces that were cut from an array are put together again.

What an unrolled recurrent network needs, which multiplies a few rows by the same weight at every step:

    pieces   what is 0 but for parts that tile it, all summed          = the concatenation of the parts
    whole    the concatenation of all slices of an array               = the array
    sums     A1' B1 + A2' B2 + ...                                     = [A1; A2; ...]' [B1; B2; ...]
    rows     A1 B, A2 B, ..., none of which depends on another         = slices of [A1; A2; ...] B

Refuses products whose operands cost more to put together than the join saves.  Called by compile.py.
"""

from collections.abc import Sequence

from ..ir import Entry, Graph, Node, rewrite
from ..ops._build import F, Value, reshape, scope
from ..ops._def import find
from .fuse import stored

_ADD = find("broadcast_add")
_CONCAT = find("Concat")
_MATMUL = find("_matmul")
_SCATTER = find("_slice_scatter")
_SLICE = find("_slice_strided")
_VIEW = find("_view")


def join(graph: Graph) -> Graph:
    """Return the graph with joined products; the graph itself where there is nothing to join."""
    start = graph
    if sum(map(_is_part, graph.nodes())) > 1:
        graph = _join_sums(graph)
    while alike := _independent(graph):
        graph = _join_rows(graph, alike)
    return graph if graph is start else _see_wholes(graph)


# ---- sums ----


def _join_sums(graph: Graph) -> Graph:
    """Join the products of every sum, and the parts that tile an array."""
    users: dict[Entry, list[Node | None]] = {}
    for n in graph.nodes():
        for e in n.inputs:
            users.setdefault(e, []).append(n)
    for e in graph.roots:
        users.setdefault(e, []).append(None)
    private: set[Entry] = set()  # entries of the new graph that one node uses
    inner: set[Node] = set()  # additions whose sum is only a term of another

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op is not _ADD and not _is_part(node):
            return None
        made: Sequence[Entry] = node.again(inputs)
        used = users.get(Entry(node), [None])
        if _adds_alike(node):
            if len(used) == 1 and used[0] is not None and _adds_alike(used[0]) and used[0].backward == node.backward:
                inner.add(made[0].node)
                return made
            total = _total(node, _terms(made[0], inner), private)
            if total is not None:
                made = (total,)
        private.update(e for i, e in enumerate(made) if len(users.get(Entry(node, i), ())) == 1)
        return made

    return rewrite(graph, visit)


def _is_part(node: Node) -> bool:
    """Tell whether a node may be joined with others of its kind in a sum."""
    return node.op is _SCATTER or _sums_cheaply(node)


def _adds_alike(node: Node) -> bool:
    return node.op is _ADD and all(e.type == node.types[0] for e in node.inputs)


def _terms(entry: Entry, inner: set[Node]) -> list[Entry]:
    """Return the terms of a sum, left to right."""
    found, waiting = [], [entry]
    while waiting:
        e = waiting.pop()
        if e.node in inner or e is entry:
            waiting.extend(reversed(e.node.inputs))
        else:
            found.append(e)
    return found


def _total(node: Node, terms: list[Entry], private: set[Entry]) -> Entry | None:
    """Return the sum of terms with fewer products or scattered parts, or None where it stays as it is."""
    products = [e for e in terms if e in private and _sums_cheaply(e.node)]
    parts = [e for e in terms if e in private and e.node.op is _SCATTER]
    with scope(node.name, train=True, backward=node.backward):
        tiled, axis = _tiling(parts)
        rest = [e for e in terms if e not in tiled and (e not in products or len(products) < 2)]
        if len(rest) == len(terms):
            return None
        values = [Value(*e) for e in rest]
        if tiled:
            made = [Value(*e.node.inputs[0]) for e in tiled]
            values.append(F.Concat(*made, num_args=len(made), dim=axis))
        if len(products) > 1:
            # Gradients flow from the last step to the first; as they came, their matrices may lie in order already.
            ordered = products[::-1] if node.backward else products
            a, b = (_together([e.node.inputs[i] for e in ordered]) for i in (0, 1))
            values.append(F.matmul(a, b, transpose_a=True))
        total = values[0]
        for value in values[1:]:
            total = total + value
    return total


def _sums_cheaply(node: Node) -> bool:
    """Tell whether a product sums over its operands' rows, so few that they cost less to copy than it to add."""
    if node.op is not _MATMUL or not node.params.transpose_a or node.params.transpose_b:
        return False
    a, b = (e.shape for e in node.inputs)
    return len(a) == len(b) == 2 and a[0] * (a[1] + b[1]) <= 2 * a[1] * b[1]


def _tiling(parts: list[Entry]) -> tuple[list[Entry], int]:
    """Return the parts that lie behind each other along an axis and leave nothing out, and the axis; or none."""
    for axis in range(len(parts[0].shape) if parts else 0):
        found, at = [], 0
        for e in sorted(parts, key=lambda e: e.node.params.begin[axis]):
            size, p = e.node.inputs[0].shape, e.node.params
            others = size[:axis] + size[axis + 1 :] == e.shape[:axis] + e.shape[axis + 1 :]
            if others and p.begin[axis] == at and p.step[axis] == 1:
                found.append(e)
                at += size[axis]
        if at == parts[0].shape[axis] and len(found) > 1:
            return found, axis
    return [], 0


# ---- rows ----


def _independent(graph: Graph) -> list[Node]:
    """Return products of few rows by one matrix, none of which needs another: the most that there are, two or more."""
    nodes = graph.nodes()
    alike: dict[tuple, list[Node]] = {}
    for n in nodes:
        if _has_few_rows(n):
            alike.setdefault((n.inputs[1], n.params.transpose_b, n.backward), []).append(n)
    groups = [members for members in alike.values() if len(members) > 1]
    if not groups:
        return []
    bit = {n: 1 << i for i, n in enumerate(n for members in groups for n in members)}
    needs: dict[Node, int] = {}  # all products in groups that a node needs, itself among them, as bits
    for n in nodes:
        bits = bit.get(n, 0)
        for e in n.inputs:
            bits |= needs[e.node]
        needs[n] = bits
    best: list[Node] = []
    for members in groups:
        levels: list[list[Node]] = []
        masks: list[int] = []
        for n in members:  # one level above the last level of which it needs a product
            at = max((i + 1 for i, mask in enumerate(masks) if needs[n] & mask), default=0)
            if at == len(levels):
                levels.append([])
                masks.append(0)
            levels[at].append(n)
            masks[at] |= bit[n]
        best = max([best, *levels], key=len)
    return best if len(best) > 1 else []


def _has_few_rows(node: Node) -> bool:
    """Tell whether a product's rows cost less to copy, before and after, than its right matrix to read."""
    if node.op is not _MATMUL or node.params.transpose_a:
        return False
    a, b = (e.shape for e in node.inputs)
    return len(a) == len(b) == 2 and a[0] * (b[0] + b[1]) <= b[0] * b[1]


def _join_rows(graph: Graph, alike: list[Node]) -> Graph:
    """Replace products by one right matrix, which do not depend on each other, with slices of one product."""
    first = alike[0]
    position = {n: -i if first.backward else i for i, n in enumerate(graph.nodes())}
    slices: dict[Node, tuple[Entry, ...]] = {}
    at = 0
    with scope(first.name, train=True, backward=first.backward):
        alike = sorted(alike, key=lambda n: position[stored(n.inputs[0]).node])
        rows = _together([n.inputs[0] for n in alike])
        product = F.matmul(rows, Value(*first.inputs[1]), transpose_b=first.params.transpose_b)
        for n in alike:
            size = n.types[0].shape
            slices[n] = (F.slice_strided(product, begin=(at, 0), step=(1, 1), size=size),)
            at += size[0]
    return rewrite(graph, lambda node, inputs: slices.get(node))


# ---- pieces of arrays ----


def _together(parts: list[Entry]) -> Value:
    """Return matrices below each other."""
    shape = (sum(e.shape[0] for e in parts), *parts[0].shape[1:])
    source = _whole(parts)
    if source is not None:
        return reshape(Value(*source), shape)
    return F.Concat(*(Value(*e) for e in parts), num_args=len(parts), dim=0)


def _whole(parts: Sequence[Entry]) -> Entry | None:
    """Return the array of which the parts are consecutive slices of its first axis, from the beginning to the end."""
    source, at = None, 0
    for e in parts:
        while e.node.op is _VIEW:
            e = e.node.inputs[0]
        if e.node.op is not _SLICE:
            return None
        p, whole = e.node.params, e.node.inputs[0]
        source = source or whole
        if whole != source or p.step[0] != 1 or p.begin[0] != at or p.size[1:] != whole.shape[1:]:
            return None
        at += p.size[0]
    return source if source is not None and at == source.shape[0] else None


def _see_wholes(graph: Graph) -> Graph:
    """Replace concatenations of all slices of an array by the array."""

    def visit(node: Node, inputs: tuple[Entry, ...]):
        if node.op is _CONCAT and node.params.dim % len(node.types[0].shape) == 0:
            source = _whole(inputs)
            if source is not None:
                with scope(node.name, train=True, backward=node.backward):
                    return (reshape(Value(*source), node.types[0].shape),)
        return None

    return rewrite(graph, visit)
