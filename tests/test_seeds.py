"""Console sessions of two old introductions to MXNet (to its Symbol API, and to MXNet.jl), as far as
tests/symbol/test_seeds.py leaves them: arrays, the key-value store, and the two loops whose speed the second compares.
Values are those of MXNet 1.9.1.
"""

import numpy as np
import pytest

import cymx as mx


def test_arrays_convert_both_ways():
    x = mx.nd.zeros((2, 3))
    assert (x.shape, x.dtype, x.context) == ((2, 3), np.float32, mx.cpu())
    y = np.ones((2, 3))
    y[:] = x.asnumpy()
    assert not y.any()
    z = mx.nd.ones(x.shape, mx.cpu(1))
    z[:] = y
    assert z.context == mx.cpu(1) and not z.asnumpy().any()


def test_a_slice_shares_memory():
    a = mx.nd.ones((2, 3))
    b = a[0:1]
    b[:] = 2
    assert a.asnumpy().tolist() == [[2, 2, 2], [1, 1, 1]]


def test_assignment_copies_into_the_array():
    a = mx.nd.empty((2, 3))
    a[:] = 0.5
    assert (a.asnumpy() == 0.5).all()
    values = np.random.default_rng(42).random((2, 3))
    a[:] = values
    np.testing.assert_array_equal(a.asnumpy(), values.astype("float32"))
    b = mx.nd.empty(a.shape)
    b[:] = a
    np.testing.assert_array_equal(b.asnumpy(), a.asnumpy())
    a[:] = 0
    assert b.asnumpy().all()


def test_in_place_addition_changes_every_name_of_the_array():
    a = mx.nd.ones(2)
    r = a
    a += mx.nd.ones(2)
    assert r is a and r.asnumpy().tolist() == [2, 2]


def test_both_loops_give_the_same():
    shape, rate, n = (128, 64), 0.1, 200

    def inplace_op():
        weight, grad, scaled = mx.nd.zeros(shape), mx.nd.ones(shape), mx.nd.empty(shape)
        for _ in range(n):
            grad.copyto(scaled)
            scaled *= rate
            weight -= scaled
        return weight

    def normal_op():
        weight, grad = mx.nd.zeros(shape), mx.nd.ones(shape)
        for _ in range(n):
            weight[:] = weight - rate * grad
        return weight

    difference = normal_op() - inplace_op()
    assert mx.nd.max(mx.nd.abs(difference)).asscalar() < 1e-6
    assert normal_op().asnumpy()[0, 0] == pytest.approx(-rate * n, rel=1e-4)


def test_key_value_store():
    kv = mx.kv.create("local")
    shape, key = (2, 3), 3
    kv.init(key, mx.nd.ones(shape) * 2)
    a = mx.nd.empty(shape)
    kv.pull(key, out=a)
    assert a.asnumpy().tolist() == [[2, 2, 2], [2, 2, 2]]


def test_binding_a_product():
    a, b = mx.sym.Variable("A"), mx.sym.Variable("B")
    c = a * b
    assert c.name.startswith("_mul")
    executor = c.bind(mx.cpu(), {"A": mx.nd.ones(3) * 4, "B": mx.nd.ones(3) * 2})
    (output,) = executor.forward()
    assert output.asnumpy().tolist() == executor.outputs[0].asnumpy().tolist() == [8, 8, 8]


def test_the_graph_of_the_introduction_is_one_step():
    a, b, c, d = (mx.symbol.Variable(name) for name in "ABCD")
    e = (a * b) + (c * d)
    data = {name: mx.nd.array([i + 1], dtype=np.int32) for i, name in enumerate("ABCD")}
    executor = e.bind(mx.cpu(), data)
    result = executor.forward()[0].asnumpy()
    assert result.tolist() == [14] and result.dtype == np.int32
    steps = [line for line in executor.debug_str().splitlines() if line.startswith("step")]
    assert len(steps) == 1 and " map " in steps[0]

    large = {name: mx.nd.uniform(low=0, high=1, shape=(1000, 1000)) for name in "ABCD"}
    e_data = e.bind(mx.cpu(), large).forward()[0]
    assert e_data.shape == (1000, 1000) and e_data.dtype == np.float32
    values = {name: x.asnumpy() for name, x in large.items()}
    assert all(x.min() >= 0 and x.max() < 1 and abs(x.mean() - 0.5) < 0.01 for x in values.values())
    expected = values["A"] * values["B"] + values["C"] * values["D"]
    np.testing.assert_allclose(e_data.asnumpy(), expected, rtol=1e-6)
