/* A compiled plan on a GPU: launches whose addresses lie at fixed offsets of numbered slots, queued one after another on a stream, or captured once
 * as a CUDA graph and replayed.  Knows no operator, no engine and no lock: whoever calls run holds the device's (csrc/gpu/device.h).
 * Called by: cymx/gpu/_plan.pyx. */
#ifndef CYMX_GPU_PLAN_H_
#define CYMX_GPU_PLAN_H_

#include "cymx.h"
#include "gpu/driver.h"
#include "gpu/library.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cymx_gpu_plan cymx_gpu_plan;

/* An argument of a launch: the address `offset` bytes into a slot, or, with slot -1, the `bytes` bytes at value. */
typedef struct cymx_gpu_arg {
    int32_t slot, bytes;
    int64_t offset;
    const void *value;
} cymx_gpu_arg;

/* replays: whether a part that runs again in the same memory is captured as a graph.  n_lanes: streams that a capture uses. */
cymx_gpu_plan *cymx_gpu_plan_new(int32_t n_slots, int32_t n_lanes, int replays);
void cymx_gpu_plan_retain(cymx_gpu_plan *plan);
/* The last release gives back the graphs; driver is null where no device was ever opened. */
void cymx_gpu_plan_release(cymx_gpu_plan *plan, const cymx_driver *driver);
/* Begins a step; in a capture it goes to `lane` and waits for the earlier steps `after`, which lie in other lanes. */
void cymx_gpu_plan_step(cymx_gpu_plan *plan, const char *label, int32_t lane, const int32_t *after, int32_t n_after);
/* Appends to the step begun last; everything is copied.  dims: grid x, y, z, block x, y, z. */
void cymx_gpu_plan_launch(cymx_gpu_plan *plan, void *function, const uint32_t *dims, uint32_t shared_bytes, const cymx_gpu_arg *args, int32_t n_args);
void cymx_gpu_plan_fill(cymx_gpu_plan *plan, int32_t slot, int64_t offset, int64_t bytes, int32_t value);
/* Takes over a library's call; its last argument, the workspace, is rounded up to 256 bytes. */
void cymx_gpu_plan_call(cymx_gpu_plan *plan, cymx_gpu_call call, const cymx_gpu_arg *args, int32_t n_args);
/* Keeps what the step begun last makes, as cymx_plan_keep says.  A plan that does is never captured. */
void cymx_gpu_plan_keep(cymx_gpu_plan *plan, const int32_t *sources, int32_t n_sources);
/* Queues the steps [start, stop), part `part` of the plan (0 to 2), with slot i at slots[i], in buffers[i].  Returns a CUresult, or a
 * negative status of a library; *label is then the failing step's.  waits: for each step, so that it is; nothing is replayed then. */
int cymx_gpu_plan_run(cymx_gpu_plan *plan, const cymx_driver *driver, void *stream, int32_t part, int32_t start, int32_t stop, const uint64_t *slots,
                      const cymx_buffer *const *buffers, int waits, const char **label);
/* Whether the part is replayed as a graph now; for tests. */
int cymx_gpu_plan_captured(const cymx_gpu_plan *plan, int32_t part);

#ifdef __cplusplus
}
#endif
#endif
