"""Calls of cuBLASLt and cuDNN, made once for their shapes and handed to plans.  csrc/gpu/library.h holds the contract.

Called by: gpu/library.py, gpu/_plan.
"""

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memset

from cymx._engine cimport cymx_error, raise_error
from cymx.gpu._device cimport CYMX_STREAM_COMPUTE, gpu_begin, gpu_end

from cymx.base import MXNetError

cdef extern from "gpu/library.h" nogil:
    enum:
        CYMX_CONV_FORWARD
        CYMX_CONV_BACKWARD_DATA
        CYMX_CONV_BACKWARD_WEIGHT

    ctypedef struct cymx_cublaslt:
        int (*cublasLtCreate)(void **handle)

    ctypedef struct cymx_cudnn:
        int (*cudnnCreate)(void **handle)

    ctypedef struct cymx_gemm_settings:
        int64_t type, batch, m, n, k, transpose_a, transpose_b, batched_a, batched_b, tf32, epilogue

    ctypedef struct cymx_conv_settings:
        int64_t which, type, rank
        int64_t x[5]
        int64_t w[5]
        int64_t y[5]
        int64_t pad[3]
        int64_t stride[3]
        int64_t dilation[3]
        int64_t groups, bias, residual, relu, tf32, channels_last

    int cymx_gemm_make(
        const cymx_cublaslt *library, void *handle, const cymx_gemm_settings *settings, cymx_gpu_call *call)
    int cymx_conv_make(
        const cymx_cudnn *library, void *handle, const cymx_conv_settings *settings, cymx_gpu_call *call)


cdef extern from *:
    """
    #include "gpu/library.h"
    #define CYMX_NAME(name, ...) #name,
    static const char *const cublaslt_names[] = {CYMX_CUBLASLT_FUNCTIONS(CYMX_NAME) nullptr};
    static const char *const cudnn_names[] = {CYMX_CUDNN_FUNCTIONS(CYMX_NAME) nullptr};
    #undef CYMX_NAME
    """
    const char *cublaslt_names[]
    const char *cudnn_names[]


cdef cymx_cublaslt CUBLASLT
cdef cymx_cudnn CUDNN


def functions(str library):
    """Return the names of the functions that are used of 'cublaslt' or 'cudnn', in the order that `fill` wants."""
    cdef const char **names = <const char **>cublaslt_names if library == "cublaslt" else <const char **>cudnn_names
    found = []
    while names[len(found)] is not NULL:
        found.append(names[len(found)].decode())
    return found


def fill(str library, addresses):
    """Take the addresses of a library's functions."""
    cdef void **table = <void **>&CUBLASLT if library == "cublaslt" else <void **>&CUDNN
    for i, address in enumerate(addresses):
        table[i] = <void *><uintptr_t>address


cdef class Call:
    """A call made ready; a plan takes it over, once."""

    def __dealloc__(self):
        if self.call.self is not NULL:
            self.call.drop(self.call.self)

    @property
    def workspace_bytes(self):
        """The bytes of memory that the call works in."""
        return self.call.workspace_bytes

    cdef cymx_gpu_call take(self):
        """Hand the call over."""
        cdef cymx_gpu_call call = self.call
        self.call.self = NULL
        return call


cdef class Context:
    """A device's context made current in a `with` block, with the device to itself."""

    cdef int32_t device_id

    def __init__(self, int32_t device_id):
        self.device_id = device_id

    def __enter__(self):
        cdef cymx_error err
        cdef void *stream
        cdef int code
        with nogil:
            code = gpu_begin(self.device_id, CYMX_STREAM_COMPUTE, NULL, 0, NULL, 0, &stream, &err)
        if code:
            raise_error(&err)

    def __exit__(self, *exception):
        gpu_end(self.device_id, CYMX_STREAM_COMPUTE, NULL, 0, NULL, 0)


def open_handle(str library, int32_t device_id):
    """Return a library's handle on a device.  Raises MXNetError with the library's status."""
    cdef void *handle = NULL
    cdef int status
    with Context(device_id):
        status = CUBLASLT.cublasLtCreate(&handle) if library == "cublaslt" else CUDNN.cudnnCreate(&handle)
    if status:
        raise MXNetError(f"{library} does not start on gpu({device_id}): status {status}")
    return <uintptr_t>handle


def make_gemm(int32_t device_id, uintptr_t handle, settings):
    """Return the Call of a matrix product, or None where cuBLASLt has none for it.

    settings: the fields of cymx_gemm_settings, in order.
    """
    cdef cymx_gemm_settings s
    cdef Call call = Call.__new__(Call)
    (s.type, s.batch, s.m, s.n, s.k, s.transpose_a, s.transpose_b, s.batched_a, s.batched_b, s.tf32,
     s.epilogue) = settings
    with Context(device_id):
        status = cymx_gemm_make(&CUBLASLT, <void *>handle, &s, &call.call)
    return call if status == 0 else None


def make_conv(int32_t device_id, uintptr_t handle, settings):
    """Return the Call of a convolution, or None where cuDNN has none for it.

    settings: the fields of cymx_conv_settings, in order; shapes as tuples.
    """
    cdef cymx_conv_settings s
    cdef Call call = Call.__new__(Call)
    memset(&s, 0, sizeof(s))
    which, s.type, s.rank, x, w, y, pad, stride, dilation, *rest = settings
    s.groups, s.bias, s.residual, s.relu, s.tf32, s.channels_last = rest
    s.which = ("conv_fwd", "conv_bwd_data", "conv_bwd_weight").index(which)
    for i in range(s.rank + 2):
        s.x[i], s.w[i], s.y[i] = x[i], w[i], y[i]
    for i in range(s.rank):
        s.pad[i], s.stride[i], s.dilation[i] = pad[i], stride[i], dilation[i]
    with Context(device_id):
        status = cymx_conv_make(&CUDNN, <void *>handle, &s, &call.call)
    return call if status == 0 else None
