"""The engine's Python face: Buffer, waits, settings, statistics and seeds.

Holds no state of its own; all of it lives in csrc/engine, which only this extension links.  Import starts no thread.
Called by: cymx._ops (through the .pxd), cymx.ndarray and the package's public functions.
"""

import atexit
import os

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport strlen

from cymx import config
from cymx.base import MXNetError

cdef extern from "engine/engine.h" nogil:
    ctypedef struct cymx_storage_stats:
        int64_t live_bytes, peak_bytes, pooled_bytes, n_alloc, n_pool_hits, limit_bytes

    cymx_buffer *cymx_buffer_new(int32_t device_type, int32_t device_id, int64_t nbytes, cymx_error *err)
    cymx_buffer *cymx_buffer_wrap(
        int32_t device_type, int32_t device_id, void *data, int64_t nbytes,
        void (*free_fn)(void *) noexcept nogil, void *owner, cymx_error *err)
    cymx_buffer *cymx_buffer_wrap_on_device(
        int32_t device_type, int32_t device_id, void *data, void *block, int64_t nbytes,
        void (*free_fn)(void *) noexcept nogil, void *owner, cymx_error *err)
    void cymx_buffer_expose(cymx_buffer *buffer)
    void cymx_buffer_retain(cymx_buffer *buffer)
    void cymx_buffer_release(cymx_buffer *buffer)
    int cymx_engine_push(const cymx_task *task, cymx_error *err)
    int cymx_engine_wait_to_read(cymx_buffer *buffer, cymx_error *err)
    int cymx_engine_wait_to_write(cymx_buffer *buffer, cymx_error *err)
    int cymx_engine_wait_all(cymx_error *err)
    void cymx_engine_drain()
    int cymx_engine_set_type(const char *name, cymx_error *err)
    const char *cymx_engine_type()
    int cymx_engine_set_queue_limit(int64_t n, cymx_error *err)
    void cymx_engine_shutdown()
    void cymx_storage_get_stats(int32_t device_type, int32_t device_id, cymx_storage_stats *stats)
    void cymx_storage_set_limit(int32_t device_type, int32_t device_id, int64_t nbytes)
    void cymx_storage_set_idle_limit(int32_t device_type, int32_t device_id, int64_t nbytes)
    void cymx_storage_empty_cache(int32_t device_type, int32_t device_id)
    void cymx_device_register(int32_t device_type, const cymx_device_ops *ops)
    int cymx_copy(
        cymx_buffer *dst, void *dst_at, cymx_buffer *src, const void *src_at, int64_t nbytes, cymx_error *err)
    void cymx_random_seed(uint64_t seed)
    void cymx_random_seed_context(int32_t device_type, int32_t device_id, uint64_t seed)
    void cymx_random_reserve(int32_t device_type, int32_t device_id, uint64_t n, uint64_t *seed, uint64_t *counter)


# ---- for other extensions ----

cdef cymx_buffer *buffer_new(int32_t device_type, int32_t device_id, int64_t nbytes, cymx_error *err) noexcept nogil:
    return cymx_buffer_new(device_type, device_id, nbytes, err)


cdef void buffer_retain(cymx_buffer *buffer) noexcept nogil:
    cymx_buffer_retain(buffer)


cdef void buffer_release(cymx_buffer *buffer) noexcept nogil:
    cymx_buffer_release(buffer)


cdef void buffer_expose(cymx_buffer *buffer) noexcept nogil:
    cymx_buffer_expose(buffer)


cdef int push(const cymx_task *task, cymx_error *err) noexcept nogil:
    return cymx_engine_push(task, err)


cdef bint naive() noexcept nogil:
    return cymx_engine_type()[0] == c"N"


cdef int wait_to_read(cymx_buffer *buffer, cymx_error *err) noexcept nogil:
    return cymx_engine_wait_to_read(buffer, err)


cdef int wait_to_write(cymx_buffer *buffer, cymx_error *err) noexcept nogil:
    return cymx_engine_wait_to_write(buffer, err)


cdef int copy_bytes(
        cymx_buffer *dst, void *dst_at, cymx_buffer *src, const void *src_at, int64_t nbytes,
        cymx_error *err) noexcept nogil:
    return cymx_copy(dst, dst_at, src, src_at, nbytes, err)


cdef void device_register(int32_t device_type, const cymx_device_ops *ops) noexcept nogil:
    cymx_device_register(device_type, ops)


cdef cymx_buffer *buffer_wrap_on_device(
        int32_t device_type, int32_t device_id, void *data, void *block, int64_t nbytes,
        void (*free_fn)(void *) noexcept nogil, void *owner, cymx_error *err) noexcept nogil:
    return cymx_buffer_wrap_on_device(device_type, device_id, data, block, nbytes, free_fn, owner, err)


cdef void random_reserve(
        int32_t device_type, int32_t device_id, uint64_t n, uint64_t *seed, uint64_t *counter) noexcept nogil:
    cymx_random_reserve(device_type, device_id, n, seed, counter)


cdef int raise_error(const cymx_error *err) except -1:
    message = err.message[:strlen(err.message)].decode("utf-8", "replace")
    if err.code == CYMX_OUT_OF_MEMORY:
        raise MemoryError(message)
    raise MXNetError(message)


cdef int note_exception(error, cymx_error *err) noexcept:
    cdef Py_ssize_t n
    err.code = CYMX_OUT_OF_MEMORY if isinstance(error, MemoryError) else CYMX_FAILED
    text = str(error) if isinstance(error, MXNetError | MemoryError) else f"{type(error).__name__}: {error}"
    message = text.encode("utf-8", "replace")
    n = min(len(message), <Py_ssize_t>sizeof(err.message) - 1)
    err.message[:n] = message
    err.message[n] = 0
    return err.code


# ---- buffers ----

cdef int refuse_device(const cymx_buffer *ptr) except -1:
    if ptr.device is not NULL:
        raise BufferError(f"the host sees no memory on gpu({ptr.device_id}); copy it with asnumpy() or copyto(cpu())")
    return 0


cdef void release_view(void *owner) noexcept with gil:
    PyBuffer_Release(<Py_buffer *>owner)
    free(owner)


@cython.final
@cython.freelist(64)
cdef class Buffer:
    """Hold `nbytes` bytes of 64-byte aligned memory, uncleared, with an engine variable of its own.

    It exports its bytes by the buffer protocol; whoever reads or writes them that way waits first.  Raises MemoryError.
    """

    def __init__(self, int64_t nbytes, int32_t device_type=1, int32_t device_id=0):
        cdef cymx_error err
        if self.ptr is not NULL:
            raise MXNetError("Buffer: initialised twice")
        self.ptr = cymx_buffer_new(device_type, device_id, nbytes, &err)
        if self.ptr is NULL:
            raise_error(&err)

    @staticmethod
    cdef Buffer adopt(cymx_buffer *ptr):
        cdef Buffer buffer = Buffer.__new__(Buffer)
        buffer.ptr = ptr
        return buffer

    @staticmethod
    def wrap(obj, int32_t device_type=1, int32_t device_id=0):
        """Return a Buffer on the memory of any C-contiguous object with the buffer protocol, without copying.

        The object lives as long as the Buffer.  Raises TypeError, BufferError; MXNetError for device_type 2, a GPU's.
        """
        if device_type == 2:
            raise MXNetError(f"memory of the host cannot be wrapped as memory of gpu({device_id}); copy it there")
        cdef cymx_error err
        cdef cymx_buffer *ptr
        cdef bint readonly = False
        cdef Py_buffer *view = <Py_buffer *>malloc(sizeof(Py_buffer))
        if view is NULL:
            raise MemoryError("no memory to wrap a buffer")
        try:
            try:
                PyObject_GetBuffer(obj, view, PyBUF_SIMPLE | PyBUF_WRITABLE)
            except (BufferError, ValueError):  # NumPy raises ValueError for a read-only array
                PyObject_GetBuffer(obj, view, PyBUF_SIMPLE)
                readonly = True
        except BaseException:
            free(view)
            raise
        ptr = cymx_buffer_wrap(
            device_type, device_id, view.buf, view.len, <void (*)(void *) noexcept nogil>release_view, view, &err)
        if ptr is NULL:
            release_view(view)
            raise_error(&err)
        buffer = Buffer.adopt(ptr)
        buffer.readonly = readonly
        return buffer

    def __dealloc__(self):
        if self.ptr is not NULL:
            cymx_buffer_release(self.ptr)

    def __getbuffer__(self, Py_buffer *view, int flags):
        refuse_device(self.ptr)
        if not self.readonly:
            cymx_buffer_expose(self.ptr)
        PyBuffer_FillInfo(view, self, self.ptr.data, self.ptr.bytes, self.readonly, flags)

    @property
    def nbytes(self):
        """The size asked for, in bytes."""
        return self.ptr.bytes

    @property
    def address(self):
        """The address of the first byte, never 0."""
        return <uintptr_t>self.ptr.data

    @property
    def device_type(self):
        """MXNet's device number: 1 cpu, 2 gpu, 3 cpu_pinned, 5 cpu_shared."""
        return self.ptr.device_type

    @property
    def device_id(self):
        """The device's id."""
        return self.ptr.device_id

    def wait_to_read(self):
        """Wait for every pending write.  Raises the error that the last write left, until the buffer is overwritten."""
        cdef cymx_error err
        cdef int code
        with nogil:
            code = cymx_engine_wait_to_read(self.ptr, &err)
        if code:
            raise_error(&err)

    def wait_to_write(self):
        """Wait for every pending read and write.  Raises as wait_to_read does."""
        cdef cymx_error err
        cdef int code
        with nogil:
            code = cymx_engine_wait_to_write(self.ptr, &err)
        if code:
            raise_error(&err)


# ---- tasks ----

cdef int run_callable(void *arg, cymx_error *err) noexcept with gil:
    try:
        (<object>arg)()
        return CYMX_OK
    except BaseException as error:
        return note_exception(error, err)


cdef void drop_callable(void *arg) noexcept with gil:
    Py_DECREF(<object>arg)


def push_callable(fn, reads, writes, label, int32_t device_type=1, int32_t device_id=0, bint small=False):
    """Run `fn()` as an engine task that reads and writes the given Buffers.

    `label` names it in errors; an exception in it becomes the error of the buffers it writes.  `small` lets it run at
    once in this thread.
    """
    cdef list buffers = [*reads, *writes]
    cdef bytes name = label.encode()
    cdef cymx_task task
    cdef cymx_error err
    cdef int code
    cdef Py_ssize_t i
    cdef cymx_buffer **pointers = <cymx_buffer **>malloc((len(buffers) + 1) * sizeof(cymx_buffer *))
    if pointers is NULL:
        raise MemoryError(f"{label}: no memory for a task")
    try:
        for i in range(len(buffers)):
            pointers[i] = (<Buffer?>buffers[i]).ptr
        task.run = <int (*)(void *, cymx_error *) noexcept nogil>run_callable
        task.drop = <void (*)(void *) noexcept nogil>drop_callable
        task.arg = <void *>fn
        task.reads = pointers
        task.n_reads = <int32_t>len(reads)
        task.writes = pointers + task.n_reads
        task.n_writes = <int32_t>len(writes)
        task.device_type = device_type
        task.device_id = device_id
        task.label = name
        task.flags = CYMX_TASK_SMALL if small else 0
        task.arg_bytes = 0
        Py_INCREF(fn)
        with nogil:
            code = cymx_engine_push(&task, &err)
        if code:
            Py_DECREF(fn)
            raise_error(&err)
    finally:
        free(pointers)


def waitall():
    """Wait for all tasks.  Raises the oldest error that no wait has raised yet."""
    cdef cymx_error err
    cdef int code
    with nogil:
        code = cymx_engine_wait_all(&err)
    if code:
        raise_error(&err)


def drain():
    """Wait for all tasks and leave their errors for later waits."""
    with nogil:
        cymx_engine_drain()


def set_engine_type(name):
    """Choose 'ThreadedEnginePerDevice', 'ThreadedEngine' (the same) or 'NaiveEngine'; waits for all tasks first."""
    cdef cymx_error err
    cdef bytes encoded = name.encode()
    cdef const char *chars = encoded
    cdef int code
    with nogil:
        code = cymx_engine_set_type(chars, &err)
    if code:
        raise_error(&err)


def engine_type():
    """Return the engine's type, as set_engine_type takes it."""
    return cymx_engine_type().decode()


def set_queue_limit(int64_t n):
    """Bound the unfinished tasks of each context; a push that would exceed it waits."""
    cdef cymx_error err
    if cymx_engine_set_queue_limit(n, &err):
        raise_error(&err)


def shutdown():
    """Finish all tasks and end the workers; later tasks run in the thread that pushes them."""
    with nogil:
        cymx_engine_shutdown()


# ---- storage and random state ----

def memory_stats(int32_t device_type=1, int32_t device_id=0):
    """Return live_bytes, peak_bytes, pooled_bytes, n_alloc, n_pool_hits and limit_bytes of a context."""
    cdef cymx_storage_stats stats
    cymx_storage_get_stats(device_type, device_id, &stats)
    return stats


def set_memory_limit(int32_t device_type, int32_t device_id, int64_t nbytes):
    """Bound a context's live_bytes; 0 lifts the bound."""
    cymx_storage_set_limit(device_type, device_id, nbytes)


def set_idle_limit(int32_t device_type, int32_t device_id, int64_t nbytes):
    """Bound a context's pooled_bytes; -1 restores the default, the larger of 256 MiB and a quarter of peak_bytes."""
    cymx_storage_set_idle_limit(device_type, device_id, nbytes)


def empty_cache(int32_t device_type=1, int32_t device_id=0):
    """Return a context's idle memory to the system."""
    with nogil:
        cymx_storage_empty_cache(device_type, device_id)


def seed(uint64_t seed):
    """Seed the random numbers of every context, also of those made later."""
    cymx_random_seed(seed)


def seed_context(int32_t device_type, int32_t device_id, uint64_t seed):
    """Seed the random numbers of one context."""
    cymx_random_seed_context(device_type, device_id, seed)


def reserve_random(int32_t device_type, int32_t device_id, uint64_t n):
    """Take n random counters of a context; return its key and the first counter."""
    cdef uint64_t key, counter
    cymx_random_reserve(device_type, device_id, n, &key, &counter)
    return key, counter


atexit.register(shutdown)
# Here tasks can have the GIL that they need; the engine's own fork handlers run with the GIL held and wait for none.
os.register_at_fork(before=drain)


set_engine_type(config.engine_type())
