// Reducers: what joins two elements of a reduction, what an empty one starts from, and the types in which it is kept.
//
// Lane<T> is what a short run of T is joined in; Total<T> holds the joined runs.  float32 and narrower run in float32 and total in float64; integers
// and bool run in int64 and wrap when they are stored.  Read by: csrc/kernels/reduce.cpp, gpu kernels.
#pragma once
#include "half.h"

namespace cymx {

template <class T> struct Kept {
    using lane = i64;
    using total = i64;
};
template <> struct Kept<float> {
    using lane = float;
    using total = double;
};
template <> struct Kept<float16> {
    using lane = float;
    using total = double;
};
template <> struct Kept<bfloat16> {
    using lane = float;
    using total = double;
};
template <> struct Kept<double> {
    using lane = double;
    using total = double;
};
template <class T> using Lane = typename Kept<T>::lane;
template <class T> using Total = typename Kept<T>::total;

template <class T> CYMX_FN Lane<T> to_lane(T x) { return (Lane<T>)x; }
CYMX_FN float to_lane(float16 x) { return to_float(x); }
CYMX_FN float to_lane(bfloat16 x) { return to_float(x); }

template <class T> struct Stored {
    static CYMX_FN T of(Total<T> x) { return (T)x; }
};
template <> struct Stored<bool> {
    static CYMX_FN bool of(i64 x) { return x != 0; }
};
template <> struct Stored<float16> {
    static CYMX_FN float16 of(double x) { return from_float<float16>((float)x); }
};
template <> struct Stored<bfloat16> {
    static CYMX_FN bfloat16 of(double x) { return from_float<bfloat16>((float)x); }
};

namespace reducer {

struct sum {
    static constexpr bool has_empty = true;
    template <class T> static CYMX_FN T start() { return T(0); }
    template <class T> static CYMX_FN T join(T x, T y) { return T(wrap(x) + wrap(y)); }
};
struct prod {
    static constexpr bool has_empty = true;
    template <class T> static CYMX_FN T start() { return T(1); }
    template <class T> static CYMX_FN T join(T x, T y) { return T(wrap(x) * wrap(y)); }
};
struct max { // nan wins
    static constexpr bool has_empty = false;
    template <class T> static CYMX_FN T start() { return limits<T>::lowest(); }
    template <class T> static CYMX_FN bool beats(T x, T y) { return (x > y) | ((x != x) & (y == y)); }
    template <class T> static CYMX_FN T join(T x, T y) { return (x > y) | (x != x) ? x : y; }
};
struct min { // nan wins
    static constexpr bool has_empty = false;
    template <class T> static CYMX_FN T start() { return limits<T>::highest(); }
    template <class T> static CYMX_FN bool beats(T x, T y) { return (x < y) | ((x != x) & (y == y)); }
    template <class T> static CYMX_FN T join(T x, T y) { return (x < y) | (x != x) ? x : y; }
};

} // namespace reducer
} // namespace cymx
