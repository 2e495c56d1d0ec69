// Elements as kernels compute with them: 16-bit floats widen to float32, integers to unsigned words whose wrapping is defined; and back.
// Read by: csrc/kernels, gpu kernels.
#pragma once
#include "half.h"

namespace cymx {

template <class T> struct Wide : wrapping<T> {};
template <> struct Wide<float16> {
    using type = float;
};
template <> struct Wide<bfloat16> {
    using type = float;
};
template <class T> using wide_t = typename Wide<T>::type;

template <class T> CYMX_FN wide_t<T> widen(T x) { return static_cast<wide_t<T>>(x); }
CYMX_FN float widen(float16 x) { return to_float(x); }
CYMX_FN float widen(bfloat16 x) { return to_float(x); }

// A number as an element of type T.
template <class T> struct Converted {
    template <class V> static CYMX_FN T of(V x) { return (T)x; }
};
template <> struct Converted<bool> {
    template <class V> static CYMX_FN bool of(V x) { return x != V(0); }
};
template <> struct Converted<float16> {
    template <class V> static CYMX_FN float16 of(V x) { return from_float<float16>((float)x); }
};
template <> struct Converted<bfloat16> {
    template <class V> static CYMX_FN bfloat16 of(V x) { return from_float<bfloat16>((float)x); }
};
template <class T, class V> CYMX_FN T convert(V x) { return Converted<T>::of(x); }

} // namespace cymx
