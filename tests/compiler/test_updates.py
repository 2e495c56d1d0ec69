"""Outputs and updates: states read and written in one run, outputs that share memory, and empty things."""

import numpy as np
import pytest
from compiler.support import ALL_OPTIONS, compiled, run

import cymx as mx
import cymx.compiler.compile as passes
from cymx._engine import Buffer
from cymx.compiler import compile_graph
from cymx.ir import Graph, Type
from cymx.ndarray import NDArray

v = mx.sym.Variable
X = np.array([[1.0, 2.0], [3.0, 6.0]], "float32")


@pytest.fixture
def update(monkeypatch):
    """Compile outputs of x and s with further updates of variables: update(outputs, {name: new value}, s=..., ...)."""

    def compile_(outputs, updates, options, grad_req=None, **shapes):
        original = passes.lower

        def lower(graph, types, train):
            both = original(Graph((*graph.outputs, *(s._entries[0] for s in updates.values()))), types, train)
            by_name = {n.name: n for n in both.nodes() if n.op is None}
            found = both.outputs[len(graph.outputs) :]
            return Graph(both.outputs[: len(graph.outputs)], {by_name[n]: e for n, e in zip(updates, found)})

        monkeypatch.setattr(passes, "lower", lower)
        given = {n: Type(s, "float32") for n, s in shapes.items()}
        graph = Graph(tuple(e for s in outputs for e in s._entries))
        plan = compile_graph(graph, given, bool(grad_req), grad_req, options=options)
        monkeypatch.setattr(passes, "lower", original)
        return plan

    return compile_


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_everyone_reads_the_old_state(update, options):
    x, s = v("x"), v("s")
    before = x * s
    new = s * 0.5 + x
    after = mx.sym.dot(x, s) + new
    plan = update([before, after, s], {"s": new}, options, x=(2, 2), s=(2, 2))
    state = X[::-1].copy()
    outputs, _, held = run(plan, {"x": X, "s": state})
    np.testing.assert_allclose(held["s"], state / 2 + X)
    for found, expected in zip(outputs, (X * state, X @ state + state / 2 + X, state)):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_two_states_swap(update, options):
    a, b = v("a"), v("b")
    plan = update([a + b], {"a": b * 1, "b": a * 1}, options, a=(2, 2), b=(2, 2))
    _, _, held = run(plan, {"a": X, "b": -X})
    np.testing.assert_array_equal(held["a"], -X)
    np.testing.assert_array_equal(held["b"], X)
    plan = update([a + b], {"a": b + a, "b": a - b}, options, a=(2, 2), b=(2, 2))
    _, _, held = run(plan, {"a": X, "b": 3 * X})
    np.testing.assert_array_equal(held["a"], 4 * X)
    np.testing.assert_array_equal(held["b"], -2 * X)


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_a_state_broadcast_into_its_own_update(update, options):
    s = v("s")
    new = mx.sym.broadcast_add(s, mx.sym.reshape(mx.sym.sum(s, axis=0), shape=(1, 2)))
    plan = update([new], {"s": new}, options, s=(2, 2))
    outputs, _, held = run(plan, {"s": X})
    np.testing.assert_array_equal(held["s"], X + X.sum(0))
    np.testing.assert_array_equal(outputs[0], X + X.sum(0))


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_backward_reads_the_state_that_forward_read(update, options):
    x, s = v("x"), v("s")
    plan = update([x * s], {"s": s + 10}, options, {"x": "write"}, x=(2, 2), s=(2, 2))
    _, grads, held = run(plan, {"x": X, "s": 2 * X}, [np.ones((2, 2))], parts=(1, 2))
    np.testing.assert_array_equal(held["s"], 2 * X + 10)
    np.testing.assert_array_equal(grads["x"], 2 * X)


def test_batch_norm_twice_on_the_same_statistics():
    """The second use starts from what the first left."""
    shared = [v(n) for n in ("gamma", "beta", "mean", "var")]
    first = mx.sym.BatchNorm(v("x"), *shared, momentum=0.5, fix_gamma=False)
    both = mx.sym.BatchNorm(first * 3 + 1, *shared, momentum=0.5, fix_gamma=False)
    plan = compiled(both, True, x=(2, 2), gamma=(2,), beta=(2,), mean=(2,), var=(2,))
    one = np.ones(2, "float32")
    args = {"x": X, "gamma": one, "beta": 0 * one, "mean": 0 * one, "var": one}
    _, _, held = run(plan, args)
    np.testing.assert_allclose(held["mean"], X.mean(0) / 4 + 0.5, rtol=1e-5)


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_outputs_have_memory_of_their_own(options):
    x = v("x")
    y = mx.sym.exp(x)
    group = [
        x,
        x,
        y,
        y,
        mx.sym.reshape(y, shape=(4,)),
        mx.sym.reshape(x, shape=(4,)),
        mx.sym.ones((2, 3)),
        mx.sym.ones((2, 3)),
        mx.sym.zeros((1,)),
    ]
    plan = compiled(mx.sym.Group(group), options=options, x=(2, 2))
    expected = [X, X, np.exp(X), np.exp(X), np.exp(X).ravel(), X.ravel(), np.ones((2, 3)), np.ones((2, 3)), [0]]
    outputs, _, held = run(plan, {"x": X})
    for found, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_array_equal(held["x"], X)


def test_an_empty_graph_does_nothing():
    plan = compile_graph(Graph(()), {})
    assert plan.arrays == () and plan.dump() == "arena: 0 bytes"


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), ()])
@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_no_elements_and_scalars(shape, options):
    x = v("x")
    plan = compiled(mx.sym.Group([mx.sym.exp(x) * 2 + 1, x]), options=options, x=shape)
    given = np.full(shape, 0.5, "float32")
    arrays = [NDArray.empty(t.shape, t.dtype, 1, 0) for _, t in plan.arrays]
    arrays[0].write(given)
    plan.runner.run(arrays, Buffer(plan.arena_bytes) if plan.arena_bytes else None)
    assert [name for name, _ in plan.arrays] == ["arg:x", "out:0", "out:1"]
    np.testing.assert_allclose(arrays[1].read(), np.exp(given) * 2 + 1, rtol=1e-6)
    np.testing.assert_array_equal(arrays[2].read(), given)
