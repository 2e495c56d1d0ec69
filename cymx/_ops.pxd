# What other extensions cimport: the form of a kernel, the kernel that runs one functor, and the base of plans.
from libc.stdint cimport int32_t, int64_t, uint64_t

from cymx._array cimport cymx_tensor
from cymx._engine cimport cymx_buffer, cymx_error, cymx_task


cdef extern from "cymx.h" nogil:
    ctypedef struct cymx_args:
        const cymx_tensor *_in "in"
        const cymx_tensor *out
        int32_t n_in
        int32_t n_out
        const void *params
        int64_t params_bytes
        void *scratch
        int64_t scratch_bytes
        uint64_t seed
        uint64_t counter
        cymx_error *err

    ctypedef int (*cymx_kernel)(const cymx_args *) noexcept nogil

# The kernel "map_flat" of the instruction set in use.
cdef cymx_kernel flat_kernel() noexcept nogil

cdef class Parts:
    cdef readonly int32_t n_arrays, n_steps, split
    cdef int32_t n_reads[3]
    cdef int32_t n_writes[3]
    cdef int32_t *reads[3]
    cdef int32_t *writes[3]

    cdef index(self, int part, steps)
    cdef int first(self, int part) noexcept nogil
    cdef int last(self, int part) noexcept nogil
    cdef int check(self, list arrays) except -1
    cdef void claim(self, int part, cymx_buffer **buffers, cymx_task *task, cymx_buffer **room) noexcept nogil
