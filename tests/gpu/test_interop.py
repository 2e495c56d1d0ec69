"""GPU memory shared with other libraries: one made up here, with a stream of its own that runs as late as it may."""

import ctypes

import numpy as np
import pytest

import cymx as mx
from cymx.base import ArgumentError, MXNetError

N = 1000


def ok(answer):
    """Return what a call gave; fails where it failed."""
    status, *values = answer
    assert int(status) == 0, status
    return values[0] if len(values) == 1 else values


class Library:
    """Another library on gpu(0): memory, and a stream on which it writes and reads it."""

    def __init__(self, bindings):
        self.cuda = bindings
        ok(bindings.cuInit(0))
        self.context = ok(bindings.cuDevicePrimaryCtxRetain(0))
        ok(bindings.cuCtxPushCurrent(self.context))
        self.stream = ok(bindings.cuStreamCreate(1))
        host = ok(bindings.cuMemHostAlloc(4 * N, 0))
        self.host = np.frombuffer((ctypes.c_float * N).from_address(int(host)), "float32")
        self.host_address = int(host)

    def close(self):
        ok(self.cuda.cuStreamSynchronize(self.stream))
        ok(self.cuda.cuCtxPopCurrent())

    def write(self, address, values):
        """Queue a write of device memory; page-locked memory is read when the copy runs."""
        self.host[:] = values
        ok(self.cuda.cuMemcpyHtoDAsync(address, self.host_address, 4 * N, self.stream))

    def read(self, address):
        """Return device memory, read on the library's stream."""
        ok(self.cuda.cuMemcpyDtoHAsync(self.host_address, address, 4 * N, self.stream))
        ok(self.cuda.cuStreamSynchronize(self.stream))
        return self.host.copy()

    def wait(self, stream):
        """Have another stream wait for the library's."""
        event = ok(self.cuda.cuEventCreate(2))
        ok(self.cuda.cuEventRecord(event, self.stream))
        ok(self.cuda.cuStreamWaitEvent(stream, event, 0))


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("owner", ctypes.c_void_p), ("deleter", DELETER)]


class Tensor:
    """The library's tensor of N float32, offered by either protocol."""

    def __init__(self, library, strides=None, device_type=2, code=2):
        self.library, self.freed, self.asked = library, 0, None
        self.address = int(ok(library.cuda.cuMemAlloc(4 * N)))
        self.shape = (ctypes.c_int64 * 1)(N)
        self.strides = (ctypes.c_int64 * 1)(*strides) if strides else None
        tensor = DLTensor(self.address, device_type, 0, 1, code, 32, 1, self.shape, self.strides, 0)
        self.deleter = DELETER(self.release)
        self.managed = Managed(tensor, None, self.deleter)

    def release(self, _):
        self.freed += 1

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, stream=None):
        self.asked = stream
        self.library.wait(stream)
        return self.capsule()

    def capsule(self):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), b"dltensor", None)


class Interface:
    """The same memory by __cuda_array_interface__."""

    def __init__(self, tensor, **changed):
        self.tensor = tensor
        stream = int(tensor.library.stream)
        self.__cuda_array_interface__ = {
            "shape": (N,), "typestr": "<f4", "data": (tensor.address, False), "version": 3, "strides": None,
            "stream": stream, **changed,
        }  # fmt: skip


@pytest.fixture
def library(driver):
    from cuda.bindings import driver as bindings

    mx.nd.waitall()
    made = Library(bindings)
    yield made
    made.close()
    mx.nd.waitall()


VALUES = np.arange(N, dtype="float32")


@pytest.mark.parametrize("offer", [lambda t: t, Interface])
def test_taken_memory_waits_for_the_givers_stream(library, offer):
    tensor = Tensor(library)
    library.write(tensor.address, VALUES)
    array = mx.nd.from_dlpack(offer(tensor))
    assert array.context == mx.gpu(0) and array.shape == (N,) and array.dtype == np.float32
    assert array.address == tensor.address
    assert np.array_equal(array.asnumpy(), VALUES)
    copy = array.copyto(mx.gpu(0))
    array[:] = mx.nd.array(VALUES + 1, ctx=mx.gpu(0))
    assert np.array_equal(copy.asnumpy(), VALUES)
    assert np.array_equal(array.asnumpy(), VALUES + 1)


def test_taken_memory_is_given_back_once_and_after_its_uses(library):
    tensor = Tensor(library)
    library.write(tensor.address, VALUES)
    array = mx.nd.from_dlpack(tensor)
    copy = array.copyto(mx.gpu(0))
    view = array[:10]
    del array
    assert tensor.freed == 0
    del view
    assert tensor.freed == 1
    library.write(tensor.address, VALUES * 0)  # the memory is the library's again
    ok(library.cuda.cuStreamSynchronize(library.stream))
    assert np.array_equal(copy.asnumpy(), VALUES)


def test_a_bare_capsule_is_taken_for_work_of_the_legacy_stream(library):
    tensor = Tensor(library)
    library.write(tensor.address, VALUES)
    ok(library.cuda.cuStreamSynchronize(library.stream))
    capsule = tensor.capsule()
    array = mx.nd.from_dlpack(capsule)
    assert np.array_equal(array.asnumpy(), VALUES)
    with pytest.raises(ArgumentError, match="nobody has taken"):
        mx.nd.from_dlpack(capsule)


@pytest.mark.parametrize("wrong", [{"strides": (2,)}, {"device_type": 13}, {"code": 1}])
def test_what_cannot_be_taken_stays_its_owners(library, wrong):
    tensor = Tensor(library, **wrong)
    with pytest.raises(MXNetError):
        mx.nd.from_dlpack(tensor)
    assert tensor.freed == 0


@pytest.mark.parametrize("wrong", [{"strides": (8,)}, {"typestr": "<c8"}, {"mask": 1}])
def test_what_cannot_be_taken_by_the_other_protocol(library, wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        mx.nd.from_dlpack(Interface(Tensor(library), **wrong))


def capsule_address(capsule):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return Managed.from_address(get(capsule, b"dltensor"))


def test_the_takers_stream_waits_for_ours(library):
    array = mx.nd.array(VALUES.reshape(10, 100), ctx=mx.gpu(0)).copyto(mx.gpu(0))
    assert array.__dlpack_device__() == (2, 0)
    managed = capsule_address(capsule := array.__dlpack__(stream=int(library.stream)))
    tensor = managed.tensor
    assert (tensor.device_type, tensor.device_id, tensor.ndim, tensor.code, tensor.bits) == (2, 0, 2, 2, 32)
    assert tensor.shape[:2] == [10, 100] and tensor.strides[:2] == [100, 1]
    assert np.array_equal(library.read(tensor.data), VALUES)
    del capsule


def test_without_a_stream_nobody_waits(library, driver):
    array = mx.nd.array(VALUES, ctx=mx.gpu(0))
    before = driver.calls("cuStreamWaitEvent")
    array.__dlpack__(stream=-1)
    assert driver.calls("cuEventSynchronize") == 0
    assert driver.calls("cuStreamWaitEvent") <= before + 1  # what the capsule's end asks for


def test_given_memory_lives_as_long_as_its_capsule(library):
    array = mx.nd.array(VALUES, ctx=mx.gpu(0))
    capsule, address = array.__dlpack__(), array.address
    del array
    other = mx.nd.array(VALUES + 1, ctx=mx.gpu(0))
    assert other.address != address
    assert np.array_equal(library.read(capsule_address(capsule).tensor.data), VALUES)
    del capsule
    assert mx.nd.empty((N,), ctx=mx.gpu(0)).address == address


def test_the_interface_names_our_stream(library):
    array = mx.nd.array(VALUES, ctx=mx.gpu(0)).copyto(mx.gpu(0))
    given = array.__cuda_array_interface__
    assert given["shape"] == (N,) and given["typestr"] == "<f4" and given["version"] == 3
    assert given["data"] == (array.address, False)
    event = ok(library.cuda.cuEventCreate(2))
    ok(library.cuda.cuEventRecord(event, given["stream"]))
    ok(library.cuda.cuStreamWaitEvent(library.stream, event, 0))
    assert np.array_equal(library.read(array.address), VALUES)


def test_only_arrays_on_a_gpu_have_the_interface(library):
    assert not hasattr(mx.nd.array([1]), "__cuda_array_interface__")
    assert mx.nd.array([1]).__dlpack_device__() == (1, 0)


def test_round_trip_through_ourselves(library):
    array = mx.nd.array(VALUES, ctx=mx.gpu(0))
    for same in (mx.nd.from_dlpack(array), mx.nd.from_dlpack(array.to_dlpack_for_read())):
        assert same.address == array.address and np.array_equal(same.asnumpy(), VALUES)


def test_an_array_with_an_error_is_not_given(library, driver):
    array = mx.nd.array(VALUES, ctx=mx.gpu(0))
    driver.fail("cuMemcpyDtoDAsync", 1)
    bad = array.copyto(mx.gpu(0))
    with pytest.raises(MXNetError, match="copy: "):
        bad.__dlpack__()
