"""Join: what becomes of sums of products and products by one matrix, and random recurrent networks with and without."""

import numpy as np
import pytest
from compiler.support import compiled, draw, node, run, var

import cymx as mx
from cymx.compiler import Options
from cymx.compiler.join import join
from cymx.compiler.lower import lower
from cymx.ir import Graph, Type

JOINED, APART = Options(), Options(join=False)


def operators(*outputs, **shapes):
    graph = join(lower(Graph(outputs), {n: Type(s, "float32") for n, s in shapes.items()}, False))
    return [n.op.name for n in graph.nodes() if n.op]


def product(a, b, **flags):
    return node("dot", a, b, **flags)


def total(first, *rest):
    for value in rest:
        first = node("elemwise_add", first, value)
    return first


def test_products_of_few_rows_by_one_matrix_are_one():
    w = var("w")
    rows = [node("tanh", product(var(n), w)) for n in "abc"]
    found = operators(*rows, a=(2, 8), b=(1, 8), c=(2, 8), w=(8, 9))
    assert found.count("_matmul") == 1 and found.count("Concat") == 1 and found.count("_slice_strided") == 3


def test_products_that_need_each_other_stay_apart():
    w = var("w")
    found = operators(product(node("tanh", product(var("a"), w)), w), a=(2, 8), w=(8, 8))
    assert found.count("_matmul") == 2 and "Concat" not in found


def test_products_of_many_rows_stay_apart():
    w = var("w")
    rows = [product(var(n), w) for n in "ab"]
    assert operators(*rows, a=(20, 8), b=(20, 8), w=(8, 9)).count("_matmul") == 2


def test_two_joins_that_would_need_each_other_are_not_both_made():
    v, w = var("v"), var("w")
    a1, b2 = product(var("a"), v), product(var("b"), w)
    b1, a2 = product(node("tanh", a1), w), product(node("tanh", b2), v)
    found = operators(b1, a2, a=(1, 8), b=(1, 8), v=(8, 8), w=(8, 8))
    assert found.count("_matmul") == 3


def test_a_sum_of_products_over_few_rows_is_one_product():
    terms = [product(var(a), var(b), transpose_a=True) for a, b in ("ab", "cd", "ef")]
    shapes = dict.fromkeys("ace", (2, 8)) | dict.fromkeys("bdf", (2, 9))
    found = operators(total(*terms), **shapes)
    assert found.count("_matmul") == 1 and found.count("Concat") == 2 and "broadcast_add" not in found
    with_others = operators(total(terms[0], var("x"), terms[1]), x=(8, 9), **shapes)
    assert with_others.count("_matmul") == 1 and with_others.count("broadcast_add") == 1


def test_a_product_that_is_used_elsewhere_is_not_summed_with_others():
    terms = [product(var(a), var(b), transpose_a=True) for a, b in ("ab", "cd")]
    found = operators(total(*terms), node("tanh", terms[0]), a=(2, 8), b=(2, 9), c=(2, 8), d=(2, 9))
    assert found.count("_matmul") == 2


def test_slices_of_all_of_an_array_are_the_array():
    x, w = var("x"), var("w")
    steps = [node("Reshape", node("slice_axis", x, axis=0, begin=t, end=t + 1), shape="(2,8)") for t in range(3)]
    found = operators(*(product(s, w) for s in steps), x=(3, 2, 8), w=(8, 8))
    assert found.count("_matmul") == 1 and "Concat" not in found


def test_gradients_of_pieces_are_put_together():
    x = mx.sym.var("x")
    parts = mx.sym.split(mx.sym.tanh(x), num_outputs=3, axis=1)
    y = mx.sym.Group([mx.sym.sin(parts[i]) for i in range(3)])
    text = compiled(y, True, {"x": "write"}, x=(4, 6)).dump()
    assert "concat" in text and "slice_scatter" not in text
    rest = mx.sym.Group([mx.sym.sin(parts[0]), mx.sym.sin(parts[2])])
    assert "slice_scatter" in compiled(rest, True, {"x": "write"}, x=(4, 6)).dump()


def random_network(rng):
    """Return a symbol of cells in random order on slices of a sequence, which share a few weights."""
    sym, width, batch, steps = mx.sym, 6, 2, int(rng.integers(2, 6))
    weights = [sym.var(f"w{i}") for i in range(2)]
    values = list(sym.SliceChannel(sym.var("x"), num_outputs=steps, axis=0, squeeze_axis=True))
    for _ in range(int(rng.integers(4, 25))):
        pick = lambda: values[int(len(values) * rng.beta(1.5, 1))]
        kind = rng.integers(5)
        if kind < 2:
            made = sym.dot(pick(), weights[rng.integers(2)], transpose_b=bool(rng.integers(2)))
        elif kind == 2:
            made = pick() + pick()
        elif kind == 3:
            a, b, c = sym.SliceChannel(pick(), num_outputs=3, axis=1)
            made = sym.Concat(c, sym.sigmoid(a), b, dim=1)
        else:
            made = pick() * pick()
        values.append(sym.tanh(made))
    out = sym.Concat(*(values[i] for i in rng.permutation(len(values))[:4]), dim=0)
    return out, {"x": (steps, batch, width), "w0": (width, width), "w1": (width, width)}


@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    symbol, shapes = random_network(rng)
    shapes = {n: shapes[n] for n in symbol.list_arguments()}
    args = {n: draw(s, rng, "float64") - 1 for n, s in shapes.items()}
    heads = [rng.uniform(-1, 1, symbol.infer_shape(**shapes)[1][0])]
    requests = dict.fromkeys(shapes, "write")
    wanted = None
    for options in (Options(False, False, False, join=False), APART, JOINED, Options(fuse=False), Options(False)):
        plan = compiled(symbol, True, requests, options, "float64", **shapes)
        outputs, grads, _ = run(plan, args, heads, parts=(1, 2))
        found = [*outputs, *(grads[n] for n in shapes)]
        wanted = wanted or found
        for y, ref in zip(found, wanted):
            np.testing.assert_allclose(y, ref, rtol=1e-9, atol=1e-11, err_msg=f"{options}\n{plan.dump()}")


def test_an_unrolled_network_multiplies_once_for_all_steps():
    sym, steps, batch, width = mx.sym, 6, 2, 8
    w, u = sym.var("w"), sym.var("u")
    tops = list(sym.SliceChannel(sym.var("x"), num_outputs=steps, axis=0, squeeze_axis=True))
    h = sym.var("h")
    for t in range(steps):
        h = sym.tanh(sym.dot(tops[t], w) + sym.dot(h, u))
        tops[t] = h
    y = sym.Concat(*tops, dim=0)
    shapes = {"x": (steps, batch, width), "w": (width, width), "h": (batch, width), "u": (width, width)}
    count = {}
    for name, options in (("joined", JOINED), ("apart", APART)):
        count[name] = compiled(y, True, dict.fromkeys(shapes, "write"), options, **shapes).dump().count(" matmul ")
    # By w once forward and once each for x and w backward; by u at each step, both ways; and once for u.
    assert count == {"joined": 1 + 2 + steps + steps + 1, "apart": 6 * steps}
