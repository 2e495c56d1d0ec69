# What _plan cimports: a library's call, and how it is handed over.
from libc.stdint cimport int64_t, uint64_t

cdef extern from "gpu/library.h" nogil:
    ctypedef struct cymx_gpu_call:
        int (*run)(void *self, const uint64_t *addresses, void *stream) noexcept nogil
        void (*drop)(void *self) noexcept nogil
        void *self
        int64_t workspace_bytes


cdef class Call:
    cdef cymx_gpu_call call

    cdef cymx_gpu_call take(self)
