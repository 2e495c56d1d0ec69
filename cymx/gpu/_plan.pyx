"""Plan: a compiled plan on a GPU, pushed to the engine, which queues or replays it on the device's compute stream.

The twin of _ops.Plan, which runs on the CPU.  Called by: gpu/plan.py.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, intptr_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cymx._array cimport Array
from cymx._engine cimport (
    CYMX_FAILED,
    CYMX_TASK_SMALL,
    Buffer,
    cymx_buffer,
    cymx_error,
    cymx_task,
    naive,
    push,
    raise_error,
    random_reserve,
)
from cymx._ops cimport Parts
from cymx.gpu._device cimport (
    CYMX_STREAM_COMPUTE,
    cymx_driver,
    gpu_begin,
    gpu_driver,
    gpu_end,
    gpu_fail,
    gpu_stage,
)
from cymx.gpu._library cimport Call, cymx_gpu_call

from cymx.gpu.recipe import Fill, In, Out, RandomState, Scratch, as_bytes

cdef extern from "gpu/plan.h" nogil:
    ctypedef struct cymx_gpu_plan:
        pass

    ctypedef struct cymx_gpu_arg:
        int32_t slot
        int32_t nbytes "bytes"
        int64_t offset
        const void *value

    cymx_gpu_plan *cymx_gpu_plan_new(int32_t n_slots, int32_t n_lanes, int replays)
    void cymx_gpu_plan_retain(cymx_gpu_plan *plan)
    void cymx_gpu_plan_release(cymx_gpu_plan *plan, const cymx_driver *driver)
    void cymx_gpu_plan_step(cymx_gpu_plan *plan, const char *label, int32_t lane, const int32_t *after, int32_t n_after)
    void cymx_gpu_plan_launch(
        cymx_gpu_plan *plan, void *function, const uint32_t *dims, uint32_t shared_bytes, const cymx_gpu_arg *args,
        int32_t n_args)
    void cymx_gpu_plan_call(cymx_gpu_plan *plan, cymx_gpu_call call, const cymx_gpu_arg *args, int32_t n_args)
    void cymx_gpu_plan_keep(cymx_gpu_plan *plan, const int32_t *sources, int32_t n_sources)
    void cymx_gpu_plan_fill(cymx_gpu_plan *plan, int32_t slot, int64_t offset, int64_t nbytes, int32_t value)
    int cymx_gpu_plan_run(
        cymx_gpu_plan *plan, const cymx_driver *driver, void *stream, int32_t part, int32_t start, int32_t stop,
        const uint64_t *slots, cymx_buffer **buffers, int waits, const char **label)
    int cymx_gpu_plan_captured(const cymx_gpu_plan *plan, int32_t part)


cdef struct RunTask:
    cymx_gpu_plan *plan
    cymx_buffer **reads
    cymx_buffer **writes
    int32_t n_reads, n_writes
    int32_t device_id, part, start, stop
    cymx_buffer **buffers
    uint64_t *slots
    uint64_t *states  # Philox key and first counter of each random step
    int32_t n_states, n_slots
    # then the reads, the writes, the buffers, the slots and the states


cdef int run_plan(void *arg, cymx_error *err) noexcept nogil:
    cdef RunTask *task = <RunTask *>arg
    cdef void *stream = NULL
    cdef const char *label = b""
    cdef int result
    cdef int code = gpu_begin(
        task.device_id, CYMX_STREAM_COMPUTE, task.reads, task.n_reads, task.writes, task.n_writes, &stream, err)
    if code:
        return code
    if task.n_states:
        code = gpu_stage(
            task.device_id, CYMX_STREAM_COMPUTE, task.slots[task.n_slots - 1], task.states,
            2 * sizeof(uint64_t) * task.n_states, err)
    if code == 0:
        result = cymx_gpu_plan_run(
            task.plan, gpu_driver(), stream, task.part, task.start, task.stop, task.slots, task.buffers,
            naive(), &label)
        if result < 0:
            code = err.code = CYMX_FAILED
            snprintf(err.message, sizeof(err.message), "%s: NVIDIA's library failed with status %d", label, -result)
        elif result:
            code = gpu_fail(task.device_id, result, label, err)
    gpu_end(task.device_id, CYMX_STREAM_COMPUTE, task.reads, task.n_reads, task.writes, task.n_writes)
    return code


cdef void drop_plan(void *arg) noexcept nogil:
    cymx_gpu_plan_release((<RunTask *>arg).plan, gpu_driver())
    free(arg)


class _Addresses:
    """Where a step's operands lie: (slot, offset) of an address, None for a value."""

    def __init__(self, inputs, outputs, scratch, state):
        self.inputs, self.outputs, self.scratch, self.state = inputs, outputs, scratch, state

    def find(self, arg):
        """Return the slot and the offset in it that an argument of a launch means, or None."""
        if isinstance(arg, In):
            return self.inputs[arg.index][0], self.inputs[arg.index][1] + arg.offset
        if isinstance(arg, Out):
            return self.outputs[arg.index][0], self.outputs[arg.index][1] + arg.offset
        if isinstance(arg, Scratch):
            return self.scratch[0], self.scratch[1] + arg.offset
        return self.state if isinstance(arg, RandomState) else None


@cython.final
cdef class Plan(Parts):
    """Launches on numbered slots: bound arrays first, then the arena, then the random state.

    steps: rows as _ops.Plan takes them.   n_arrays: the number of bound arrays.   split: the number of forward steps.
    works: for each step its recipe.Work.   functions: recipe.Kernel -> CUfunction.   places: for each step its lane in
    a captured graph, and the steps of other lanes that it waits for.   kept: as _ops.Plan takes it.
    replays: whether a part that runs again on the same arrays is captured as a graph.
    """

    cdef cymx_gpu_plan *ptr
    cdef int32_t device_id
    cdef list n_random  # of each step that draws random numbers: (step, counters)
    cdef Buffer states  # a Philox key and a counter for each of these, on the device

    def __init__(
            self, steps, int32_t n_arrays, int32_t split, int32_t device_id, works, functions, places, kept,
            bint replays):
        cdef int32_t after[64]
        cdef int32_t n_lanes = 1 + max((lane for lane, _ in places), default=0)
        cdef bytes label
        self.device_id = device_id
        self.n_random = []
        self.ptr = cymx_gpu_plan_new(n_arrays + 2, n_lanes, replays)
        for number, (step, work, (lane, waits)) in enumerate(zip(steps, works, places)):
            _, name, inputs, outputs, _, scratch, n_random, _ = step
            label = name.encode()
            for i, before in enumerate(waits):
                after[i] = before
            cymx_gpu_plan_step(self.ptr, label, lane, after, len(waits))
            where = _Addresses(inputs, outputs, (n_arrays, scratch[0]), (n_arrays + 1, 16 * len(self.n_random)))
            for launch in work.launches:
                self.add(launch, functions, where)
            if n_random:
                self.n_random.append((number, n_random))
            if number in kept:
                self.keep(kept[number])
        if self.n_random:
            self.states = Buffer(16 * len(self.n_random), 2, device_id)

    def __dealloc__(self):
        if self.ptr is not NULL:
            cymx_gpu_plan_release(self.ptr, gpu_driver())

    cdef keep(self, sources):
        cdef int32_t *slots = <int32_t *>malloc(sizeof(int32_t) * len(sources))
        if slots is NULL:
            raise MemoryError("no memory for a plan")
        for i, slot in enumerate(sources):
            slots[i] = slot
        cymx_gpu_plan_keep(self.ptr, slots, len(sources))
        free(slots)

    cdef add(self, launch, functions, where):
        cdef cymx_gpu_arg args[64]
        cdef uint32_t dims[6]
        cdef bytes value
        if isinstance(launch, Fill):
            slot, offset = where.find(launch.target)
            cymx_gpu_plan_fill(self.ptr, slot, offset, launch.n_bytes, launch.value)
            return
        values = []
        call = getattr(launch, "call", None)
        for i, arg in enumerate(launch.args):
            place = where.find(arg)
            if place is None:
                value = as_bytes(arg)
                values.append(value)  # keeps it alive until the launch is copied
                args[i].slot, args[i].nbytes, args[i].value = -1, len(value), <const char *>value
            else:
                args[i].slot, args[i].offset = place
        if call is not None:
            cymx_gpu_plan_call(self.ptr, (<Call?>call).take(), args, len(launch.args))
            return
        for i, n in enumerate((*launch.grid, *launch.block)):
            dims[i] = n
        cymx_gpu_plan_launch(
            self.ptr, <void *><intptr_t>functions[launch.kernel], dims, launch.shared, args, len(launch.args))

    def captured(self, int part=0):
        """Tell whether a part is replayed as a CUDA graph now."""
        return bool(cymx_gpu_plan_captured(self.ptr, part))

    def run(self, list arrays, Buffer arena, int part=0):
        """Push a run of all steps (part 0), the forward (1) or the backward ones (2).

        arrays: one Array for each slot, of the planned types.   arena: None when the plan needs none.
        Raises MXNetError when the engine refuses; what fails later surfaces at the wait.
        """
        cdef int32_t n = self.n_arrays
        cdef int32_t n_states = len(self.n_random)
        cdef int32_t i
        cdef size_t n_words = 6 * (n + 2) + 2 * n_states
        cdef RunTask *arg
        cdef cymx_buffer **buffers
        cdef cymx_task task
        cdef cymx_error err
        cdef uint64_t key = 0
        cdef uint64_t counter = 0
        cdef int code
        self.check(arrays)
        arg = <RunTask *>malloc(sizeof(RunTask) + n_words * sizeof(void *))
        if arg is NULL:
            raise MemoryError("no memory to run a plan")
        memset(&task, 0, sizeof(task))
        arg.plan, arg.device_id, arg.part = self.ptr, self.device_id, part
        arg.start, arg.stop = self.first(part), self.last(part)
        arg.n_slots, arg.n_states = n + 2, 0
        arg.reads = <cymx_buffer **>(arg + 1)
        buffers = arg.reads + 2 * (n + 2)
        arg.buffers, arg.slots = buffers, <uint64_t *>(buffers + n + 2)
        arg.states = arg.slots + n + 2
        for i in range(n):
            buffers[i] = (<Array?>arrays[i]).ptr
        buffers[n] = NULL
        if arena is not None:
            buffers[n] = arena.ptr
        self.claim(part, buffers, &task, arg.reads)
        arg.writes = arg.reads + n + 2
        arg.n_reads, arg.n_writes = task.n_reads, task.n_writes
        # Slots that a part does not use are left out, so that their arrays may change without a new capture.
        memset(arg.slots, 0, (n + 2) * sizeof(uint64_t))
        for i in range(self.n_reads[part]):
            self.locate(arg, self.reads[part][i], arrays, arena)
        for i in range(self.n_writes[part]):
            self.locate(arg, self.writes[part][i], arrays, arena)
        if n_states:
            arg.slots[n + 1] = <uint64_t>self.states.ptr.data
            arg.n_states = n_states
            for i, (step, n_counters) in enumerate(self.n_random):
                if arg.start <= step < arg.stop:
                    random_reserve(2, self.device_id, n_counters, &key, &counter)
                arg.states[2 * i], arg.states[2 * i + 1] = key, counter
        task.run, task.drop, task.arg = run_plan, drop_plan, arg
        task.device_type, task.device_id = 2, self.device_id
        task.label = b""
        task.flags = CYMX_TASK_SMALL  # it only queues
        cymx_gpu_plan_retain(self.ptr)
        with nogil:
            code = push(&task, &err)
        if code:
            drop_plan(arg)
            raise_error(&err)

    cdef void locate(self, RunTask *arg, int32_t slot, list arrays, Buffer arena):
        if slot < self.n_arrays:
            arg.slots[slot] = <uint64_t>(<Array>arrays[slot]).t.data
        elif arena is not None:
            arg.slots[slot] = <uint64_t>arena.ptr.data
