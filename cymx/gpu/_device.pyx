"""GPUs under the engine's contract: the Python face of csrc/gpu, which only this extension links.

Importing it registers GPU memory with the engine and touches neither CUDA nor a driver; the first array on a GPU opens
it.  Called by: gpu/_plan (through the .pxd), the package's public functions, ndarray/interop.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t

from cymx._engine cimport (
    CYMX_OK,
    buffer_wrap_on_device,
    cymx_buffer,
    cymx_device_ops,
    cymx_error,
    device_register,
    note_exception,
    raise_error,
)

from cymx.gpu import driver

cdef extern from "gpu/device.h" nogil:
    ctypedef struct cymx_gpu_handles:
        void *context
        void *pool
        void *streams[3]

    const char *cymx_gpu_driver_names[]
    void cymx_gpu_set_opener(int (*open)(int32_t device_id, cymx_gpu_handles *handles, cymx_error *err) noexcept)
    void cymx_gpu_set_driver(void **functions, int32_t n)
    const cymx_driver *cymx_gpu_driver()
    int cymx_gpu_open(int32_t device_id, cymx_error *err)
    const cymx_device_ops *cymx_gpu_ops()
    int cymx_gpu_begin(
        int32_t device_id, int32_t stream, cymx_buffer **reads, int32_t n_reads, cymx_buffer **writes, int32_t n_writes,
        void **cu_stream, cymx_error *err)
    void cymx_gpu_end(
        int32_t device_id, int32_t stream, cymx_buffer **reads, int32_t n_reads, cymx_buffer **writes,
        int32_t n_writes)
    int cymx_gpu_stage(
        int32_t device_id, int32_t stream, uint64_t target, const void *source, int64_t n, cymx_error *err)
    int cymx_gpu_fail(int32_t device_id, int result, const char *what, cymx_error *err)
    int cymx_gpu_lend(cymx_buffer *buffer, void *other_stream, int follow, void **compute_stream, cymx_error *err)
    int cymx_gpu_follow(cymx_buffer *buffer, void *other_stream, cymx_error *err)
    void *cymx_gpu_adopt(
        int32_t device_id, void *data, int64_t nbytes, void (*free_fn)(void *) noexcept nogil, void *owner,
        cymx_error *err)
    void cymx_gpu_give_back(void *block) noexcept
    int cymx_gpu_memory(int32_t device_id, int64_t *free_bytes, int64_t *total_bytes, cymx_error *err)


# ---- for other extensions ----

cdef const cymx_driver *gpu_driver() noexcept nogil:
    return cymx_gpu_driver()


cdef int gpu_begin(
        int32_t device_id, int32_t stream, cymx_buffer **reads, int32_t n_reads, cymx_buffer **writes,
        int32_t n_writes, void **cu_stream, cymx_error *err) noexcept nogil:
    return cymx_gpu_begin(device_id, stream, reads, n_reads, writes, n_writes, cu_stream, err)


cdef void gpu_end(
        int32_t device_id, int32_t stream, cymx_buffer **reads, int32_t n_reads, cymx_buffer **writes,
        int32_t n_writes) noexcept nogil:
    cymx_gpu_end(device_id, stream, reads, n_reads, writes, n_writes)


cdef int gpu_stage(
        int32_t device_id, int32_t stream, uint64_t target, const void *source, int64_t n,
        cymx_error *err) noexcept nogil:
    return cymx_gpu_stage(device_id, stream, target, source, n, err)


cdef int gpu_fail(int32_t device_id, int result, const char *what, cymx_error *err) noexcept nogil:
    return cymx_gpu_fail(device_id, result, what, err)


cdef int gpu_lend(
        cymx_buffer *buffer, void *other_stream, int follow, void **compute_stream, cymx_error *err) noexcept nogil:
    return cymx_gpu_lend(buffer, other_stream, follow, compute_stream, err)


cdef int gpu_follow(cymx_buffer *buffer, void *other_stream, cymx_error *err) noexcept nogil:
    return cymx_gpu_follow(buffer, other_stream, err)


cdef cymx_buffer *gpu_wrap(
        int32_t device_id, void *data, int64_t nbytes, void (*free_fn)(void *) noexcept nogil, void *owner,
        cymx_error *err) noexcept nogil:
    cdef void *block = cymx_gpu_adopt(device_id, data, nbytes, free_fn, owner, err)
    if block is NULL:
        return NULL
    # Without memory for 128 bytes the block stays, and with it what it holds.
    return buffer_wrap_on_device(2, device_id, data, block, nbytes, cymx_gpu_give_back, block, err)


# ---- opening ----

cdef bint table_filled = False


cdef int open_device(int32_t device_id, cymx_gpu_handles *handles, cymx_error *err) noexcept with gil:
    try:
        info = driver.open(device_id)
        fill_table()
        handles.context, handles.pool = <void *><uintptr_t>info.context, <void *><uintptr_t>info.pool
        for i, stream in enumerate(info.streams):
            handles.streams[i] = <void *><uintptr_t>stream
        return CYMX_OK
    except BaseException as error:
        return note_exception(error, err)


cdef int fill_table() except -1:
    cdef void *functions[64]
    cdef int n = 0
    global table_filled
    if table_filled:
        return 0
    names = []
    while cymx_gpu_driver_names[n] is not NULL:
        names.append(cymx_gpu_driver_names[n].decode())
        n += 1
    for i, address in enumerate(driver.addresses(names)):
        functions[i] = <void *><uintptr_t>address
    cymx_gpu_set_driver(functions, n)
    table_filled = True
    return 0


cymx_gpu_set_opener(open_device)
device_register(2, cymx_gpu_ops())


# ---- for Python ----

def memory_info(int32_t device_id=0):
    """Return the free and the total bytes of a GPU's memory, as its driver tells them.  Raises MXNetError."""
    cdef cymx_error err
    cdef int64_t free_bytes, total_bytes
    cdef int code
    with nogil:
        code = cymx_gpu_memory(device_id, &free_bytes, &total_bytes, &err)
    if code:
        raise_error(&err)
    return free_bytes, total_bytes


def open_context(int32_t device_id=0):
    """Open a GPU if it is not.  Raises MXNetError saying what is missing."""
    cdef cymx_error err
    cdef int code
    with nogil:
        code = cymx_gpu_open(device_id, &err)
    if code:
        raise_error(&err)
