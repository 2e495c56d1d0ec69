# cython: c_api_binop_methods=True
"""Arithmetic of arrays of one shape, and of arrays and numbers, with no Python frame between the operator and the
kernel.

EagerArray, the base of NDArray, has Python's operators.  What is simple (one class, dtype, shape and context; a number
beside a floating array) runs here
as a program of one functor; the rest goes to the functions that `ndarray` puts into `general`.  Called by: ndarray.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

from cymx._array cimport Array, cymx_tensor
from cymx._engine cimport CYMX_TASK_SMALL, cymx_buffer, cymx_error, cymx_task, push, raise_error
from cymx._ops cimport cymx_args, map_kernel

from cymx._ops import functor

cdef extern from "cymx.h" nogil:
    enum:
        CYMX_FLOAT32
        CYMX_FLOAT64
        CYMX_FLOAT16
        CYMX_BOOL
        CYMX_BFLOAT16

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        object (*tp_new)(PyTypeObject *cls, object args, void *kwargs)

# Below this many elements a task may run in the calling thread: about 100 us on one core.
cdef int64_t SMALL = 131072

# What `ndarray` answers with where the fast way does not apply: name -> function(lhs, rhs), name_in_place ->
# function(self, other), "get" and "put" for self[key], "copyto" -> function(self, other).
general = {}

cdef tuple NO_ARGUMENTS = ()


cdef enum:
    ADD
    SUB
    MUL
    DIV
    MOD
    POWER
    EQUAL
    NOT_EQUAL
    GREATER
    GREATER_EQUAL
    LESSER
    LESSER_EQUAL
    IDENTITY
    N_OPERATORS

cdef int64_t FUNCTORS[N_OPERATORS]
NAMES = (
    "add", "subtract", "multiply", "divide", "modulo", "power",
    "equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "identity",
)
for _i, _name in enumerate(
    ("add", "sub", "mul", "div", "mod", "power", *NAMES[6:])
):
    FUNCTORS[<int>_i] = functor(_name)


# A program of one functor on vectors, in the words of include/cymx/params.h.
cdef struct EagerTask:
    cymx_tensor operands[3]  # inputs, then the output
    int32_t n_in
    int32_t n_words
    int64_t words[20]


cdef int run_eager(void *arg, cymx_error *err) noexcept nogil:
    cdef EagerTask *task = <EagerTask *>arg
    cdef cymx_args args
    memset(&args, 0, sizeof(args))
    args._in, args.n_in = task.operands, task.n_in
    args.out, args.n_out = task.operands + task.n_in, 1
    args.params, args.params_bytes = task.words, task.n_words * 8
    args.err = err
    return map_kernel()(&args)


cdef void flatten(cymx_tensor *flat, Array x) noexcept:
    flat.data, flat.dtype, flat.ndim = x.t.data, x.t.dtype, 1
    flat.shape[0] = x.n_elements


cdef int launch(int which, Array lhs, Array rhs, const double *number, bint number_first, Array out) except -1:
    """Push `lhs which rhs`, or with a number in the place of rhs, or `which lhs`, into out; all of one type."""
    cdef EagerTask *arg = <EagerTask *>malloc(sizeof(EagerTask))
    cdef int64_t *words
    cdef int64_t n_in = 1 if rhs is None else 2
    cdef int64_t n_const = 0 if number is NULL else 1
    cdef int64_t dtype = lhs.t.dtype
    cdef cymx_buffer *reads[2]
    cdef cymx_buffer *writes[1]
    cdef cymx_task task
    cdef cymx_error err
    cdef int code
    if arg is NULL:
        raise MemoryError("no memory for an operation")
    if dtype == CYMX_FLOAT16 or dtype == CYMX_BFLOAT16:
        dtype = CYMX_FLOAT32
    flatten(&arg.operands[0], lhs)
    if rhs is not None:
        flatten(&arg.operands[1], rhs)
    flatten(&arg.operands[n_in], out)
    arg.n_in = n_in
    words = arg.words
    words[0], words[1], words[2], words[3], words[4], words[5] = 1, n_const, 1, 1, lhs.n_elements, 1
    words += 6
    if rhs is not None:
        words[0] = 1
        words += 1
    if number is not NULL:
        words[0], words[1] = dtype, (<const int64_t *>number)[0]
        words += 2
    words[0], words[1], words[2], words[3] = FUNCTORS[which], dtype, number_first, not number_first
    words[4], words[5] = -1, 2
    if n_in + n_const == 1:
        words[3], words[5] = -1, 1
    arg.n_words = words + 6 - arg.words
    memset(&task, 0, sizeof(task))
    reads[0], task.n_reads = lhs.ptr, n_in
    if rhs is not None:
        reads[1] = rhs.ptr
    writes[0], task.n_writes = out.ptr, 1
    task.run, task.drop, task.arg = run_eager, free, arg
    task.reads, task.writes = reads, writes
    task.device_type, task.device_id = out.ptr.device_type, out.ptr.device_id
    task.label = LABELS[which]
    if out.n_elements <= SMALL:
        task.flags = CYMX_TASK_SMALL
        # Too short to be worth letting other threads in.
        code = push(&task, &err)
    else:
        with nogil:
            code = push(&task, &err)
    if code:
        free(arg)
        raise_error(&err)
    return 0


_labels = [name.encode() for name in NAMES]
cdef const char *LABELS[N_OPERATORS]
for _i in range(N_OPERATORS):
    LABELS[<int>_i] = _labels[_i]


cdef inline bint alike(Array x, Array y) noexcept:
    return (
        x.t.dtype == y.t.dtype
        and x.t.ndim == y.t.ndim
        and memcmp(x.t.shape, y.t.shape, x.t.ndim * sizeof(int64_t)) == 0
        and x.ptr.device_type == y.ptr.device_type
        and x.ptr.device_id == y.ptr.device_id
    )


cdef inline bint takes_number(Array x, object number) noexcept:
    # A number beside an integer array is cut off, which the general way knows; large integers are exact there as well.
    return (
        x.t.dtype in (CYMX_FLOAT32, CYMX_FLOAT64, CYMX_FLOAT16, CYMX_BFLOAT16)
        and (type(number) is float or type(number) is int)
    )


cdef inline Array fresh(Array x):
    """Return an uncleared array of x's class, type and context."""
    cdef object cls = type(x)
    cdef Array out = <Array>(<PyTypeObject *>cls).tp_new(<PyTypeObject *>cls, NO_ARGUMENTS, NULL)
    out.allocate_like(x)
    return out


cdef object compute(int which, object lhs, object rhs):
    cdef Array x, out
    cdef double number
    cdef bint number_first = False
    if type(lhs) is type(rhs):
        x = <Array>lhs
        if x.n_elements and x.t.dtype != CYMX_BOOL and alike(x, <Array>rhs):
            out = fresh(x)
            launch(which, x, <Array>rhs, NULL, False, out)
            return out
        return general[NAMES[which]](lhs, rhs)
    if isinstance(lhs, EagerArray):
        x, other = <Array>lhs, rhs
    else:
        x, other, number_first = <Array>rhs, lhs, True
    if x.n_elements and takes_number(x, other):
        number = other
        out = fresh(x)
        launch(which, x, None, &number, number_first, out)
        return out
    return general[NAMES[which]](lhs, rhs)


cdef object in_place(int which, Array self, object other):
    cdef double number
    if self.n_elements and not self.readonly:
        if type(self) is type(other):
            if self.t.dtype != CYMX_BOOL and alike(self, <Array>other) and in_step(self, <Array>other):
                launch(which, self, <Array>other, NULL, False, self)
                return self
        elif takes_number(self, other):
            number = other
            launch(which, self, None, &number, False, self)
            return self
    return general[NAMES[which] + "_in_place"](self, other)


cdef inline bint in_step(Array x, Array y) noexcept:
    """Tell whether x may be written while y is read, element by element: they are the same memory, or share none."""
    return x.t.data == y.t.data or x.ptr != y.ptr


# Binary methods take their operands in either order (see the directive above), so that Python subclasses inherit the
# slots themselves and no lookup of a method stands between.
@cython.no_gc
cdef class EagerArray(Array):
    """An Array with Python's arithmetic and comparisons."""

    def __getitem__(self, key):
        if type(key) is slice and key.start is None and key.stop is None and key.step is None and self.t.ndim:
            return self.view(self.cached_shape)
        return general["get"](self, key)

    def __setitem__(self, key, value):
        if type(key) is slice and key.start is None and key.stop is None and key.step is None and self.assign(value):
            return
        general["put"](self, key, value)

    def copyto(self, other):
        """Copy the elements into `other` and return it: an array of the same shape, or a context for a new one.

        The target keeps its dtype.   Raises ArgumentError (a ValueError) for one of another shape.
        """
        if other is not self and type(other) is type(self) and (<EagerArray>other).assign(self):
            return other
        return general["copyto"](self, other)

    def assign(self, other):
        """Copy `other` into this array where both are alike; return whether it was done."""
        if type(self) is not type(other) or self.readonly or not alike(self, <Array>other):
            return False
        if self.n_elements and self.t.data != (<Array>other).t.data:
            if not in_step(self, <Array>other):
                return False
            launch(IDENTITY, <Array>other, None, NULL, False, self)
        return True

    def __add__(lhs, rhs):
        return compute(ADD, lhs, rhs)

    def __iadd__(self, other):
        return in_place(ADD, self, other)

    def __sub__(lhs, rhs):
        return compute(SUB, lhs, rhs)

    def __isub__(self, other):
        return in_place(SUB, self, other)

    def __mul__(lhs, rhs):
        return compute(MUL, lhs, rhs)

    def __imul__(self, other):
        return in_place(MUL, self, other)

    def __truediv__(lhs, rhs):
        return compute(DIV, lhs, rhs)

    def __itruediv__(self, other):
        return in_place(DIV, self, other)

    def __mod__(lhs, rhs):
        return compute(MOD, lhs, rhs)

    def __imod__(self, other):
        return in_place(MOD, self, other)

    def __pow__(lhs, rhs, modulo):
        return compute(POWER, lhs, rhs)

    def __eq__(self, other):
        return compute(EQUAL, self, other)

    def __ne__(self, other):
        return compute(NOT_EQUAL, self, other)

    def __gt__(self, other):
        return compute(GREATER, self, other)

    def __ge__(self, other):
        return compute(GREATER_EQUAL, self, other)

    def __lt__(self, other):
        return compute(LESSER, self, other)

    def __le__(self, other):
        return compute(LESSER_EQUAL, self, other)

    def __hash__(self):
        return <Py_hash_t>(<size_t><void *>self >> 4)
