"""Array, the base of NDArray: a contiguous piece of a Buffer with a shape and a dtype.

It waits and copies in the engine's order; it launches nothing.  Called by: _ops, ndarray.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t, intptr_t
from libc.string cimport memset

from cymx._engine cimport (
    CYMX_TASK_SMALL,
    Buffer,
    buffer_expose,
    buffer_new,
    buffer_release,
    buffer_retain,
    copy_bytes,
    cymx_buffer,
    cymx_error,
    cymx_task,
    push,
    raise_error,
    refuse_device,
    wait_to_read,
    wait_to_write,
)

import numpy as np

from cymx.base import DTYPE_FLAGS, DTYPE_NAMES, NUMPY_DTYPES, ArgumentError

cdef int64_t ITEM_BYTES[13]
memset(ITEM_BYTES, 0, sizeof(ITEM_BYTES))
for _name, _flag in DTYPE_FLAGS.items():
    ITEM_BYTES[<int>_flag] = NUMPY_DTYPES[_name].itemsize

# A copy of no more bytes than this may run in the calling thread.
cdef int64_t SMALL_BYTES = 1 << 20

# The struct codes by which the buffer protocol names dtypes.  bfloat16 has none.
cdef char *FORMATS[13]
FORMATS[0], FORMATS[1], FORMATS[2], FORMATS[3], FORMATS[4] = b"f", b"d", b"e", b"B", b"i"
FORMATS[5], FORMATS[6], FORMATS[7] = b"b", b"q", b"?"


# A null buffer is memory of NumPy's.
cdef struct CopyTask:
    cymx_buffer *target_buffer
    void *target
    cymx_buffer *source_buffer
    void *source
    int64_t n
    bint *done  # of whoever waits for the task; may be null
    cymx_error *kept  # where the task reads only, and nobody else would hear of its failure


cdef int run_copy(void *arg, cymx_error *err) noexcept nogil:
    cdef CopyTask *task = <CopyTask *>arg
    cdef int code = copy_bytes(
        task.target_buffer, task.target, task.source_buffer, task.source, task.n, task.kept if task.kept else err)
    if task.done:
        task.done[0] = True
    if task.kept:
        task.kept.code = code
        return 0
    return code


@cython.no_gc
cdef class Array:
    """A contiguous row-major array on a Buffer; views share the Buffer.  The base of NDArray."""

    @classmethod
    def empty(cls, tuple shape, str dtype, int32_t device_type=1, int32_t device_id=0):
        """Return an uninitialised array of class `cls`.  Raises MemoryError naming the size."""
        cdef Array self = cls.__new__(cls)
        self.describe(shape, DTYPE_FLAGS[dtype])
        self.allocate(device_type, device_id)
        return self

    def __dealloc__(self):
        if self.ptr is not NULL:
            buffer_release(self.ptr)

    cdef int allocate(self, int32_t device_type, int32_t device_id) except -1:
        cdef cymx_error err
        self.ptr = buffer_new(device_type, device_id, self.n_elements * ITEM_BYTES[self.t.dtype], &err)
        if self.ptr is NULL:
            raise_error(&err)
        self.t.data = self.ptr.data
        return 0

    cdef int allocate_like(self, Array other) except -1:
        self.t = other.t
        self.n_elements, self.cached_shape = other.n_elements, other.cached_shape
        return self.allocate(other.ptr.device_type, other.ptr.device_id)

    cdef int share(self, cymx_buffer *ptr, int64_t offset_bytes) noexcept:
        buffer_retain(ptr)
        self.ptr = ptr
        self.t.data = <char *>ptr.data + offset_bytes
        return 0

    @classmethod
    def wrap(cls, obj, int32_t device_type=1, int32_t device_id=0):
        """Return an array over the memory of a C-contiguous NumPy array, without copying; keeps it alive."""
        cdef Array self = cls.__new__(cls)
        name = obj.dtype.name
        if name not in DTYPE_FLAGS:
            raise ArgumentError(f"wrap: dtype is {name}, expected one of {', '.join(DTYPE_FLAGS)}")
        if not obj.flags.c_contiguous:
            raise ArgumentError("wrap: the array is not C-contiguous")
        self.describe(tuple(obj.shape), DTYPE_FLAGS[name])
        cdef Buffer buffer = Buffer.wrap(obj.view(np.uint16) if name == "bfloat16" else obj, device_type, device_id)
        self.share(buffer.ptr, 0)
        self.readonly = buffer.readonly
        return self

    cdef int describe(self, tuple shape, int dtype) except -1:
        cdef int64_t n = 1
        cdef int64_t size
        cdef int i = 0
        if len(shape) > CYMX_MAX_NDIM:
            raise ArgumentError(f"an array has at most {CYMX_MAX_NDIM} dimensions, came {len(shape)}: {shape}")
        for dim in shape:
            size = dim
            if size < 0:
                raise ArgumentError(f"shape is {shape}, expected no negative dimension")
            if size and n > (1 << 60) // size:
                raise MemoryError(f"an array of shape {shape} does not fit into memory")
            self.t.shape[i] = size
            n *= size
            i += 1
        self.t.ndim = i
        self.t.dtype = dtype
        self.n_elements = n
        self.cached_shape = shape
        return 0

    def view(self, tuple shape, int64_t offset=0):
        """Return an array of the same class on the same memory, `offset` elements from this one's start.

        Raises ArgumentError outside it.
        """
        cdef Array other = type(self).__new__(type(self))
        other.describe(shape, self.t.dtype)
        if offset < 0 or offset + other.n_elements > self.n_elements:
            raise ArgumentError(
                f"a view of shape {shape} at element {offset} does not lie inside an array of {self.cached_shape}")
        other.share(self.ptr, <char *>self.t.data - <char *>self.ptr.data + offset * ITEM_BYTES[self.t.dtype])
        other.readonly = self.readonly
        return other

    @property
    def buffer(self):
        """The Buffer that holds the elements, and perhaps those of other arrays."""
        buffer_retain(self.ptr)
        cdef Buffer buffer = Buffer.adopt(self.ptr)
        buffer.readonly = self.readonly
        return buffer

    @property
    def shape(self):
        """The dimensions, outermost first."""
        return self.cached_shape

    @property
    def ndim(self):
        """The number of dimensions."""
        return self.t.ndim

    @property
    def size(self):
        """The number of elements."""
        return self.n_elements

    @property
    def nbytes(self):
        """The bytes of all elements."""
        return self.n_elements * ITEM_BYTES[self.t.dtype]

    @property
    def dtype_name(self):
        """The dtype's name, e.g. 'float32'."""
        return DTYPE_NAMES[self.t.dtype]

    @property
    def device_type(self):
        """MXNet's device number: 1 cpu, 2 gpu, 3 cpu_pinned, 5 cpu_shared."""
        return self.ptr.device_type

    @property
    def device_id(self):
        """The device's id."""
        return self.ptr.device_id

    @property
    def address(self):
        """The address of the first element."""
        return <intptr_t>self.t.data

    @property
    def writable(self):
        """Whether the elements may be changed."""
        return not self.readonly

    def overlaps(self, Array other):
        """Tell whether two arrays share memory."""
        cdef char *a = <char *>self.t.data
        cdef char *b = <char *>other.t.data
        return (
            a < b + other.n_elements * ITEM_BYTES[other.t.dtype] and b < a + self.n_elements * ITEM_BYTES[self.t.dtype])

    def wait_to_read(self):
        """Wait until all pending writes are done.  Raises the error that the last one left."""
        self.buffer.wait_to_read()

    def wait_to_write(self):
        """Wait until all pending reads and writes are done.  Raises the error that the last write left."""
        self.buffer.wait_to_write()

    def read(self):
        """Return the elements as a new NumPy array.

        Waits for pending writes; raises the error that the last one left.
        """
        result = np.empty(self.cached_shape, NUMPY_DTYPES[DTYPE_NAMES[self.t.dtype]])
        self.copy_out(<void *><intptr_t>result.ctypes.data)
        return result

    cdef int copy_out(self, void *target) except -1:
        # As a task, so that no other thread's run writes the elements meanwhile.
        cdef CopyTask arg
        cdef cymx_task task
        cdef cymx_error err
        cdef cymx_buffer *ptr = self.ptr
        cdef bint done = False
        cdef int code = 0
        memset(&arg, 0, sizeof(arg))
        arg.target, arg.source_buffer, arg.source, arg.n = target, ptr, self.t.data, self.nbytes
        arg.done, arg.kept = &done, &err
        memset(&task, 0, sizeof(task))
        task.run, task.arg = run_copy, &arg
        task.reads, task.n_reads = &ptr, 1
        task.device_type, task.device_id = ptr.device_type, ptr.device_id
        task.label, task.flags = b"copy", CYMX_TASK_SMALL
        with nogil:
            # A device's own wait comes with the copy.
            if ptr.device is NULL:
                code = wait_to_read(ptr, &err)
            if code == 0:
                code = push(&task, &err)
                if code == 0 and not done:
                    # Queued, or skipped: whoever waits for all users of the memory waits for this task.
                    code = wait_to_write(ptr, &err)
                elif code == 0:
                    code = err.code
        if code:
            raise_error(&err)
        return 0

    def write(self, source):
        """Copy in the bytes of a C-contiguous object of the same size.

        Waits for pending users; clears an earlier error of the whole array.
        """
        cdef Py_buffer view
        cdef int64_t n = self.n_elements * ITEM_BYTES[self.t.dtype]
        PyObject_GetBuffer(source, &view, PyBUF_C_CONTIGUOUS)
        try:
            if view.len != n:
                raise ArgumentError(
                    f"write: {view.len} bytes came, expected {n} for shape {self.cached_shape} of {self.dtype_name}")
            self.copy_in(view.buf, n)
        finally:
            PyBuffer_Release(&view)

    cdef int copy_in(self, void *source, int64_t n) except -1:
        # As a task, so that it takes its turn and clears poison; waited for, because the source may change afterwards.
        self.push_copy(NULL, source, n, True)
        return 0

    def copy_from(self, Array other):
        """Copy in the elements of an array of the same size and dtype, on any context, in the engine's order.

        Raises ArgumentError where they differ; what fails later surfaces at the wait.
        """
        if other.t.dtype != self.t.dtype or other.n_elements != self.n_elements:
            raise ArgumentError(
                f"copy_from: {other.n_elements} elements of {other.dtype_name} came, expected {self.n_elements} of "
                f"{self.dtype_name}")
        if self.readonly:
            raise ArgumentError("copy_from: the array wraps read-only memory")
        self.push_copy(other.ptr, other.t.data, self.nbytes, False)

    cdef int push_copy(self, cymx_buffer *source_buffer, void *source, int64_t n, bint wait) except -1:
        cdef CopyTask arg
        cdef cymx_task task
        cdef cymx_error err
        cdef cymx_buffer *ptr = self.ptr
        cdef cymx_buffer *where = source_buffer if ptr.device is NULL and source_buffer is not NULL else ptr
        cdef cymx_buffer *reads[2]
        cdef bint done = False
        cdef int code
        memset(&arg, 0, sizeof(arg))
        arg.target_buffer, arg.target, arg.source_buffer, arg.source, arg.n = ptr, self.t.data, source_buffer, source, n
        if wait:
            arg.done = &done
        memset(&task, 0, sizeof(task))
        task.run, task.arg, task.arg_bytes = run_copy, &arg, sizeof(arg)
        task.writes, task.n_writes, task.reads = &ptr, 1, reads
        if source_buffer is not NULL:
            reads[0] = source_buffer
            task.n_reads = 1
        # A partial write reads the rest: poison elsewhere in the buffer stays.
        if n < ptr.bytes:
            reads[task.n_reads] = ptr
            task.n_reads += 1
        task.device_type, task.device_id, task.label = where.device_type, where.device_id, b"copy"
        # A download waits for the device, and must not hold up this thread.
        if wait or ptr.device is not NULL or n <= SMALL_BYTES and where.device is NULL:
            task.flags = CYMX_TASK_SMALL
        with nogil:
            code = push(&task, &err)
        if code:
            raise_error(&err)
        # On a device the copy has its place in the order by now, and the source is free again.
        if wait and not (done and ptr.device is not NULL):
            with nogil:
                code = wait_to_read(ptr, &err)
            if code:
                raise_error(&err)
        return 0

    def __getbuffer__(self, Py_buffer *view, int flags):
        cdef int i
        cdef int64_t stride = ITEM_BYTES[self.t.dtype]
        cdef Py_ssize_t *dims
        refuse_device(self.ptr)
        if flags & PyBUF_FORMAT and FORMATS[self.t.dtype] is NULL:
            raise BufferError(f"the buffer protocol has no {self.dtype_name}")
        if flags & PyBUF_WRITABLE and self.readonly:
            raise BufferError("the array wraps read-only memory")
        # Whoever gets the memory may write it, unless it is read-only.
        self.buffer.wait_to_write()
        if not self.readonly:
            buffer_expose(self.ptr)
        dims = <Py_ssize_t *>PyMem_Malloc(sizeof(Py_ssize_t) * 2 * (self.t.ndim + 1))
        if dims is NULL:
            raise MemoryError("no memory for a view")
        for i in range(self.t.ndim - 1, -1, -1):
            dims[i] = self.t.shape[i]
            dims[self.t.ndim + i] = stride
            stride *= self.t.shape[i]
        view.buf, view.obj, view.len = self.t.data, self, self.n_elements * ITEM_BYTES[self.t.dtype]
        view.itemsize, view.readonly, view.ndim = ITEM_BYTES[self.t.dtype], self.readonly, self.t.ndim
        view.format = NULL
        view.shape = NULL
        view.strides = NULL
        if flags & PyBUF_FORMAT:
            view.format = FORMATS[self.t.dtype]
        if flags & PyBUF_ND:
            view.shape = dims
        if (flags & PyBUF_STRIDES) == PyBUF_STRIDES:
            view.strides = dims + self.t.ndim
        view.suboffsets = NULL
        view.internal = dims

    def __releasebuffer__(self, Py_buffer *view):
        PyMem_Free(view.internal)


def signature(inputs):
    """Return where arrays lie, as (device type, device id), and the (shape, dtype) of each.

    None stands for the device of arrays that lie on several.   inputs: at least one array.
    """
    cdef Array x
    cdef cymx_buffer *first = NULL
    cdef bint together = True
    cdef list types = []
    for item in inputs:
        x = <Array?>item
        if first is NULL:
            first = x.ptr
        elif x.ptr.device_type != first.device_type or x.ptr.device_id != first.device_id:
            together = False
        types.append((x.cached_shape, DTYPE_NAMES[x.t.dtype]))
    return (first.device_type, first.device_id) if together else None, tuple(types)
