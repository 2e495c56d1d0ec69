"""What an NDArray is: properties, conversion to Python's and NumPy's kinds, identity; bfloat16 all the way."""

import gc
import weakref

import ml_dtypes
import numpy as np
import pytest

import cymx as mx
from cymx import nd

DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_goes_in_and_out(dtype):
    a = nd.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype).type
    assert a.dtype is kind and a.asnumpy().dtype == kind
    assert a.asnumpy().tolist() == [[0, 1, 1], [1, 0, 1]]
    assert a[:, ::2].asnumpy().tolist() == [[0, 1], [1, 1]]
    a[:, 1] = 0
    a[0] = [1, 0, 0]
    assert a.asnumpy().tolist() == [[1, 0, 0], [1, 0, 1]]
    assert a[[1, 0]].asnumpy().tolist() == [[1, 0, 1], [1, 0, 0]]
    assert a.astype("float32").dtype is np.float32
    assert nd.full((2,), 1, dtype=dtype).copyto(nd.zeros(2)).asnumpy().tolist() == [1, 1]


def test_properties():
    a = nd.ones((2, 3))
    assert (a.shape, a.size, a.ndim, a.stype, a.writable, a.grad) == ((2, 3), 6, 2, "default", True, None)
    assert a.T.shape == (3, 2)
    assert not hasattr(a, "__dict__")
    reference = weakref.ref(a)
    del a
    gc.collect()
    assert reference() is None


def test_numbers():
    assert int(nd.array([2.7])) == 2 and float(nd.array([[2.5]])) == 2.5
    assert [1, 2, 3][nd.array([1], dtype="int32")] == 2
    with pytest.raises(TypeError):
        [1, 2, 3][nd.array([1])]
    with pytest.raises(ValueError):
        float(nd.ones(2))


def test_identity_and_iteration():
    a, b = nd.array([1, 2]), nd.array([1, 2])
    assert hash(a) != hash(b) and len({a, b}) == 2
    assert [x.asscalar() for x in a] == [1, 2]
    assert a in [a]


def test_class_is_not_called():
    with pytest.raises(TypeError, match="nd.array"):
        nd.NDArray([1, 2])


def test_numpy_sees_the_elements():
    a = nd.array([[1, 2], [3, 4]])
    seen = np.asarray(a)
    assert seen.shape == (2, 2) and seen.dtype == np.float32
    a[0] = 9
    assert seen[0].tolist() == [9, 9]
    assert np.add(a, 1).tolist() == [[10, 10], [4, 5]]
    assert np.array(a, dtype=np.float64).dtype == np.float64
    own = np.array(a, copy=True)
    own[:] = 0
    assert a.asnumpy().sum() == 25
    assert memoryview(a).shape == (2, 2)


def test_array_protocol():
    a = nd.array([1, 2])
    assert a.__array__(np.float64).dtype == np.float64
    assert np.shares_memory(a.__array__(copy=False), a.__array__())
    assert not np.shares_memory(a.__array__(copy=True), a.__array__())
    with pytest.raises(ValueError):
        a.__array__(np.float64, copy=False)
    assert nd.ones(2, dtype="bfloat16").__array__().dtype == ml_dtypes.bfloat16


def test_dlpack():
    a = nd.array([1, 2, 3])
    view = np.from_dlpack(a)
    a[0] = 7
    assert view.tolist() == [7, 2, 3]
    for offered in (a, a.to_dlpack_for_write(), nd.to_dlpack_for_read(a)):
        shared = nd.from_dlpack(offered)
        shared[1] += 1
    assert a.asnumpy().tolist() == [7, 5, 3]
    values = np.zeros(3, np.int32)
    shared = nd.from_dlpack(values)
    shared[:] = 4
    assert values.tolist() == [4, 4, 4]
    del values
    gc.collect()
    assert shared.asnumpy().tolist() == [4, 4, 4]


def test_from_numpy():
    values = np.ones((2, 2))
    shared = nd.from_numpy(values)
    shared[0] = 5
    assert values.tolist() == [[5, 5], [1, 1]] and shared.dtype is np.float64
    assert not values.flags.writeable
    copied = nd.from_numpy(np.ones(2), zero_copy=False)
    assert copied.dtype is np.float64
    with pytest.raises(ValueError, match="c-contiguous"):
        nd.from_numpy(np.ones((2, 3)).T)


def test_error_of_arithmetic_names_both_dtypes():
    with pytest.raises(mx.MXNetError, match="broadcast_add: rhs is int32, expected float32"):
        nd.ones(2) + nd.ones(2, dtype="int32")


def test_operators_of_subclasses():
    class Kept(nd.NDArray):
        pass

    class Own(nd.NDArray):
        def __add__(self, other):
            return "own"

        def __rsub__(self, other):
            return "reflected"

    ones = nd.ones(3)
    kept, own = Kept.empty((3,), "float32"), Own.empty((3,), "float32")
    kept[:] = own[:] = 2
    assert type(kept + kept) is Kept and (kept + kept).asnumpy().tolist() == [4, 4, 4]
    assert (ones + kept).asnumpy().tolist() == (kept + ones).asnumpy().tolist() == [3, 3, 3]
    assert own + ones == own + 1 == "own" and ones - own == 1 - own == "reflected"
    assert (own * own).asnumpy().tolist() == [4, 4, 4]
    assert nd.NDArray.__add__(ones, 1).asnumpy().tolist() == [2, 2, 2] == ones.__radd__(1).asnumpy().tolist()
