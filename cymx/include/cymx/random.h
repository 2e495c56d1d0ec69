// Random numbers that depend on nothing but a key and a counter: Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC
// 2011).
//
// A launch has a 64-bit key (the seed) and a first 64-bit counter.  Element i uses word i % 4 of the four that counter + i / 4 yields, so a launch
// of n elements takes ceil(n / 4) counters, and the numbers are the same for any number of threads and on both devices.  64-bit results take the
// same word of a second stream as their low half.  Read by: csrc/kernels/random.cpp, gpu kernels.
#pragma once
#include "math.h"

namespace cymx {

struct Words {
    u32 w[4];
};

CYMX_FN Words philox(u64 key, u64 counter, u32 stream) {
    u32 a = (u32)counter, b = (u32)(counter >> 32), c = stream, d = 0, k = (u32)key, l = (u32)(key >> 32);
    for (int round = 0; round < 10; ++round) {
        u64 p = (u64)a * 0xD2511F53u, q = (u64)c * 0xCD9E8D57u;
        a = (u32)(q >> 32) ^ b ^ k;
        b = (u32)q;
        c = (u32)(p >> 32) ^ d ^ l;
        d = (u32)p;
        k += 0x9E3779B9u;
        l += 0xBB67AE85u;
    }
    return Words{{a, b, c, d}};
}

// From [0, 1): 24 or 53 bits, all equally likely.
CYMX_FN float unit_float(u32 w) { return (float)(i32)(w >> 8) * 5.9604644775390625e-8f; }
CYMX_FN double unit_double(u32 high, u32 low) { return (double)(i64)(((u64)high << 32 | low) >> 11) * 1.1102230246251565e-16; }

// From [low, high), whose width may round a sum up to high itself.
template <class T> CYMX_FN T uniform(T unit, T low, T high) {
    T x = low + unit * (high - low);
    return x < high ? x : low;
}

template <class T> struct Pair {
    T x, y;
};
// Two independent normal deviates (Box and Muller, 1958) from two units; 1 - u is never 0.
template <class T> CYMX_FN Pair<T> normal_pair(T u, T v) {
    T r = m::sqrt(T(-2) * m::log(T(1) - u)), angle = T(6.2831853071795865) * v;
    return Pair<T>{r * m::cos(angle), r * m::sin(angle)};
}

// From {0, ..., range - 1}, by a product's high half.
CYMX_FN u64 whole_below(u64 range, u32 high, u32 low) {
    u64 w = (u64)high << 32 | low, a = w >> 32, b = (u32)w, c = range >> 32, d = (u32)range;
    u64 middle = a * d + (b * d >> 32), other = b * c + (u32)middle;
    return a * c + (middle >> 32) + (other >> 32);
}

} // namespace cymx
