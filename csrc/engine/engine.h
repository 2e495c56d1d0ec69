/* The engine room's C interface: buffers, the dependency engine, storage pools, random counters.  All state of the
 * process lives behind it.
 *
 * Order.  Every buffer holds a variable.  A task names the buffers that it reads and writes; tasks that read a buffer
 * run together, a writer runs alone, and both in the order of push.  Each context has one worker, made at its first
 * queued task, which runs ready tasks first in, first out. A task flagged CYMX_TASK_SMALL whose variables are all free
 * runs at once in the calling thread.
 *
 * Errors.  A failing task poisons what it writes; a task that reads poison is skipped and passes the same error on; a
 * task that overwrites without reading clears it.  A wait returns the poison of its buffer each time; wait_all returns
 * each error that no wait has returned yet, once, oldest first.
 *
 * Why no wakeup is lost.  A variable is one atomic word: epoch | writer | queued | readers.  The fast path takes and
 * gives it back by single atomic operations on that word.  Whoever finds it busy takes the engine's mutex and, in one
 * compare-and-swap, either gets it after all or sets `queued` on a word that it saw held.  So the holder's release is
 * later in the word's modification order, sees `queued` and takes the mutex, which it gets only after the newcomer
 * stands in the variable's line.  While the line is not empty `queued` stays set: no fast acquire succeeds, hence
 * under the mutex a word can only become freer, and the head of the line, if it cannot be served, waits for a holder
 * whose release is still to come and will look again. A release by a reader who leaves others behind need not look: a
 * line that starts while readers hold the word starts with a writer.
 *
 * Why it cannot deadlock.  A queued task enters all its lines under one hold of the mutex, so lines agree on one order
 * of tasks.  The fast path never waits: when it meets a busy variable it gives back what it took.  A thread inside a
 * task is never blocked by the queue's bound, and a wait there that would block is an error.
 *
 * Fork.  The handlers hold every lock across the fork and wait for nobody (a task may need the GIL that the forking
 * thread holds); the Python side drains the engine before.  The child takes a new epoch: a word of an older epoch fits
 * no fast path, and its first slow visitor frees it, poisoning the buffer if a writer was lost with the parent's
 * threads.
 *
 * Devices.  What the host cannot see (a GPU's memory) is made, freed, copied and waited for by operations that the
 * device's room registers.  There a task only queues work on the device: the engine orders the queueing, the device
 * the work, and a wait of the host ends with the device's own.
 *
 * It refuses: waiting inside a task, memory on a device that nobody registered, null or negative sizes.
 * Called by: cymx/_engine.pyx, and by the stress test.  Functions that may block must be called without the GIL. */
#ifndef CYMX_ENGINE_ENGINE_H_
#define CYMX_ENGINE_ENGINE_H_

#include <stdint.h>

#include "cymx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- buffers: a function that can fail returns null or a cymx_code and fills err -------------------------------------------------------- */

/* Makes a 64-byte aligned buffer with one reference; data is not null, even for 0 bytes, and not cleared. */
cymx_buffer *cymx_buffer_new(int32_t device_type, int32_t device_id, int64_t bytes, cymx_error *err);
/* Makes a buffer of foreign memory; the last release calls free_fn(owner) (may be null), on any thread. */
cymx_buffer *cymx_buffer_wrap(int32_t device_type, int32_t device_id, void *data, int64_t bytes, void (*free_fn)(void *), void *owner,
                              cymx_error *err);
/* The same for memory of a device; `block` is what its operations know the memory by, and free_fn(owner) frees that too. */
cymx_buffer *cymx_buffer_wrap_on_device(int32_t device_type, int32_t device_id, void *data, void *block, int64_t bytes, void (*free_fn)(void *),
                                        void *owner, cymx_error *err);
/* Says that the memory was handed out for writing; there is no way back.  Wrapped buffers start so. */
void cymx_buffer_expose(cymx_buffer *buffer);
void cymx_buffer_retain(cymx_buffer *buffer);
void cymx_buffer_release(cymx_buffer *buffer);

/* ---- engine ----------------------------------------------------------------------------------------------------------------------------- */

/* Runs the task at once or queues it; blocks while the context's queue is full.  Queued tasks retain their buffers.
 * Returns CYMX_OK although the task itself failed.  On another code the task was not taken and drop is not called. */
int cymx_engine_push(const cymx_task *task, cymx_error *err);
int cymx_engine_wait_to_read(cymx_buffer *buffer, cymx_error *err);
int cymx_engine_wait_to_write(cymx_buffer *buffer, cymx_error *err);
int cymx_engine_wait_all(cymx_error *err);
/* Waits for all queued tasks and reports no error; does nothing inside a task. */
void cymx_engine_drain(void);
/* "ThreadedEnginePerDevice", "ThreadedEngine" (the same) or "NaiveEngine" (every task runs in its pusher); drains first. */
int cymx_engine_set_type(const char *name, cymx_error *err);
const char *cymx_engine_type(void);
/* Bounds the unfinished tasks of each context; n >= 1. */
int cymx_engine_set_queue_limit(int64_t n, cymx_error *err);
/* Finishes all work and joins the workers; later tasks run in their pusher. */
void cymx_engine_shutdown(void);

/* ---- storage, by context ---------------------------------------------------------------------------------------------------------------- */

typedef struct cymx_storage_stats {
    int64_t live_bytes, peak_bytes; /* asked for by buffers alive now; at most so far */
    int64_t pooled_bytes;           /* idle, kept for reuse */
    int64_t n_alloc, n_pool_hits;   /* buffers made; of these, from the pool */
    int64_t limit_bytes;            /* of live_bytes; 0 is none */
} cymx_storage_stats;

void cymx_storage_get_stats(int32_t device_type, int32_t device_id, cymx_storage_stats *stats);
void cymx_storage_set_limit(int32_t device_type, int32_t device_id, int64_t bytes);
/* Bounds pooled_bytes; negative restores the default, the larger of 256 MiB and a quarter of peak_bytes. */
void cymx_storage_set_idle_limit(int32_t device_type, int32_t device_id, int64_t bytes);
void cymx_storage_empty_cache(int32_t device_type, int32_t device_id);

/* ---- devices ---------------------------------------------------------------------------------------------------------------------------- */

/* What a kind of device does for the engine.  A failing operation fills err and returns its code; none needs the GIL. */
typedef struct cymx_device_ops {
    /* Makes memory; opens the device at its first. */
    int (*alloc)(int32_t device_id, int64_t bytes, void **data, void **block, cymx_error *err);
    /* Takes memory back, on any thread, without blocking, whatever the device still does with it. */
    void (*free)(void *block);
    /* Waits until the queued writes of the memory, and with for_write its reads too, are done. */
    int (*wait)(void *block, int for_write, cymx_error *err);
    /* Waits for all queued work of all devices. */
    int (*wait_all)(cymx_error *err);
    /* Queues a copy; a null block is host memory, which is free again when the call returns.  The host waits for what it is to read. */
    int (*copy)(void *dst_block, void *dst, void *src_block, const void *src, int64_t bytes, cymx_error *err);
    /* Adds pooled_bytes and n_pool_hits, which the engine does not know. */
    void (*stats)(int32_t device_id, cymx_storage_stats *stats);
    /* Returns idle memory to the driver. */
    void (*trim)(int32_t device_id);
} cymx_device_ops;

/* Registers the operations of a device type, once, before its first buffer. */
void cymx_device_register(int32_t device_type, const cymx_device_ops *ops);
/* Inside a task: copies bytes between two buffers, wherever they are; a null buffer is plain host memory. */
int cymx_copy(cymx_buffer *dst, void *dst_at, cymx_buffer *src, const void *src_at, int64_t bytes, cymx_error *err);

/* ---- random: a Philox key and counter for each context ---------------------------------------------------------------------------------- */

/* Seeds all contexts, also those made later; contexts of different device_id get different keys, cpu(0) and gpu(0) the same. */
void cymx_random_seed(uint64_t seed);
/* Seeds one context with exactly this key. */
void cymx_random_seed_context(int32_t device_type, int32_t device_id, uint64_t seed);
/* Hands out the counters [*counter, *counter + n) of the context's key. */
void cymx_random_reserve(int32_t device_type, int32_t device_id, uint64_t n, uint64_t *seed, uint64_t *counter);

#ifdef __cplusplus
}
#endif
#endif
