// Element types as sums are kept: 16-bit floats widen to float32, integers to unsigned words whose wrapping is defined.  And how a room goes from a
// run-time dtype to a C++ type, or refuses it.  Read by: the rooms in this folder that accumulate.  Everything is in an anonymous namespace (see table.h).
#pragma once
#include <string.h>

#include "cymx.h"
#include "cymx/half.h"

namespace {

using cymx::bfloat16;
using cymx::float16;
using cymx::i64;

template <class T> struct Wide : cymx::wrapping<T> {};
template <> struct Wide<float16> { using type = float; };
template <> struct Wide<bfloat16> { using type = float; };
template <class T> using wide_t = typename Wide<T>::type;

template <class T> inline wide_t<T> widen(T x) { return static_cast<wide_t<T>>(x); }
inline float widen(float16 x) { return cymx::to_float(x); }
inline float widen(bfloat16 x) { return cymx::to_float(x); }

template <class T> struct Narrow {
    static T of(wide_t<T> x) { return static_cast<T>(x); }
};
template <> struct Narrow<float16> {
    static float16 of(float x) { return cymx::from_float<float16>(x); }
};
template <> struct Narrow<bfloat16> {
    static bfloat16 of(float x) { return cymx::from_float<bfloat16>(x); }
};
template <class T> inline T narrow(wide_t<T> x) { return Narrow<T>::of(x); }

inline int fail(cymx_error *err, int code, const char *message) {
    err->code = code;
    strncpy(err->message, message, sizeof err->message - 1);
    err->message[sizeof err->message - 1] = 0;
    return code;
}

// Calls f(T()) with the C++ type of dtype and yields its code.
template <class F> inline int for_float(int32_t dtype, cymx_error *err, F &&f) {
    switch (dtype) {
    case CYMX_FLOAT32: return f(float());
    case CYMX_FLOAT64: return f(double());
    case CYMX_FLOAT16: return f(float16());
    case CYMX_BFLOAT16: return f(bfloat16());
    default: return fail(err, CYMX_UNSUPPORTED, "takes floating types only");
    }
}

template <class F> inline int for_number(int32_t dtype, cymx_error *err, F &&f) {
    switch (dtype) {
    case CYMX_INT8: return f(cymx::i8());
    case CYMX_UINT8: return f(cymx::u8());
    case CYMX_INT32: return f(cymx::i32());
    case CYMX_INT64: return f(cymx::i64());
    case CYMX_BOOL: return fail(err, CYMX_UNSUPPORTED, "takes numbers only, not booleans");
    default: return for_float(dtype, err, f);
    }
}

} // namespace
