"""The emulated driver does what a real one may do at worst: work runs late, fresh and freed memory holds nonsense."""

import ctypes
import os

import numpy as np
import pytest
from gpu import emulator, kernel_support

from cymx.gpu import compiler
from cymx.gpu.recipe import In, Kernel, Launch, Out, Tensor, Work

SOURCE = """
#include "device.cuh"
namespace cymx {
template <class T> __global__ void add_one(const T *x, T *y, i64 n) {
    for (i64 i = first_index(); i < n; i += index_step()) y[i] = x[i] + 1;
}
template <class T> __global__ void hang(T *y) {
    if (threadIdx.x) __syncthreads();
    else __shfl_sync(full_warp, 1, 0);
}
template <class T> __global__ void reach(T *y) {
    CYMX_DYNAMIC_SHARED(T, part);
    part[threadIdx.x] = 1;
    y[threadIdx.x] = part[threadIdx.x];
}
}
"""
N = 64


@pytest.fixture
def cuda(driver):
    """Return cuda.bindings.driver with device 0's context current."""
    from cuda.bindings import driver as bindings

    ok(bindings.cuInit(0))
    context = ok(bindings.cuDevicePrimaryCtxRetain(0))
    ok(bindings.cuCtxPushCurrent(context))
    yield bindings
    driver.reset()
    ok(bindings.cuCtxSynchronize())
    ok(bindings.cuCtxPopCurrent())


def ok(answer):
    """Return what a call gave; fails where it failed."""
    status, *values = answer
    assert int(status) == 0, status
    return values[0] if len(values) == 1 else values


def code(answer):
    return int(answer[0])


def function(cuda, name):
    """Return a kernel of SOURCE."""
    image = compiler.build(Kernel(SOURCE, f"cymx::{name}"), 90)
    module = ok(cuda.cuModuleLoadData(image.code))
    return ok(cuda.cuModuleGetFunction(module, image.symbol.encode()))


def launch(cuda, kernel, stream, *args, block=32, shared=0):
    """Launch one block with addresses and integers; return the status."""
    values = [ctypes.c_int64(int(a)) for a in args]
    pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
    return code(cuda.cuLaunchKernel(kernel, 1, 1, 1, block, 1, 1, shared, stream, ctypes.addressof(pointers), 0))


class Memory:
    """Device memory of N floats, and pinned memory beside it."""

    def __init__(self, cuda, stream):
        self.cuda = cuda
        self.address = ok(cuda.cuMemAllocAsync(4 * N, stream))
        self.host = ok(cuda.cuMemHostAlloc(4 * N, 0))
        self.array = np.frombuffer((ctypes.c_float * N).from_address(int(self.host)), "float32")

    def upload(self, stream):
        ok(self.cuda.cuMemcpyHtoDAsync(self.address, int(self.host), 4 * N, stream))

    def download(self, stream):
        ok(self.cuda.cuMemcpyDtoHAsync(int(self.host), self.address, 4 * N, stream))


@pytest.fixture
def streams(cuda):
    return [ok(cuda.cuStreamCreate(1)) for _ in range(3)]


@pytest.fixture
def memories(cuda, streams):
    made = [Memory(cuda, streams[0]) for _ in range(3)]
    made[0].array[:] = np.arange(N)
    return made


def test_streams_run_late(cuda, streams, memories):
    x, y, _ = memories
    x.upload(streams[0])
    assert launch(cuda, function(cuda, "add_one<float>"), streams[0], x.address, y.address, N) == 0
    y.array[:] = 0
    y.download(streams[0])
    assert not y.array.any() and code(cuda.cuStreamQuery(streams[0])) == 600
    ok(cuda.cuStreamSynchronize(streams[0]))
    np.testing.assert_array_equal(y.array, np.arange(N) + 1)
    assert code(cuda.cuStreamQuery(streams[0])) == 0


@pytest.mark.parametrize("wait", [False, True])
def test_a_missing_event_wait_gives_a_wrong_answer(cuda, streams, memories, wait):
    x, y, z = memories
    kernel, event = function(cuda, "add_one<float>"), ok(cuda.cuEventCreate(2))
    x.upload(streams[0])
    assert launch(cuda, kernel, streams[0], x.address, y.address, N) == 0
    ok(cuda.cuEventRecord(event, streams[0]))
    if wait:
        ok(cuda.cuStreamWaitEvent(streams[1], event, 0))
    assert launch(cuda, kernel, streams[1], y.address, z.address, N) == 0
    z.download(streams[1])
    ok(cuda.cuStreamSynchronize(streams[1]))
    assert np.array_equal(z.array, np.arange(N) + 2) == wait


@pytest.mark.parametrize("wait", [False, True])
def test_a_missing_wait_before_a_write_gives_a_wrong_answer(cuda, streams, memories, wait):
    x, y, _ = memories
    x.upload(streams[0])
    assert launch(cuda, function(cuda, "add_one<float>"), streams[0], x.address, y.address, N) == 0
    y.download(streams[0])
    event = ok(cuda.cuEventCreate(2))
    ok(cuda.cuEventRecord(event, streams[0]))
    if wait:
        ok(cuda.cuStreamWaitEvent(streams[1], event, 0))
    ok(cuda.cuMemsetD32Async(x.address, 0, N, streams[1]))
    ok(cuda.cuMemsetD32Async(y.address, 0, N, streams[1]))
    ok(cuda.cuStreamSynchronize(streams[1]))
    ok(cuda.cuStreamSynchronize(streams[0]))
    assert np.array_equal(y.array, np.arange(N) + 1)  # an upload is first in its stream
    x.download(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    assert np.array_equal(x.array, np.zeros(N)) == wait


def test_pageable_copies(cuda, streams, memories):
    x, y, _ = memories
    source = np.arange(N, dtype="float32")
    ok(cuda.cuMemcpyHtoDAsync(x.address, source.ctypes.data, 4 * N, streams[0]))
    source[:] = -1  # it was taken at the call
    target = np.zeros(N, "float32")
    ok(cuda.cuMemcpyDtoHAsync(target.ctypes.data, x.address, 4 * N, streams[0]))
    np.testing.assert_array_equal(target, np.arange(N))


def test_pinned_sources_are_read_late(cuda, streams, memories):
    x, y, _ = memories
    x.upload(streams[0])
    x.array[:] = 5
    x.download(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    np.testing.assert_array_equal(x.array, np.full(N, 5))


def test_fresh_and_freed_memory_is_poisoned(cuda, streams, memories):
    seen = np.zeros(4 * N, "uint8")
    address = ok(cuda.cuMemAllocAsync(4 * N, streams[0]))
    ok(cuda.cuMemcpyDtoHAsync(seen.ctypes.data, address, 4 * N, streams[0]))
    assert set(seen) == {0xCB}
    ok(cuda.cuMemFreeAsync(address, streams[0]))
    assert code(cuda.cuMemFreeAsync(address, streams[0])) == 1
    ok(cuda.cuStreamSynchronize(streams[0]))
    freed = np.frombuffer((ctypes.c_uint8 * (4 * N)).from_address(int(address)), "uint8")
    assert set(freed) == {0xDD}
    assert code(cuda.cuMemcpyDtoHAsync(seen.ctypes.data, address, 4 * N, streams[0])) == 1


def test_writes_behind_an_allocation_are_found(cuda, streams):
    address = ok(cuda.cuMemAllocAsync(4 * N, streams[0]))
    assert launch(cuda, function(cuda, "add_one<float>"), streams[0], address, address, N + 1) == 0
    ok(cuda.cuMemFreeAsync(address, streams[0]))
    assert code(cuda.cuStreamSynchronize(streams[0])) == 700


def test_copies_outside_an_allocation_are_refused(cuda, streams, memories):
    target = np.zeros(2 * N, "float32")
    assert code(cuda.cuMemcpyDtoHAsync(target.ctypes.data, memories[0].address, 8 * N, streams[0])) == 1
    assert code(cuda.cuMemsetD8Async(memories[0].address, 0, 4 * N + 1, streams[0])) == 1


def test_a_failed_launch_sticks(cuda, driver, streams, memories):
    good, y = function(cuda, "add_one<float>"), memories[1].address
    assert launch(cuda, function(cuda, "hang<float>"), streams[0], y) == 0
    assert code(cuda.cuStreamSynchronize(streams[0])) == driver.LAUNCH_FAILED
    assert b"(cymx::hang<float>: 32 threads wait at barriers" in ok(cuda.cuGetErrorString(cuda.CUresult(719)))
    assert launch(cuda, good, streams[1], y, y, N) == 719
    assert code(cuda.cuMemAlloc(64)) == 719


def test_launches_are_checked_at_the_call(cuda, streams, memories):
    kernel, y = function(cuda, "reach<float>"), memories[1].address
    attribute = cuda.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    assert launch(cuda, kernel, streams[0], y, block=2048) == 1
    assert launch(cuda, kernel, streams[0], y, shared=64 << 10) == 1
    ok(cuda.cuFuncSetAttribute(kernel, attribute, 64 << 10))
    assert launch(cuda, kernel, streams[0], y, shared=64 << 10) == 0
    ok(cuda.cuStreamSynchronize(streams[0]))


def test_injected_failures(cuda, driver, streams):
    driver.fail("cuMemAllocAsync", driver.OUT_OF_MEMORY, after=1, times=2)
    codes = [code(cuda.cuMemAllocAsync(64, streams[0])) for _ in range(4)]
    assert codes == [0, 2, 2, 0] and driver.calls("cuMemAllocAsync") >= 4
    kernel, y = function(cuda, "add_one<float>"), ok(cuda.cuMemAllocAsync(4 * N, streams[0]))
    driver.fail("execution", driver.LAUNCH_FAILED)
    assert launch(cuda, kernel, streams[0], y, y, N) == 0
    assert code(cuda.cuStreamSynchronize(streams[0])) == 719


def test_memory_ends(cuda, driver, streams):
    driver.configure(memory=1 << 20)
    free, total = ok(cuda.cuMemGetInfo())
    assert total == 1 << 20
    taken = ok(cuda.cuMemAllocAsync(free - 256, streams[0]))
    assert code(cuda.cuMemAllocAsync(1024, streams[0])) == 2
    ok(cuda.cuMemFreeAsync(taken, streams[0]))
    assert code(cuda.cuMemAllocAsync(1024, streams[0])) == 2  # nothing has run
    ok(cuda.cuStreamSynchronize(streams[0]))
    assert code(cuda.cuMemAllocAsync(1024, streams[0])) == 0


def test_event_times(cuda, streams):
    a, b, c = (ok(cuda.cuEventCreate(flags)) for flags in (0, 0, 2))
    for event in (a, b, c):
        ok(cuda.cuEventRecord(event, streams[0]))
    assert code(cuda.cuEventElapsedTime(a, b)) == 600
    ok(cuda.cuEventSynchronize(b))
    assert ok(cuda.cuEventElapsedTime(a, b)) >= 0
    assert code(cuda.cuEventElapsedTime(a, c)) == 400


def test_polling_ends(cuda, streams, memories):
    event = ok(cuda.cuEventCreate(2))
    memories[0].upload(streams[0])
    ok(cuda.cuEventRecord(event, streams[0]))
    assert [code(cuda.cuEventQuery(event)) for _ in range(4)] == [600, 600, 600, 0]


def test_capture_and_replay(cuda, streams, memories):
    x, y, _ = memories
    kernel = function(cuda, "add_one<float>")
    ok(cuda.cuStreamBeginCapture(streams[0], cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
    x.upload(streams[0])
    assert launch(cuda, kernel, streams[0], x.address, y.address, N) == 0
    assert launch(cuda, kernel, streams[0], y.address, y.address, N) == 0
    y.download(streams[0])
    graph = ok(cuda.cuStreamEndCapture(streams[0]))
    executable = ok(cuda.cuGraphInstantiate(graph, 0))
    ok(cuda.cuGraphDestroy(graph))
    for start in (0, 10):
        x.array[:] = np.arange(N) + start
        ok(cuda.cuGraphLaunch(executable, streams[1]))
        ok(cuda.cuStreamSynchronize(streams[1]))
        np.testing.assert_array_equal(y.array, np.arange(N) + start + 2)
    ok(cuda.cuGraphExecDestroy(executable))
    assert code(cuda.cuGraphLaunch(executable, streams[1])) == 400


@pytest.mark.parametrize("join", ["none", "unordered", "ordered"])
def test_captures_fork_and_join(cuda, streams, memories, join):
    x, y, z = memories
    kernel = function(cuda, "add_one<float>")
    fork, back = ok(cuda.cuEventCreate(2)), ok(cuda.cuEventCreate(2))
    x.upload(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    ok(cuda.cuStreamBeginCapture(streams[0], cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
    ok(cuda.cuEventRecord(fork, streams[0]))
    ok(cuda.cuStreamWaitEvent(streams[1], fork, 0))
    assert launch(cuda, kernel, streams[1], x.address, y.address, N) == 0
    ok(cuda.cuEventRecord(back, streams[1]))
    if join == "ordered":
        ok(cuda.cuStreamWaitEvent(streams[0], back, 0))
    assert launch(cuda, kernel, streams[0], y.address, z.address, N) == 0
    if join == "unordered":
        ok(cuda.cuStreamWaitEvent(streams[0], back, 0))
    if join == "none":
        assert code(cuda.cuStreamEndCapture(streams[0])) == 904
        return
    executable = ok(cuda.cuGraphInstantiate(ok(cuda.cuStreamEndCapture(streams[0])), 0))
    ok(cuda.cuGraphLaunch(executable, streams[0]))
    z.download(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    assert np.array_equal(z.array, np.arange(N) + 2) == (join == "ordered")


@pytest.mark.parametrize("what", ["synchronize", "allocate", "foreign event", "query"])
def test_what_a_capture_forbids(cuda, streams, memories, what):
    before = ok(cuda.cuEventCreate(2))
    ok(cuda.cuEventRecord(before, streams[1]))
    ok(cuda.cuStreamBeginCapture(streams[0], cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
    forbidden = {
        "synchronize": lambda: cuda.cuStreamSynchronize(streams[0]),
        "allocate": lambda: cuda.cuMemAlloc(64),
        "foreign event": lambda: cuda.cuStreamWaitEvent(streams[0], before, 0),
        "query": lambda: cuda.cuStreamQuery(streams[0]),
    }
    assert code(forbidden[what]()) == (905 if what == "foreign event" else 900)
    assert code(cuda.cuStreamEndCapture(streams[0])) == 901


def test_a_graph_is_updated(cuda, streams, memories):
    x, y, z = memories
    kernel = function(cuda, "add_one<float>")

    def captured(target, n_launches=1):
        ok(cuda.cuStreamBeginCapture(streams[0], cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
        for _ in range(n_launches):
            assert launch(cuda, kernel, streams[0], x.address, target.address, N) == 0
        return ok(cuda.cuStreamEndCapture(streams[0]))

    x.upload(streams[0])
    executable = ok(cuda.cuGraphInstantiate(captured(y), 0))
    assert code(cuda.cuGraphExecUpdate(executable, captured(z, 2))) == 910
    assert code(cuda.cuGraphExecUpdate(executable, captured(z))) == 0
    ok(cuda.cuGraphLaunch(executable, streams[0]))
    z.download(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    np.testing.assert_array_equal(z.array, np.arange(N) + 1)


def test_two_devices(cuda, streams, memories):
    other = ok(cuda.cuDevicePrimaryCtxRetain(1))
    here = ok(cuda.cuCtxGetCurrent())
    ok(cuda.cuCtxPushCurrent(other))
    y = Memory(cuda, ok(cuda.cuStreamCreate(1)))
    event = ok(cuda.cuEventCreate(2))
    assert launch(cuda, function(cuda, "add_one<float>"), streams[0], y.address, y.address, N) == 400
    assert ok(cuda.cuDeviceCanAccessPeer(0, 1)) == 1
    assert [code(cuda.cuCtxEnablePeerAccess(here, 0)) for _ in range(2)] in ([0, 704], [704, 704])
    ok(cuda.cuCtxPopCurrent())
    assert code(cuda.cuEventRecord(event, streams[0])) == 400
    memories[0].upload(streams[0])
    ok(cuda.cuMemcpyPeerAsync(y.address, other, memories[0].address, here, 4 * N, streams[0]))
    assert code(cuda.cuMemcpyPeerAsync(y.address, here, memories[0].address, other, 4 * N, streams[0])) == 1
    y.download(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    np.testing.assert_array_equal(y.array, np.arange(N))


def test_a_forked_child_is_refused(cuda):
    child = os.fork()
    if not child:
        os._exit(0 if code(cuda.cuCtxSynchronize()) == 3 and code(cuda.cuInit(0)) == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_kernels_run_through_the_driver(cuda, driver, monkeypatch):
    monkeypatch.setattr(kernel_support, "ON_DEVICE", True)
    x = np.arange(N, dtype="float32")
    launch_ = Launch(Kernel(SOURCE, "cymx::add_one<float>"), (2, 1, 1), (32, 1, 1), (In(0), Out(0), N))
    (y,) = kernel_support.run_work(Work((launch_,)), [x], [Tensor((N,), "float32")])
    np.testing.assert_array_equal(y, x + 1)
    assert driver.calls("cuLaunchKernel") == 1


@pytest.mark.parametrize("order", range(len(emulator.ORDERS)))
def test_thread_orders(cuda, driver, streams, memories, order):
    driver.configure(order=order)
    x, y, _ = memories
    x.upload(streams[0])
    assert launch(cuda, function(cuda, "add_one<float>"), streams[0], x.address, y.address, N) == 0
    y.download(streams[0])
    ok(cuda.cuStreamSynchronize(streams[0]))
    np.testing.assert_array_equal(y.array, np.arange(N) + 1)
