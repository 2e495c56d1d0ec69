/* The C interface of the core: tensors, kernel arguments, buffers, tasks, error codes.
 *
 * Everything that crosses a room wall in csrc/ is declared here, in plain C, so that the Cython files, the kernels of every instruction set and the
 * engine agree on one layout.  It never includes Python.h.  Called by: csrc/ (all of it), cymx/_engine.pxd, cymx/_ops.pxd. */
#ifndef CYMX_H_
#define CYMX_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CYMX_MAX_NDIM = 8 };

/* MXNet's own type flags: they are what .params files hold. */
typedef enum cymx_dtype {
    CYMX_FLOAT32 = 0,
    CYMX_FLOAT64 = 1,
    CYMX_FLOAT16 = 2,
    CYMX_UINT8 = 3,
    CYMX_INT32 = 4,
    CYMX_INT8 = 5,
    CYMX_INT64 = 6,
    CYMX_BOOL = 7,
    CYMX_BFLOAT16 = 12
} cymx_dtype;

typedef enum cymx_code { CYMX_OK = 0, CYMX_FAILED = 1, CYMX_BAD_ARGUMENT = 2, CYMX_OUT_OF_MEMORY = 3, CYMX_UNSUPPORTED = 4 } cymx_code;

/* Filled by whoever fails; the message is complete English, without the operator's name (the caller adds it). */
typedef struct cymx_error {
    int32_t code;
    char message[1020];
} cymx_error;

/* ---- tensors and kernels (stateless; linked into _ops) -------------------------------------------------------------------------------- */

/* A contiguous row-major array.  ndim 0 is a scalar of one element.  data is 64-byte aligned at a buffer's start, element aligned in a view. */
typedef struct cymx_tensor {
    void *data;
    int32_t dtype;
    int32_t ndim;
    int64_t shape[CYMX_MAX_NDIM];
} cymx_tensor;

/* What every kernel gets.  params is a block of 8-byte fields (int64_t or double) that the kernel reads through a struct of its own in
 * include/cymx/params.h.  scratch is 64-byte aligned; who wants more than scratch_bytes, which may be 0, finds memory of its own.  Outputs alias no input unless the kernel's header comment says that it may. */
typedef struct cymx_args {
    const cymx_tensor *in;
    const cymx_tensor *out;
    int32_t n_in, n_out;
    const void *params;
    int64_t params_bytes;
    void *scratch;
    int64_t scratch_bytes;
    uint64_t seed, counter; /* Philox key and first counter of this launch (random kernels only) */
    cymx_error *err;
} cymx_args;

typedef int (*cymx_kernel)(const cymx_args *);

/* scratch: how many bytes of scratch the kernel likes to have for arrays of these shapes (data is ignored); null for none. */
typedef struct cymx_kernel_row {
    const char *name;
    cymx_kernel run;
    int64_t (*scratch)(const cymx_args *);
} cymx_kernel_row;

/* ---- buffers and tasks (all process state; linked into _engine only) ------------------------------------------------------------------ */

/* A reference-counted piece of memory with an engine variable of its own.  These fields are read by everybody and
 * written by the engine alone. */
typedef struct cymx_buffer {
    void *data;
    int64_t bytes;       /* what was asked for */
    int32_t device_type; /* 1 cpu, 2 gpu, 3 cpu_pinned, 5 cpu_shared, as in MXNet */
    int32_t device_id;
    uint64_t version; /* a number that no other writing of any buffer has; whoever reads the buffer in a task sees it stand still */
    int32_t exposed;  /* whether others may write it behind the engine's back, so that version says nothing */
    void *device;     /* what the device's operations know the memory by; null: the host sees it */
    /* the engine's own fields follow; see engine/engine.h */
} cymx_buffer;

enum {
    CYMX_TASK_SMALL = 1, /* may run at once in the calling thread when every variable is free */
    CYMX_TASK_FRESH = 2, /* nobody else knows the buffers that it writes: they were made for it */
    CYMX_TASK_TEAM = 4   /* its kernels share their work among OpenMP's threads (engine/teams.cpp) */
};

/* A unit of work.  run gets arg and fills err when it returns non-zero.  drop (may be null) frees arg after the task ran or was skipped.  arg_bytes:
 * where it is not 0, arg lies in the caller's frame and the engine copies that much when it queues the task. */
typedef struct cymx_task {
    int (*run)(void *arg, cymx_error *err);
    void (*drop)(void *arg);
    void *arg;
    cymx_buffer *const *reads;
    cymx_buffer *const *writes; /* a buffer in both lists, or twice in one, counts once; writing wins, but poison in it still counts as read */
    int32_t n_reads, n_writes;
    int32_t device_type, device_id;
    const char *label; /* operator and node, for errors; copied by the engine when the task is queued */
    uint32_t flags;
    int32_t arg_bytes;
} cymx_task;

#ifdef __cplusplus
}
#endif
#endif
