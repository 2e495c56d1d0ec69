"""Graphs by hand and runs of plans, for the tests of the passes."""

import cymx as mx
from cymx._engine import Buffer
from cymx.base import NUMPY_DTYPES
from cymx.compiler import Options, compile_graph
from cymx.ir import Entry, Graph, Node, Type
from cymx.ndarray import NDArray
from cymx.ops import find

DEFAULT = Options()
ALL_OPTIONS = [Options(a, b, c) for a in (True, False) for b in (True, False) for c in (True, False)]


def var(name):
    return Entry(Node(None, name))


def node(op, *inputs, name="n", output=0, **settings):
    kind = find(op)
    return Entry(Node(kind, name, inputs, kind.parse(settings)), output)


def types(**arrays):
    return {name: Type(x.shape, x.dtype.name) for name, x in arrays.items()}


def compiled(symbol, train=False, grad_req=None, options=DEFAULT, dtype="float32", **shapes):
    """Compile a symbol for variables of the given shapes."""
    given = {name: Type(shape, dtype) for name, shape in shapes.items()}
    return compile_graph(Graph(tuple(symbol._entries)), given, train, grad_req, options=options)


def run(plan, args, heads=(), grads=None, parts=(0,)):
    """Run a plan on NumPy arrays; return the outputs, the gradients by name, and what the arguments hold afterwards."""
    bound = {name: mx.nd.array(value, dtype=value.dtype) for name, value in args.items()}
    held = {}
    arrays = []
    for slot, (name, type_) in enumerate(plan.arrays):
        kind, _, key = name.partition(":")
        if kind == "arg":
            held[slot] = bound[key]
        elif kind == "head":
            held[slot] = mx.nd.array(heads[int(key)], dtype=type_.dtype)
        elif kind == "grad" and grads and key in grads:
            held[slot] = mx.nd.array(grads[key], dtype=type_.dtype)
        else:
            held[slot] = NDArray.empty(type_.shape, type_.dtype, 1, 0)
            held[slot][:] = 77
        arrays.append(held[slot])
    arena = Buffer(plan.arena_bytes) if plan.arena_bytes else None
    for part in parts:
        plan.runner.run(arrays, arena, part)
    found = {name: held[slot].asnumpy() for slot, (name, _) in enumerate(plan.arrays)}
    outputs = [found[f"out:{k}"] for k in range(sum(name.startswith("out:") for name in found))]
    return (
        outputs,
        {n[5:]: v for n, v in found.items() if n.startswith("grad:")},
        {n: bound[n].asnumpy() for n in bound},
    )


def draw(shape, rng, dtype="float32"):
    return rng.uniform(0.5, 1.5, shape).astype(NUMPY_DTYPES[dtype])


class Seen:
    """What the passes hand to each other during a compilation."""

    def __init__(self, monkeypatch):
        import cymx.compiler.compile as passes

        original = passes.memory

        def memory(steps, outside, scratch_bytes, enabled, lasting=()):
            self.steps, self.outside, self.scratch_bytes = steps, dict(outside), scratch_bytes
            self.places = original(steps, outside, scratch_bytes, enabled, lasting)
            return self.places

        monkeypatch.setattr(passes, "memory", memory)
