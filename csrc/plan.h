/* A compiled plan: steps whose operands lie at fixed offsets of numbered slots, run one after another without the GIL.
 * Immutable once built, but for what it notes of kept steps, and reference-counted, so that queued runs outlive the Python object.
 * Called by: cymx/_ops.pyx. */
#ifndef CYMX_PLAN_H_
#define CYMX_PLAN_H_

#include "cymx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cymx_plan cymx_plan;

/* One operand of a step: its type, and where it lies (tensor.data is ignored). */
typedef struct cymx_operand {
    cymx_tensor tensor;
    int32_t slot;
    int64_t offset;
} cymx_operand;

cymx_plan *cymx_plan_new(int32_t n_slots);
void cymx_plan_retain(cymx_plan *plan);
void cymx_plan_release(cymx_plan *plan);
/* Appends a step; operands are n_in inputs, then n_out outputs.  Everything is copied.  scratch lies in the last slot.  n_random: Philox counters used. */
void cymx_plan_add(cymx_plan *plan, cymx_kernel kernel, const char *label, const cymx_operand *operands, int32_t n_in, int32_t n_out,
                   const void *params, int64_t params_bytes, int64_t scratch_offset, int64_t scratch_bytes, uint64_t n_random);
/* Keeps what the step appended last makes: it is run only where one of the buffers in these slots was written since, or may have been.  All runs of
 * such a plan are given the same buffers, and so follow one another.  The step draws no random numbers. */
void cymx_plan_keep(cymx_plan *plan, const int32_t *sources, int32_t n_sources);
/* Philox counters that the steps [start, stop) use together. */
uint64_t cymx_plan_n_random(const cymx_plan *plan, int32_t start, int32_t stop);
/* Runs the steps [start, stop) with slot i at slots[i], in buffers[i].  The message of a failing step begins with its label. */
int cymx_plan_run(cymx_plan *plan, int32_t start, int32_t stop, void *const *slots, const cymx_buffer *const *buffers, uint64_t seed,
                  uint64_t counter, cymx_error *err);

#ifdef __cplusplus
}
#endif
#endif
