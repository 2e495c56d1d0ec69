"""Arrays on a GPU: copies, the order of streams, memory and its reuse, errors, fork and exit.  No kernel runs here."""

import threading

import numpy as np
import pytest
from gpu.driver import run

import cymx as mx
from cymx import _engine
from cymx.base import MXNetError

MIB = 1 << 20


@pytest.fixture
def gpu(driver):
    """Return gpu(0) of the emulated driver with nothing pending and no idle memory."""
    mx.nd.waitall()
    _engine.empty_cache(2, 0)
    yield mx.gpu(0)
    mx.nd.waitall()


def numbers(n, dtype="float32"):
    return np.random.default_rng(n).integers(0, 2 if dtype == "bool" else 100, n).astype(dtype)


def stats():
    return _engine.memory_stats(2, 0)


# ---- copies ----


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int8", "int32", "int64", "bool"])
def test_every_dtype_comes_back(gpu, dtype):
    values = numbers(37, dtype)
    array = mx.nd.array(values, ctx=gpu, dtype=dtype)
    assert array.context == gpu and array.dtype == np.dtype(dtype)
    assert np.array_equal(array.asnumpy(), values)


# Around what is staged in the order of computing, and around pages of large copies.
@pytest.mark.parametrize("n_bytes", [0, 1, 64 << 10, (64 << 10) + 1, 4 * MIB, 4 * MIB + 1, 19 * MIB + 3])
def test_every_size_comes_back(gpu, n_bytes):
    values = numbers(n_bytes, "uint8")
    assert np.array_equal(mx.nd.array(values, ctx=gpu, dtype="uint8").asnumpy(), values)


def test_many_small_uploads_fill_the_staging_pages(gpu):
    values = numbers(5000)
    arrays = [mx.nd.array(values + i, ctx=gpu) for i in range(100)]  # 2 MB, of 1 MiB of pages
    assert all(np.array_equal(a.asnumpy(), values + i) for i, a in enumerate(arrays))


def test_copies_between_contexts(gpu):
    values = numbers(100_000)
    on_gpu = mx.nd.array(values, ctx=gpu)
    for target in (gpu, mx.gpu(1), mx.cpu(), mx.cpu(1)):
        copy = on_gpu.copyto(target)
        assert copy.context == target and np.array_equal(copy.asnumpy(), values)
    assert on_gpu.as_in_context(mx.gpu(0)) is on_gpu
    back = on_gpu.as_in_context(mx.gpu(1)).as_in_context(mx.gpu(0)).as_in_context(mx.cpu())
    assert np.array_equal(back.asnumpy(), values)


def test_a_peer_copy_waits_for_the_users_of_both_sides(gpu):
    old, new = numbers(3 * MIB), numbers(3 * MIB + 1)[1:]
    source, target = mx.nd.array(new, ctx=gpu), mx.nd.array(old, ctx=mx.gpu(1))
    kept = target.copyto(mx.gpu(1))  # reads what the copy then overwrites
    source.copyto(target)
    source[:] = mx.nd.array(old, ctx=gpu)  # overwrites what the copy reads
    assert np.array_equal(kept.asnumpy(), old)
    assert np.array_equal(target.asnumpy(), new)
    assert np.array_equal(source.asnumpy(), old)


def test_views_copy_their_part(gpu):
    array = mx.nd.array(numbers(60).reshape(6, 10), ctx=gpu)
    assert np.array_equal(array[2:4].asnumpy(), numbers(60).reshape(6, 10)[2:4])
    array[2:4] = mx.nd.array(np.full((2, 10), 7.0), ctx=gpu)
    wanted = numbers(60).reshape(6, 10)
    wanted[2:4] = 7
    assert np.array_equal(array.asnumpy(), wanted)
    assert np.array_equal(array.reshape(60).asnumpy(), wanted.reshape(60))


def test_save_and_load(gpu, tmp_path):
    values = numbers(12).reshape(3, 4)
    mx.nd.save(str(tmp_path / "x.params"), {"x": mx.nd.array(values, ctx=gpu)})
    loaded = mx.nd.load(str(tmp_path / "x.params"))["x"]
    assert loaded.context == mx.cpu() and np.array_equal(loaded.asnumpy(), values)


def test_the_host_cannot_look_into_a_gpu(gpu):
    array = mx.nd.array([1, 2], ctx=gpu)
    for view in (array, array.buffer):
        with pytest.raises(BufferError, match=r"gpu\(0\).*asnumpy"):
            memoryview(view)
    assert repr(array).endswith("@gpu(0)>")


# ---- order ----


@pytest.mark.parametrize("n", [1000, 3 * MIB])
def test_the_source_may_change_at_once(gpu, n):
    values = numbers(n)
    array = mx.nd.array(np.zeros(n), ctx=gpu)
    array.write(values)
    wanted = values.copy()
    values[:] = -1
    assert np.array_equal(array.asnumpy(), wanted)


def test_computing_waits_for_an_upload(gpu, driver):
    values = numbers(3 * MIB)
    array = mx.nd.array(values, ctx=gpu)
    assert driver.calls("cuStreamWaitEvent") <= 1  # the upload, for its memory
    copy = array.copyto(gpu)
    assert driver.calls("cuEventSynchronize") == 0  # the host waited for nothing
    assert np.array_equal(copy.asnumpy(), values)


def test_streams_wait_once_for_a_position(gpu, driver):
    array = mx.nd.array(numbers(3 * MIB), ctx=gpu)
    array.copyto(gpu)
    before = driver.calls("cuStreamWaitEvent")
    copies = [array.copyto(gpu) for _ in range(5)]
    assert driver.calls("cuStreamWaitEvent") == before
    mx.nd.waitall()
    del copies


def test_memory_is_used_again_only_after_its_last_use(gpu):
    n = 3 * MIB
    first, second = numbers(n), numbers(n) + 1
    array = mx.nd.array(first, ctx=gpu)
    copy = array.copyto(gpu)  # has not run: streams are lazy
    address = array.address
    del array
    again = mx.nd.array(second, ctx=gpu)
    assert again.address == address
    assert np.array_equal(copy.asnumpy(), first)
    assert np.array_equal(again.asnumpy(), second)


def test_waits_end_with_the_device(gpu, driver):
    array = mx.nd.array(numbers(10), ctx=gpu)
    for wait in (array.wait_to_read, array.wait_to_write, mx.nd.waitall):
        array.write(numbers(10))
        before = driver.calls("cuEventSynchronize")
        wait()
        assert driver.calls("cuEventSynchronize") == before + 1
        wait()
        assert driver.calls("cuEventSynchronize") == before + 1


def test_threads_copy_side_by_side(gpu):
    failed = []

    def work(seed):
        for i in range(20):
            values = numbers(50_000 + seed) + i
            array = mx.nd.array(values, ctx=mx.gpu(seed % 2))
            if not np.array_equal(array.copyto(mx.gpu(i % 2)).copyto(mx.cpu()).asnumpy(), values):
                failed.append((seed, i))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# ---- memory ----


def test_a_hit_asks_nothing_of_the_driver(gpu, driver):
    array = mx.nd.empty((1000,), ctx=gpu)
    address, hits = array.address, stats()["n_pool_hits"]
    del array
    asked = ("cuMemAllocFromPoolAsync", "cuMemFreeAsync", "cuEventRecord")
    before = [driver.calls(name) for name in asked]
    assert mx.nd.empty((1000,), ctx=gpu).address == address
    assert [driver.calls(name) for name in asked] == before
    assert stats()["n_pool_hits"] == hits + 1


def test_statistics_balance(gpu):
    before = stats()
    assert before["pooled_bytes"] == 0
    array = mx.nd.empty((MIB,), ctx=gpu)
    assert stats()["live_bytes"] == before["live_bytes"] + 4 * MIB
    del array
    assert stats()["live_bytes"] == before["live_bytes"] and stats()["pooled_bytes"] == 4 * MIB
    _engine.empty_cache(2, 0)
    assert stats()["pooled_bytes"] == 0


def test_sizes_waste_little(gpu):
    for n_bytes in (1500, 5000, 900_000, 5 * MIB + 1, 333 * MIB + 5):
        mx.nd.empty((n_bytes,), ctx=gpu, dtype="uint8")
        assert n_bytes <= stats()["pooled_bytes"] <= (1.25 if n_bytes < MIB else 1.04) * n_bytes
        _engine.empty_cache(2, 0)


def test_idle_memory_makes_room(gpu, driver):
    driver.configure(memory=driver.live_bytes(0) + 20 * MIB)
    kept = [mx.nd.empty((5 * MIB,), ctx=gpu, dtype="uint8") for _ in range(3)]
    del kept
    assert stats()["pooled_bytes"] == 15 * MIB
    array = mx.nd.empty((16 * MIB,), ctx=gpu, dtype="uint8")
    assert stats()["pooled_bytes"] == 0
    del array


def test_out_of_memory_says_how_much(gpu, driver):
    driver.configure(memory=driver.live_bytes(0) + 20 * MIB)
    live = mx.nd.empty((5 * MIB,), ctx=gpu, dtype="uint8")
    with pytest.raises(MemoryError, match=rf"gpu\(0\): asked for {30 * MIB} bytes, with \d+ bytes live .* bytes free"):
        mx.nd.empty((30 * MIB,), ctx=gpu, dtype="uint8")
    assert mx.nd.empty((5 * MIB,), ctx=gpu, dtype="uint8").size == live.size


def test_a_limit_of_our_own(gpu):
    try:
        _engine.set_memory_limit(2, 0, stats()["live_bytes"] + MIB)
        with pytest.raises(MemoryError, match=r"gpu\(0\)"):
            mx.nd.empty((2 * MIB,), ctx=gpu)
    finally:
        _engine.set_memory_limit(2, 0, 0)


def test_memory_info(gpu, driver):
    free, total = mx.gpu_memory_info(0)
    assert 0 < free <= total
    assert mx.context.gpu_memory_info(0)[1] == total


# ---- errors ----


def test_a_failing_copy_is_its_arrays_error(gpu, driver):
    array = mx.nd.array(numbers(10), ctx=gpu)
    driver.fail("cuMemcpyDtoDAsync", 1)
    copy = array.copyto(gpu)
    with pytest.raises(MXNetError, match=r"^copy: gpu\(0\): a copy: CUDA_ERROR_INVALID_VALUE"):
        copy.asnumpy()
    assert np.array_equal(array.asnumpy(), numbers(10))
    copy[:] = array
    assert np.array_equal(copy.asnumpy(), numbers(10))


def test_a_failing_download_is_raised_where_it_is_asked_for(gpu, driver):
    array = mx.nd.array(numbers(10), ctx=gpu)
    driver.fail("cuMemcpyDtoHAsync", 1)
    with pytest.raises(MXNetError, match=r"gpu\(0\): a download: CUDA_ERROR_INVALID_VALUE"):
        array.asnumpy()
    assert np.array_equal(array.asnumpy(), numbers(10))


def test_a_lost_device_says_so_from_then_on(driver):
    printed = run("""
        a = mx.nd.array([1, 2], ctx=mx.gpu(0))
        driver.fail("cuEventSynchronize", driver.LAUNCH_FAILED)
        for _ in range(2):
            try:
                a.wait_to_read()
            except MXNetError as e:
                print("LAUNCH_FAILED" in str(e), "NaiveEngine" in str(e), "lost" in str(e))
        try:
            mx.nd.array([1, 2], ctx=mx.gpu(0)).asnumpy()
        except MXNetError as e:
            print("an earlier failure" in str(e))
        print(mx.nd.array([1, 2], ctx=mx.gpu(1)).asnumpy())
    """)
    assert printed == "True True True\nTrue True True\nTrue\n[1. 2.]\n"


def test_naive_engine_names_the_task(driver):
    printed = run("""
        from cymx import _engine
        _engine.set_engine_type("NaiveEngine")
        a = mx.nd.array([1, 2], ctx=mx.gpu(0))
        driver.fail("cuEventSynchronize", driver.LAUNCH_FAILED)
        try:
            a.copyto(mx.gpu(0)).wait_to_read()
        except MXNetError as e:
            print(str(e).split(":")[0])
    """)
    assert printed == "copy\n"


def test_a_forked_child_is_told(driver):
    printed = run("""
        a = mx.nd.array([1, 2], ctx=mx.gpu(0))
        if os.fork() == 0:
            for ask in (a.asnumpy, lambda: mx.nd.empty((3,), ctx=mx.gpu(0)), lambda: mx.nd.empty((3,), ctx=mx.gpu(1))):
                try:
                    ask()
                except MXNetError as e:
                    print("fork" in str(e), "spawn" in str(e))
            print(mx.num_gpus())
            del a
            sys.stdout.flush()
            os._exit(0)
        os.wait()
        print(a.asnumpy())
    """)
    assert printed == "True True\nTrue True\nTrue True\n2\n[1. 2.]\n"


def test_a_child_forked_before_the_first_use_may_use_gpus(driver):
    printed = run("""
        if os.fork() == 0:
            print(mx.nd.array([1, 2], ctx=mx.gpu(0)).asnumpy())
            sys.stdout.flush()
            os._exit(0)
        os.wait()
    """)
    assert printed == "[1. 2.]\n"


def test_exit_with_pending_work_and_live_arrays(driver):
    printed = run("""
        a = mx.nd.array(np.ones(1 << 20), ctx=mx.gpu(0))
        b = a.copyto(mx.gpu(0))
        sys.kept = [b]
        print("end")
    """)
    assert printed == "end\n"
