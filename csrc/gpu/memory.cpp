// Memory of a device: blocks of the driver's pool, kept in lists by size; statistics, and room where memory ran out.
// A free list asks nothing of the driver; the order of uses travels with the block.  Called by the engine, and by device.cpp.
#include <algorithm>

#include "gpu/state.h"

namespace cymx::gpu {
namespace {

// Sizes by which blocks are kept: steps of a quarter of a power of two, of a 32nd from 1 MiB on.
int64_t round_up(int64_t bytes) {
    constexpr int64_t least = 256, fine_from = 1 << 20;
    if (bytes <= least) return least;
    const int64_t power = int64_t{1} << (63 - __builtin_clzll(bytes));
    const int64_t step = std::max(least, power / (bytes < fine_from ? 4 : 32));
    return (bytes + step - 1) / step * step;
}

// These three under the lock, with the context current; they return the driver's result.

int take_from_driver(Device &device, int64_t bytes, Block **block) {
    uint64_t address = 0;
    Stream &stream = device.streams[CYMX_STREAM_COMPUTE];
    const int result = device.pool ? driver.cuMemAllocFromPoolAsync(&address, bytes, device.pool, stream.handle) : driver.cuMemAlloc(&address, bytes);
    if (result) return result;
    *block = new Block{&device, address, bytes};
    if (device.pool) (*block)->write_position = ++stream.position; // other streams may use it from here on
    return 0;
}

int give_to_driver(Device &device) {
    int result = 0;
    for (auto &[bytes, list] : device.idle)
        while (list && !result) {
            Block *block = list;
            uint64_t needs[CYMX_N_STREAMS] = {};
            need(*block, true, needs);
            result = wait_for(device, CYMX_STREAM_COMPUTE, needs);
            if (!result)
                result = device.pool ? driver.cuMemFreeAsync(block->address, device.streams[CYMX_STREAM_COMPUTE].handle)
                                     : driver.cuMemFree(block->address);
            if (result) break;
            list = block->next_idle;
            device.pooled_bytes -= bytes;
            delete block;
        }
    return result;
}

int make_room(Device &device) {
    int result = give_to_driver(device);
    for (Stream &stream : device.streams)
        if (!result) result = driver.cuStreamSynchronize(stream.handle);
    return result || !device.pool ? result : driver.cuMemPoolTrimTo(device.pool, 0);
}

} // namespace

int alloc(int32_t device_id, int64_t bytes, void **data, void **handle, cymx_error *err) {
    Device *device = open(device_id, err);
    if (!device) return err->code;
    const int64_t rounded = round_up(bytes);
    Lock lock(device->lock);
    Block *block = nullptr;
    const auto list = device->idle.find(rounded);
    if (list != device->idle.end() && list->second) {
        block = list->second;
        list->second = block->next_idle;
        device->pooled_bytes -= rounded;
        ++device->n_pool_hits;
    } else {
        const Current current(*device);
        int result = current.result() ? current.result() : take_from_driver(*device, rounded, &block);
        if (result == CYMX_CUDA_OUT_OF_MEMORY) {
            result = make_room(*device);
            if (!result) result = take_from_driver(*device, rounded, &block);
        }
        if (result == CYMX_CUDA_OUT_OF_MEMORY) {
            size_t free_now = 0, total = 0;
            driver.cuMemGetInfo(&free_now, &total);
            return fail(err, CYMX_OUT_OF_MEMORY,
                        "out of memory on gpu(%d): asked for %lld bytes, with %lld bytes live in arrays, and %lld of %lld bytes free on the device",
                        device_id, Long{bytes}, Long{device->live_bytes}, static_cast<Long>(free_now), static_cast<Long>(total));
        }
        if (result) return cymx_gpu_fail(device_id, result, "asking for memory", err);
    }
    device->live_bytes += rounded;
    *data = reinterpret_cast<void *>(block->address);
    *handle = block;
    return CYMX_OK;
}

void free_block(void *handle) {
    Block *block = static_cast<Block *>(handle);
    Device &device = *block->device;
    if (!is_usable(device)) return; // its lock may have been held by a thread that a fork left behind
    Lock lock(device.lock);
    Block *&list = device.idle[block->bytes];
    block->next_idle = list;
    list = block;
    device.pooled_bytes += block->bytes;
    device.live_bytes -= block->bytes;
}

// The owner may use its memory again on streams that know nothing of ours.
void free_foreign(void *handle) {
    Block *block = static_cast<Block *>(handle);
    Device &device = *block->device;
    if (is_usable(device)) {
        uint64_t needs[CYMX_N_STREAMS] = {};
        need(*block, true, needs);
        cymx_error ignored;
        wait_here(device, needs, "waiting for foreign memory", &ignored);
    }
    if (block->free_fn) block->free_fn(block->owner);
    delete block;
}

void stats(int32_t device_id, cymx_storage_stats *stats) {
    Device *device = find(device_id);
    if (!device || !is_usable(*device)) return;
    Lock lock(device->lock);
    stats->pooled_bytes = device->pooled_bytes;
    stats->n_pool_hits = device->n_pool_hits;
}

void trim(int32_t device_id) {
    Device *device = find(device_id);
    if (!device || !is_usable(*device)) return;
    Lock lock(device->lock);
    const Current current(*device);
    // A failure shows again at whoever waits.
    if (!current.result()) make_room(*device);
}

} // namespace cymx::gpu
