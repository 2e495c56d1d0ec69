// Devices and their streams: opening, the waits between streams and of the host, errors, fork.
// Called through device.h, and by the engine through the operations that this file hands it.
#include "gpu/device.h"

#include <pthread.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "gpu/state.h"

namespace cymx::gpu {

cymx_driver driver;

namespace {

std::atomic<Device *> devices[CYMX_MAX_DEVICES];
std::atomic<bool> forked{false};
std::mutex opening;
int (*opener)(int32_t, cymx_gpu_handles *, cymx_error *);

enum { disable_timing = 2 };

void after_fork_in_child() {
    for (const auto &device : devices)
        if (device.load(std::memory_order_relaxed)) forked.store(true, std::memory_order_relaxed);
}

// After these results the context answers every call with them.
bool ends_context(int result) {
    switch (result) {
    case 214: // ECC_UNCORRECTABLE
    case 700: // ILLEGAL_ADDRESS
    case 702: // LAUNCH_TIMEOUT
    case 709: // CONTEXT_IS_DESTROYED
    case 710: // ASSERT
    case 714: // HARDWARE_STACK_ERROR
    case 715: // ILLEGAL_INSTRUCTION
    case 716: // MISALIGNED_ADDRESS
    case 717: // INVALID_ADDRESS_SPACE
    case 718: // INVALID_PC
    case 719: // LAUNCH_FAILED
        return true;
    default: return false;
    }
}

const char *text_of(int (*ask)(int, const char **), int result) {
    const char *text = nullptr;
    return ask && ask(result, &text) == 0 && text ? text : "unknown to this driver";
}

void note(cymx_buffer *const *buffers, int32_t n, int32_t stream, uint64_t position, bool write) {
    for (int32_t i = 0; i < n; ++i) {
        Block *block = block_of(buffers[i]);
        if (!block) continue;
        if (!write) {
            block->read_positions[stream] = position;
            continue;
        }
        // Whoever waits for this write waits for the reads before it: the writer did.
        std::fill_n(block->read_positions, CYMX_N_STREAMS, 0);
        block->write_stream = stream;
        block->write_position = position;
    }
}

// Records an event behind all that is queued on the stream, in the place of its oldest.
int record(Stream &stream, Mark **mark) {
    *mark = &stream.marks[stream.n_recorded % n_marks];
    int result = 0;
    if (!(*mark)->event)
        result = driver.cuEventCreate(&(*mark)->event, disable_timing);
    else if ((*mark)->position > stream.done && driver.cuEventQuery((*mark)->event) == 0)
        stream.done = (*mark)->position;
    if (!result) result = driver.cuEventRecord((*mark)->event, stream.handle);
    if (result) return result;
    (*mark)->position = stream.position;
    ++stream.n_recorded;
    return 0;
}

// Has the compute stream wait for all uses of a block, and then do what others ask of it.
template <class F> int meet(Block &block, cymx_error *err, F &&then) {
    cymx_buffer carried = carrier(&block), *const write = &carried;
    const int32_t id = block.device->id;
    void *stream = nullptr;
    if (cymx_gpu_begin(id, CYMX_STREAM_COMPUTE, nullptr, 0, &write, 1, &stream, err)) return err->code;
    const int result = then(stream);
    cymx_gpu_end(id, CYMX_STREAM_COMPUTE, nullptr, 0, &write, 1);
    return result ? cymx_gpu_fail(id, result, "meeting another library's stream", err) : CYMX_OK;
}

int wait(void *handle, int for_write, cymx_error *err) {
    const Block &block = *static_cast<Block *>(handle);
    uint64_t needs[CYMX_N_STREAMS] = {};
    if (refuse(*block.device, err)) return err->code;
    {
        Lock lock(block.device->lock);
        need(block, for_write, needs);
    }
    return wait_here(*block.device, needs, "waiting for an array", err);
}

int wait_all(cymx_error *err) {
    for (const auto &slot : devices) {
        Device *device = slot.load(std::memory_order_acquire);
        if (!device) continue;
        if (refuse(*device, err)) return err->code;
        uint64_t needs[CYMX_N_STREAMS];
        {
            Lock lock(device->lock);
            for (int32_t s = 0; s < CYMX_N_STREAMS; ++s) needs[s] = device->streams[s].position;
        }
        if (wait_here(*device, needs, "waiting for all work", err)) return err->code;
    }
    return CYMX_OK;
}

const cymx_device_ops operations = {alloc, free_block, wait, wait_all, copy, stats, trim};

} // namespace

Device::Device(int32_t device_id, const cymx_gpu_handles &handles) : id(device_id), context(handles.context), pool(handles.pool) {
    for (int32_t s = 0; s < CYMX_N_STREAMS; ++s) streams[s].handle = handles.streams[s];
}

int fail(cymx_error *err, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

bool is_usable(const Device &device) { return !forked.load(std::memory_order_relaxed) && !device.lost.load(std::memory_order_relaxed); }

int refuse(const Device &device, cymx_error *err) {
    if (is_usable(device)) return CYMX_OK;
    if (forked.load(std::memory_order_relaxed))
        return fail(err, CYMX_FAILED,
                    "gpu(%d) was opened before this process was forked, and a driver does not survive a fork; start processes that "
                    "use GPUs by 'spawn' or 'forkserver', or fork before the first array on a GPU",
                    device.id);
    return cymx_gpu_fail(device.id, device.lost.load(), "an earlier failure", err);
}

Device *find(int32_t device_id) {
    return device_id >= 0 && device_id < CYMX_MAX_DEVICES ? devices[device_id].load(std::memory_order_acquire) : nullptr;
}

Device *open(int32_t device_id, cymx_error *err) {
    Device *device = find(device_id);
    if (device) return refuse(*device, err) ? nullptr : device;
    if (device_id < 0 || device_id >= CYMX_MAX_DEVICES || !opener) {
        fail(err, CYMX_BAD_ARGUMENT, "gpu(%d) is no GPU", device_id);
        return nullptr;
    }
    cymx_gpu_handles handles = {};
    if (opener(device_id, &handles, err)) return nullptr; // takes the GIL, so no lock is held
    Lock lock(opening);
    static const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
    (void)registered;
    device = find(device_id);
    if (!device) devices[device_id].store(device = new Device(device_id, handles), std::memory_order_release);
    return device;
}

int find_mark(Device &device, int32_t s, uint64_t position, Mark *found) {
    Stream &stream = device.streams[s];
    const uint64_t oldest = stream.n_recorded > n_marks ? stream.n_recorded - n_marks : 0;
    for (uint64_t i = oldest; i < stream.n_recorded; ++i) {
        *found = stream.marks[i % n_marks];
        if (found->position >= position) return 0;
    }
    Mark *fresh;
    const int result = record(stream, &fresh);
    if (!result) *found = *fresh;
    return result;
}

void need(const Block &block, bool write, uint64_t *needs) {
    needs[block.write_stream] = std::max(needs[block.write_stream], block.write_position);
    for (int32_t s = 0; write && s < CYMX_N_STREAMS; ++s) needs[s] = std::max(needs[s], block.read_positions[s]);
}

int wait_for(Device &device, int32_t s, const uint64_t *needs) {
    Stream &stream = device.streams[s];
    for (int32_t other = 0; other < CYMX_N_STREAMS; ++other) {
        if (other == s || needs[other] <= std::max(stream.waited[other], device.streams[other].done)) continue;
        Mark mark;
        int result = find_mark(device, other, needs[other], &mark);
        if (!result) result = driver.cuStreamWaitEvent(stream.handle, mark.event, 0);
        if (result) return result;
        stream.waited[other] = mark.position;
    }
    return 0;
}

int wait_here(Device &device, const uint64_t *needs, const char *what, cymx_error *err) {
    for (int32_t s = 0; s < CYMX_N_STREAMS; ++s) {
        Stream &stream = device.streams[s];
        Mark mark;
        {
            Lock lock(device.lock);
            if (needs[s] <= stream.done) continue;
            const Current current(device);
            const int result = current.result() ? current.result() : find_mark(device, s, needs[s], &mark);
            if (result) return cymx_gpu_fail(device.id, result, what, err);
        }
        // The event may be recorded anew meanwhile: then this waits longer than it must.
        const Current current(device);
        const int result = current.result() ? current.result() : driver.cuEventSynchronize(mark.event);
        if (result) return cymx_gpu_fail(device.id, result, what, err);
        Lock lock(device.lock);
        stream.done = std::max(stream.done, mark.position);
    }
    return CYMX_OK;
}

} // namespace cymx::gpu

using namespace cymx::gpu;

void cymx_gpu_set_opener(int (*open)(int32_t, cymx_gpu_handles *, cymx_error *)) { opener = open; }

#define CYMX_DRIVER_NAME(name, parameters) #name,
const char *const cymx_gpu_driver_names[] = {CYMX_DRIVER_FUNCTIONS(CYMX_DRIVER_NAME) nullptr};
#undef CYMX_DRIVER_NAME

void cymx_gpu_set_driver(void *const *functions, int32_t n) {
    std::copy_n(functions, std::min<size_t>(n, sizeof(driver) / sizeof(void *)), reinterpret_cast<void **>(&driver));
}

const cymx_driver *cymx_gpu_driver(void) { return &driver; }

int cymx_gpu_open(int32_t device_id, cymx_error *err) { return open(device_id, err) ? CYMX_OK : err->code; }

const cymx_device_ops *cymx_gpu_ops(void) { return &operations; }

int cymx_gpu_begin(int32_t device_id, int32_t s, cymx_buffer *const *reads, int32_t n_reads, cymx_buffer *const *writes, int32_t n_writes,
                   void **cu_stream, cymx_error *err) {
    Device *device = open(device_id, err);
    if (!device) return err->code;
    Lock lock(device->lock);
    uint64_t needs[CYMX_N_STREAMS] = {};
    for (int32_t i = 0; i < n_reads + n_writes; ++i) {
        const Block *block = block_of(i < n_reads ? reads[i] : writes[i - n_reads]);
        if (!block) continue;
        if (block->device != device) return fail(err, CYMX_BAD_ARGUMENT, "work on gpu(%d) was given memory of gpu(%d)", device_id, block->device->id);
        need(*block, i >= n_reads, needs);
    }
    int result = driver.cuCtxPushCurrent(device->context);
    if (!result && (result = wait_for(*device, s, needs))) driver.cuCtxPopCurrent(nullptr);
    if (result) return cymx_gpu_fail(device_id, result, "waiting for other streams", err);
    if (cu_stream) *cu_stream = device->streams[s].handle;
    lock.release();
    return CYMX_OK;
}

void cymx_gpu_end(int32_t device_id, int32_t s, cymx_buffer *const *reads, int32_t n_reads, cymx_buffer *const *writes, int32_t n_writes) {
    Device &device = *find(device_id);
    Stream &stream = device.streams[s];
    const uint64_t position = ++stream.position;
    note(reads, n_reads, s, position, false);
    note(writes, n_writes, s, position, true);
    const Mark &last = stream.marks[(stream.n_recorded + n_marks - 1) % n_marks];
    // A failure here shows again at whoever waits.
    Mark *mark;
    if (position >= last.position + positions_per_mark) record(stream, &mark);
    driver.cuCtxPopCurrent(nullptr);
    device.lock.unlock();
}

int cymx_gpu_fail(int32_t device_id, int result, const char *what, cymx_error *err) {
    const char *name = text_of(driver.cuGetErrorName, result), *text = text_of(driver.cuGetErrorString, result);
    if (!ends_context(result)) {
        const int code = result == CYMX_CUDA_OUT_OF_MEMORY ? CYMX_OUT_OF_MEMORY : CYMX_FAILED;
        return fail(err, code, "gpu(%d): %s: %s (%s)", device_id, what, name, text);
    }
    if (Device *device = find(device_id)) device->lost.store(result);
    return fail(err, CYMX_FAILED,
                "gpu(%d): %s: %s (%s).  The device is lost to this process, with all arrays on it.  GPU work fails after it was queued: "
                "MXNET_ENGINE_TYPE=NaiveEngine names the operator, NVIDIA's compute-sanitizer the kernel",
                device_id, what, name, text);
}

int cymx_gpu_lend(cymx_buffer *buffer, void *other_stream, int follow, void **compute_stream, cymx_error *err) {
    Block *block = block_of(buffer);
    return meet(*block, err, [&](void *stream) {
        *compute_stream = stream;
        if (!follow) return 0;
        Mark *mark;
        const int result = record(block->device->streams[CYMX_STREAM_COMPUTE], &mark);
        return result ? result : driver.cuStreamWaitEvent(other_stream, mark->event, 0);
    });
}

int cymx_gpu_follow(cymx_buffer *buffer, void *other_stream, cymx_error *err) {
    return meet(*block_of(buffer), err, [&](void *stream) {
        void *event;
        int result = driver.cuEventCreate(&event, disable_timing);
        if (result) return result;
        result = driver.cuEventRecord(event, other_stream);
        if (!result) result = driver.cuStreamWaitEvent(stream, event, 0);
        driver.cuEventDestroy(event);
        return result;
    });
}

void *cymx_gpu_adopt(int32_t device_id, void *data, int64_t bytes, void (*free_fn)(void *), void *owner, cymx_error *err) {
    Device *device = open(device_id, err);
    if (!device) return nullptr;
    Block *block = new Block{device, reinterpret_cast<uint64_t>(data), bytes};
    block->free_fn = free_fn;
    block->owner = owner;
    return block;
}

void cymx_gpu_give_back(void *block) { free_foreign(block); }

int cymx_gpu_memory(int32_t device_id, int64_t *free_bytes, int64_t *total_bytes, cymx_error *err) {
    Device *device = open(device_id, err);
    if (!device) return err->code;
    const Current current(*device);
    size_t free_now = 0, total = 0;
    const int result = current.result() ? current.result() : driver.cuMemGetInfo(&free_now, &total);
    if (result) return cymx_gpu_fail(device_id, result, "asking for free memory", err);
    *free_bytes = free_now;
    *total_bytes = total;
    return CYMX_OK;
}
