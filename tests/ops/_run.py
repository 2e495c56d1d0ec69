"""Compile a row's operator by hand and run it on NumPy arrays: the road below NDArray, Symbol and Executor.

Used by every test of this folder.
"""

import numpy as np
from cases import ROWS
from cymx._array import Array

from cymx._engine import Buffer
from cymx.base import NUMPY_DTYPES, cpu
from cymx.compiler.compile import DEFAULTS, Options, compile_graph
from cymx.ir import Entry, Graph, Node, Type
from cymx.ops import find

CPU = cpu()
FLOATING = ("float32", "float64", "float16", "bfloat16")
# What one rounding to the dtype costs, against the 1e-5 that a row's `tol` allows in float32.
TOLERANCES = {"float64": 1e-10, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}

ALL_OPTIONS = (
    Options(simplify=False),
    Options(fuse=False),
    Options(share_memory=False),
    Options(simplify=False, fuse=False, share_memory=False, join=False),
)


def names(rows):
    """Return one distinct test id for each row."""
    found, seen = [], {}
    for row in rows:
        word = str(row)
        seen[word] = seen.get(word, 0) + 1
        found.append(word if seen[word] == 1 else f"{word}#{seen[word]}")
    return found


def rows_where(chosen):
    """Return (rows, ids) of the rows for which `chosen(row)` holds, as pytest.mark.parametrize takes them."""
    rows = [row for row in ROWS if chosen(row)]
    return {"argvalues": rows, "ids": names(rows)}


def settings(row):
    """Return the row's operator and its parsed settings; what counts the inputs is filled in."""
    op = find(row.op)
    given = dict(row.params)
    if op.variadic:
        given.setdefault(op.variadic, len(row.inputs))
    return op, op.parse(given)


def graph_of(row):
    """Return the graph of one node, and the names of its inputs."""
    op, p = settings(row)
    inputs = op.input_names(p)
    node = Node(op, "node", tuple(Entry(Node(None, name)) for name in inputs), p)
    return Graph(tuple(Entry(node, i) for i in range(len(op.output_names(p))))), inputs


def aux_names(row):
    """Return the names of the inputs that a run changes."""
    op, p = settings(row)
    return [name for name in op.input_names(p) if name in op.aux]


def differentiable(row):
    """Return the positions of the inputs whose gradients the row has tested."""
    if row.wrt is not None:
        return list(row.wrt)
    op, p = settings(row)
    if op.is_loss or getattr(op, "grad", True) is None or row.dtypes[0] not in FLOATING:
        return []
    own = {i for i, dtype in enumerate(row.input_dtypes) if dtype}
    return [i for i, name in enumerate(op.input_names(p)) if i not in own and name not in op.aux]


def is_random(row):
    """Tell whether the row has no reference, since what it gives is drawn."""
    return row.ref is None and row.expect is None


class Program:
    """A row's operator, compiled for arrays of given types.

    wrt: name -> 'write' or 'add', the gradients to compute.   train: as the row says when None.   context: where.
    """

    def __init__(self, row, arrays, wrt=None, train=None, options=DEFAULTS, context=CPU):
        graph, self.inputs = graph_of(row)
        assert len(self.inputs) == len(arrays), f"{row}: inputs are {self.inputs}, the row has {len(arrays)}"
        types = {name: Type(x.shape, x.dtype.name) for name, x in zip(self.inputs, arrays)}
        self.plan = compile_graph(
            graph, types, bool(wrt) or (row.train if train is None else train), wrt, context, options=options
        )
        self.device = (context.device_typeid, context.device_id)
        self.n_out = len(graph.outputs)
        self.arena = Buffer(self.plan.arena_bytes, *self.device) if self.plan.arena_bytes else None

    def __call__(self, arrays, heads=(), grads=None):
        """Run on copies of `arrays` and return every array by its slot's name: arg:data, out:0, grad:data.

        What the plan does not use comes back as it was given.

        heads: what flows into each output.   grads: name -> what the gradient's array holds before.
        """
        given = {f"arg:{name}": x for name, x in zip(self.inputs, arrays)}
        given.update((f"head:{i}", head) for i, head in enumerate(heads))
        given.update((f"grad:{name}", x) for name, x in (grads or {}).items())
        held = dict(given)
        for name, type_ in self.plan.arrays:
            dtype = NUMPY_DTYPES[type_.dtype]
            x = given[name] if name in given else np.full(type_.shape, 77, dtype)
            assert x.shape == type_.shape and x.dtype == dtype, f"{name} is {x.dtype}{x.shape}, planned as {type_}"
            held[name] = np.array(x, order="C")
        arrays = [self.placed(held[name]) for name, _ in self.plan.arrays]
        self.plan.runner.run(arrays, self.arena)
        for (name, _), x in zip(self.plan.arrays, arrays):
            held[name] = x.read()
        return held

    def placed(self, values):
        """Return the values as an array where the plan runs."""
        array = Array.empty(values.shape, values.dtype.name, *self.device)
        array.write(values.reshape(-1).view(np.uint8))
        return array

    def heads(self):
        """Return random gradients to flow into the outputs, the same ones at every call."""
        rng = np.random.default_rng(11)
        types = dict(self.plan.arrays)
        outputs = [types[f"out:{k}"] for k in range(self.n_out)]
        return [rng.uniform(0.5, 1.5, t.shape).astype(NUMPY_DTYPES[t.dtype]) for t in outputs]


def outputs_of(held):
    """Return the outputs among what a run returned, in order."""
    return [held[f"out:{k}"] for k in range(sum(name.startswith("out:") for name in held))]


def as_wide(x):
    """Return floats as float64, and integers as they are."""
    x = np.asarray(x)
    return x if x.dtype.kind in "iub" else x.astype("float64")


def expected(row, arrays):
    """Return the outputs that the row expects."""
    if row.expect is not None:
        return [np.asarray(x) for x in row.expect]
    with np.errstate(all="ignore"):
        found = row.ref(*map(as_wide, arrays), **row.params)
    return [np.asarray(x) for x in (found if isinstance(found, tuple) else (found,))]


def tolerance(row, dtype):
    """Return the tolerance of outputs of a dtype."""
    return TOLERANCES.get(dtype, 0) * max(1.0, row.tol / 1e-5)


def assert_close(found, wanted, tol, what):
    """Compare in float64 (integers exactly as they are), shapes included."""
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, expected {wanted.shape}"
    np.testing.assert_allclose(as_wide(found), as_wide(wanted), rtol=tol, atol=tol, err_msg=what)
