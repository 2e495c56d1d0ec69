# cython: c_api_binop_methods=True
"""Arithmetic of arrays of one shape, and of arrays and numbers, with no Python frame between the operator and the
kernel.

EagerArray, the base of NDArray, has Python's operators.  What is simple (one class, dtype, shape and context; a number
beside a floating array; memory that the host sees) runs here; the rest goes to the functions that `ndarray` puts into
`general`.

Called by: ndarray.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp

from cymx._array cimport Array, cymx_tensor
from cymx._engine cimport (
    CYMX_TASK_FRESH,
    CYMX_TASK_SMALL,
    CYMX_TASK_TEAM,
    cymx_buffer,
    cymx_error,
    cymx_task,
    push,
    raise_error,
)
from cymx._ops cimport cymx_args, flat_kernel

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
        void *tp_dict

    ctypedef struct wrapperbase:
        pass

    ctypedef struct PyWrapperDescrObject:
        wrapperbase *d_base
        void *d_wrapped

    object PyDescr_NewWrapper(PyTypeObject *cls, wrapperbase *base, void *wrapped)
    void PyType_Modified(PyTypeObject *cls)

# Below this many elements a task may run in the calling thread: about 100 us on one core.
cdef int64_t SMALL = 131072
# From so many on it may be shared among threads.
cdef int64_t TEAM = 32768

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


# One call of the kernel map_flat (flat_params in include/cymx/params.h).
cdef struct EagerTask:
    cymx_tensor operands[3]  # inputs, then the output
    int64_t n_in
    int64_t functor
    int64_t number_at
    double number


cdef int run_eager(void *arg, cymx_error *err) noexcept nogil:
    cdef EagerTask *task = <EagerTask *>arg
    cdef cymx_args args
    args._in, args.n_in = task.operands, task.n_in
    args.out, args.n_out = task.operands + task.n_in, 1
    args.params, args.params_bytes = &task.functor, 24
    args.err = err
    return flat_kernel()(&args)


cdef inline void flatten(cymx_tensor *flat, Array x) noexcept:
    flat.data, flat.dtype, flat.ndim = x.t.data, x.t.dtype, 1
    flat.shape[0] = x.n_elements


cdef int launch(int which, Array lhs, Array rhs, int64_t number_at, double number, Array out, bint is_fresh) except -1:
    """Push `lhs which rhs`, or with a number in the place of one of them, into out; all of one type.

    lhs None: the number alone.
    """
    cdef EagerTask arg
    cdef cymx_buffer *reads[2]
    cdef cymx_task task
    cdef cymx_error err
    cdef int code
    arg.n_in = 0
    if lhs is not None:
        flatten(&arg.operands[0], lhs)
        reads[0] = lhs.ptr
        arg.n_in = 1
    if rhs is not None:
        flatten(&arg.operands[1], rhs)
        reads[1] = rhs.ptr
        arg.n_in = 2
    flatten(&arg.operands[arg.n_in], out)
    arg.functor, arg.number_at, arg.number = FUNCTORS[which], number_at, number
    task.run, task.arg, task.arg_bytes = run_eager, &arg, sizeof(arg)
    task.drop = NULL
    task.reads, task.n_reads = reads, arg.n_in
    task.writes, task.n_writes = &out.ptr, 1
    task.device_type, task.device_id = out.ptr.device_type, out.ptr.device_id
    task.label = LABELS[which]
    task.flags = CYMX_TASK_FRESH if is_fresh else 0
    if out.n_elements >= TEAM:
        task.flags |= CYMX_TASK_TEAM
    if out.n_elements <= SMALL:
        task.flags |= CYMX_TASK_SMALL
        # Too short to be worth letting other threads in.
        code = push(&task, &err)
    else:
        with nogil:
            code = push(&task, &err)
    if code:
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
    cdef int64_t number_at = 1
    if type(lhs) is type(rhs):
        x = <Array>lhs
        if x.ptr.device is NULL and x.n_elements and x.t.dtype != CYMX_BOOL and alike(x, <Array>rhs):
            out = fresh(x)
            launch(which, x, <Array>rhs, -1, 0, out, True)
            return out
        return general[NAMES[which]](lhs, rhs)
    if isinstance(lhs, EagerArray):
        x, other = <Array>lhs, rhs
    else:
        x, other, number_at = <Array>rhs, lhs, 0
    if x.ptr.device is NULL and x.n_elements and takes_number(x, other):
        number = other
        out = fresh(x)
        launch(which, x, None, number_at, number, out, True)
        return out
    return general[NAMES[which]](lhs, rhs)


cdef object in_place(int which, Array self, object other):
    cdef double number
    if self.ptr.device is NULL and self.n_elements and not self.readonly:
        if type(self) is type(other):
            if self.t.dtype != CYMX_BOOL and alike(self, <Array>other) and in_step(self, <Array>other):
                launch(which, self, <Array>other, -1, 0, self, False)
                return self
        elif takes_number(self, other):
            number = other
            launch(which, self, None, 1, number, self, False)
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

    @classmethod
    def filled(cls, tuple shape, str dtype, double number, int32_t device_type=1, int32_t device_id=0):
        """Return an array of class `cls` that holds `number` everywhere.  Raises MemoryError naming the size."""
        cdef Array out = <Array?>cls.empty(shape, dtype, device_type, device_id)
        if out.n_elements:
            launch(IDENTITY, None, None, 0, number, out, True)
        return out

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
            if self.ptr.device is not NULL:
                self.copy_from(<Array>other)
                return True
            launch(IDENTITY, <Array>other, None, -1, 0, self, False)
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


cdef give_slot(str name):
    """Make __name__ of EagerArray the wrapper of its slot, as in Python's own types, instead of a method."""
    # A subclass inherits the slot itself only then; with a method in the class it would look that up at each operation.
    cdef PyTypeObject *cls = <PyTypeObject *>EagerArray
    cdef PyWrapperDescrObject *reflected = <PyWrapperDescrObject *>EagerArray.__dict__[f"__r{name}__"]
    cdef PyWrapperDescrObject *pattern = <PyWrapperDescrObject *>float.__dict__[f"__{name}__"]
    (<dict>cls.tp_dict)[f"__{name}__"] = PyDescr_NewWrapper(cls, pattern.d_base, reflected.d_wrapped)
    PyType_Modified(cls)


for _name in ("add", "sub", "mul", "truediv", "mod", "pow"):
    give_slot(_name)
