"""Fuse: what joins, what must not, and the limits of a step."""

import numpy as np
import pytest
from compiler.random_graph import random_graph
from compiler.support import ALL_OPTIONS, Seen, compiled, run

import cymx as mx
from cymx.compiler import fuse
from cymx.ops._def import View

v = mx.sym.Variable


def root(entry):
    while entry.node.op is not None and issubclass(entry.node.op, View):
        entry = entry.node.inputs[0]
    return entry


def check(steps):
    """Assert that steps read only what earlier ones made, that forward ones stand alone, and that none is too large."""
    made, forward_ended = set(), False
    every = {n for s in steps for n in s.nodes}
    for step in steps:
        forward_ended |= step.backward
        assert step.backward == forward_ended and len({n.backward for n in step.nodes}) == 1
        for e in step.inputs:
            source = root(e)
            assert source.node not in every or source in made, (step, e)
        made |= set(step.outputs)
        assert len(step.nodes) <= fuse.MAX_NODES and len(step.inputs) <= fuse.MAX_INPUTS
        if step.is_map:
            assert len(step.outputs) <= fuse.MAX_OUTPUTS and len({n.types[0].shape for n in step.nodes}) == 1


def test_two_products_and_a_sum_are_one_step():
    plan = compiled(v("A") * v("B") + v("C") * v("D"), A=(10, 10), B=(10, 10), C=(10, 10), D=(10, 10))
    assert (
        plan.dump()
        == """arg:A: float32(10, 10)
arg:B: float32(10, 10)
arg:C: float32(10, 10)
arg:D: float32(10, 10)
out:0: float32(10, 10)
step 0 forward map [elemwise_add '_plus0']: arg:A arg:B arg:C arg:D -> out:0
    r0 = mul(in0, in1) float32(10, 10)
    r1 = mul(in2, in3) float32(10, 10)
    r2 = add(r0, r1) float32(10, 10) -> out0
arena: 0 bytes"""
    )


@pytest.fixture(autouse=True)
def fresh_names():
    with mx.name.NameManager():
        yield


def test_groups_that_need_each_other_stay_apart(monkeypatch):
    """a -> sum -> b and c -> sum -> d: joining q, a, d and p, c, b would make each wait for the other."""
    seen = Seen(monkeypatch)
    q, p = mx.sym.exp(v("x")), mx.sym.tanh(v("y"))
    a = mx.sym.sin(q)
    b = mx.sym.broadcast_add(p, mx.sym.sum(a, keepdims=True))
    c = p * 2
    d = mx.sym.broadcast_add(q, mx.sym.sum(c, keepdims=True))
    args = {"x": np.linspace(0, 1, 6).reshape(2, 3), "y": np.linspace(-1, 1, 6).reshape(2, 3)}
    plan = compiled(mx.sym.Group([a, b, c, d]), dtype="float64", x=(2, 3), y=(2, 3))
    check(seen.steps)
    q, p = np.exp(args["x"]), np.tanh(args["y"])
    for found, expected in zip(run(plan, args)[0], (np.sin(q), p + np.sin(q).sum(), p * 2, q + 2 * p.sum())):
        np.testing.assert_allclose(found, expected)


def test_a_view_of_what_a_step_makes_is_read_by_a_later_step(monkeypatch):
    seen = Seen(monkeypatch)
    x = mx.sym.exp(v("x"))
    plan = compiled(mx.sym.broadcast_add(x, mx.sym.reshape(x, shape=(5,))), x=(1, 5))
    check(seen.steps)
    given = np.arange(5, dtype="float32").reshape(1, 5)
    np.testing.assert_allclose(run(plan, {"x": given})[0][0], 2 * np.exp(given), rtol=1e-6)


@pytest.mark.parametrize("seed", range(100, 130))
def test_random_steps_are_legal(seed, monkeypatch):
    seen = Seen(monkeypatch)
    symbol, _, args, used = random_graph(np.random.default_rng(seed), 60)
    for options in ALL_OPTIONS:
        compiled(symbol, True, dict.fromkeys(used, "write"), options, **{n: args[n].shape for n in used})
        check(seen.steps)


def test_a_long_chain_is_cut(monkeypatch):
    seen = Seen(monkeypatch)
    y, expected = v("x"), np.linspace(-1, 1, 4, dtype="float32")
    for i in range(250):
        y = mx.sym.sin(y) + i / 100
    plan = compiled(y, x=(4,))
    check(seen.steps)
    assert len(seen.steps) <= -(-500 // fuse.MAX_NODES) + 1
    given = expected
    for i in range(250):
        expected = np.sin(expected) + np.float32(i / 100)
    np.testing.assert_allclose(run(plan, {"x": given})[0][0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("add_n", [True, False])
def test_a_sum_of_a_hundred_inputs(add_n, monkeypatch):
    seen = Seen(monkeypatch)
    names = [f"x{i}" for i in range(100)]
    y = mx.sym.add_n(*map(v, names)) if add_n else sum(map(v, names[1:]), v(names[0]))
    plan = compiled(y, train=True, grad_req=dict.fromkeys(names, "write"), **dict.fromkeys(names, (2, 3)))
    check(seen.steps)
    args = {n: np.full((2, 3), i, "float32") for i, n in enumerate(names)}
    outputs, grads, _ = run(plan, args, [np.ones((2, 3))])
    np.testing.assert_array_equal(outputs[0], 4950)
    assert all((g == 1).all() for g in grads.values())


def test_many_outputs_of_one_value(monkeypatch):
    seen = Seen(monkeypatch)
    x = mx.sym.exp(v("x"))
    plan = compiled(mx.sym.Group([x * i for i in range(60)]), x=(3,))
    check(seen.steps)
    outputs = run(plan, {"x": np.zeros(3, "float32")})[0]
    np.testing.assert_array_equal(np.stack(outputs)[:, 0], np.arange(60))
