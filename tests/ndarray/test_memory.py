"""Which operations share memory and which copy; writing in place; copies between arrays, dtypes and contexts."""

import copy
import pickle
import re

import numpy as np
import pytest

import cymx as mx
from cymx import nd

SHARING = """
m[0, 0:2]  m[None]  m[:, None]  m[0, 1]  m[...]  m[:]  m[1:2, 1:3]  m[1:3]  m[1:3, :]  m[1:2, ::1]  m[1:2:5]  m[(1,)]
m.reshape(-1)  m.reshape((4, 3))  m.expand_dims(0, inplace=True)  m.flatten(inplace=True)  m.squeeze(inplace=True)
m.as_in_context(mx.cpu())  m.astype('float32', copy=False)  m.as_nd_ndarray()
"""
COPYING = """
m[[1]]  m[::2]  m[:, 0:2]  m[[0, 1], [0, 1]]  m.expand_dims(0)  m.flatten()  m.squeeze()  m.T  nd.reshape(m, (4, 3))
m.copy()
m.astype('float32')  m.broadcast_to((3, 4))  m.reshape_like(nd.ones((4, 3)))  m.copyto(mx.cpu())  m.copyto(mx.cpu(1))
nd.array(m)  nd.identity(m)  copy.copy(m)  copy.deepcopy(m)  pickle.loads(pickle.dumps(m))  m.asnumpy()
"""


@pytest.mark.parametrize("expression", re.split(r"\s\s|\n", SHARING.strip()))
def test_shares_memory(expression):
    m = nd.zeros((3, 4))
    view = eval(expression, {"m": m, "mx": mx, "nd": nd})
    view[:] = 1
    assert m.asnumpy().sum() == view.size


@pytest.mark.parametrize("expression", re.split(r"\s\s|\n", COPYING.strip()))
def test_copies(expression):
    m = nd.zeros((3, 4))
    made = eval(expression, {"m": m, "mx": mx, "nd": nd, "copy": copy, "pickle": pickle})
    made[:] = 1
    assert m.asnumpy().sum() == 0


def test_slice_is_a_view():
    a = nd.ones((3, 2))
    b = a[0:2]
    b[:] = 2
    assert a.asnumpy().tolist() == [[2, 2], [2, 2], [1, 1]]


def test_assign_scalar_numpy_and_array():
    a = nd.empty((2, 3))
    a[:] = 0.5
    assert a.asnumpy().tolist() == [[0.5] * 3] * 2
    values = np.random.rand(2, 3)
    a[:] = values
    np.testing.assert_array_equal(a.asnumpy(), values.astype(np.float32))
    b = nd.empty(a.shape)
    b[:] = a
    np.testing.assert_array_equal(b.asnumpy(), a.asnumpy())
    c = nd.empty(a.shape)
    assert a.copyto(c) is c
    np.testing.assert_array_equal(c.asnumpy(), a.asnumpy())


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [("a += b", 3), ("a -= b", 1), ("a *= b", 2), ("a /= b", 2), ("a %= b", 0), ("a += 3", 5), ("a *= 0.5", 1)],
)
def test_in_place_operators_write_to_the_same_memory(statement, wanted):
    a, b = nd.full((2,), 2), nd.ones(2)
    names = {"a": a, "b": b}
    exec(statement, names)  # a user's statement, with its name
    assert names["a"] is a
    assert a.asnumpy().tolist() == [wanted, wanted]


def test_power_in_place_makes_a_new_array():
    a = r = nd.array([2, 3])
    a **= 2
    assert (a.asnumpy().tolist(), r.asnumpy().tolist()) == ([4, 9], [2, 3])


def test_in_place_on_a_view_changes_its_base():
    a = nd.zeros((2, 2))
    a[1] += 5
    row = a[0]
    row -= 1
    assert a.asnumpy().tolist() == [[-1, -1], [5, 5]]


def test_in_place_refuses_what_does_not_fit():
    a = nd.ones(2)
    with pytest.raises(mx.MXNetError, match=r"broadcast_add: out is \(2,\), expected \(2, 2\)"):
        a += nd.ones((2, 2))
    assert a.asnumpy().tolist() == [1, 1]


def test_overlapping_copies_are_right():
    a = nd.arange(6)
    a[1:] = a[:-1]
    assert a.asnumpy().tolist() == [0, 0, 1, 2, 3, 4]
    a[::-1] = a
    assert a.asnumpy().tolist() == [4, 3, 2, 1, 0, 0]


def test_in_place_loop_equals_the_one_with_temporaries():
    shape, rate = (128, 64), 0.1
    weight, grad, step = nd.zeros(shape), nd.ones(shape), nd.empty(shape)
    for _ in range(300):
        grad.copyto(step)
        step *= rate
        weight -= step
    other = nd.zeros(shape)
    for _ in range(300):
        other[:] -= rate * grad
    assert abs((weight - other).asnumpy()).max() < 1e-6
    np.testing.assert_allclose(weight.asnumpy(), -30, rtol=1e-4)


def test_copyto_itself_warns():
    a = nd.ones(2)
    with pytest.warns(RuntimeWarning):
        assert a.copyto(a) is False


def test_contexts_are_distinct():
    a = nd.ones(2, ctx=mx.cpu(1))
    assert a.context == mx.cpu(1) and a.ctx != mx.cpu(0)
    assert (a + a).context == mx.cpu(1) and a[0:1].context == mx.cpu(1)
    assert a.as_in_context(mx.cpu(0)).context == mx.cpu(0)
    b = nd.zeros(2, dtype="int32")
    assert a.copyto(b) is b and b.asnumpy().tolist() == [1, 1]
    with pytest.raises(mx.MXNetError, match=r"cpu\(1\).*cpu\(0\)"):
        a + nd.ones(2)
    with mx.cpu(2):
        assert nd.zeros(2).context == nd.array([1]).context == nd.random.uniform(shape=2).context == mx.cpu(2)
    assert nd.random_uniform(shape=(2,), ctx="cpu(1)").context == mx.cpu(1)


def test_integers_that_no_double_holds():
    a = nd.zeros(2, dtype="int64")
    a[:] = 2**53 + 1
    assert a.asnumpy().tolist() == [2**53 + 1] * 2


def test_waits():
    a = nd.ones((500, 500))
    for _ in range(5):
        a = nd.dot(a, a) / 500
    a.wait_to_read()
    nd.waitall()
    assert a[0, 0].asscalar() == 1
