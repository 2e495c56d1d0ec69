"""Gradient: sums over paths, what stops them, and operators that have none."""

import numpy as np
import pytest
from compiler.support import ALL_OPTIONS, compiled, run

import cymx as mx
from cymx.base import MXNetError
from cymx.ops import find

v = mx.sym.Variable
X = np.array([[0.5, -1.0, 2.0]])


def gradient(symbol, x=X, req="write", start=None, options=ALL_OPTIONS[0]):
    plan = compiled(symbol, True, {"x": req}, options, "float64", x=x.shape)
    heads = [np.ones(t.shape) for name, t in plan.arrays if name.startswith("out:")]
    # A gradient that is always 0 and is added leaves its array alone: the plan does not know it.
    return run(plan, {"x": x}, heads, start)[1].get("x", start and start["x"])


CASES = {
    "twice": (lambda x: x * x, 2 * X),
    "diamond": (lambda x: mx.sym.exp(x) * mx.sym.sin(x), np.exp(X) * (np.sin(X) + np.cos(X))),
    "deep diamonds": (lambda x: [x := x + x for _ in range(30)][-1], np.full(X.shape, 2.0**30)),
    "blocked": (lambda x: x * mx.sym.BlockGrad(x), X),
    "wholly blocked": (lambda x: mx.sym.BlockGrad(x * 3), 0 * X),
    "broadcast": (lambda x: mx.sym.broadcast_mul(mx.sym.sum(x, axis=1, keepdims=True), x), 0 * X + 2 * X.sum()),
    "one output of two": (lambda x: mx.sym.split(mx.sym.concat(x, x * 5, dim=1), num_outputs=2, axis=1)[1], 0 * X + 5),
    "several outputs": (lambda x: mx.sym.Group([x, x * 2, mx.sym.sum(x)]), 0 * X + 4),
    "the same output twice": (lambda x: (lambda y: mx.sym.Group([y, y]))(mx.sym.square(x)), 4 * X),
    "a view of an output": (lambda x: (lambda y: mx.sym.Group([y, mx.sym.reshape(y, shape=(3, 1))]))(x * 3), 0 * X + 6),
    "the variable": (lambda x: mx.sym.Group([x, mx.sym.reshape(x, shape=(3, 1))]), 0 * X + 2),
    "comparisons aside": (lambda x: x * (x > 0), (X > 0) * 1.0),
}


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_gradients(case, options):
    body, expected = CASES[case]
    np.testing.assert_allclose(gradient(body(v("x")), options=options), expected)
    start = np.full(X.shape, 10.0)
    np.testing.assert_allclose(gradient(body(v("x")), req="add", start={"x": start}, options=options), 10 + expected)


def test_a_variable_that_outputs_do_not_need_has_gradient_0():
    symbol = mx.sym.Group([v("x") * 2, mx.sym.BlockGrad(v("y"))])
    plan = compiled(symbol, True, {"x": "write", "y": "write"}, x=(2,), y=(3,))
    heads = [np.ones(2), np.ones(3)]
    grads = run(plan, {"x": np.ones(2, "float32"), "y": np.ones(3, "float32")}, heads)[1]
    assert grads["x"].tolist() == [2, 2] and grads["y"].tolist() == [0, 0, 0]


def test_no_gradient_is_an_error_that_names_the_node(monkeypatch):
    monkeypatch.setattr(find("tanh"), "grad", None)
    y = mx.sym.tanh(v("x"), name="bend") * v("y")
    with pytest.raises(MXNetError, match="tanh 'bend' has no gradient"):
        compiled(y, True, {"x": "write"}, x=(2,), y=(2,))
    assert compiled(y, True, {"y": "write"}, x=(2,), y=(2,))
    assert compiled(mx.sym.BlockGrad(mx.sym.tanh(v("x"))) + v("x"), True, {"x": "write"}, x=(2,))
