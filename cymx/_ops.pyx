"""The door: everything that launches on the CPU.

Plan holds compiled steps and pushes runs of them to the engine.  `launch` runs one kernel at once on NumPy arrays, for
tests.
Holds no state but the choice of instruction set.  Called by: compiler/plan, ndarray, executor.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, intptr_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cymx._array cimport CYMX_MAX_NDIM, Array, cymx_tensor
from cymx._engine cimport (
    CYMX_TASK_SMALL,
    CYMX_TASK_TEAM,
    Buffer,
    cymx_buffer,
    cymx_error,
    cymx_task,
    push,
    raise_error,
    random_reserve,
)

import struct

from cymx import config
from cymx.base import DTYPE_FLAGS, ArgumentError, MXNetError


cdef extern from "plan.h" nogil:
    ctypedef struct cymx_plan:
        pass

    ctypedef struct cymx_operand:
        cymx_tensor tensor
        int32_t slot
        int64_t offset

    cymx_plan *cymx_plan_new(int32_t n_slots)
    void cymx_plan_retain(cymx_plan *plan)
    void cymx_plan_release(cymx_plan *plan)
    void cymx_plan_add(
        cymx_plan *plan, cymx_kernel kernel, const char *label, const cymx_operand *operands, int32_t n_in, int32_t
        n_out,
        const void *params, int64_t params_bytes, int64_t scratch_offset, int64_t scratch_bytes, uint64_t n_random)
    void cymx_plan_keep(cymx_plan *plan, const int32_t *sources, int32_t n_sources)
    uint64_t cymx_plan_n_random(const cymx_plan *plan, int32_t start, int32_t stop)
    int cymx_plan_run(
        cymx_plan *plan, int32_t start, int32_t stop, void **slots, cymx_buffer **buffers, uint64_t seed,
        uint64_t counter, cymx_error *err)

cdef extern from "dispatch.h" nogil:
    int cymx_isa_select(const char *name, cymx_error *err)
    const char *cymx_isa_name()
    const char *cymx_isa_supported()
    cymx_kernel cymx_kernel_find(const char *name)
    int cymx_kernel_takes_scratch(const char *name)
    int64_t cymx_kernel_scratch_bytes(const char *name, const cymx_args *args)
    int cymx_functor_find(const char *name)
    const char *cymx_functor_describe(int number, int32_t *arity, uint32_t *types)

cdef extern from "onednn.h" nogil:
    int cymx_onednn_load(const char *path, cymx_error *err)
    void cymx_onednn_enable(int on)
    int cymx_onednn_enabled()
    int64_t cymx_onednn_conv_weight_bytes(const cymx_args *args)


# Below this much work (nanoseconds on one core, see compiler/plan.py) a run may take place in the calling thread: a
# worker takes 5 to 20 us to wake,
# and then shares the cores with the thread that woke it.
cdef int64_t SMALL_WORK = 500000
# A step of as much work may be shared among threads; no kernel does that for less.
cdef int64_t TEAM_WORK = 10000


# ---- instruction sets and libraries ----

def isa():
    """Return the instruction set in use, e.g. 'x86-64-v3'."""
    return cymx_isa_name().decode()


def supported_isas():
    """Return the instruction sets that this machine can run, best last."""
    return cymx_isa_supported().decode().split()


def select_isa(name):
    """Use the kernels of one instruction set ('' for the best) in plans made from now on.

    Raises MXNetError for one that cannot run here.
    """
    cdef cymx_error err
    global _flat_kernel
    if cymx_isa_select(name.encode(), &err):
        raise_error(&err)
    _flat_kernel = cymx_kernel_find(b"map_flat")


cdef cymx_kernel _flat_kernel = NULL


cdef cymx_kernel flat_kernel() noexcept nogil:
    return _flat_kernel


_library_tried = False


def load_library():
    """Open oneDNN, once, where it is installed and wanted; without it the portable kernels do the work."""
    global _library_tried
    cdef cymx_error err
    if _library_tried:
        return
    _library_tried = True
    path = config.onednn_path() if config.onednn_wanted() else None
    if path is not None and cymx_onednn_load(path.encode(), &err) == 0:
        cymx_onednn_enable(1)


def onednn(enable=None):
    """Switch oneDNN's kernels on or off for plans made from now on (None: leave it), and return whether they are on."""
    load_library()
    if enable is not None:
        cymx_onednn_enable(1 if enable else 0)
    return bool(cymx_onednn_enabled())


def functor(name):
    """Return the number by which map programs know a functor.  Raises MXNetError for an unknown one."""
    number = cymx_functor_find(name.encode())
    if number < 0:
        raise MXNetError(f"there is no functor {name!r} in include/cymx/map.h")
    return number


def describe_functor(int number):
    """Return the name of a functor, its number of arguments, and the mask of the dtypes it computes in (bit: flag).

    Raises MXNetError where no functor has that number.
    """
    cdef int32_t arity = 0
    cdef uint32_t types = 0
    cdef const char *name = cymx_functor_describe(number, &arity, &types)
    if name is NULL:
        raise MXNetError(f"there is no functor {number} in include/cymx/map.h")
    return (<bytes>name).decode(), arity, types


def has_kernel(name):
    """Tell whether there is a kernel of that name."""
    load_library()
    return cymx_kernel_find(name.encode()) is not NULL


cdef cymx_kernel find_kernel(str name) except NULL:
    load_library()
    cdef cymx_kernel kernel = cymx_kernel_find(name.encode())
    if kernel is NULL:
        raise MXNetError(f"there is no CPU kernel {name!r}")
    return kernel


cdef bytes pack_params(params):
    """Return a parameter block: integers as int64, floats as double; bytes as they are."""
    if isinstance(params, bytes):
        return params
    return struct.pack("=" + "".join("d" if isinstance(p, float) else "q" for p in params), *params)


# ---- plans ----

cdef struct RunTask:
    cymx_plan *plan
    int32_t start
    int32_t stop
    uint64_t seed
    uint64_t counter
    int32_t n_slots
    # then one address for each slot, and one buffer


cdef int run_plan(void *arg, cymx_error *err) noexcept nogil:
    cdef RunTask *task = <RunTask *>arg
    cdef void **slots = <void **>(task + 1)
    return cymx_plan_run(
        task.plan, task.start, task.stop, slots, <cymx_buffer **>(slots + task.n_slots), task.seed, task.counter, err)


cdef void drop_plan(void *arg) noexcept nogil:
    cymx_plan_release((<RunTask *>arg).plan)
    free(arg)


cdef int fill_tensor(cymx_tensor *tensor, shape, dtype) except -1:
    cdef int i
    if len(shape) > CYMX_MAX_NDIM:
        raise ArgumentError(f"a tensor has at most {CYMX_MAX_NDIM} dimensions, came {tuple(shape)}")
    tensor.ndim = len(shape)
    tensor.dtype = DTYPE_FLAGS[dtype]
    tensor.data = NULL
    for i in range(tensor.ndim):
        tensor.shape[i] = shape[i]
    return 0


cdef class Parts:
    """The parts of a plan - the whole (0), forward (1), backward (2) - and the slots that each reads and writes.

    The base of what runs a plan on a device.
    """

    def __cinit__(self, steps, int32_t n_arrays, int32_t split, *args):
        cdef int part
        self.n_arrays, self.n_steps, self.split = n_arrays, len(steps), split
        for part, chosen in enumerate((steps, steps[:split], steps[split:])):
            self.index(part, chosen)

    def __dealloc__(self):
        cdef int part
        for part in range(3):
            free(self.reads[part])
            free(self.writes[part])

    cdef index(self, int part, steps):
        # The arena has a variable too: it keeps two runs of one plan from meeting in it.
        reads = sorted({operand[0] for step in steps for operand in step[2]})
        writes = sorted({operand[0] for step in steps for operand in step[3]} | {self.n_arrays})
        self.n_reads[part], self.n_writes[part] = len(reads), len(writes)
        self.reads[part] = <int32_t *>malloc(sizeof(int32_t) * (len(reads) + 1))
        self.writes[part] = <int32_t *>malloc(sizeof(int32_t) * (len(writes) + 1))
        for i, slot in enumerate(reads):
            self.reads[part][i] = slot
        for i, slot in enumerate(writes):
            self.writes[part][i] = slot

    cdef int first(self, int part) noexcept nogil:
        """Return the number of a part's first step."""
        return self.split if part == 2 else 0

    cdef int last(self, int part) noexcept nogil:
        """Return the number of the step behind a part's last."""
        return self.split if part == 1 else self.n_steps

    cdef int check(self, list arrays) except -1:
        if len(arrays) != self.n_arrays:
            raise MXNetError(f"a plan of {self.n_arrays} arrays was run with {len(arrays)}")
        return 0

    cdef void claim(self, int part, cymx_buffer **buffers, cymx_task *task, cymx_buffer **room) noexcept nogil:
        """Name the buffers that a part reads and writes in the task.

        buffers: one for each slot, null where there is none.   room: for 2 * (n_arrays + 2) of them.
        """
        cdef int32_t i
        cdef cymx_buffer **writes = room + self.n_arrays + 2
        task.n_reads = task.n_writes = 0
        for i in range(self.n_reads[part]):
            if buffers[self.reads[part][i]] is not NULL:
                room[task.n_reads] = buffers[self.reads[part][i]]
                task.n_reads += 1
        for i in range(self.n_writes[part]):
            if buffers[self.writes[part][i]] is not NULL:
                writes[task.n_writes] = buffers[self.writes[part][i]]
                task.n_writes += 1
        task.reads, task.writes = room, writes


@cython.final
cdef class Plan(Parts):
    """Compiled steps on numbered slots: bound arrays first, the arena last.  May be run by many threads.

    steps: (kernel, label, inputs, outputs, params, scratch, n_random, work) with operands (slot, offset in bytes,
    shape, dtype) and scratch (offset in the arena, bytes).
    n_arrays: the number of bound arrays.   split: the number of forward steps.   kept: step -> slots, of steps that run
    again only where an array of these slots was written; all runs are given the same arrays and arena then.
    """

    cdef cymx_plan *ptr
    cdef uint32_t flags[3]  # of the task that runs each part

    def __init__(self, steps, int32_t n_arrays, int32_t split, kept=None):
        cdef int part
        self.ptr = cymx_plan_new(n_arrays + 1)
        for number, step in enumerate(steps):
            kernel, label, inputs, outputs, params, scratch, n_random, _ = step
            self.add(kernel, label, inputs, outputs, params, scratch, n_random)
            if kept and number in kept:
                self.keep(kept[number])
        for part, chosen in enumerate((steps, steps[:split], steps[split:])):
            self.flags[part] = CYMX_TASK_SMALL if sum(step[7] for step in chosen) <= SMALL_WORK else 0
            if any(step[7] >= TEAM_WORK for step in chosen):
                self.flags[part] |= CYMX_TASK_TEAM

    def __dealloc__(self):
        if self.ptr is not NULL:
            cymx_plan_release(self.ptr)

    cdef add(self, kernel, label, inputs, outputs, params, scratch, n_random):
        cdef int n = len(inputs) + len(outputs)
        cdef cymx_operand *operands = <cymx_operand *>malloc(sizeof(cymx_operand) * (n + 1))
        cdef bytes block = pack_params(params)
        cdef int i = 0
        if operands is NULL:
            raise MemoryError("no memory for a plan")
        try:
            for slot, offset, shape, dtype in (*inputs, *outputs):
                fill_tensor(&operands[i].tensor, shape, dtype)
                operands[i].slot, operands[i].offset = slot, offset
                i += 1
            cymx_plan_add(
                self.ptr, find_kernel(kernel), label.encode(), operands, len(inputs), len(outputs),
                <const char *>block, len(block),
                scratch[0], scratch[1], n_random)
        finally:
            free(operands)

    cdef keep(self, sources):
        cdef int32_t *slots = <int32_t *>malloc(sizeof(int32_t) * (len(sources) + 1))
        if slots is NULL:
            raise MemoryError("no memory for a plan")
        for i, slot in enumerate(sources):
            slots[i] = slot
        cymx_plan_keep(self.ptr, slots, len(sources))
        free(slots)

    def run(self, list arrays, Buffer arena, int part=0):
        """Push a run of all steps (part 0), the forward (1) or the backward ones (2).

        arrays: one Array for each slot, of the planned types.   arena: None when the plan needs none.
        Raises MXNetError when the engine refuses; what fails later surfaces at the wait.
        """
        cdef int32_t n = self.n_arrays
        cdef int32_t i
        cdef size_t size = sizeof(RunTask) + 2 * (n + 1) * sizeof(void *)
        cdef RunTask *arg
        cdef void **slots
        cdef cymx_buffer **owners
        cdef cymx_buffer *few[64]
        cdef cymx_buffer **buffers = few
        cdef cymx_task task
        cdef cymx_error err
        cdef Array array
        cdef cymx_buffer *first
        cdef uint64_t n_random
        cdef int code
        self.check(arrays)
        arg = <RunTask *>malloc(size)
        if 3 * (n + 2) > 64:
            buffers = <cymx_buffer **>malloc(sizeof(cymx_buffer *) * 3 * (n + 2))
        if arg is NULL or buffers is NULL:
            free(arg)
            raise MemoryError("no memory to run a plan")
        slots = <void **>(arg + 1)
        owners = <cymx_buffer **>(slots + n + 1)
        for i in range(n):
            array = <Array?>arrays[i]
            slots[i] = array.t.data
            buffers[i] = owners[i] = array.ptr
        slots[n] = NULL
        buffers[n] = NULL
        if arena is not None:
            slots[n] = arena.ptr.data
            buffers[n] = arena.ptr
        first = buffers[0]
        arg.plan, arg.n_slots = self.ptr, n + 1
        arg.start, arg.stop = self.first(part), self.last(part)
        memset(&task, 0, sizeof(task))
        self.claim(part, buffers, &task, buffers + n + 2)
        task.run, task.drop, task.arg = run_plan, drop_plan, arg
        task.device_type, task.device_id = first.device_type, first.device_id
        task.label = b""
        task.flags = self.flags[part]
        n_random = cymx_plan_n_random(self.ptr, arg.start, arg.stop)
        arg.seed = arg.counter = 0
        if n_random:
            random_reserve(first.device_type, first.device_id, n_random, &arg.seed, &arg.counter)
        cymx_plan_retain(self.ptr)
        with nogil:
            code = push(&task, &err)
        if buffers is not few:
            free(buffers)
        if code:
            drop_plan(arg)
            raise_error(&err)


# ---- one kernel, at once ----

def conv_weight_bytes(params, shape, dtype):
    """Return how many bytes oneDNN's kernel `conv_weights` makes of a weight; 0: it stays as it is."""
    cdef bytes block = pack_params(params)
    cdef cymx_tensor weight
    cdef cymx_args args
    load_library()
    fill_tensor(&weight, shape, dtype)
    memset(&args, 0, sizeof(args))
    args._in, args.n_in = &weight, 1
    args.params, args.params_bytes = <const char *>block, len(block)
    return cymx_onednn_conv_weight_bytes(&args)


def scratch_bytes(str name, params, inputs, outputs):
    """Return how much scratch the kernel of that name likes to have for arrays of (shape, dtype).

    It makes do with less, but looks for memory at every run then.
    """
    cdef bytes block, key = name.encode()
    cdef const char *c_name = key
    cdef int n = len(inputs) + len(outputs), i = 0
    cdef cymx_tensor *tensors
    cdef cymx_args args
    cdef int64_t n_bytes
    load_library()
    if not cymx_kernel_takes_scratch(c_name):
        return 0
    block = pack_params(params)
    tensors = <cymx_tensor *>malloc(sizeof(cymx_tensor) * (n + 1))
    try:
        for shape, dtype in (*inputs, *outputs):
            fill_tensor(&tensors[i], shape, dtype)
            i += 1
        memset(&args, 0, sizeof(args))
        args._in, args.out = tensors, tensors + len(inputs)
        args.n_in, args.n_out = len(inputs), len(outputs)
        args.params, args.params_bytes = <const char *>block, len(block)
        with nogil:
            n_bytes = cymx_kernel_scratch_bytes(c_name, &args)
    finally:
        free(tensors)
    return n_bytes


def launch(
        str name, list inputs, list outputs, params=(), uint64_t seed=0, uint64_t counter=0, int64_t scratch_bytes=0):
    """Run kernel `name` on NumPy arrays in the calling thread.

    params: integers and floats of the kernel's block, in order.  Raises MXNetError.
    """
    cdef cymx_kernel kernel = find_kernel(name)
    cdef cymx_tensor *tensors = <cymx_tensor *>malloc(sizeof(cymx_tensor) * (len(inputs) + len(outputs) + 1))
    cdef bytes block = pack_params(params)
    cdef Buffer scratch = Buffer(scratch_bytes)
    cdef cymx_args args
    cdef cymx_error err
    cdef int i = 0
    cdef int code
    try:
        for array in (*inputs, *outputs):
            if not array.flags.c_contiguous:
                raise ArgumentError(f"{name}: array {i} is not C-contiguous")
            fill_tensor(&tensors[i], array.shape, array.dtype.name)
            tensors[i].data = <void *><intptr_t>array.ctypes.data
            i += 1
        memset(&args, 0, sizeof(args))
        args._in, args.out = tensors, tensors + len(inputs)
        args.n_in, args.n_out = len(inputs), len(outputs)
        args.params, args.params_bytes = <const char *>block, len(block)
        args.scratch, args.scratch_bytes = scratch.ptr.data, scratch_bytes
        args.seed, args.counter, args.err = seed, counter, &err
        with nogil:
            code = kernel(&args)
        if code:
            err.code = code
            raise_error(&err)
    finally:
        free(tensors)


select_isa(config.isa())
