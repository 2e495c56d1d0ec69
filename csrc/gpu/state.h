// The GPU room's own types: Block, Stream, Device, and what device.cpp, memory.cpp and copy.cpp ask of each other.
// Read by csrc/gpu/*.cpp only; device.h holds the contract.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "gpu/device.h"

namespace cymx::gpu {

using Long = long long;
using Lock = std::unique_lock<std::mutex>;

struct Device;

// A piece of a device's memory and who used it last; all under the device's lock.
struct Block {
    Device *device;
    uint64_t address;
    int64_t bytes;                             // as the pool counts it
    uint64_t write_position = 0;               // 0: never
    uint64_t read_positions[CYMX_N_STREAMS]{}; // since that write
    int32_t write_stream = CYMX_STREAM_COMPUTE;
    Block *next_idle = nullptr;
    void (*free_fn)(void *) = nullptr; // foreign memory's
    void *owner = nullptr;
};

// An event, and the position at whose end it was recorded.
struct Mark {
    void *event = nullptr;
    uint64_t position = 0;
};

constexpr int n_marks = 64;                // of each stream; older ones are forgotten
constexpr uint64_t positions_per_mark = 8; // a wait is at most for so many positions too many
constexpr int64_t small_bytes = 64 << 10;  // what is copied under the device's lock, in the order of computing
constexpr int64_t large_page = 4 << 20, small_page = 256 << 10;

struct Stream {
    void *handle = nullptr;
    uint64_t position = 0; // of what was queued last
    uint64_t done = 0;     // known to be finished
    uint64_t waited[CYMX_N_STREAMS]{};
    Mark marks[n_marks];
    uint64_t n_recorded = 0;
};

// Page-locked memory in a ring of pages; a page is used again when what was queued with it is done.
struct Staging {
    static constexpr int n_pages = 4;
    struct Page {
        char *memory = nullptr;
        uint64_t positions[CYMX_N_STREAMS]{};
    } pages[n_pages];
    int page = 0;
    int64_t used = 0;
};

struct Device {
    explicit Device(int32_t id, const cymx_gpu_handles &handles);
    const int32_t id;
    void *const context, *const pool;
    std::mutex lock;
    Stream streams[CYMX_N_STREAMS];
    std::atomic<int> lost{0}; // the driver's result after which nothing works
    std::unordered_map<int64_t, Block *> idle;
    int64_t pooled_bytes = 0, live_bytes = 0, n_pool_hits = 0;
    Staging small;               // under `lock`
    std::mutex upload, download; // taken before `lock`
    Staging up, down;            // under `upload` and `download`
};

extern cymx_driver driver;

inline Block *block_of(const cymx_buffer *buffer) { return static_cast<Block *>(buffer->device); }

// A buffer that only carries a block, for begin and end.
inline cymx_buffer carrier(Block *block) {
    cymx_buffer buffer = {};
    buffer.device = block;
    return buffer;
}

// Makes a device's context current in this thread for a while.
class Current {
  public:
    explicit Current(const Device &device) : result_(driver.cuCtxPushCurrent(device.context)) {}
    ~Current() {
        if (!result_) driver.cuCtxPopCurrent(nullptr);
    }
    int result() const { return result_; }

  private:
    int result_;
};

// device.cpp
int fail(cymx_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int refuse(const Device &device, cymx_error *err); // where the device is lost, or was opened before a fork
bool is_usable(const Device &device);
Device *open(int32_t device_id, cymx_error *err);
Device *find(int32_t device_id);                                              // null: not opened
int find_mark(Device &device, int32_t stream, uint64_t position, Mark *mark); // these three under the lock; a driver's result
int wait_for(Device &device, int32_t stream, const uint64_t *needs);
void need(const Block &block, bool write, uint64_t *needs);
int wait_here(Device &device, const uint64_t *needs, const char *what, cymx_error *err); // the host; not under the lock

// memory.cpp
int alloc(int32_t device_id, int64_t bytes, void **data, void **block, cymx_error *err);
void free_block(void *block);
void free_foreign(void *block);
void stats(int32_t device_id, cymx_storage_stats *stats);
void trim(int32_t device_id);

// copy.cpp
int copy(void *dst_block, void *dst, void *src_block, const void *src, int64_t bytes, cymx_error *err);

} // namespace cymx::gpu
