// oneDNN primitives behind the same kernel rows; the library is found and opened at run time.  Called by: csrc/dispatch.cpp, cymx/_ops.pyx.
#pragma once
#include "cymx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the shared library at path (a file name of libdnnl.so.3) and fills the table of its functions.  Once is enough; a second call does nothing. */
int cymx_onednn_load(const char *path, cymx_error *err);
/* Whether cymx_onednn_find answers with oneDNN's kernels.  Off until loaded. */
void cymx_onednn_enable(int on);
int cymx_onednn_enabled(void);
/* The oneDNN kernel of that name, or null: not loaded, switched off, or none of that name.  A kernel found here falls back by itself to the portable
 * one for types and shapes that oneDNN lacks. */
cymx_kernel cymx_onednn_find(const char *name);
/* The bytes that a conv_weights launch writes (its output is ignored), or 0: the weight stays as it is. */
int64_t cymx_onednn_conv_weight_bytes(const cymx_args *args);
/* The scratch that the oneDNN kernel of that name wants for arrays of these shapes (data is ignored): 0 where it is none or little. */
int64_t cymx_onednn_scratch_bytes(const char *name, const cymx_args *args);

#ifdef __cplusplus
}
#endif
