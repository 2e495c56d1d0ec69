# What other extensions cimport: Buffer, and the engine's C functions.
# They live in _engine only; csrc/engine/engine.h holds their contract.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "cymx.h" nogil:
    enum:
        CYMX_OK
        CYMX_FAILED
        CYMX_BAD_ARGUMENT
        CYMX_OUT_OF_MEMORY
        CYMX_UNSUPPORTED
        CYMX_TASK_SMALL
        CYMX_TASK_FRESH
        CYMX_TASK_TEAM

    ctypedef struct cymx_error:
        int32_t code
        char message[1020]

    ctypedef struct cymx_buffer:
        void *data
        int64_t bytes
        int32_t device_type
        int32_t device_id
        uint64_t version
        int32_t exposed
        void *device

    ctypedef struct cymx_task:
        int (*run)(void *arg, cymx_error *err) noexcept nogil
        void (*drop)(void *arg) noexcept nogil
        void *arg
        cymx_buffer **reads
        cymx_buffer **writes
        int32_t n_reads
        int32_t n_writes
        int32_t device_type
        int32_t device_id
        const char *label
        uint32_t flags
        int32_t arg_bytes

cdef extern from "engine/engine.h" nogil:
    ctypedef struct cymx_device_ops:
        pass

cdef class Buffer:
    cdef cymx_buffer *ptr
    cdef bint readonly

    # Takes over one reference; null must have been handled by the caller.
    @staticmethod
    cdef Buffer adopt(cymx_buffer *ptr)

cdef cymx_buffer *buffer_new(int32_t device_type, int32_t device_id, int64_t nbytes, cymx_error *err) noexcept nogil
cdef void buffer_retain(cymx_buffer *buffer) noexcept nogil
cdef void buffer_release(cymx_buffer *buffer) noexcept nogil
cdef void buffer_expose(cymx_buffer *buffer) noexcept nogil
# Tells whether every task runs, to its end, in the thread that pushes it.
cdef bint naive() noexcept nogil
cdef int push(const cymx_task *task, cymx_error *err) noexcept nogil
cdef int wait_to_read(cymx_buffer *buffer, cymx_error *err) noexcept nogil
cdef int wait_to_write(cymx_buffer *buffer, cymx_error *err) noexcept nogil
cdef int copy_bytes(
    cymx_buffer *dst, void *dst_at, cymx_buffer *src, const void *src_at, int64_t nbytes,
    cymx_error *err) noexcept nogil
cdef void device_register(int32_t device_type, const cymx_device_ops *ops) noexcept nogil
cdef cymx_buffer *buffer_wrap_on_device(
    int32_t device_type, int32_t device_id, void *data, void *block, int64_t nbytes,
    void (*free_fn)(void *) noexcept nogil, void *owner, cymx_error *err) noexcept nogil
cdef void random_reserve(
    int32_t device_type, int32_t device_id, uint64_t n, uint64_t *seed, uint64_t *counter) noexcept nogil

# Raises BufferError for memory that the host cannot see.
cdef int refuse_device(const cymx_buffer *ptr) except -1

# Fills err from an exception and returns its code.
cdef int note_exception(error, cymx_error *err) noexcept

# Raises MemoryError for CYMX_OUT_OF_MEMORY, else MXNetError.
cdef int raise_error(const cymx_error *err) except -1
