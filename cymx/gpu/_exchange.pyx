"""GPU memory shared with other libraries, by DLPack and __cuda_array_interface__, their streams and ours in order.

Whoever gives memory has the taker's stream wait for what is queued; whoever takes it has its own stream wait for the
giver's.  Taken memory becomes a buffer like any other.  Refuses what is not contiguous, and dtypes that arrays cannot
have.  Called by: ndarray/interop, NDArray.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New, PyCapsule_SetName
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cymx._array cimport Array
from cymx._engine cimport (
    CYMX_TASK_SMALL,
    buffer_expose,
    buffer_release,
    buffer_retain,
    cymx_buffer,
    cymx_error,
    cymx_task,
    push,
    raise_error,
    wait_to_write,
)
from cymx.gpu._device cimport gpu_follow, gpu_lend, gpu_wrap

from cymx.base import DTYPE_FLAGS, NUMPY_DTYPES, ArgumentError
from cymx.gpu import driver

GPU = 2  # the device type of DLPack, as of MXNet
LEGACY_STREAM, NO_STREAM = 1, -1  # as both protocols number them


# ---- DLPack's structures, of versions 0 and 1 ----

cdef struct DLTensor:
    void *data
    int32_t device_type
    int32_t device_id
    int32_t ndim
    uint8_t code
    uint8_t bits
    uint16_t lanes
    int64_t *shape
    int64_t *strides
    uint64_t byte_offset


cdef struct Managed:
    DLTensor tensor
    void *owner
    void (*deleter)(Managed *self) noexcept nogil


cdef struct VersionedManaged:
    uint32_t major
    uint32_t minor
    void *owner
    void (*deleter)(VersionedManaged *self) noexcept nogil
    uint64_t flags
    DLTensor tensor


cdef enum:
    READ_ONLY_FLAG = 1

_DLPACK_DTYPES = {
    "int8": (0, 8), "int32": (0, 32), "int64": (0, 64), "uint8": (1, 8), "float16": (2, 16), "float32": (2, 32),
    "float64": (2, 64), "bfloat16": (4, 16), "bool": (6, 8),
}
_DTYPE_OF = {code: name for name, code in _DLPACK_DTYPES.items()}


# ---- giving ----

cdef struct LendTask:
    cymx_buffer *buffer
    void *other_stream
    bint follow
    void **compute_stream
    cymx_error *kept
    bint *done


cdef int run_lend(void *arg, cymx_error *err) noexcept nogil:
    cdef LendTask *task = <LendTask *>arg
    task.kept.code = gpu_lend(task.buffer, task.other_stream, task.follow, task.compute_stream, task.kept)
    task.done[0] = True
    return 0


def lend(Array x, int64_t stream=NO_STREAM):
    """Have another library's stream wait for all that is queued on the memory of `x`; return our compute stream.

    stream: a handle, 1 the legacy default stream, 2 the calling thread's, or -1 for none.  Our compute stream waits in
    any case.  Raises the error of the array, if it has one.
    """
    cdef LendTask arg
    cdef cymx_task task
    cdef cymx_error err
    cdef cymx_buffer *ptr = x.ptr
    cdef void *compute_stream = NULL
    cdef bint done = False
    cdef int code
    arg.buffer, arg.other_stream, arg.follow = ptr, <void *><uintptr_t>stream, stream != NO_STREAM
    arg.compute_stream, arg.kept, arg.done = &compute_stream, &err, &done
    buffer_expose(ptr)
    memset(&task, 0, sizeof(task))
    task.run, task.arg, task.arg_bytes = run_lend, &arg, sizeof(arg)
    # As a task that reads what it writes, it takes its turn, and is skipped where the array has an error.
    task.reads, task.n_reads, task.writes, task.n_writes = &ptr, 1, &ptr, 1
    task.device_type, task.device_id, task.label = ptr.device_type, ptr.device_id, b"sharing memory"
    task.flags = CYMX_TASK_SMALL
    with nogil:
        code = push(&task, &err)
        if code == 0 and not done:
            code = wait_to_write(ptr, &err)
        elif code == 0:
            code = err.code
    if code:
        raise_error(&err)
    return <uintptr_t>compute_stream


cdef void release_lent(Managed *managed) noexcept nogil:
    # Who took it by the legacy default stream may still use it there; other streams may be no more.
    cdef cymx_error ignored
    cdef cymx_buffer *ptr = <cymx_buffer *>managed.owner
    gpu_follow(ptr, <void *><uintptr_t>1, &ignored)
    buffer_release(ptr)
    free(managed)


cdef void drop_capsule(object capsule) noexcept:
    cdef Managed *managed
    if PyCapsule_IsValid(capsule, b"dltensor"):  # nobody took it
        managed = <Managed *>PyCapsule_GetPointer(capsule, b"dltensor")
        managed.deleter(managed)


def to_dlpack(Array x, int64_t stream=LEGACY_STREAM):
    """Return a DLPack capsule on the memory of `x`; `stream`, as `lend` takes it, waits for what is queued there."""
    cdef int i
    cdef int n = x.t.ndim
    cdef int64_t stride = 1
    cdef Managed *managed
    lend(x, stream)
    managed = <Managed *>malloc(sizeof(Managed) + 2 * n * sizeof(int64_t))
    if managed is NULL:
        raise MemoryError("no memory for a DLPack capsule")
    memset(managed, 0, sizeof(Managed))
    managed.tensor.data, managed.tensor.device_type, managed.tensor.device_id = x.t.data, GPU, x.ptr.device_id
    managed.tensor.ndim, managed.tensor.lanes = n, 1
    managed.tensor.code, managed.tensor.bits = _DLPACK_DTYPES[x.dtype_name]
    managed.tensor.shape = <int64_t *>(managed + 1)
    managed.tensor.strides = managed.tensor.shape + n
    for i in range(n - 1, -1, -1):
        managed.tensor.shape[i], managed.tensor.strides[i] = x.t.shape[i], stride
        stride *= x.t.shape[i]
    buffer_retain(x.ptr)
    managed.owner, managed.deleter = x.ptr, release_lent
    return PyCapsule_New(managed, b"dltensor", drop_capsule)


# ---- taking ----

def compute_stream(int32_t device_id):
    """Return the handle of the stream on which a GPU computes, for whoever gives memory."""
    return driver.open(device_id).streams[0]


def capsule_device(capsule):
    """Return the device (type, id) of an unused DLPack capsule.  Raises ArgumentError for anything else."""
    cdef DLTensor *tensor = tensor_of(capsule)
    return tensor.device_type, tensor.device_id


cdef DLTensor *tensor_of(capsule) except NULL:
    cdef VersionedManaged *versioned
    if PyCapsule_IsValid(capsule, b"dltensor"):
        return &(<Managed *>PyCapsule_GetPointer(capsule, b"dltensor")).tensor
    if PyCapsule_IsValid(capsule, b"dltensor_versioned"):
        versioned = <VersionedManaged *>PyCapsule_GetPointer(capsule, b"dltensor_versioned")
        if versioned.major > 1:
            raise ArgumentError(f"from_dlpack: the capsule is of DLPack {versioned.major}, expected 0 or 1")
        return &versioned.tensor
    raise ArgumentError(f"from_dlpack: {capsule!r:.80} came, expected a DLPack capsule that nobody has taken")


cdef void release_taken(void *owner) noexcept nogil:
    cdef Managed *managed = <Managed *>owner
    if managed.deleter is not NULL:
        managed.deleter(managed)


cdef void release_versioned(void *owner) noexcept nogil:
    cdef VersionedManaged *managed = <VersionedManaged *>owner
    if managed.deleter is not NULL:
        managed.deleter(managed)


def from_dlpack(cls, capsule, int64_t stream=LEGACY_STREAM):
    """Return an array of class `cls` on the GPU memory of a capsule; it lives as long as the array.

    stream: the one that the giver's work is queued on, for which ours waits; a giver that was told of our compute
    stream has had that wait: then it is that one.  Raises ArgumentError.
    """
    cdef DLTensor *tensor = tensor_of(capsule)
    cdef bint versioned = PyCapsule_IsValid(capsule, b"dltensor_versioned")
    cdef bint readonly = False
    cdef void *owner
    cdef int i
    cdef Array x
    shape = tuple([tensor.shape[i] for i in range(tensor.ndim)])
    dtype = _DTYPE_OF.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    if tensor.device_type != GPU or dtype is None:
        raise ArgumentError(
            f"from_dlpack: device type {tensor.device_type}, dtype code {tensor.code} of {tensor.bits} bits and "
            f"{tensor.lanes} lanes came, expected {GPU} and one of {', '.join(_DLPACK_DTYPES)}")
    if tensor.strides is not NULL:
        check_strides("from_dlpack", shape, tuple([tensor.strides[i] for i in range(tensor.ndim)]), 1)
    if versioned:
        owner = PyCapsule_GetPointer(capsule, b"dltensor_versioned")
        readonly = (<VersionedManaged *>owner).flags & READ_ONLY_FLAG
    else:
        owner = PyCapsule_GetPointer(capsule, b"dltensor")
    data = <uintptr_t>tensor.data + tensor.byte_offset
    x = wrap(
        cls, shape, dtype, data, tensor.device_id, release_versioned if versioned else release_taken, owner)
    PyCapsule_SetName(capsule, b"used_dltensor_versioned" if versioned else b"used_dltensor")
    x.readonly = readonly
    follow(x, stream)
    return x


cdef void release_object(void *owner) noexcept with gil:
    Py_DECREF(<object>owner)


def from_interface(cls, obj):
    """Return an array of class `cls` on the memory of an object with __cuda_array_interface__; it keeps the object.

    Our work waits for what is queued on the stream that the object names.  Raises ArgumentError.
    """
    cdef Array x
    given = obj.__cuda_array_interface__
    shape, (address, readonly) = tuple(given["shape"]), given["data"]
    names = {dtype.str: name for name, dtype in NUMPY_DTYPES.items() if name != "bfloat16"}
    dtype = names.get(given["typestr"])
    if dtype is None:
        raise ArgumentError(f"__cuda_array_interface__: typestr is {given['typestr']!r}, expected {', '.join(names)}")
    if given.get("mask") is not None:
        raise ArgumentError("__cuda_array_interface__: the memory has a mask, expected none")
    if given.get("strides") is not None:
        check_strides("__cuda_array_interface__", shape, tuple(given["strides"]), NUMPY_DTYPES[dtype].itemsize)
    device_id = driver.device_of(address) if address else 0
    x = wrap(cls, shape, dtype, address, device_id, <void (*)(void *) noexcept nogil>release_object, <void *>obj)
    Py_INCREF(obj)
    x.readonly = readonly
    if given.get("stream") is not None:
        follow(x, given["stream"])
    return x


cdef check_strides(what, shape, strides, stride):
    """Refuse strides that are not those of a contiguous row-major array; those of axes of one element do not matter."""
    wanted = []
    for n in reversed(shape):
        wanted.append(stride)
        stride *= n
    wanted.reverse()
    if 0 not in shape and any(n > 1 and s != w for n, s, w in zip(shape, strides, wanted)):
        raise ArgumentError(f"{what}: strides are {strides} for shape {shape}, expected {tuple(wanted)}: copy it first")


cdef Array wrap(
        cls, shape, dtype, uintptr_t data, int32_t device_id, void (*free_fn)(void *) noexcept nogil, void *owner):
    cdef Array x = cls.__new__(cls)
    cdef cymx_error err
    x.describe(shape, DTYPE_FLAGS[dtype])
    x.ptr = gpu_wrap(device_id, <void *>data, x.nbytes, free_fn, owner, &err)
    if x.ptr is NULL:
        raise_error(&err)
    x.t.data = x.ptr.data
    return x


cdef int follow(Array x, int64_t stream) except -1:
    cdef cymx_error err
    cdef int code
    with nogil:
        code = gpu_follow(x.ptr, <void *><uintptr_t>stream, &err)
    if code:
        raise_error(&err)
    return 0
