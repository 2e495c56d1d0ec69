"""Storage: alignment, reuse, statistics, limits, foreign memory; and the random counters, which live beside it."""

import gc
import weakref

import numpy as np
import pytest

from cymx import _engine
from cymx.base import MXNetError

MIB = 1 << 20
# One context for this file, so that nobody else's buffers are counted.
DEVICE = (1, 40)


@pytest.fixture(autouse=True)
def empty_pool():
    _engine.empty_cache(*DEVICE)
    yield
    _engine.set_memory_limit(*DEVICE, 0)
    _engine.set_idle_limit(*DEVICE, -1)


def stats():
    return _engine.memory_stats(*DEVICE)


SIZES = [0, 1, 63, 64, 65, 256, 257, 1000, 4096, 200_000, 263_000, 3 * MIB, 4 * MIB + 1, 33 * MIB]


@pytest.mark.parametrize("nbytes", SIZES)
def test_buffer_is_aligned_and_wholly_writable(nbytes):
    buffer = _engine.Buffer(nbytes, *DEVICE)
    assert (buffer.nbytes, buffer.device_type, buffer.device_id) == (nbytes, *DEVICE)
    assert buffer.address != 0 and buffer.address % 64 == 0
    array = np.frombuffer(buffer, dtype=np.uint8)
    array[:] = 7
    assert array.size == nbytes and array.ctypes.data == buffer.address
    assert (array == 7).all()


def test_memory_is_reused_within_a_size_class():
    for nbytes in [*range(1, 3000, 37), 100_000, 5 * MIB]:
        buffer = _engine.Buffer(nbytes, *DEVICE)
        address = buffer.address
        del buffer
        assert _engine.Buffer(nbytes, *DEVICE).address == address


def test_size_classes_waste_at_most_a_quarter():
    for nbytes in [*range(257, 5000), 10**6, 2**24 + 1, 77_777_777]:
        _engine.Buffer(nbytes, *DEVICE)
        assert nbytes <= stats()["pooled_bytes"] <= 1.25 * nbytes
        _engine.empty_cache(*DEVICE)


def test_statistics_balance():
    before = stats()
    a, b = _engine.Buffer(1000, *DEVICE), _engine.Buffer(5 * MIB, *DEVICE)
    during = stats()
    assert during["live_bytes"] - before["live_bytes"] == 1000 + 5 * MIB
    assert during["peak_bytes"] >= during["live_bytes"]
    assert during["n_alloc"] - before["n_alloc"] == 2
    del a, b
    after = stats()
    assert after["live_bytes"] == before["live_bytes"]
    assert after["pooled_bytes"] >= 1000 + 5 * MIB
    _engine.Buffer(1000, *DEVICE)
    assert stats()["n_pool_hits"] == after["n_pool_hits"] + 1
    _engine.empty_cache(*DEVICE)
    assert stats()["pooled_bytes"] == 0


def test_contexts_have_books_of_their_own():
    buffer = _engine.Buffer(1000, 1, 41)
    assert _engine.memory_stats(1, 41)["live_bytes"] == buffer.nbytes
    assert stats()["live_bytes"] == 0


def test_limit_is_enforced_and_names_the_sizes():
    _engine.set_memory_limit(*DEVICE, 10 * MIB)
    held = _engine.Buffer(6 * MIB, *DEVICE)
    message = f"on cpu\\(40\\): asked for {5 * MIB} bytes, with {6 * MIB} bytes live and a limit of {10 * MIB} bytes"
    with pytest.raises(MemoryError, match=message):
        _engine.Buffer(5 * MIB, *DEVICE)
    exact = _engine.Buffer(4 * MIB, *DEVICE)
    assert stats()["live_bytes"] == stats()["limit_bytes"] == held.nbytes + exact.nbytes


def test_idle_memory_gives_way_to_the_limit():
    _engine.set_memory_limit(*DEVICE, 10 * MIB)
    _engine.Buffer(8 * MIB, *DEVICE)
    assert stats()["pooled_bytes"] == 8 * MIB
    held = _engine.Buffer(6 * MIB, *DEVICE)
    assert stats()["pooled_bytes"] == 0 and held.nbytes == stats()["live_bytes"]


def test_idle_limit_bounds_the_pool():
    _engine.set_idle_limit(*DEVICE, 3 * MIB)
    buffers = [_engine.Buffer(MIB, *DEVICE) for _ in range(8)]
    del buffers
    assert stats()["pooled_bytes"] == 3 * MIB
    _engine.set_idle_limit(*DEVICE, 0)
    assert stats()["pooled_bytes"] == 0


def test_pool_does_not_grow_without_bounds_by_default():
    for size in range(40, 60):
        _engine.Buffer(size * MIB, *DEVICE)  # never touched, so never really there
    assert stats()["pooled_bytes"] <= 256 * MIB


@pytest.mark.parametrize("nbytes", [1 << 50, (1 << 63) - 1])
def test_absurd_size_is_out_of_memory(nbytes):
    before = stats()
    with pytest.raises(MemoryError, match=f"asked for {nbytes} bytes"):
        _engine.Buffer(nbytes, *DEVICE)
    assert stats() == before


def test_negative_size_and_host_memory_as_a_gpus_are_refused():
    with pytest.raises(MXNetError, match="-1 bytes"):
        _engine.Buffer(-1)
    with pytest.raises(MXNetError, match=r"wrapped as memory of gpu\(0\)"):
        _engine.Buffer.wrap(bytearray(8), 2, 0)


def test_wrap_shares_memory_and_keeps_the_owner():
    array = np.arange(4, dtype=np.float32)
    gone = weakref.ref(array, lambda _: None)
    buffer = _engine.Buffer.wrap(array)
    assert buffer.address == array.ctypes.data and buffer.nbytes == 16
    np.frombuffer(buffer, dtype=np.float32)[1] = 9
    assert array[1] == 9
    del array
    assert gone() is not None
    del buffer
    gc.collect()
    assert gone() is None


def test_wrap_of_readonly_memory_is_readonly():
    buffer = _engine.Buffer.wrap(b"abc")
    assert memoryview(buffer).readonly and bytes(buffer) == b"abc"
    assert not memoryview(_engine.Buffer.wrap(bytearray(3))).readonly
    assert _engine.Buffer.wrap(b"").address != 0


def test_wrap_refuses_what_has_no_contiguous_bytes():
    with pytest.raises((BufferError, ValueError)):
        _engine.Buffer.wrap(np.zeros((4, 4))[:, 1])
    with pytest.raises(TypeError):
        _engine.Buffer.wrap(3)


def test_wrapped_owner_may_die_on_a_worker_thread():
    array = np.zeros(4)
    gone = weakref.ref(array)
    _engine.push_callable(lambda: None, [], [_engine.Buffer.wrap(array)], "last user")
    del array
    _engine.waitall()
    assert gone() is None


def test_random_counters_advance_and_reseed():
    _engine.seed_context(1, 50, 77)
    assert _engine.reserve_random(1, 50, 10) == (77, 0)
    assert _engine.reserve_random(1, 50, 5) == (77, 10)
    assert _engine.reserve_random(1, 50, 1) == (77, 15)
    _engine.seed(123)
    try:
        assert _engine.reserve_random(1, 50, 1)[1] == 0
        assert _engine.reserve_random(1, 0, 1) == _engine.reserve_random(2, 0, 1) == (123, 0)
        keys = {_engine.reserve_random(1, i, 1)[0] for i in range(60)}  # some of these contexts are made only now
        assert len(keys) == 60
    finally:
        _engine.seed(0)
