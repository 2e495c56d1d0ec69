# What other extensions cimport: the order of work on GPUs.  csrc/gpu/device.h holds the contract.
from libc.stdint cimport int32_t, int64_t, uint64_t

from cymx._engine cimport cymx_buffer, cymx_error

cdef extern from "gpu/driver.h" nogil:
    ctypedef struct cymx_driver:
        int (*cuStreamSynchronize)(void *stream) noexcept nogil
        int (*cuStreamBeginCapture)(void *stream, int mode) noexcept nogil
        int (*cuStreamEndCapture)(void *stream, void **graph) noexcept nogil
        int (*cuStreamIsCapturing)(void *stream, int *status) noexcept nogil
        int (*cuMemcpyDtoDAsync)(uint64_t target, uint64_t source, size_t n, void *stream) noexcept nogil
        int (*cuMemsetD8Async)(uint64_t target, unsigned char value, size_t n, void *stream) noexcept nogil
        int (*cuMemsetD32Async)(uint64_t target, unsigned value, size_t n, void *stream) noexcept nogil
        int (*cuLaunchKernel)(
            void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
            unsigned block_z, unsigned shared_bytes, void *stream, void **params, void **extra) noexcept nogil
        int (*cuGraphInstantiateWithFlags)(void **executable, void *graph, unsigned long long flags) noexcept nogil
        int (*cuGraphLaunch)(void *executable, void *stream) noexcept nogil
        int (*cuGraphUpload)(void *executable, void *stream) noexcept nogil
        int (*cuGraphExecDestroy)(void *executable) noexcept nogil
        int (*cuGraphDestroy)(void *graph) noexcept nogil

cdef extern from "gpu/device.h" nogil:
    enum:
        CYMX_STREAM_COMPUTE
        CYMX_STREAM_UPLOAD
        CYMX_STREAM_DOWNLOAD

# Has the buffer's compute stream, which it returns, wait for all its queued uses, and with `follow` also another
# library's stream; and the other way round.  In a task that writes the buffer.
cdef int gpu_lend(
    cymx_buffer *buffer, void *other_stream, int follow, void **compute_stream, cymx_error *err) noexcept nogil
cdef int gpu_follow(cymx_buffer *buffer, void *other_stream, cymx_error *err) noexcept nogil
# Makes a buffer of foreign memory; its last release waits for its users here, then calls free_fn(owner).
cdef cymx_buffer *gpu_wrap(
    int32_t device_id, void *data, int64_t nbytes, void (*free_fn)(void *) noexcept nogil, void *owner,
    cymx_error *err) noexcept nogil

cdef const cymx_driver *gpu_driver() noexcept nogil
cdef int gpu_begin(
    int32_t device_id, int32_t stream, cymx_buffer **reads, int32_t n_reads, cymx_buffer **writes, int32_t n_writes,
    void **cu_stream, cymx_error *err) noexcept nogil
cdef void gpu_end(
    int32_t device_id, int32_t stream, cymx_buffer **reads, int32_t n_reads, cymx_buffer **writes,
    int32_t n_writes) noexcept nogil
cdef int gpu_stage(
    int32_t device_id, int32_t stream, uint64_t target, const void *source, int64_t n, cymx_error *err) noexcept nogil
cdef int gpu_fail(int32_t device_id, int result, const char *what, cymx_error *err) noexcept nogil
