// Buffers and their memory: reference counts, size classes, a pool of idle blocks for each context, its limits and statistics.
// A small block is one allocation with its Buffer in front, a large one is mapped; both keep their Buffer while idle, so reuse costs one lock.
// A device's memory comes from the device's own pool; only its bytes are counted here.  Called through engine.h.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "engine/core.h"

namespace cymx {
namespace {

constexpr int64_t first_classes_bytes = 256, apart_bytes = 256 << 10, mapped_bytes = 4 << 20;
constexpr int64_t default_idle_bytes = 256 << 20;
constexpr int32_t foreign = -1, on_device = -2;
static_assert(sizeof(Buffer) == 128, "a Buffer fills two cache lines");

using Guard = std::lock_guard<SpinLock>;
using Long = long long;

// 64, 128, 192, 256, then four classes to each power of two: 320, 384, 448, 512, 640, ...
int32_t class_of(int64_t bytes) {
    const uint64_t last = bytes > 0 ? bytes - 1 : 0;
    if (bytes <= first_classes_bytes) return static_cast<int32_t>(last / 64);
    const int power = 63 - __builtin_clzll(last);
    return static_cast<int32_t>(4 * (power - 8) + (last >> (power - 2)));
}

int64_t class_bytes(int32_t size_class) {
    if (size_class < 4) return 64 * (size_class + 1);
    return static_cast<int64_t>(5 + size_class % 4) << (size_class / 4 + 5);
}

int64_t physical_bytes() {
    static const int64_t bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    return bytes;
}

// Memory that goes back to the system by itself.  Not in huge pages: kernels gain nothing by them, and where the system must move other pages to
// make one, it takes milliseconds.
void *map_pages(int64_t bytes) {
    void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? nullptr : pages;
}

void *allocate(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

Buffer *make_block(int32_t size_class) {
    const int64_t bytes = class_bytes(size_class);
    const bool apart = bytes >= apart_bytes;
    void *memory = allocate(sizeof(Buffer) + (apart ? 0 : bytes));
    if (!memory) return nullptr;
    Buffer *block = new (memory) Buffer;
    block->size_class = size_class;
    block->device = nullptr;
    block->data = !apart ? block + 1 : bytes >= mapped_bytes ? map_pages(bytes) : allocate(bytes);
    if (block->data) return block;
    free(block);
    return nullptr;
}

void free_blocks(Buffer *block) {
    while (block) {
        Buffer *next = block->next_idle;
        const int64_t bytes = class_bytes(block->size_class);
        if (bytes >= mapped_bytes)
            munmap(block->data, bytes);
        else if (bytes >= apart_bytes)
            free(block->data);
        free(block);
        block = next;
    }
}

// Takes idle blocks out of the pool, largest first, until it holds at most `bytes`; the caller frees them outside the lock.
Buffer *trim(Pool &pool, int64_t bytes) {
    Buffer *freed = nullptr;
    for (int32_t c = n_size_classes - 1; c >= 0 && pool.stats.pooled_bytes > bytes; --c)
        while (pool.idle[c] && pool.stats.pooled_bytes > bytes) {
            Buffer *block = pool.idle[c];
            pool.idle[c] = block->next_idle;
            pool.stats.pooled_bytes -= class_bytes(c);
            block->next_idle = freed;
            freed = block;
        }
    return freed;
}

int64_t idle_limit(const Pool &pool) { return pool.idle_limit >= 0 ? pool.idle_limit : std::max(default_idle_bytes, pool.stats.peak_bytes / 4); }

void start(Buffer *block, Context *context, int64_t bytes) {
    block->bytes = bytes;
    block->device_type = context->device_type;
    block->device_id = context->device_id;
    block->refs.store(1, std::memory_order_relaxed);
    block->state.store(engine.free_word.load(std::memory_order_relaxed), std::memory_order_relaxed);
    block->version = make_version();
    block->exposed = 0;
    block->poison = nullptr;
    block->context = context;
    block->first = block->last = nullptr;
}

cymx_buffer *out_of_memory(const Context &context, const cymx_storage_stats &stats, int64_t bytes, cymx_error *err) {
    fail(err, CYMX_OUT_OF_MEMORY, "out of memory on %s(%d): asked for %lld bytes, with %lld bytes live and a limit of %lld bytes",
         device_name(context.device_type), context.device_id, Long{bytes}, Long{stats.live_bytes},
         Long{stats.limit_bytes ? stats.limit_bytes : physical_bytes()});
    return nullptr;
}

// What the pool cannot give: makes room under the limit, then asks the system, the second time with an empty pool.
Buffer *make_fresh(Context &context, int32_t size_class) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        Buffer *freed;
        {
            Guard guard(context.lock);
            const int64_t limit = context.pool.stats.limit_bytes;
            const int64_t room = !limit ? INT64_MAX : std::max<int64_t>(0, limit - context.pool.stats.live_bytes);
            freed = trim(context.pool, attempt ? 0 : room);
        }
        free_blocks(freed);
        if (Buffer *block = make_block(size_class)) return block;
    }
    return nullptr;
}

// Memory of the device's own, in a Buffer of ours.
Buffer *make_on_device(const cymx_device_ops &ops, int32_t device_id, int64_t bytes, cymx_error *err) {
    void *memory = allocate(sizeof(Buffer)), *data, *known_by;
    if (!memory) {
        fail(err, CYMX_OUT_OF_MEMORY, "out of memory while %lld bytes of a device were asked for", Long{bytes});
        return nullptr;
    }
    if (ops.alloc(device_id, bytes, &data, &known_by, err)) {
        free(memory);
        return nullptr;
    }
    Buffer *block = new (memory) Buffer;
    block->size_class = on_device;
    block->data = data;
    block->device = known_by;
    return block;
}

void destroy(Buffer *block) {
    if (block->poison) release_poison(block->poison);
    if (block->size_class == foreign) {
        if (block->free_fn) block->free_fn(block->owner);
        free(block);
        return;
    }
    Context &context = *block->context;
    Pool &pool = context.pool;
    Buffer *freed = nullptr;
    if (block->size_class == on_device) {
        device_ops(block->device_type)->free(block->device);
        Guard guard(context.lock);
        pool.stats.live_bytes -= block->bytes;
        free(block);
        return;
    }
    {
        Guard guard(context.lock);
        pool.stats.live_bytes -= block->bytes;
        pool.stats.pooled_bytes += class_bytes(block->size_class);
        block->next_idle = pool.idle[block->size_class];
        pool.idle[block->size_class] = block;
        if (pool.stats.pooled_bytes > default_idle_bytes || pool.idle_limit >= 0) freed = trim(pool, idle_limit(pool));
    }
    if (freed) free_blocks(freed);
}

} // namespace
} // namespace cymx

using namespace cymx;

cymx_buffer *cymx_buffer_new(int32_t device_type, int32_t device_id, int64_t bytes, cymx_error *err) {
    if (bytes < 0) {
        fail(err, CYMX_BAD_ARGUMENT, "a buffer of %lld bytes", Long{bytes});
        return nullptr;
    }
    const cymx_device_ops *ops = device_ops(device_type);
    if (!ops && device_type == 2) {
        fail(err, CYMX_UNSUPPORTED, "nobody registered a device that makes memory on gpu(%d)", device_id);
        return nullptr;
    }
    Context &context = *find_context(device_type, device_id);
    Pool &pool = context.pool;
    cymx_storage_stats &stats = pool.stats;
    const bool absurd = !ops && bytes > physical_bytes(); // the system might promise it all the same
    const int32_t size_class = absurd || ops ? 0 : class_of(bytes);
    Buffer *block;
    {
        Guard guard(context.lock);
        if (absurd || (stats.limit_bytes && stats.live_bytes + bytes > stats.limit_bytes)) return out_of_memory(context, stats, bytes, err);
        stats.live_bytes += bytes;
        stats.peak_bytes = std::max(stats.peak_bytes, stats.live_bytes);
        ++stats.n_alloc;
        block = ops ? nullptr : pool.idle[size_class];
        if (block) {
            pool.idle[size_class] = block->next_idle;
            stats.pooled_bytes -= class_bytes(size_class);
            ++stats.n_pool_hits;
        }
    }
    if (!block) block = ops ? make_on_device(*ops, device_id, bytes, err) : make_fresh(context, size_class);
    if (!block) {
        Guard guard(context.lock);
        stats.live_bytes -= bytes;
        --stats.n_alloc;
        return ops ? nullptr : out_of_memory(context, stats, bytes, err);
    }
    start(block, &context, bytes);
    return block;
}

cymx_buffer *cymx_buffer_wrap_on_device(int32_t device_type, int32_t device_id, void *data, void *block, int64_t bytes, void (*free_fn)(void *),
                                        void *owner, cymx_error *err) {
    cymx_buffer *buffer = cymx_buffer_wrap(device_type, device_id, data, bytes, free_fn, owner, err);
    if (buffer) buffer->device = block;
    return buffer;
}

cymx_buffer *cymx_buffer_wrap(int32_t device_type, int32_t device_id, void *data, int64_t bytes, void (*free_fn)(void *), void *owner,
                              cymx_error *err) {
    if (bytes < 0 || (bytes && !data)) {
        fail(err, CYMX_BAD_ARGUMENT, "%lld foreign bytes at %p", Long{bytes}, data);
        return nullptr;
    }
    void *memory = allocate(sizeof(Buffer));
    if (!memory) {
        fail(err, CYMX_OUT_OF_MEMORY, "out of memory while %lld foreign bytes were wrapped", Long{bytes});
        return nullptr;
    }
    Buffer *block = new (memory) Buffer;
    start(block, find_context(device_type, device_id), bytes);
    block->size_class = foreign;
    block->device = nullptr;
    block->exposed = 1;
    block->data = data ? data : block;
    block->free_fn = free_fn;
    block->owner = owner;
    return block;
}

void cymx_buffer_expose(cymx_buffer *buffer) { buffer->exposed = 1; }

void cymx_buffer_retain(cymx_buffer *buffer) { as_buffer(buffer)->refs.fetch_add(1, std::memory_order_relaxed); }

void cymx_buffer_release(cymx_buffer *buffer) {
    Buffer *block = as_buffer(buffer);
    // A sole owner races with nobody and saves the atomic subtraction.
    if (block->refs.load(std::memory_order_acquire) == 1 || block->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(block);
}

void cymx_storage_get_stats(int32_t device_type, int32_t device_id, cymx_storage_stats *stats) {
    Context &context = *find_context(device_type, device_id);
    {
        Guard guard(context.lock);
        *stats = context.pool.stats;
    }
    if (const cymx_device_ops *ops = device_ops(device_type)) ops->stats(device_id, stats);
}

void cymx_storage_set_limit(int32_t device_type, int32_t device_id, int64_t bytes) {
    Context &context = *find_context(device_type, device_id);
    Guard guard(context.lock);
    context.pool.stats.limit_bytes = bytes;
}

void cymx_storage_set_idle_limit(int32_t device_type, int32_t device_id, int64_t bytes) {
    Context &context = *find_context(device_type, device_id);
    Buffer *freed;
    {
        Guard guard(context.lock);
        context.pool.idle_limit = bytes;
        freed = trim(context.pool, idle_limit(context.pool));
    }
    free_blocks(freed);
}

void cymx_storage_empty_cache(int32_t device_type, int32_t device_id) {
    Context &context = *find_context(device_type, device_id);
    Buffer *freed;
    {
        Guard guard(context.lock);
        freed = trim(context.pool, 0);
    }
    free_blocks(freed);
    if (const cymx_device_ops *ops = device_ops(device_type)) ops->trim(device_id);
}
