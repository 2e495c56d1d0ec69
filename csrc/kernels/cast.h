// Element types as sums are kept: 16-bit floats widen to float32, integers to unsigned words whose wrapping is defined.
//
// Read by: the rooms in this folder that accumulate products and windows.  Everything is in an anonymous namespace (see table.h).
#pragma once
#include "types.h"

namespace {

template <class T> struct Wide : wrapping<T> {};
template <> struct Wide<float16> {
    using type = float;
};
template <> struct Wide<bfloat16> {
    using type = float;
};
template <class T> using wide_t = typename Wide<T>::type;

template <class T> inline wide_t<T> widen(T x) { return static_cast<wide_t<T>>(x); }
inline float widen(float16 x) { return to_float(x); }
inline float widen(bfloat16 x) { return to_float(x); }

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
