# What other extensions cimport: the form of a kernel, and the kernel that runs programs of functors.
from libc.stdint cimport int32_t, int64_t, uint64_t

from cymx._array cimport cymx_tensor
from cymx._engine cimport cymx_error


cdef extern from "cymx.h" nogil:
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

# The "map" kernel of the instruction set in use.
cdef cymx_kernel map_kernel() noexcept nogil
