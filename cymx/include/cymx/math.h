// Elementary functions: float32 ones that are branch-free, so that loops over them vectorize, and the C library's for the rest and for double.
//
// On the device all of them are CUDA's own.  On the host exp log log1p expm1 tanh erf sigmoid pow exp2 log2 log10 are within 2 units in the last
// place on their whole range; sin and cos are so for |x| < sin_limit, and the caller must send larger ones to sin_any and cos_any.  Coefficients are
// least-maximum fits made for this file.  Selects only: an early return or a library call would stop the vectorizer.  Read by: map.h, random.h.
#pragma once
#include "prelude.h"

namespace cymx {
namespace m {

// float and double overloads of one library function; the caller's semicolon ends the assertion.
#define CYMX_LIBM_1(name, c_name)                                   \
    CYMX_FN float name(float x) { return CYMX_LIBM(c_name##f)(x); } \
    CYMX_FN double name(double x) { return CYMX_LIBM(c_name)(x); }  \
    static_assert(true, "")
#define CYMX_LIBM_2(name, c_name)                                               \
    CYMX_FN float name(float x, float y) { return CYMX_LIBM(c_name##f)(x, y); } \
    CYMX_FN double name(double x, double y) { return CYMX_LIBM(c_name)(x, y); } \
    static_assert(true, "")

CYMX_LIBM_1(sqrt, sqrt);
CYMX_LIBM_1(cbrt, cbrt);
CYMX_LIBM_1(tan, tan);
CYMX_LIBM_1(asin, asin);
CYMX_LIBM_1(acos, acos);
CYMX_LIBM_1(atan, atan);
CYMX_LIBM_1(sinh, sinh);
CYMX_LIBM_1(cosh, cosh);
CYMX_LIBM_1(asinh, asinh);
CYMX_LIBM_1(acosh, acosh);
CYMX_LIBM_1(atanh, atanh);
CYMX_LIBM_1(gamma, tgamma);
CYMX_LIBM_1(erfc, erfc);
CYMX_LIBM_2(atan2, atan2);
CYMX_LIBM_2(hypot, hypot);
CYMX_LIBM_2(copysign, copysign);
CYMX_LIBM_2(fmod, fmod);
CYMX_LIBM_1(floor, floor);
CYMX_LIBM_1(ceil, ceil);
CYMX_LIBM_1(trunc, trunc);

// Rounds halves away from zero; 0.49999997 and not 0.5, or the number just below a half would go up.
CYMX_FN float round(float x) { return trunc(x + copysign(0.49999997f, x)); }
CYMX_FN double round(double x) { return trunc(x + copysign(0.49999999999999994, x)); }

// Rounds halves down.
template <class T> CYMX_FN T rint_floating(T x) {
    T low = floor(x);
    return x - low > T(0.5) ? ceil(x) : low;
}
CYMX_FN float rint(float x) { return rint_floating(x); }
CYMX_FN double rint(double x) { return rint_floating(x); }

// Integers are whole already.
template <class T> CYMX_FN T floor(T x) { return x; }
template <class T> CYMX_FN T ceil(T x) { return x; }
template <class T> CYMX_FN T trunc(T x) { return x; }
template <class T> CYMX_FN T rint(T x) { return x; }
template <class T> CYMX_FN T round(T x) { return x; }

#ifdef __CUDACC_RTC__

CYMX_LIBM_1(exp, exp);
CYMX_LIBM_1(exp2, exp2);
CYMX_LIBM_1(expm1, expm1);
CYMX_LIBM_1(log, log);
CYMX_LIBM_1(log2, log2);
CYMX_LIBM_1(log10, log10);
CYMX_LIBM_1(log1p, log1p);
CYMX_LIBM_1(tanh, tanh);
CYMX_LIBM_1(erf, erf);
CYMX_LIBM_1(sin, sin);
CYMX_LIBM_1(cos, cos);
CYMX_LIBM_2(pow, pow);
CYMX_LIBM_1(lgamma, lgamma);
CYMX_LIBM_1(erfinv, erfinv);
template <class T> CYMX_FN T sigmoid(T x) { return T(1) / (T(1) + exp(-x)); }

#else

CYMX_LIBM_1(sin_any, sin);
CYMX_LIBM_1(cos_any, cos);
CYMX_FN double exp(double x) { return CYMX_LIBM(exp)(x); }
CYMX_FN double exp_below_zero(double x) { return exp(x); }
CYMX_FN double exp2(double x) { return CYMX_LIBM(exp2)(x); }
CYMX_FN double expm1(double x) { return CYMX_LIBM(expm1)(x); }
CYMX_FN double log(double x) { return CYMX_LIBM(log)(x); }
CYMX_FN double log2(double x) { return CYMX_LIBM(log2)(x); }
CYMX_FN double log10(double x) { return CYMX_LIBM(log10)(x); }
CYMX_FN double log1p(double x) { return CYMX_LIBM(log1p)(x); }
CYMX_FN double tanh(double x) { return CYMX_LIBM(tanh)(x); }
CYMX_FN double erf(double x) { return CYMX_LIBM(erf)(x); }
CYMX_FN double sin(double x) { return CYMX_LIBM(sin)(x); }
CYMX_FN double cos(double x) { return CYMX_LIBM(cos)(x); }
CYMX_FN double pow(double x, double y) { return CYMX_LIBM(pow)(x, y); }
CYMX_FN double sigmoid(double x) { return 1 / (1 + exp(-x)); }
// The reentrant ones: plain lgamma writes a global.
CYMX_FN float lgamma(float x) {
    int sign;
    return CYMX_LIBM(lgammaf_r)(x, &sign);
}
CYMX_FN double lgamma(double x) {
    int sign;
    return CYMX_LIBM(lgamma_r)(x, &sign);
}

// x = n ln 2 + r; e**r = 1 + p, |r| <= ln(2)/2.  c is x cut to where the result is neither 0 nor infinite by far.
struct ExpParts {
    float p;
    i32 n;
};
CYMX_FN float exp_rest(float c, float n) {
    float r = (c - n * 0.693145752f) - n * 1.42860677e-6f;
    float q = 1.38145401e-3f;
    q = q * r + 8.36874514e-3f;
    q = q * r + 4.16683908e-2f;
    q = q * r + 1.66665204e-1f;
    q = q * r + 0.499999934f;
    return q * (r * r) + r;
}
CYMX_FN ExpParts exp_parts(float c) {
    float shifted = c * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f; // the adder rounds to nearest
    return ExpParts{exp_rest(c, n), (i32)n};
}
CYMX_FN float power_of_two(i32 n) { return float_of((u32)(n + 127) << 23); } // -126 <= n <= 127, and 0 for -127
CYMX_FN float exp(float x) {
    float c = x < -104.0f ? -104.0f : x;
    c = c > 89.0f ? 89.0f : c;
    ExpParts e = exp_parts(c);
    i32 half = e.n >> 1; // two factors, so that denormal results round once
    float y = (1.0f + e.p) * power_of_two(half) * power_of_two(e.n - half);
    return x == x ? y : x;
}
// The same for x <= 0, but 0 where the result would be denormal: below -87.7.  The adder leaves n + 127, an exponent, in the lowest bits.
CYMX_FN float exp_below_zero(float x) {
    float c = x < -88.0f ? -88.0f : x;
    float shifted = c * 1.44269504f + 12583039.0f, n = shifted - 12583039.0f, scale = float_of(bits_of(shifted) << 23);
    return scale * exp_rest(c, n) + scale;
}
CYMX_FN float expm1(float x) {
    float c = x < -18.0f ? -18.0f : x;
    c = c > 89.0f ? 89.0f : c;
    ExpParts e = exp_parts(c);
    float s = power_of_two(e.n - 1), y = 2.0f * (s * e.p + (s - 0.5f));
    bool same = !(x > 1e-8f || x < -1e-8f); // also nan
    return same ? x : y;
}
CYMX_FN float sigmoid(float x) {
    float c = x < -104.0f ? -104.0f : x;
    c = c > 40.0f ? 40.0f : c;
    ExpParts e = exp_parts(-c);
    i32 n = e.n < 120 ? e.n : 120;
    float s = power_of_two(n), w = n < 24 ? (1.0f + s) + s * e.p : s + (s * e.p + 1.0f); // the sum in brackets is exact or small
    float y = 1.0f / w * power_of_two(n - e.n);
    return x == x ? y : x;
}
CYMX_FN float tanh(float x) {
    float a = float_of(bits_of(x) & 0x7fffffffu), s = a * a;
    float p = 2.13961303e-3f;
    p = p * s - 8.17385036e-3f;
    p = p * s + 2.16993168e-2f;
    p = p * s - 5.39465174e-2f;
    p = p * s + 1.33332044e-1f;
    p = p * s - 3.33333313e-1f;
    float small = a + a * s * p;
    float c = a > 10.0f ? 10.0f : a;
    float large = 1.0f - 2.0f / (exp(c + c) + 1.0f);
    float y = a < 0.625f ? small : large;
    y = x == x ? y : x;
    return float_of((bits_of(y) & 0x7fffffffu) | (bits_of(x) & 0x80000000u));
}
CYMX_FN float erf(float x) {
    float a = float_of(bits_of(x) & 0x7fffffffu), s = a * a;
    float p = 8.31680663e-5f;
    p = p * s - 8.13002174e-4f;
    p = p * s + 5.19990781e-3f;
    p = p * s - 2.68589426e-2f;
    p = p * s + 1.12836875e-1f;
    p = p * s - 3.76126319e-1f;
    p = p * s + 1.28379166e-1f;
    float small = a * p + a;
    float c = a > 4.0f ? 4.0f : a; // log(erfc(c)) as a polynomial
    float g = -2.09653663e-5f;
    g = g * c + 4.32966277e-4f;
    g = g * c - 4.16382961e-3f;
    g = g * c + 2.51004286e-2f;
    g = g * c - 1.08250797e-1f;
    g = g * c - 6.33373439e-1f;
    g = g * c - 1.12950182f;
    g = g * c + 1.71973341e-4f;
    float large = 1.0f - exp(g);
    float y = a < 0.921875f ? small : large;
    y = x == x ? y : x;
    return float_of((bits_of(y) & 0x7fffffffu) | (bits_of(x) & 0x80000000u));
}
// log(2**k (1 + f)), sqrt(1/2) <= 1 + f < sqrt(2).
CYMX_FN float log_parts(float f, float k) {
    float p = 6.74772859e-2f;
    p = p * f - 1.16775155e-1f;
    p = p * f + 1.18886977e-1f;
    p = p * f - 1.24053404e-1f;
    p = p * f + 1.42194524e-1f;
    p = p * f - 1.66680053e-1f;
    p = p * f + 2.00021237e-1f;
    p = p * f - 2.50000089e-1f;
    p = p * f + 3.33333135e-1f;
    float s = f * f;
    return k * 0.693145752f + (f + ((k * 1.42860677e-6f - 0.5f * s) + s * f * p));
}
constexpr u32 sqrt_half_bits = 0x3f3504f3u;
CYMX_FN float log(float x) {
    bool tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 8388608.0f : x;
    i32 u = (i32)(bits_of(scaled) - sqrt_half_bits);
    float k = (float)(u >> 23) - (tiny ? 23.0f : 0.0f);
    float y = log_parts(float_of((u32)(u & 0x7fffff) + sqrt_half_bits) - 1.0f, k);
    y = x > 0.0f ? y : x == 0.0f ? -limits<float>::infinity() : limits<float>::nan();
    return x > 3.40282347e38f ? x : y;
}
CYMX_FN float log1p(float x) {
    float w = 1.0f + x;
    float lost = x > 1.0f ? 1.0f - (w - x) : x - (w - 1.0f); // what that sum rounded away
    i32 u = (i32)(bits_of(w) - sqrt_half_bits), k = u >> 23;
    float f = (float_of((u32)(u & 0x7fffff) + sqrt_half_bits) - 1.0f) + lost * power_of_two(k > 126 ? -127 : -k);
    float y = log_parts(f, (float)k);
    y = x > -1.0f ? y : x == -1.0f ? -limits<float>::infinity() : limits<float>::nan();
    y = x > 3.40282347e38f ? x : y;
    return x < 1e-8f && x > -1e-8f ? x : y;
}
// Base 2 in double precision, for a > 0 and for |t| <= 200: what pow needs.
CYMX_FN double log2_core(float a) {
    bool tiny = a < 1.17549435e-38f;
    float scaled = tiny ? a * 8388608.0f : a;
    i32 u = (i32)(bits_of(scaled) - sqrt_half_bits);
    double k = (double)(u >> 23) - (tiny ? 23.0 : 0.0), w = float_of((u32)(u & 0x7fffff) + sqrt_half_bits);
    double s = (w - 1.0) / (w + 1.0), z = s * s;
    double p = 2.82942405840423294e-1;
    p = p * z + 3.19902837095981718e-1;
    p = p * z + 4.12209319534862728e-1;
    p = p * z + 5.77077941729026045e-1;
    p = p * z + 9.61796694115402251e-1;
    p = p * z + 2.88539008177784906;
    return p * s + k;
}
CYMX_FN float exp2_core(double t) {
    double shifted = t + 6755399441055744.0, r = t - (shifted - 6755399441055744.0); // the adder rounds to nearest
    double p = 1.53164625399187203e-5;
    p = p * r + 1.54697316753438230e-4;
    p = p * r + 1.33334226418143492e-3;
    p = p * r + 9.61802560408933638e-3;
    p = p * r + 5.55041097611360806e-2;
    p = p * r + 2.40226512135845560e-1;
    p = p * r + 6.93147180535024776e-1;
    p = p * r + 1.0;
    return (float)(p * double_of((bits_of(shifted) + 1023) << 52)); // the low bits of shifted are the whole part
}
CYMX_FN float exp2(float x) {
    float c = x < -200.0f ? -200.0f : x;
    c = c > 200.0f ? 200.0f : c;
    float y = exp2_core(c);
    return x == x ? y : x;
}
CYMX_FN float log_special(float x, float y) { // y, but for the arguments that have no finite logarithm
    y = x > 0.0f ? y : x == 0.0f ? -limits<float>::infinity() : limits<float>::nan();
    return x > 3.40282347e38f ? x : y;
}
CYMX_FN float log2(float x) { return log_special(x, (float)log2_core(x)); }
CYMX_FN float log10(float x) { return log_special(x, (float)(log2_core(x) * 0.301029995663981195)); }
CYMX_FN float pow(float x, float y) {
    float a = float_of(bits_of(x) & 0x7fffffffu), b = float_of(bits_of(y) & 0x7fffffffu);
    double l = log2_core(a);
    l = a == 0.0f ? -2000.0 : a > 3.40282347e38f ? 2000.0 : l;
    double t = l * (double)(b > 1e30f ? copysign(1e30f, y) : y);
    t = t < -200.0 ? -200.0 : t;
    t = t > 200.0 ? 200.0 : t;
    float r = exp2_core(t);
    r = a == 0.0f ? (y < 0.0f ? limits<float>::infinity() : 0.0f) : a > 3.40282347e38f ? (y < 0.0f ? 0.0f : a) : r;
    i32 whole = (i32)(b < 16777216.0f ? b : 16777216.0f);
    bool is_whole = b >= 16777216.0f || (float)whole == b;
    u32 odd = is_whole ? (u32)whole << 31 : 0u;
    float flipped = float_of(bits_of(r) | (odd & bits_of(x)));
    r = !is_whole && x < 0.0f && a != 0.0f && a <= 3.40282347e38f ? limits<float>::nan() : flipped;
    r = x != x || y != y ? limits<float>::nan() : r;
    return y == 0.0f || x == 1.0f ? 1.0f : r;
}

constexpr float sin_limit = 268435456.0f; // 2**28
// sin(x + quarter pi/2) by a reduction in double precision, exact up to sin_limit.
CYMX_FN float sin_quarter(float x, u64 quarter) {
    double shifted = (double)x * 0.63661977236758134 + 6755399441055744.0, n = shifted - 6755399441055744.0;
    double r = (((double)x - n * 1.570796251296997) - n * 7.549789415861596e-08) - n * 5.390302858158119e-15;
    double z = r * r;
    double s = 2.71830222042497918e-6;
    s = s * z - 1.98393338751263418e-4;
    s = s * z + 8.33332938294649786e-3;
    s = s * z - 1.66666666416016268e-1;
    s = r + r * z * s;
    double c = -2.72101503974876008e-7;
    c = c * z + 2.47995189651133326e-5;
    c = c * z - 1.38888837495131502e-3;
    c = c * z + 4.16666666227836074e-2;
    c = (1.0 - 0.5 * z) + z * z * c;
    u64 q = bits_of(shifted) + quarter;
    double y = q & 1 ? c : s;
    return (float)double_of(bits_of(y) ^ ((q & 2) << 62));
}
CYMX_FN float sin(float x) { return sin_quarter(x, 0); }
CYMX_FN float cos(float x) { return sin_quarter(x, 1); }

// M. Giles, "Approximating the erfinv function" (2012), then Halley steps on erf.
CYMX_FN double erfinv_steps(double x, int steps) {
    double a = x < 0 ? -x : x, w = -log((1 - a) * (1 + a)), p;
    if (!(a < 1)) {
        return a == 1 ? copysign(limits<double>::infinity(), x) : limits<double>::nan();
    }
    if (w < 5) {
        w -= 2.5;
        p = 2.81022636e-08;
        p = 3.43273939e-07 + p * w;
        p = -3.5233877e-06 + p * w;
        p = -4.39150654e-06 + p * w;
        p = 0.00021858087 + p * w;
        p = -0.00125372503 + p * w;
        p = -0.00417768164 + p * w;
        p = 0.246640727 + p * w;
        p = 1.50140941 + p * w;
    } else {
        w = sqrt(w) - 3;
        p = -0.000200214257;
        p = 0.000100950558 + p * w;
        p = 0.00134934322 + p * w;
        p = -0.00367342844 + p * w;
        p = 0.00573950773 + p * w;
        p = -0.0076224613 + p * w;
        p = 0.00943887047 + p * w;
        p = 1.00167406 + p * w;
        p = 2.83297682 + p * w;
    }
    double y = p * a;
    for (int i = 0; i < steps; ++i) {
        double error = a < 0.5 ? erf(y) - a : (1 - a) - erfc(y);
        double u = error / (1.1283791670955126 * exp(-y * y));
        y -= u / (1 + y * u);
    }
    return copysign(y, x);
}
CYMX_FN float erfinv(float x) { return (float)erfinv_steps(x, 1); }
CYMX_FN double erfinv(double x) { return erfinv_steps(x, 2); }

#endif

// The logarithmic derivative of gamma: reflection below 0, recurrence up to 10, then the asymptotic series.
CYMX_FN double digamma(double x) {
    double y = 0;
    if (x <= 0) {
        if (x == floor(x)) {
            return limits<double>::nan();
        }
        y = -3.14159265358979324 / tan(3.14159265358979324 * (x - floor(x)));
        x = 1 - x;
    }
    for (; x < 10; x += 1) {
        y -= 1 / x;
    }
    double z = 1 / (x * x);
    double series = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z / 12))))));
    return y + log(x) - 0.5 / x - series;
}
CYMX_FN float digamma(float x) { return (float)digamma((double)x); }

} // namespace m
} // namespace cymx
