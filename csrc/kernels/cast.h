// Which element types a kernel takes: numbers, or floats (see cymx/wide.h for how they are kept).
//
// Read by: the rooms in this folder that accumulate products and windows.  Everything is in an anonymous namespace (see table.h).
#pragma once
#include "types.h"

namespace {

// Calls f(T()) with the C++ type of dtype and yields its code; other dtypes than numbers, or than floats, are refused.
template <class F> inline int for_number(const cymx_args *args, i32 dtype, F f) {
    return for_dtype(args, dtype, [&](auto zero) {
        if constexpr (sizeof(wide_t<decltype(zero)>) == 1) {
            return fail(args, CYMX_UNSUPPORTED, "takes numbers only, no booleans");
        } else {
            return f(zero);
        }
    });
}

template <class F> inline int for_float(const cymx_args *args, i32 dtype, F f) {
    return for_dtype(args, dtype, [&](auto zero) {
        if constexpr (wide_t<decltype(zero)>(1) / 2 != 0) { // integers hold no half
            return f(zero);
        } else {
            return fail(args, CYMX_UNSUPPORTED, "takes floating types only");
        }
    });
}

} // namespace
