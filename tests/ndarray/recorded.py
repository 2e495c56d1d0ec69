"""What MXNet 1.9.1 answers: run with it, `python recorded.py` writes mxnet191.json; test_recorded.py asks cymx.

An expression whose answer is an error is recorded by the kinds of it that users catch.
"""

import json
from pathlib import Path

import numpy as np

CAUGHT = ("IndexError", "TypeError", "ValueError", "AssertionError", "MXNetError")
FILE = Path(__file__).with_name("mxnet191.json")

EXPRESSIONS = """
nd.array([1, 2])
nd.array([1.5, 2], dtype='float16')
nd.array(np.array([1, 2], dtype='int64'))
nd.array(np.array([1, 2], dtype='float64'))
nd.array(np.array([True, False]))
nd.array([1, 2], dtype=int)
nd.array([1, 2], dtype='bool')
nd.array(i)
nd.array(i, dtype='float64')
nd.array(3)
nd.array([])
nd.array(np.zeros((0, 3)))
nd.array('abc')
nd.array([[1, 2], [3]])
nd.zeros(3)
nd.zeros([2, 3], dtype='int8')
nd.zeros((0, 3))
nd.zeros(())
nd.zeros((2, -1))
nd.zeros((2,), dtype='float8')
nd.zeros((2,), foo=1)
nd.ones((2, 2), dtype='bool')
nd.ones(())
nd.full((2,), 7, dtype='int32')
nd.full((0, 3), 1)
nd.full((2, 2), nd.array([3]))
nd.full((2,), 'a')
nd.empty((2, 0))
nd.arange(3)
nd.arange(1, 7, 2, dtype='int32')
nd.arange(5, 1, -1)
nd.arange(0, 3, 1, repeat=2)
nd.arange(5, 1)
nd.arange(0, 10, 0)
nd.eye(2, 3, k=1)
nd.eye(2, k=-1, dtype='int32')
nd.linspace(0, 1, 5)
nd.linspace(0, 1, 5, endpoint=False)
nd.linspace(0, 1, 1)
a + 1.5
i + 1.5
i * 2.5
i / 2
7 / i
7 % i
2 ** i
7 - i
i > 1.5
2.5 > i
i + a
v + a
a + nd.array([1, 2, 3])
a + nd.array([[1], [2]])
a + np.array([1, 2, 3])
np.array([1, 2, 3]) + a
np.float32(3) * a
np.float64(3) / a
a + None
a == None
a == a
i == 2
-i
abs(-a)
a % -2
-a % 2
a ** 0.5
a ** a
nd.array([5, -5], dtype='int32') % 3
nd.array([7, -7], dtype='int32') / 2.5
nd.array([250], dtype='uint8') + 10
nd.array([1], dtype='uint8') - 2
nd.array([100], dtype='int8') * 2
nd.array([2 ** 24 + 1], dtype='int32') + 1
nd.array([2, 3], dtype='float64') + 1e-12
nd.add(1, a)
nd.add(1, 2)
nd.subtract(7, i)
nd.divide(4, 2)
nd.modulo(7, i)
nd.power(2, i)
nd.maximum(a, 2)
nd.minimum(2, 3)
nd.equal(1, 1)
nd.lesser(2, a)
nd.greater_equal(a, 2)
nd.logical_and(1, a)
nd.logical_xor(nd.array([1, 0, 1]), nd.array([1, 1, 0]))
nd.add('x', a)
bool(a)
bool(nd.array([0]))
bool(nd.array([]))
len(a)
len(nd.array(3))
a.asscalar()
i[1].asscalar()
repr(a)
repr(i)
repr(nd.array(3))
repr(nd.ones((2, 2), dtype='float16'))
repr(nd.ones((2000, 2)))
a.T
c.reshape((-3, 4))
c.reshape((0, -1))
c.reshape((-4, 1, 2, -2))
c.reshape((2, -4, -1, 3, 4))
c.reshape((-1, 0), reverse=True)
c.reshape(4, 6)
c.reshape((7, -1))
c.reshape(())
c.reshape((-3, -3))
a.expand_dims(1)
c.flatten()
v.flatten()
nd.array([[[1], [2]]]).squeeze()
nd.array([[[1], [2]]]).squeeze(1)
a.astype('int32')
a.astype(np.float64)
a.astype('foo')
a.broadcast_to((2, 2, 3))
nd.array([1, 2, 3]).broadcast_to((2, 3))
nd.array([[1, 2, 3]]).broadcast_to((0, 3))
nd.array([[1, 2, 3]]).broadcast_to((4, 5))
nd.array([[1, 2, 3]]).broadcast_like(a)
a.copyto(nd.zeros((2, 3), dtype='int32'))
a.copyto(nd.zeros((3, 2)))
a.copyto(3)
a.sum()
a.sum(0, True)
a.max(axis=1)
a.mean(axis=(0, 1))
a.argmax(axis=1)
a.clip(2, 4)
a.slice((0, 1), (2, 3))
a.slice_axis(axis=1, begin=0, end=2)
a.take(nd.array([1, 0]))
a.pick(nd.array([0, 1]))
a.one_hot(3)
a.tile((2, 2))
a.repeat(2, axis=0)
a.flip(axis=0)
a.swapaxes(0, 1)
a.split(3)
a.split_v2((1,), axis=1)
nd.split_v2(nd.arange(6), 3)
nd.concatenate([a, a], axis=1)
nd.concatenate([])
nd.moveaxis(c, 0, 2)
nd.moveaxis(c, [0, 1], [-1, -2])
nd.moveaxis(c, 0, 5)
nd.moveaxis(c, [0, 0], [1, 2])
nd.onehot_encode(nd.array([1, 0]), nd.zeros((2, 3)))
nd.concat(a, a, dim=0)
nd.concat(*[a, a], num_args=2, dim=1)
nd.stack(a, a, axis=1)
nd.sum(data=a, axis=0)
nd.sum(a, 0)
nd.elemwise_add(a, rhs=a)
nd.elemwise_add(a, v)
nd.elemwise_add(a)
nd.clip(a, 2, 4)
nd.clip(a, 2)
nd.exp(a, out=v)
nd.exp()
nd.FullyConnected(a, nd.ones((2, 3)), nd.ones(2), num_hidden=2)
nd.FullyConnected(a, nd.ones((2, 3)), num_hidden=2, no_bias=True)
nd.FullyConnected(a, weight=nd.ones((2, 3)), bias=nd.ones(2), num_hidden='2')
nd.FullyConnected(a, nd.ones((2, 3)), num_hidden=2)
v[0]
v[-1]
v[6]
v[-7]
v[1:3]
v[10:12]
v[::2]
v[::-1]
v[5:1:-2]
v[...]
v[None]
v[1, ...]
v[1, 2]
v[()]
v[True]
v[np.int64(2)]
v[1.5]
v['x']
v[[0, 2]]
v[[0, 20]]
v[[-1]]
v[nd.array([0, 2])]
v[nd.array([[0, 1], [2, 3]])]
v[np.array([True, False, True])]
v[nd.array([1, 0, 1, 0, 1, 0], dtype='bool')]
v[v > 2]
v[range(2)]
m[-1]
m[0, 1]
m[0, 4]
m[0:2, 1]
m[0:2, 1:3]
m[:, ::2]
m[::-1, ::-1]
m[..., 0]
m[None, 0]
m[:, None]
m[..., None]
m[0, None]
m[[0, 2], [1, 3]]
m[:, [0, 2]]
m[[[0], [2]], [1, 3]]
m[1, [0, 2]]
m[0:2, [0, 2]]
m[nd.array([0, 2]), nd.array([1, 3])]
m[[0, 1], [0, 1, 2]]
m[5:]
m[0, 0, 0]
m[..., ...]
m[::0]
c[0, :, [1, 2]]
c[[0, 1], :, [1, 2]]
c[:, [0, 1], [1, 2]]
c[0, [0, 1], [1, 2]]
put(v, 0, 9)
put(v, -1, 9)
put(v, 6, 9)
put(v, all, 9)
put(v, all, np.arange(6) * 2)
put(v, all, [1, 2, 3, 4, 5, 6])
put(v, all, nd.ones((1, 6)))
put(v, all, nd.ones(5))
put(v, all, nd.ones((2, 3)))
put(v, all, np.array(7))
put(v, all, i[1])
put(v, all, None)
put(v, all, 'x')
put(v, 0, 2 + 3j)
put(v, s_[1:3], [7, 8])
put(v, s_[1:3], nd.array([7, 8, 9]))
put(v, s_[1:1], 7)
put(v, s_[::2], 7)
put(v, s_[::-1], nd.arange(6))
put(v, [0, 2], nd.array([7, 8]))
put(v, np.array([0, 2]), 7)
put(v, v > 2, 7)
put(v, None, 7)
put(v, 1.5, 7)
put(m, 0, [1, 2, 3, 4])
put(m, 0, nd.array([1, 2]))
put(m, s_[0, 1], 9)
put(m, s_[0:2], np.arange(4))
put(m, s_[0:2], np.arange(8))
put(m, s_[1:3, ::2], 5)
put(m, s_[1:3, ::2], nd.array([[1, 2], [3, 4]]))
put(m, s_[1:3, ::2], np.array([1, 2]))
put(m, s_[1:3, ::2], nd.array([[1], [2]]))
put(m, s_[1:3, ::2], nd.array([1, 2, 3]))
put(m, s_[:, 1], [1, 2, 3])
put(m, s_[:, 1], np.array([[1], [2], [3]]))
put(m, s_[[0, 2], [1, 3]], nd.array([7, 8]))
put(m, s_[[0, 2], 1:3], np.array([[1, 2], [3, 4]]))
put(m, s_[[0, 0], [0, 0]], nd.array([7, 8]))
put(m, s_[..., 0], 7)
put(i, all, 1.7)
put(nd.array([1, 2], dtype='uint8'), all, -1)
put(nd.array([1, 2], dtype='uint8'), all, [300, 2.7])
nd.random.uniform(shape=(2, 3)).shape
nd.random.uniform().shape
nd.random.uniform(nd.array([0, 1]), nd.array([1, 2]), shape=3).shape
nd.random.uniform(nd.array([0, 1]), 1).shape
nd.random.uniform('a')
nd.random.randint(0, 10, (3,)).dtype.__name__
nd.random.normal(0, 1, shape=(2, 3), dtype='float16').dtype.__name__
nd.random.randn(2, 3).shape
""".strip().splitlines()


def put(x, key, value):
    """Return x after x[key] = value; the key `all` is [:]."""
    x[slice(None) if key is all else key] = value
    return x


def ask(nd, expression):
    """Return the answer to an expression as JSON holds it."""
    names = {
        "nd": nd, "np": np, "s_": np.s_, "put": put, "all": all,
        "a": nd.array([[1, 2, 3], [4, 5, 6]]), "i": nd.array([1, 2, 3], dtype="int32"), "v": nd.arange(6),
        "m": nd.arange(12).reshape((3, 4)), "c": nd.arange(24).reshape((2, 3, 4)),
    }  # fmt: skip
    try:
        return told(nd, eval(expression, names))
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return {"error": [kind for kind in kinds if kind in CAUGHT]}


def told(nd, value):
    """Return an answer as JSON holds it."""
    if isinstance(value, nd.NDArray):
        value = value.asnumpy()
        values = value.reshape(-1).astype(float).tolist()
        return {"dtype": value.dtype.name, "shape": list(value.shape), "values": values}
    if isinstance(value, (list, tuple)):
        return [told(nd, item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    import mxnet

    answers = {expression: ask(mxnet.nd, expression) for expression in EXPRESSIONS}
    lines = [f"{json.dumps(expression)}: {json.dumps(answer)}" for expression, answer in answers.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
