// The ground that every shared header stands on: integer names, the function qualifier, and bit patterns of floats.
//
// Read by g++ (per instruction set) and by NVRTC, which has no standard headers: include none here.  Functions are always inlined, so that a unit of
// one instruction set leaves no weak symbol that the linker could use in another.  Read by: every header of this folder.
#pragma once

#ifdef __CUDACC_RTC__
#define CYMX_FN __device__ __forceinline__
#define CYMX_LIBM(name) ::name
#else
#define CYMX_FN inline __attribute__((always_inline))
#define CYMX_LIBM(name) __builtin_##name
#endif

namespace cymx {

using i8 = signed char;
using u8 = unsigned char;
using u16 = unsigned short;
using i32 = int;
using u32 = unsigned int;
using i64 = long long; // "long" has 32 bits on some systems
using u64 = unsigned long long;

#ifdef __CUDACC_RTC__
CYMX_FN u32 bits_of(float x) { return __float_as_uint(x); }
CYMX_FN u64 bits_of(double x) { return (u64)__double_as_longlong(x); }
CYMX_FN float float_of(u32 x) { return __uint_as_float(x); }
CYMX_FN double double_of(u64 x) { return __longlong_as_double((i64)x); }
#else
CYMX_FN u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }
CYMX_FN u64 bits_of(double x) { return __builtin_bit_cast(u64, x); }
CYMX_FN float float_of(u32 x) { return __builtin_bit_cast(float, x); }
CYMX_FN double double_of(u64 x) { return __builtin_bit_cast(double, x); }
#endif

template <class T> struct limits; // what a maximum or a minimum starts from, and the special values of floats
template <> struct limits<float> {
    static CYMX_FN float infinity() { return float_of(0x7f800000u); }
    static CYMX_FN float nan() { return float_of(0x7fc00000u); }
    static CYMX_FN float lowest() { return -infinity(); }
    static CYMX_FN float highest() { return infinity(); }
};
template <> struct limits<double> {
    static CYMX_FN double infinity() { return double_of(0x7ff0000000000000ull); }
    static CYMX_FN double nan() { return double_of(0x7ff8000000000000ull); }
    static CYMX_FN double lowest() { return -infinity(); }
    static CYMX_FN double highest() { return infinity(); }
};
template <> struct limits<i64> {
    static CYMX_FN i64 lowest() { return (i64)0x8000000000000000ull; }
    static CYMX_FN i64 highest() { return 0x7fffffffffffffffll; }
};

// The type in which a sum of T may overflow: unsigned for integers, so that they wrap, and T itself for floats.
template <class T> struct wrapping {
    using type = T;
};
template <> struct wrapping<i8> {
    using type = u32;
};
template <> struct wrapping<u8> {
    using type = u32;
};
template <> struct wrapping<i32> {
    using type = u32;
};
template <> struct wrapping<i64> {
    using type = u64;
};
template <class T> CYMX_FN typename wrapping<T>::type wrap(T x) { return (typename wrapping<T>::type)x; }

} // namespace cymx
