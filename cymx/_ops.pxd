# What other extensions cimport: Array, the base of NDArray, and the C side of plans.
from libc.stdint cimport int32_t, int64_t, uint64_t

from cymx._engine cimport Buffer, cymx_error


cdef extern from "cymx.h" nogil:
    enum:
        CYMX_MAX_NDIM

    ctypedef struct cymx_tensor:
        void *data
        int32_t dtype
        int32_t ndim
        int64_t shape[8]

    ctypedef struct cymx_args:
        const cymx_tensor *_in "in"
        const cymx_tensor *out
        int32_t n_in
        int32_t n_out
        const void *params
        int64_t params_bytes
        void *scratch
        uint64_t seed
        uint64_t counter
        cymx_error *err

    ctypedef int (*cymx_kernel)(const cymx_args *) noexcept nogil


cdef class Array:
    cdef cymx_tensor t
    cdef int64_t n_elements
    cdef readonly Buffer buffer
    cdef object cached_shape

    cdef int describe(self, tuple shape, int dtype) except -1
    cdef int copy_in(self, void *source, int64_t n) except -1
