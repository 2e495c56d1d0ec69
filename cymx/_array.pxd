# What other extensions cimport: Array, and the tensor that describes it.
from libc.stdint cimport int32_t, int64_t

from cymx._engine cimport Buffer


cdef extern from "cymx.h" nogil:
    enum:
        CYMX_MAX_NDIM

    ctypedef struct cymx_tensor:
        void *data
        int32_t dtype
        int32_t ndim
        int64_t shape[8]


cdef class Array:
    cdef cymx_tensor t
    cdef int64_t n_elements
    cdef readonly Buffer buffer
    cdef object cached_shape

    cdef int describe(self, tuple shape, int dtype) except -1
    cdef int copy_in(self, void *source, int64_t n) except -1
