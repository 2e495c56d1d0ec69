// Finds kernels by name, for the instruction set that was picked once.  Called by: cymx/_ops.pyx.
#pragma once
#include "cymx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Picks the instruction set: "" means the best one of this machine.  Fails on a name that is not compiled in or not supported here. */
int cymx_isa_select(const char *name, cymx_error *err);
/* The one in use: "x86-64-v2", "x86-64-v3", "x86-64-v4" or "baseline". */
const char *cymx_isa_name(void);
/* Space-separated names that this machine can run, best last. */
const char *cymx_isa_supported(void);
/* Null when there is no such kernel.  oneDNN's rows, where it is loaded and wanted, hide the portable ones of the same name. */
cymx_kernel cymx_kernel_find(const char *name);
/* The same without oneDNN: what its rows fall back to. */
cymx_kernel cymx_kernel_find_portable(const char *name);
/* Whether the kernel found by that name may like to have scratch, and how much for arrays of these shapes (data is ignored): 0 where it is little. */
int cymx_kernel_takes_scratch(const char *name);
int64_t cymx_kernel_scratch_bytes(const char *name, const cymx_args *args);

/* The number by which a map program names the functor `name` of include/cymx/map.h, or -1.  Defined in functors.cpp. */
int cymx_functor_find(const char *name);
/* The other way: its name, how many arguments it takes, and the dtypes that it computes in, bit i for flag i; null for no functor's number. */
const char *cymx_functor_describe(int number, int32_t *arity, uint32_t *types);

#ifdef __cplusplus
}
#endif
