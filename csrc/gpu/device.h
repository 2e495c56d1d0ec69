/* GPUs under the engine's contract: streams, the order of work on them, memory, staging for copies.  All state of GPUs
 * lives behind it.
 *
 * Order.  A device has three streams.  What is queued on a stream between `begin` and `end` gets the stream's next
 * position, and every block of memory carries the position of its last write, and of its last read on each stream.
 * `begin` has its stream wait, by an event, for the last uses on other streams, and never again for a position that it
 * has waited for; on its own stream nothing is needed.  Events are recorded where somebody waits, and every few
 * positions, so that nobody waits for much that was queued behind.
 *
 * Memory.  Blocks come from a pool of the driver's that keeps what it has; above it lie lists of idle blocks by size, so
 * that a hit asks nothing of the driver.  A freed block keeps its positions: whoever gets it next waits, in `begin`, for
 * those who had it, so that freeing never waits.
 *
 * Locks.  A device's lock is held from `begin` to `end`, which only queue; nobody takes the GIL or waits for the GPU
 * while holding it, except to make room where memory ran out.  The staging buffers have a lock of their own.
 *
 * Fork.  A child must not touch what its parent opened: everything fails there with words to say so, and nothing is
 * freed.  Exit.  Nothing is torn down: the driver does so, and late destructors stay safe.
 *
 * It refuses: opening devices (gpu/driver.py does, through `cymx_gpu_set_opener`), launching anything itself.
 * Called by: cymx/gpu/_device.pyx, which links it alone, and through the .pxd by cymx/gpu/_plan.pyx. */
#ifndef CYMX_GPU_DEVICE_H_
#define CYMX_GPU_DEVICE_H_

#include <stdint.h>

#include "cymx.h"
#include "engine/engine.h"
#include "gpu/driver.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CYMX_STREAM_COMPUTE, CYMX_STREAM_UPLOAD, CYMX_STREAM_DOWNLOAD, CYMX_N_STREAMS };
enum { CYMX_MAX_DEVICES = 64 };

/* ---- opening ---------------------------------------------------------------------------------------------------------------------------- */

/* What gpu/driver.py made of a device.  A null pool: the device has none, and memory is made synchronously. */
typedef struct cymx_gpu_handles {
    void *context, *pool;
    void *streams[CYMX_N_STREAMS];
} cymx_gpu_handles;

/* The opener fills the handles of a device at its first use; it may take the GIL. */
void cymx_gpu_set_opener(int (*open)(int32_t device_id, cymx_gpu_handles *handles, cymx_error *err));
/* Fills the table of functions, in the order of CYMX_DRIVER_FUNCTIONS; once, before a device is opened. */
void cymx_gpu_set_driver(void *const *functions, int32_t n);
const cymx_driver *cymx_gpu_driver(void);
/* The functions' names, in that order; null ends them. */
extern const char *const cymx_gpu_driver_names[];
/* Opens the device if it is not. */
int cymx_gpu_open(int32_t device_id, cymx_error *err);
/* The operations for the engine; see cymx_device_register. */
const cymx_device_ops *cymx_gpu_ops(void);

/* ---- queueing --------------------------------------------------------------------------------------------------------------------------- */

/* Locks the device, makes its context current here and has the stream wait for the last uses of these buffers on other
 * streams.  Opens the device if need be.  On an error nothing is locked. */
int cymx_gpu_begin(int32_t device_id, int32_t stream, cymx_buffer *const *reads, int32_t n_reads, cymx_buffer *const *writes, int32_t n_writes,
                   void **cu_stream, cymx_error *err);
/* Notes that what was queued since begin uses the buffers, and unlocks. */
void cymx_gpu_end(int32_t device_id, int32_t stream, cymx_buffer *const *reads, int32_t n_reads, cymx_buffer *const *writes, int32_t n_writes);
/* Between begin and end: copies a few host bytes to device memory in stream order; the source is free again at once. */
int cymx_gpu_stage(int32_t device_id, int32_t stream, uint64_t target, const void *source, int64_t n, cymx_error *err);
/* Fills err from a result of the driver's and returns its code; after an error that ends a context the device is lost. */
int cymx_gpu_fail(int32_t device_id, int result, const char *what, cymx_error *err);

/* ---- streams and memory of others ------------------------------------------------------------------------------------------------------- */

/* Has the compute stream, which it returns, wait for all queued uses of a buffer, and with `follow` also another library's stream. */
int cymx_gpu_lend(cymx_buffer *buffer, void *other_stream, int follow, void **compute_stream, cymx_error *err);
/* Has all work here on a buffer wait for what is queued on another library's stream now. */
int cymx_gpu_follow(cymx_buffer *buffer, void *other_stream, cymx_error *err);
/* Makes a block of foreign memory, for cymx_buffer_wrap_on_device.  Null on an error: the owner stays the caller's. */
void *cymx_gpu_adopt(int32_t device_id, void *data, int64_t bytes, void (*free_fn)(void *), void *owner, cymx_error *err);
/* Waits for what was queued on an adopted block, calls free_fn(owner) and frees the block; on any thread. */
void cymx_gpu_give_back(void *block);
/* Free and total bytes of the device. */
int cymx_gpu_memory(int32_t device_id, int64_t *free_bytes, int64_t *total_bytes, cymx_error *err);

#ifdef __cplusplus
}
#endif
#endif
