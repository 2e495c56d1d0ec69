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


def axes_of(reduction):
    return reduction.op.reduced_axes(reduction.params, reduction.inputs[0].shape)


def check(steps):
    """Assert that steps read only what earlier ones made, that forward ones stand alone, and that none is too large."""
    made, forward_ended = set(), False
    every = {n for s in steps for n in (*s.nodes, *s.tails)}
    for step in steps:
        forward_ended |= step.backward
        # A backward step may make a forward value again, but never the other way round.
        assert step.backward == forward_ended >= any(n.backward for n in (*step.nodes, *step.tails))
        assert all(n.backward == step.backward for n in (*(e.node for e in step.outputs), *step.tails))
        for e in step.inputs:
            source = root(e)
            assert source.node not in every or source in made, (step, e)
        made |= set(step.outputs)
        assert len(step.nodes) <= fuse.MAX_NODES and len(step.inputs) <= fuse.MAX_INPUTS
        if step.is_program:
            assert len(step.outputs) <= fuse.MAX_OUTPUTS and len({n.types[0].shape for n in step.nodes}) == 1
        assert len(step.tails) <= fuse.MAX_TAILS and len({axes_of(n) for n in step.tails}) <= 1
        for n in step.tails:
            assert n.inputs[0].shape == step.nodes[0].types[0].shape
            assert n.inputs[0].node in step.nodes or n.inputs[0] in step.inputs


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
    r1 = muladd(in2, in3, r0) float32(10, 10) -> out0
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


# ---- tails ----


def test_sums_end_the_step_that_makes_what_they_read(monkeypatch):
    seen = Seen(monkeypatch)
    x = v("x")
    y = mx.sym.broadcast_mul(x, v("w"))
    plan = compiled(mx.sym.Group([mx.sym.sum(y, axis=1), mx.sym.sum(x, axis=1), y]), x=(4, 200), w=(1, 200))
    check(seen.steps)
    assert (
        plan.dump()
        == """arg:x: float32(4, 200)
arg:w: float32(1, 200)
out:0: float32(4)
out:1: float32(4)
out:2: float32(4, 200)
step 0 forward map_reduce [sum 'sum1']: arg:x arg:w -> out:2 out:0 out:1
    r0 = mul(in0, in1) float32(4, 200) -> out0
    r1 = sum[1](r0) float32(4) -> out1
    r2 = sum[1](in0) float32(4) -> out2
arena: 0 bytes"""
    )


def test_what_needs_a_reduction_is_a_later_step(monkeypatch):
    seen = Seen(monkeypatch)
    x = v("x")
    centred = mx.sym.broadcast_sub(x, mx.sym.mean(mx.sym.exp(x), axis=1, keepdims=True))
    y = mx.sym.broadcast_div(centred, mx.sym.sum(mx.sym.square(centred), axis=1, keepdims=True))
    plan = compiled(y, dtype="float64", x=(300, 200))
    check(seen.steps)
    # exp and its sum; the mean; the squares and their sum; the quotient, which centres x again.
    assert [len(s.tails) for s in seen.steps] == [1, 0, 1, 0]
    given = np.random.default_rng(0).uniform(-1, 1, (300, 200))
    c = given - np.exp(given).mean(1, keepdims=True)
    np.testing.assert_allclose(run(plan, {"x": given})[0][0], c / np.square(c).sum(1, keepdims=True), rtol=1e-10)


def test_reductions_over_other_axes_are_steps_of_their_own(monkeypatch):
    seen = Seen(monkeypatch)
    y = mx.sym.exp(v("x"))
    compiled(mx.sym.Group([mx.sym.sum(y, axis=0), mx.sym.max(y, axis=0), mx.sym.sum(y, axis=1)]), x=(300, 200))
    check(seen.steps)
    assert sorted(len(s.tails) for s in seen.steps) == [0, 2]


def test_reductions_of_a_few_elements_at_a_time_stay_apart(monkeypatch):
    seen = Seen(monkeypatch)
    compiled(mx.sym.sum(mx.sym.exp(v("x")), axis=1), x=(1000, 3, 5))
    assert len(seen.steps) == 2 and not any(s.tails for s in seen.steps)


@pytest.mark.parametrize(
    "net, shape, forward, backward",
    [
        (lambda x: mx.sym.BatchNorm(x, name="n", fix_gamma=False), (8, 16, 20, 20), 4, 5),
        (lambda x: mx.sym.LayerNorm(x, v("gamma"), v("beta")), (50, 16), 2, 7),
        (lambda x: mx.sym.softmax(x), (50, 16), 2, 5),
    ],
)
def test_training_passes_over_a_normalized_tensor_as_often_as_it_must(net, shape, forward, backward, monkeypatch):
    seen = Seen(monkeypatch)
    net = net(v("x"))
    names = net.list_arguments()
    given = {"x": shape, **dict.fromkeys([*names[1:], *net.list_auxiliary_states()], (16,))}
    compiled(net, True, dict.fromkeys(names, "write"), **given)
    check(seen.steps)
    passes = {False: 0, True: 0}
    for step in seen.steps:
        passes[step.backward] += sum(e.shape == shape for e in (*step.inputs, *step.outputs))
    assert passes == {False: forward, True: backward}
