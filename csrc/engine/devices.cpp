// Memory that the host cannot see: the operations that each kind of device registers, the waits and copies that go through them.
// Called by engine.cpp and storage.cpp, and through engine.h.
#include <atomic>
#include <cstring>

#include "engine/core.h"

namespace cymx {
namespace {

constexpr int32_t n_device_types = 8;
std::atomic<const cymx_device_ops *> registered[n_device_types];

} // namespace

const cymx_device_ops *device_ops(int32_t device_type) {
    return device_type >= 0 && device_type < n_device_types ? registered[device_type].load(std::memory_order_acquire) : nullptr;
}

int wait_on_device(const Buffer &buffer, bool write, cymx_error *err) {
    return buffer.device ? device_ops(buffer.device_type)->wait(buffer.device, write, err) : CYMX_OK;
}

int wait_on_all_devices(cymx_error *err) {
    for (const auto &slot : registered)
        if (const cymx_device_ops *ops = slot.load(std::memory_order_acquire))
            if (const int code = ops->wait_all(err)) return code;
    return CYMX_OK;
}

} // namespace cymx

using namespace cymx;

void cymx_device_register(int32_t device_type, const cymx_device_ops *ops) {
    if (device_type >= 0 && device_type < n_device_types) registered[device_type].store(ops, std::memory_order_release);
}

int cymx_copy(cymx_buffer *dst, void *dst_at, cymx_buffer *src, const void *src_at, int64_t bytes, cymx_error *err) {
    void *const to = dst ? dst->device : nullptr, *const from = src ? src->device : nullptr;
    if (!bytes) return CYMX_OK;
    if (to || from) return device_ops(to ? dst->device_type : src->device_type)->copy(to, dst_at, from, src_at, bytes, err);
    memcpy(dst_at, src_at, bytes);
    return CYMX_OK;
}
