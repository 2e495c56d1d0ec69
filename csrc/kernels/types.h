// How a kernel goes from a run-time dtype, or an element size, to a C++ type, and how it spreads its tasks.  Read by: rooms in this folder that
// reduce, move, index or make elements.
#pragma once
#include "cymx/wide.h"
#include "errors.h"

namespace {

using namespace cymx;

inline i64 least(i64 a, i64 b) { return a < b ? a : b; }

inline i64 element_size(i32 dtype) {
    switch (dtype) {
    case CYMX_FLOAT64:
    case CYMX_INT64: return 8;
    case CYMX_FLOAT32:
    case CYMX_INT32: return 4;
    case CYMX_FLOAT16:
    case CYMX_BFLOAT16: return 2;
    default: return 1;
    }
}

inline i64 element_count(const cymx_tensor &t) {
    i64 n = 1;
    for (i32 d = 0; d < t.ndim; ++d) {
        n *= t.shape[d];
    }
    return n;
}

// Calls f(T()) with the C++ type of dtype and yields its code.
template <class F> inline int for_dtype(const cymx_args *args, i32 dtype, F f) {
    switch (dtype) {
    case CYMX_FLOAT32: return f(float());
    case CYMX_FLOAT64: return f(double());
    case CYMX_FLOAT16: return f(float16());
    case CYMX_BFLOAT16: return f(bfloat16());
    case CYMX_UINT8: return f(u8());
    case CYMX_INT8: return f(i8());
    case CYMX_INT32: return f(i32());
    case CYMX_INT64: return f(i64());
    case CYMX_BOOL: return f(bool());
    default: return fail(args, CYMX_UNSUPPORTED, "dtype %lld is none that this kernel knows", dtype);
    }
}

// The same for kernels that only move elements: f gets an unsigned integer of their size.
template <class F> inline void for_size(i64 size, F f) {
    switch (size) {
    case 1: return f(u8());
    case 2: return f(u16());
    case 4: return f(u32());
    default: return f(u64());
    }
}

// Calls f(i) for i in [0, n), on all threads where the work is large: even an idle parallel region costs more than a small kernel.
template <class F> inline void for_tasks(i64 n, bool large, F f) {
    if (!large || n < 2) {
        for (i64 i = 0; i < n; ++i) {
            f(i);
        }
        return;
    }
#pragma omp parallel for schedule(static)
    for (i64 i = 0; i < n; ++i) {
        f(i);
    }
}

} // namespace
