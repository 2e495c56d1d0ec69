# What other extensions cimport: Array, and the tensor that describes it.
cimport cython
from libc.stdint cimport int32_t, int64_t

from cymx._engine cimport cymx_buffer


cdef extern from "cymx.h" nogil:
    enum:
        CYMX_MAX_NDIM

    ctypedef struct cymx_tensor:
        void *data
        int32_t dtype
        int32_t ndim
        int64_t shape[8]


# No cycle can go through an array: it holds a shape and nothing else of Python's.
@cython.no_gc
cdef class Array:
    cdef cymx_tensor t
    cdef int64_t n_elements
    cdef cymx_buffer *ptr  # one reference is this array's
    cdef bint readonly
    cdef tuple cached_shape
    cdef object __weakref__

    # Makes this array's shape and memory like another's, uncleared.
    cdef int allocate_like(self, Array other) except -1
    cdef int allocate(self, int32_t device_type, int32_t device_id) except -1
    cdef int share(self, cymx_buffer *ptr, int64_t offset_bytes) noexcept
    cdef int describe(self, tuple shape, int dtype) except -1
    cdef int copy_out(self, void *target) except -1
    cdef int copy_in(self, void *source, int64_t n) except -1
    # Queues a copy into the first n bytes; a null source_buffer is memory of the caller's, and needs wait=True.
    cdef int push_copy(self, cymx_buffer *source_buffer, void *source, int64_t n, bint wait) except -1
