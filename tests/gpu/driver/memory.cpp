// The emulated driver's memory: device and pinned memory, pools, copies and fills.
//
// Fresh memory holds 0xCB and freed memory 0xDD, which nothing uses again for long; a few bytes behind each allocation are watched.  Copies from pageable
// memory take their source at the call, copies into it wait, and copies between pinned and device memory are done when their stream runs.
#include "driver.h"

#include <stdlib.h>
#include <string.h>

namespace driver {

namespace {

constexpr size_t unit = 256, guard_bytes = 256, max_kept_bytes = 64 << 20;
constexpr unsigned char GUARD = 0xA5;
std::deque<std::pair<char *, size_t>> kept; // freed memory that still holds 0xDD
size_t kept_bytes;

size_t rounded(size_t n) { return (n + unit - 1) / unit * unit; }
char *host(Address address) { return reinterpret_cast<char *>(address); }

uint64_t in_use(const Device &device) {
    uint64_t n = device.allocated;
    for (const Pool *pool : device.pools) n += pool->reserved;
    return n;
}

int allocate(Address *address, size_t n, Device *device, Pool *pool) {
    if (!n) return INVALID_VALUE;
    uint64_t limit = state().settings.memory_bytes, size = rounded(n);
    if (pool) {
        uint64_t grown = pool->used + size > pool->reserved ? pool->used + size - pool->reserved : 0;
        if (in_use(*device) + grown > limit) return OUT_OF_MEMORY;
        pool->used += size, pool->reserved += grown;
        pool->used_high = pool->used > pool->used_high ? pool->used : pool->used_high;
        pool->reserved_high = pool->reserved > pool->reserved_high ? pool->reserved : pool->reserved_high;
    } else if (device) {
        if (in_use(*device) + size > limit) return OUT_OF_MEMORY;
        device->allocated += size;
    }
    char *memory = static_cast<char *>(aligned_alloc(device ? unit : 4096, (size + guard_bytes + 4095) / 4096 * 4096));
    if (!memory) return OUT_OF_MEMORY;
    memset(memory, FRESH, n);
    memset(memory + n, GUARD, guard_bytes);
    *address = (Address)memory;
    state().memory[*address] = {n, device ? device->number : -1, pool, false, false};
    return SUCCESS;
}

// Gives memory back and poisons it; an error where something was written behind it.
int release(Address address) {
    auto found = state().memory.find(address);
    if (found == state().memory.end()) return INVALID_VALUE;
    Allocation a = found->second;
    state().memory.erase(found);
    if (a.pool) {
        a.pool->used -= rounded(a.n_bytes);
        if (a.pool->reserved > a.pool->release_threshold)
            a.pool->reserved = a.pool->used > a.pool->release_threshold ? a.pool->used : a.pool->release_threshold;
    } else if (a.device >= 0) {
        state().devices[(size_t)a.device]->allocated -= rounded(a.n_bytes);
    }
    char *memory = host(address);
    bool damaged = false;
    for (size_t i = 0; i < guard_bytes; ++i) damaged |= (unsigned char)memory[a.n_bytes + i] != GUARD;
    memset(memory, FREED, a.n_bytes);
    kept.push_back({memory, a.n_bytes});
    kept_bytes += a.n_bytes;
    while (kept_bytes > max_kept_bytes) {
        kept_bytes -= kept.front().second;
        free(kept.front().first);
        kept.pop_front();
    }
    if (damaged) state().last_failure = "something was written behind an allocation of " + std::to_string(a.n_bytes) + " bytes";
    return damaged ? ILLEGAL_ADDRESS : SUCCESS;
}

// Whether [address, address + n) may take part in a copy: pageable memory, or all within one allocation.
bool whole(Address address, size_t n) {
    auto *found = find(address);
    return !found || (address + n <= found->first + found->second.n_bytes && !found->second.being_freed);
}
bool on_device(Address address) {
    auto *found = find(address);
    return found && found->second.device >= 0;
}
bool pageable(Address address) { return !find(address); }

int copy(Address target, Address source, size_t n, Stream *stream) {
    if (!stream) return INVALID_HANDLE;
    if (int wrong = usable(stream->device)) return wrong;
    if (!whole(target, n) || !whole(source, n)) return INVALID_VALUE;
    if (!n) return SUCCESS;
    if (stream->capture) return put(stream, "copy", [=] { return memmove(host(target), host(source), n), 0; });
    if (pageable(source)) {
        std::vector<char> taken(host(source), host(source) + n);
        if (int failed = put(stream, "copy", [target, taken = std::move(taken)] { return memcpy(host(target), taken.data(), taken.size()), 0; }))
            return failed;
    } else if (int failed = put(stream, "copy", [=] { return memmove(host(target), host(source), n), 0; })) {
        return failed;
    }
    return pageable(target) ? drain(stream) : (int)SUCCESS;
}
int copy_now(Address target, Address source, size_t n) {
    if (int wrong = usable(current())) return wrong;
    if (int wrong = refuse_in_capture()) return wrong;
    int failed = copy(target, source, n, current()->null_stream);
    return failed ? failed : drain(current()->null_stream);
}

int fill(Address target, unsigned value, size_t n, size_t item_bytes, Stream *stream) {
    if (!stream) return INVALID_HANDLE;
    if (int wrong = usable(stream->device)) return wrong;
    if (!on_device(target) || !whole(target, n * item_bytes) || target % item_bytes) return INVALID_VALUE;
    return put(stream, "fill", [=] {
        for (size_t i = 0; i < n; ++i) memcpy(host(target) + i * item_bytes, &value, item_bytes);
        return 0;
    });
}

} // namespace

const std::pair<const Address, Allocation> *find(Address address) {
    auto after = state().memory.upper_bound(address);
    if (after == state().memory.begin()) return nullptr;
    --after;
    return address < after->first + after->second.n_bytes ? &*after : nullptr;
}

} // namespace driver

using namespace driver;

DRIVER cuMemAlloc_v2(Address *address, size_t n) {
    CALL("cuMemAlloc");
    if (int wrong = usable(current())) return wrong;
    if (int wrong = refuse_in_capture()) return wrong;
    return allocate(address, n, current(), nullptr);
}
DRIVER cuMemFree_v2(Address address) {
    CALL("cuMemFree");
    if (!address) return SUCCESS;
    auto *found = find(address);
    if (!found || found->first != address || found->second.device < 0 || found->second.being_freed) return INVALID_VALUE;
    if (int wrong = refuse_in_capture()) return wrong;
    if (int failed = drain_all(state().devices[(size_t)found->second.device])) return failed;
    return release(address);
}
static int allocate_in_order(Address *address, size_t n, Pool *pool, void *stream) {
    Stream *s = stream_of(stream);
    if (!s || !pool) return INVALID_HANDLE;
    if (int wrong = usable(s->device)) return wrong;
    if (s->capture) return s->capture->invalid = true, CAPTURE_UNSUPPORTED; // a real driver would add a node; cymx asks for none
    return allocate(address, n, state().devices[(size_t)pool->device], pool);
}
DRIVER cuMemAllocAsync(Address *address, size_t n, void *stream) {
    CALL("cuMemAllocAsync");
    Stream *s = stream_of(stream);
    return s ? allocate_in_order(address, n, s->device->pool, stream) : INVALID_HANDLE;
}
DRIVER cuMemAllocFromPoolAsync(Address *address, size_t n, void *pool, void *stream) {
    CALL("cuMemAllocFromPoolAsync");
    return allocate_in_order(address, n, known<Pool>(pool), stream);
}
DRIVER cuMemFreeAsync(Address address, void *stream) {
    CALL("cuMemFreeAsync");
    Stream *s = stream_of(stream);
    auto found = state().memory.find(address);
    if (!s) return INVALID_HANDLE;
    if (found == state().memory.end() || found->second.device < 0 || found->second.being_freed) return INVALID_VALUE;
    if (s->capture) return s->capture->invalid = true, CAPTURE_UNSUPPORTED;
    if (int failed = put(s, "free", [address] { return release(address); })) return failed;
    auto still = state().memory.find(address);
    if (still != state().memory.end()) still->second.being_freed = true;
    return SUCCESS;
}
DRIVER cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    CALL("cuMemGetInfo");
    if (int wrong = usable(current())) return wrong;
    uint64_t used = in_use(*current());
    *total = state().settings.memory_bytes;
    *free_bytes = *total > used ? *total - used : 0;
    return SUCCESS;
}

DRIVER cuMemHostAlloc(void **memory, size_t n, unsigned) {
    CALL("cuMemHostAlloc");
    if (int wrong = usable(current())) return wrong;
    Address address;
    if (int failed = allocate(&address, n, nullptr, nullptr)) return failed;
    return *memory = host(address), SUCCESS;
}
DRIVER cuMemAllocHost_v2(void **memory, size_t n) {
    CALL("cuMemAllocHost");
    return cuMemHostAlloc(memory, n, 0);
}
DRIVER cuMemFreeHost(void *memory) {
    CALL("cuMemFreeHost");
    auto found = state().memory.find((Address)memory);
    if (found == state().memory.end() || found->second.device >= 0 || found->second.registered) return INVALID_VALUE;
    return release((Address)memory);
}
DRIVER cuMemHostRegister_v2(void *memory, size_t n, unsigned) {
    CALL("cuMemHostRegister");
    if (!n || find((Address)memory)) return INVALID_VALUE;
    state().memory[(Address)memory] = {n, -1, nullptr, true, false};
    return SUCCESS;
}
DRIVER cuMemHostUnregister(void *memory) {
    CALL("cuMemHostUnregister");
    auto found = state().memory.find((Address)memory);
    if (found == state().memory.end() || !found->second.registered) return INVALID_VALUE;
    state().memory.erase(found);
    return SUCCESS;
}

static int point(int which, void *answer, Address address) { // the numbers of CUpointer_attribute
    auto *found = find(address);
    constexpr int host_memory = 1, device_memory = 2;
    switch (which) {
    case 1:
        if (!found) return INVALID_VALUE;
        *static_cast<void **>(answer) = found->second.device < 0 ? current() : state().devices[(size_t)found->second.device];
        return SUCCESS;
    case 2:
        if (!found) return INVALID_VALUE;
        *static_cast<unsigned *>(answer) = found->second.device < 0 ? host_memory : device_memory;
        return SUCCESS;
    case 3: *static_cast<Address *>(answer) = address; return found ? SUCCESS : INVALID_VALUE;
    case 8: *static_cast<unsigned *>(answer) = 0; return SUCCESS; // managed
    case 9: *static_cast<int *>(answer) = found && found->second.device >= 0 ? found->second.device : -2; return found ? SUCCESS : INVALID_VALUE;
    default: return NOT_SUPPORTED;
    }
}
DRIVER cuPointerGetAttribute(void *answer, int which, Address address) {
    CALL("cuPointerGetAttribute");
    return point(which, answer, address);
}
DRIVER cuPointerGetAttributes(unsigned n, int *which, void **answers, Address address) {
    CALL("cuPointerGetAttributes");
    for (unsigned i = 0; i < n; ++i)
        if (point(which[i], answers[i], address) == NOT_SUPPORTED) return NOT_SUPPORTED;
    return SUCCESS;
}

DRIVER cuMemcpyHtoD_v2(Address target, const void *source, size_t n) {
    CALL("cuMemcpyHtoD");
    return on_device(target) ? copy_now(target, (Address)source, n) : (int)INVALID_VALUE;
}
DRIVER cuMemcpyDtoH_v2(void *target, Address source, size_t n) {
    CALL("cuMemcpyDtoH");
    return on_device(source) ? copy_now((Address)target, source, n) : (int)INVALID_VALUE;
}
DRIVER cuMemcpyDtoD_v2(Address target, Address source, size_t n) {
    CALL("cuMemcpyDtoD");
    return on_device(target) && on_device(source) ? copy_now(target, source, n) : (int)INVALID_VALUE;
}
DRIVER cuMemcpyHtoDAsync_v2(Address target, const void *source, size_t n, void *stream) {
    CALL("cuMemcpyHtoDAsync");
    return on_device(target) ? copy(target, (Address)source, n, stream_of(stream)) : (int)INVALID_VALUE;
}
DRIVER cuMemcpyDtoHAsync_v2(void *target, Address source, size_t n, void *stream) {
    CALL("cuMemcpyDtoHAsync");
    return on_device(source) ? copy((Address)target, source, n, stream_of(stream)) : (int)INVALID_VALUE;
}
DRIVER cuMemcpyDtoDAsync_v2(Address target, Address source, size_t n, void *stream) {
    CALL("cuMemcpyDtoDAsync");
    return on_device(target) && on_device(source) ? copy(target, source, n, stream_of(stream)) : (int)INVALID_VALUE;
}
DRIVER cuMemcpyAsync(Address target, Address source, size_t n, void *stream) {
    CALL("cuMemcpyAsync");
    return copy(target, source, n, stream_of(stream));
}
DRIVER cuMemcpyPeerAsync(Address target, void *target_context, Address source, void *source_context, size_t n, void *stream) {
    CALL("cuMemcpyPeerAsync");
    auto owns = [](void *context, Address address) {
        Device *device = known<Device>(context);
        auto *found = find(address);
        return device && found && found->second.device == device->number;
    };
    if (!owns(target_context, target) || !owns(source_context, source)) return INVALID_VALUE;
    return copy(target, source, n, stream_of(stream));
}
DRIVER cuMemsetD8Async(Address target, unsigned char value, size_t n, void *stream) {
    CALL("cuMemsetD8Async");
    return fill(target, value, n, 1, stream_of(stream));
}
DRIVER cuMemsetD16Async(Address target, unsigned short value, size_t n, void *stream) {
    CALL("cuMemsetD16Async");
    return fill(target, value, n, 2, stream_of(stream));
}
DRIVER cuMemsetD32Async(Address target, unsigned value, size_t n, void *stream) {
    CALL("cuMemsetD32Async");
    return fill(target, value, n, 4, stream_of(stream));
}

static Device *numbered(int device) { return device >= 0 && (size_t)device < state().devices.size() ? state().devices[(size_t)device] : nullptr; }
DRIVER cuDeviceGetDefaultMemPool(void **pool, int device) {
    CALL("cuDeviceGetDefaultMemPool");
    Device *d = numbered(device);
    return d ? (*pool = d->pools.front(), SUCCESS) : INVALID_DEVICE;
}
DRIVER cuDeviceGetMemPool(void **pool, int device) {
    CALL("cuDeviceGetMemPool");
    Device *d = numbered(device);
    return d ? (*pool = d->pool, SUCCESS) : INVALID_DEVICE;
}
DRIVER cuDeviceSetMemPool(int device, void *pool) {
    CALL("cuDeviceSetMemPool");
    Device *d = numbered(device);
    if (!d || !known<Pool>(pool)) return d ? INVALID_HANDLE : INVALID_DEVICE;
    return d->pool = static_cast<Pool *>(pool), SUCCESS;
}
struct PoolSettings { // the first fields of CUmemPoolProps
    int allocation_type, handle_types, location_type, location;
};
DRIVER cuMemPoolCreate(void **pool, const PoolSettings *settings) {
    CALL("cuMemPoolCreate");
    constexpr int of_device = 1;
    Device *d = numbered(settings->location);
    if (!d || settings->location_type != of_device) return INVALID_VALUE;
    Pool *p = made(new Pool);
    p->device = d->number;
    d->pools.push_back(p);
    return *pool = p, SUCCESS;
}
DRIVER cuMemPoolDestroy(void *pool) {
    CALL("cuMemPoolDestroy");
    Pool *p = known<Pool>(pool);
    if (!p || p == state().devices[(size_t)p->device]->pools.front()) return INVALID_VALUE;
    state().handles.erase(p);
    return SUCCESS;
}
static uint64_t *pool_value(Pool *pool, int which) { // the numbers of CUmemPool_attribute
    switch (which) {
    case 4: return &pool->release_threshold;
    case 5: return &pool->reserved;
    case 6: return &pool->reserved_high;
    case 7: return &pool->used;
    case 8: return &pool->used_high;
    default: return nullptr;
    }
}
DRIVER cuMemPoolGetAttribute(void *pool, int which, void *value) {
    CALL("cuMemPoolGetAttribute");
    Pool *p = known<Pool>(pool);
    if (!p || which < 1 || which > 8) return INVALID_VALUE;
    if (which < 4) return *static_cast<int *>(value) = 1, SUCCESS;
    return *static_cast<uint64_t *>(value) = *pool_value(p, which), SUCCESS;
}
DRIVER cuMemPoolSetAttribute(void *pool, int which, void *value) {
    CALL("cuMemPoolSetAttribute");
    Pool *p = known<Pool>(pool);
    if (!p || which < 1 || which > 8 || which == 5 || which == 7) return INVALID_VALUE;
    if (which == 4) p->release_threshold = *static_cast<uint64_t *>(value);
    if (which == 6) p->reserved_high = p->reserved;
    if (which == 8) p->used_high = p->used;
    return SUCCESS;
}
DRIVER cuMemPoolTrimTo(void *pool, size_t keep) {
    CALL("cuMemPoolTrimTo");
    Pool *p = known<Pool>(pool);
    if (!p) return INVALID_VALUE;
    uint64_t least = p->used > keep ? p->used : keep;
    if (p->reserved > least) p->reserved = least;
    return SUCCESS;
}
DRIVER cuMemPoolSetAccess(void *pool, const void *, size_t) {
    CALL("cuMemPoolSetAccess");
    return known<Pool>(pool) ? SUCCESS : INVALID_VALUE;
}

// For tests: the bytes that live in a device's memory.
extern "C" EMULATOR_API uint64_t emulated_live_bytes(int device) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    uint64_t n = 0;
    for (const auto &each : state().memory)
        if (each.second.device == device) n += each.second.n_bytes;
    return n;
}
