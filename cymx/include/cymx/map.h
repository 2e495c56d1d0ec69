// Every elementwise functor, one line each: its name, the types it computes in, and its arithmetic.
//
// A functor takes one, two or three arguments x, y, z of one type T and yields a T; comparisons yield 0 or 1.  The lists below are the only place
// where a functor is written: the structs (cymx::fn::exp::f(x)), the numbers of map programs and the block functions of csrc/kernels/map.cpp all
// come from them. Integers wrap; integer division by zero yields 0.  Read by: csrc/functors.cpp, csrc/kernels/map.cpp, generated GPU kernels.
#pragma once
#include "half.h"
#include "math.h"

namespace cymx {

// Type classes: bit i stands for the dtype whose flag is i in cymx.h.
constexpr u32 FLOATING = 1u << 0 | 1u << 1, NUMERIC = FLOATING | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6, ALL = NUMERIC | 1u << 7;

#define CYMX_UNARY_LIST(F)                                                             \
    F(identity, ALL, x)                                                                \
    F(negative, NUMERIC, -wrap(x))                                                     \
    F(abs, NUMERIC, m::magnitude(x))                                                   \
    F(sign, NUMERIC, T(x > T(0)) - T(x < T(0)))                                        \
    F(round, NUMERIC, m::round(x))                                                     \
    F(rint, NUMERIC, m::rint(x))                                                       \
    F(ceil, NUMERIC, m::ceil(x))                                                       \
    F(floor, NUMERIC, m::floor(x))                                                     \
    F(trunc, NUMERIC, m::trunc(x))                                                     \
    F(fix, NUMERIC, m::trunc(x))                                                       \
    F(square, NUMERIC, wrap(x) * wrap(x))                                              \
    F(sqrt, FLOATING, m::sqrt(x))                                                      \
    F(rsqrt, FLOATING, T(1) / m::sqrt(x))                                              \
    F(cbrt, FLOATING, m::cbrt(x))                                                      \
    F(rcbrt, FLOATING, T(1) / m::cbrt(x))                                              \
    F(exp, FLOATING, m::exp(x))                                                        \
    F(exp2, FLOATING, m::exp2(x))                                                      \
    F(expm1, FLOATING, m::expm1(x))                                                    \
    F(log, FLOATING, m::log(x))                                                        \
    F(log2, FLOATING, m::log2(x))                                                      \
    F(log10, FLOATING, m::log10(x))                                                    \
    F(log1p, FLOATING, m::log1p(x))                                                    \
    F(sin, FLOATING, m::sin(x))                                                        \
    F(cos, FLOATING, m::cos(x))                                                        \
    F(tan, FLOATING, m::tan(x))                                                        \
    F(arcsin, FLOATING, m::asin(x))                                                    \
    F(arccos, FLOATING, m::acos(x))                                                    \
    F(arctan, FLOATING, m::atan(x))                                                    \
    F(sinh, FLOATING, m::sinh(x))                                                      \
    F(cosh, FLOATING, m::cosh(x))                                                      \
    F(tanh, FLOATING, m::tanh(x))                                                      \
    F(arcsinh, FLOATING, m::asinh(x))                                                  \
    F(arccosh, FLOATING, m::acosh(x))                                                  \
    F(arctanh, FLOATING, m::atanh(x))                                                  \
    F(degrees, FLOATING, T(57.295779513082320877) * x)                                 \
    F(radians, FLOATING, T(0.017453292519943295769) * x)                               \
    F(reciprocal, NUMERIC, m::div(T(1), x))                                            \
    F(erf, FLOATING, m::erf(x))                                                        \
    F(erfinv, FLOATING, m::erfinv(x))                                                  \
    F(gamma, FLOATING, m::gamma(x))                                                    \
    F(gammaln, FLOATING, m::lgamma(x))                                                 \
    F(digamma, FLOATING, m::digamma(x))                                                \
    F(sigmoid, FLOATING, m::sigmoid(x))                                                \
    F(relu, NUMERIC, x <= T(0) ? T(0) : x)                                             \
    F(softsign, FLOATING, x / (T(1) + m::magnitude(x)))                                \
    F(softrelu, FLOATING, (x <= T(0) ? T(0) : x) + m::log1p(m::exp(-m::magnitude(x)))) \
    F(gelu, FLOATING, T(0.5) * x * (T(1) + m::erf(x * T(0.70710678118654752440))))     \
    F(logical_not, ALL, x == T(0))                                                     \
    F(isnan, FLOATING, x != x)                                                         \
    F(isinf, FLOATING, m::magnitude(x) == limits<T>::infinity())                       \
    F(isfinite, FLOATING, m::magnitude(x) < limits<T>::infinity())

#define CYMX_BINARY_LIST(F)                         \
    F(add, NUMERIC, wrap(x) + wrap(y))              \
    F(sub, NUMERIC, wrap(x) - wrap(y))              \
    F(mul, NUMERIC, wrap(x) * wrap(y))              \
    F(div, NUMERIC, m::div(x, y))                   \
    F(mod, NUMERIC, m::mod(x, y))                   \
    F(power, NUMERIC, m::power(x, y))               \
    F(maximum, ALL, x > y || x != x ? x : y)        \
    F(minimum, ALL, x < y || x != x ? x : y)        \
    F(hypot, FLOATING, m::hypot(x, y))              \
    F(arctan2, FLOATING, m::atan2(x, y))            \
    F(ldexp, FLOATING, m::exp2(y) * x)              \
    F(copysign, FLOATING, m::copysign(x, y))        \
    F(equal, ALL, x == y)                           \
    F(not_equal, ALL, x != y)                       \
    F(greater, ALL, x > y)                          \
    F(greater_equal, ALL, x >= y)                   \
    F(lesser, ALL, x < y)                           \
    F(lesser_equal, ALL, x <= y)                    \
    F(logical_and, ALL, (x != T(0)) & (y != T(0)))  \
    F(logical_or, ALL, (x != T(0)) | (y != T(0)))   \
    F(logical_xor, ALL, (x != T(0)) != (y != T(0))) \
    F(smooth_l1, FLOATING, m::smooth_l1(x, y))      \
    F(smooth_l1_grad, FLOATING, m::smooth_l1_grad(x, y))

#define CYMX_TERNARY_LIST(F)                    \
    F(where, ALL, x != T(0) ? y : z)            \
    F(clip, NUMERIC, x > z ? z : x < y ? y : x) \
    F(muladd, NUMERIC, wrap(x) * wrap(y) + wrap(z))

#define CYMX_FUNCTOR_LIST(F) CYMX_UNARY_LIST(F) CYMX_BINARY_LIST(F) CYMX_TERNARY_LIST(F)

// ---- what the lines above are made of, where they are more than one operation -----------------------------------------------------------------

// Converts between register types.  Floating to integer truncates, saturates at 32 (for int64: 64) bits and takes nan to 0; narrower integers wrap.
template <class To, class From> struct Cast {
    static CYMX_FN To f(From x) { return (To)x; }
};
template <class From> struct Cast<bool, From> {
    static CYMX_FN bool f(From x) { return x != From(0); }
};
template <class To, class From> struct CastWhole {
    static CYMX_FN To f(From x) {
        constexpr bool wide = sizeof(To) == 8;
        using Whole = To;
        constexpr From low = wide ? From(-9223372036854775808.0) : From(-2147483648.0);
        constexpr From high = wide ? From(9223372036854775808.0) : From(2147483648.0);
        From c = x >= low ? x : low;
        Whole y = (Whole)(c < high ? c : From(0));
        y = x >= high ? (Whole)(wide ? 0x7fffffffffffffffll : 0x7fffffffll) : y;
        return x == x ? y : Whole(0);
    }
};
template <> struct Cast<i32, float> : CastWhole<i32, float> {};
template <> struct Cast<i64, float> : CastWhole<i64, float> {};
template <> struct Cast<i32, double> : CastWhole<i32, double> {};
template <> struct Cast<i64, double> : CastWhole<i64, double> {};
template <class To, class From> struct CastNarrow {
    static CYMX_FN To f(From x) { return (To)CastWhole<i32, From>::f(x); }
};
template <> struct Cast<u8, float> : CastNarrow<u8, float> {};
template <> struct Cast<i8, float> : CastNarrow<i8, float> {};
template <> struct Cast<u8, double> : CastNarrow<u8, double> {};
template <> struct Cast<i8, double> : CastNarrow<i8, double> {};

template <class To, class From> CYMX_FN To cast(From x) { return Cast<To, From>::f(x); }

namespace m {

CYMX_FN float magnitude(float x) { return float_of(bits_of(x) & 0x7fffffffu); }
CYMX_FN double magnitude(double x) { return double_of(bits_of(x) & 0x7fffffffffffffffull); }
template <class T> CYMX_FN T magnitude(T x) { return x < T(0) ? T(-wrap(x)) : x; }

CYMX_FN float div(float x, float y) { return x / y; }
CYMX_FN double div(double x, double y) { return x / y; }
template <class T> CYMX_FN T div(T x, T y) { // the quotient by -1 may not exist, and the processor traps
    bool odd = y == T(0) || (T(-1) < T(0) && y == T(-1));
    T q = x / (odd ? T(1) : y);
    return odd ? (y == T(0) ? T(0) : T(-wrap(x))) : q;
}

// The sign of y; 0 where y is 0.
template <class T> CYMX_FN T mod(T x, T y) {
    T r = T(wrap(x) - wrap(div(x, y)) * wrap(y));
    r = r != T(0) && (r < T(0)) != (y < T(0)) ? T(r + y) : r;
    return y == T(0) ? T(0) : r;
}
template <class T> CYMX_FN T mod_floating(T x, T y) {
    T r = fmod(x, y);
    r += r != T(0) && (r < T(0)) != (y < T(0)) ? y : T(0);
    return y == T(0) ? T(0) : r;
}
CYMX_FN float mod(float x, float y) { return mod_floating(x, y); }
CYMX_FN double mod(double x, double y) { return mod_floating(x, y); }

CYMX_FN float power(float x, float y) { return pow(x, y); }
CYMX_FN double power(double x, double y) { return pow(x, y); }
template <class T> CYMX_FN T power(T x, T y) { return cast<T>(pow((double)x, (double)y)); }

// Quadratic up to |x| = 1 / sigma**2, linear beyond.
template <class T> CYMX_FN T smooth_l1(T x, T sigma) {
    T s = sigma * sigma, a = magnitude(x);
    return a > T(1) / s ? a - T(0.5) / s : T(0.5) * s * x * x;
}
template <class T> CYMX_FN T smooth_l1_grad(T x, T sigma) {
    T s = sigma * sigma;
    return x > T(1) / s ? T(1) : x < T(-1) / s ? T(-1) : s * x;
}

} // namespace m

// ---- the structs ----------------------------------------------------------------------------------------------------------------------------------

namespace fn {
#define CYMX_STRUCT(name, classes, arguments, ...)                                 \
    struct name {                                                                  \
        static constexpr u32 types = classes;                                      \
        template <class T> static CYMX_FN T f arguments { return T(__VA_ARGS__); } \
    };
#define CYMX_UNARY(name, classes, ...) CYMX_STRUCT(name, classes, (T x), __VA_ARGS__)
#define CYMX_BINARY(name, classes, ...) CYMX_STRUCT(name, classes, (T x, T y), __VA_ARGS__)
#define CYMX_TERNARY(name, classes, ...) CYMX_STRUCT(name, classes, (T x, T y, T z), __VA_ARGS__)
CYMX_UNARY_LIST(CYMX_UNARY)
CYMX_BINARY_LIST(CYMX_BINARY)
CYMX_TERNARY_LIST(CYMX_TERNARY)
#undef CYMX_UNARY
#undef CYMX_BINARY
#undef CYMX_TERNARY
#undef CYMX_STRUCT
} // namespace fn

} // namespace cymx
