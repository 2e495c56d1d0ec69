// Copies between host and device, within a device, and between devices.
// Small uploads go in the order of computing; large ones by a stream of their own.  Host memory that the driver has not locked goes through
// pages that it has, so that the caller's is free again at once.  Called by the engine (cymx_copy), and through device.h.
#include <algorithm>
#include <cstring>

#include "gpu/state.h"

namespace cymx::gpu {
namespace {

enum { portable = 1 }; // page-locked for every context

// One piece of work on a stream: begin, what `queue` does with the driver's stream, end.
template <class F>
int queue(Device &device, int32_t stream, cymx_buffer *read, cymx_buffer *write, const char *what, cymx_error *err, F &&enqueue) {
    void *handle;
    if (cymx_gpu_begin(device.id, stream, &read, read != nullptr, &write, write != nullptr, &handle, err)) return err->code;
    const int result = enqueue(handle);
    cymx_gpu_end(device.id, stream, &read, read != nullptr, &write, write != nullptr);
    return result ? cymx_gpu_fail(device.id, result, what, err) : CYMX_OK;
}

// Goes to the ring's next page; under its lock and the device's.  The page is free once wait_for_page says so.
int next_page(Staging &staging, int64_t bytes) {
    staging.page = (staging.page + 1) % Staging::n_pages;
    staging.used = 0;
    Staging::Page &page = staging.pages[staging.page];
    return page.memory ? 0 : driver.cuMemHostAlloc(reinterpret_cast<void **>(&page.memory), bytes, portable);
}

int upload(Block &block, char *dst, const char *src, int64_t bytes, cymx_error *err) {
    Device &device = *block.device;
    cymx_buffer target = carrier(&block);
    if (bytes <= small_bytes) {
        cymx_buffer *write = &target;
        if (cymx_gpu_begin(device.id, CYMX_STREAM_COMPUTE, nullptr, 0, &write, 1, nullptr, err)) return err->code;
        const int code = cymx_gpu_stage(device.id, CYMX_STREAM_COMPUTE, reinterpret_cast<uint64_t>(dst), src, bytes, err);
        cymx_gpu_end(device.id, CYMX_STREAM_COMPUTE, nullptr, 0, &write, 1);
        return code;
    }
    Lock lock(device.upload);
    for (int64_t at = 0; at < bytes; at += large_page) {
        const int64_t n = std::min(large_page, bytes - at);
        {
            Lock inner(device.lock);
            const Current current(device);
            const int result = current.result() ? current.result() : next_page(device.up, large_page);
            if (result) return cymx_gpu_fail(device.id, result, "locking host memory for copies", err);
        }
        Staging::Page &page = device.up.pages[device.up.page];
        if (wait_here(device, page.positions, "an upload", err)) return err->code;
        memcpy(page.memory, src + at, n);
        const int code = queue(device, CYMX_STREAM_UPLOAD, nullptr, &target, "an upload", err, [&](void *stream) {
            page.positions[CYMX_STREAM_UPLOAD] = device.streams[CYMX_STREAM_UPLOAD].position + 1;
            return driver.cuMemcpyHtoDAsync(reinterpret_cast<uint64_t>(dst + at), page.memory, n, stream);
        });
        if (code) return code;
    }
    return CYMX_OK;
}

// Two pages are on their way while the one before is copied out.
int download(char *dst, Block &block, const char *src, int64_t bytes, cymx_error *err) {
    Device &device = *block.device;
    cymx_buffer source = carrier(&block);
    int32_t stream;
    {
        Lock lock(device.lock);
        // Where nothing stands behind the last write, its own stream is ready as soon as any, and needs no event.
        stream = bytes <= large_page && block.write_position == device.streams[block.write_stream].position ? block.write_stream
                                                                                                            : int32_t{CYMX_STREAM_DOWNLOAD};
    }
    Lock lock(device.download);
    struct Flight {
        Staging::Page *page;
        int64_t at, n;
    } flights[Staging::n_pages];
    int n_flights = 0;
    int64_t asked = 0;
    for (int64_t got = 0; got < bytes;) {
        while (asked < bytes && n_flights < 3) {
            const int64_t n = std::min(large_page, bytes - asked);
            const int code = queue(device, stream, &source, nullptr, "a download", err, [&](void *handle) {
                if (const int result = next_page(device.down, large_page)) return result;
                Staging::Page &page = device.down.pages[device.down.page];
                std::fill_n(page.positions, CYMX_N_STREAMS, 0);
                page.positions[stream] = device.streams[stream].position + 1;
                flights[n_flights++] = {&page, asked, n};
                return driver.cuMemcpyDtoHAsync(page.memory, reinterpret_cast<uint64_t>(src + asked), n, handle);
            });
            if (code) return code;
            asked += n;
        }
        const Flight first = flights[0];
        if (wait_here(device, first.page->positions, "a download", err)) return err->code;
        memcpy(dst + first.at, first.page->memory, first.n);
        got += first.n;
        std::copy(flights + 1, flights + n_flights--, flights);
    }
    return CYMX_OK;
}

// The source's download stream copies, after the target's last users; the target's upload stream then stands for it.
int copy_to_peer(Block &to, char *dst, Block &from, const char *src, int64_t bytes, cymx_error *err) {
    cymx_buffer target = carrier(&to), source = carrier(&from);
    Mark mark;
    const auto mark_here = [&mark](Device &device, int32_t stream) { return find_mark(device, stream, device.streams[stream].position, &mark); };
    const char *what = "a copy between devices";
    int code = queue(*to.device, CYMX_STREAM_UPLOAD, nullptr, &target, what, err, [&](void *) { return 0; });
    if (code) return code;
    {
        Lock lock(to.device->lock);
        const Current current(*to.device);
        if (const int result = current.result() ? current.result() : mark_here(*to.device, CYMX_STREAM_UPLOAD))
            return cymx_gpu_fail(to.device->id, result, what, err);
    }
    code = queue(*from.device, CYMX_STREAM_DOWNLOAD, &source, nullptr, what, err, [&](void *stream) {
        const int result = driver.cuStreamWaitEvent(stream, mark.event, 0);
        return result ? result
                      : driver.cuMemcpyPeerAsync(reinterpret_cast<uint64_t>(dst), to.device->context, reinterpret_cast<uint64_t>(src),
                                                 from.device->context, bytes, stream);
    });
    if (code) return code;
    {
        Lock lock(from.device->lock);
        const Current current(*from.device);
        if (const int result = current.result() ? current.result() : mark_here(*from.device, CYMX_STREAM_DOWNLOAD))
            return cymx_gpu_fail(from.device->id, result, what, err);
    }
    return queue(*to.device, CYMX_STREAM_UPLOAD, nullptr, &target, what, err,
                 [&](void *stream) { return driver.cuStreamWaitEvent(stream, mark.event, 0); });
}

} // namespace

int copy(void *dst_block, void *dst, void *src_block, const void *src, int64_t bytes, cymx_error *err) {
    Block *const to = static_cast<Block *>(dst_block), *const from = static_cast<Block *>(src_block);
    char *const target = static_cast<char *>(dst);
    const char *const source = static_cast<const char *>(src);
    if (!from) return upload(*to, target, source, bytes, err);
    if (!to) return download(target, *from, source, bytes, err);
    if (to->device != from->device) return copy_to_peer(*to, target, *from, source, bytes, err);
    cymx_buffer written = carrier(to), read = carrier(from);
    return queue(*to->device, CYMX_STREAM_COMPUTE, &read, &written, "a copy", err, [&](void *stream) {
        return driver.cuMemcpyDtoDAsync(reinterpret_cast<uint64_t>(dst), reinterpret_cast<uint64_t>(src), bytes, stream);
    });
}

} // namespace cymx::gpu

using namespace cymx::gpu;

int cymx_gpu_stage(int32_t device_id, int32_t stream, uint64_t target, const void *source, int64_t n, cymx_error *err) {
    Device &device = *find(device_id);
    Staging &staging = device.small;
    for (int64_t at = 0, piece; at < n; at += piece) {
        piece = std::min(n - at, small_page);
        int result = 0;
        if (!staging.pages[staging.page].memory || staging.used + piece > small_page) {
            result = next_page(staging, small_page);
            // Full pages are long past: the stream is seldom waited for.
            for (int32_t s = 0; s < CYMX_N_STREAMS && !result; ++s) {
                uint64_t &needed = staging.pages[staging.page].positions[s];
                Mark mark;
                if (needed > device.streams[s].done && !(result = find_mark(device, s, needed, &mark)) &&
                    !(result = driver.cuEventSynchronize(mark.event)))
                    device.streams[s].done = std::max(device.streams[s].done, mark.position);
                if (!result) needed = 0;
            }
        }
        Staging::Page &page = staging.pages[staging.page];
        if (!result) {
            memcpy(page.memory + staging.used, static_cast<const char *>(source) + at, piece);
            result = driver.cuMemcpyHtoDAsync(target + at, page.memory + staging.used, piece, device.streams[stream].handle);
        }
        if (result) return cymx_gpu_fail(device_id, result, "an upload", err);
        page.positions[stream] = device.streams[stream].position + 1; // which end will give
        staging.used += (piece + 63) / 64 * 64;
    }
    return CYMX_OK;
}
