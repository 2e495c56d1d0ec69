// random_uniform, random_normal, random_bernoulli, random_randint, arange: y (n,), of any numeric type; normal and uniform of floats alone.
//
// state: {key, first counter}.  A thread makes the four elements of one counter, as include/cymx/random.h says, so the numbers are the CPU's.
// float64 and integers draw 64 bits an element, the other types 32.  Recipes: recipes/random.py.
#pragma once
#include "random.h"
#include "vector.cuh"

namespace cymx {

template <class V> __device__ __forceinline__ V unit(u32 high, u32 low);
template <> __device__ __forceinline__ float unit<float>(u32 high, u32) { return unit_float(high); }
template <> __device__ __forceinline__ double unit<double>(u32 high, u32 low) { return unit_double(high, low); }

// What makes four elements out of the words of a counter: of(high, low, values), low being those of the second stream.
template <class V> struct random_uniform {
    using value = V;
    static constexpr bool two_words = sizeof(V) == 8;
    double low_end, high_end;
    __device__ void of(const Words &high, const Words &low, V (&values)[4]) const {
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            values[e] = uniform(unit<V>(high.w[e], low.w[e]), (V)low_end, (V)high_end);
        }
    }
};

template <class V> struct random_normal {
    using value = V;
    static constexpr bool two_words = sizeof(V) == 8;
    double mean, deviation;
    __device__ void of(const Words &high, const Words &low, V (&values)[4]) const {
        CYMX_UNROLL
        for (int e = 0; e < 4; e += 2) {
            const Pair<V> p = normal_pair(unit<V>(high.w[e], low.w[e]), unit<V>(high.w[e + 1], low.w[e + 1]));
            values[e] = (V)mean + (V)deviation * p.x;
            values[e + 1] = (V)mean + (V)deviation * p.y;
        }
    }
};

struct random_bernoulli {
    using value = float;
    static constexpr bool two_words = false;
    u64 below; // of 2**32
    __device__ void of(const Words &high, const Words &, float (&values)[4]) const {
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            values[e] = high.w[e] < below ? 1.0f : 0.0f;
        }
    }
};

struct random_randint {
    using value = i64;
    static constexpr bool two_words = true;
    i64 low_end;
    u64 range;
    __device__ void of(const Words &high, const Words &low, i64 (&values)[4]) const {
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            values[e] = low_end + (i64)whole_below(range, high.w[e], low.w[e]);
        }
    }
};

template <class T, class Make> __global__ void CYMX_BOUNDS(256) random_fill(T *y, i64 n, const u64 *state, Make make) {
    const u64 key = state[0], counter = state[1];
    const bool whole = is_aligned(y, 16);
    for (i64 i = first_index(); i * 4 < n; i += index_step()) {
        const Words high = philox(key, counter + (u64)i, 0);
        const Words low = Make::two_words ? philox(key, counter + (u64)i, 1) : high;
        typename Make::value values[4];
        make.of(high, low, values);
        store_vector(y, i * 4, n, whole, values);
    }
}

// y[i] = start + step * (i / repeat): a product of its own, rounded before it is added, as on the CPU.
template <class T> __global__ void CYMX_BOUNDS(256) arange(T *y, i64 n, double start, double step, i64 repeat) {
    for (i64 i = first_index(); i < n; i += index_step()) {
        const double at = (double)(repeat == 1 ? i : i / repeat);
#ifdef __CUDACC_RTC__
        y[i] = convert<T>(start + __dmul_rn(step, at));
#else
        y[i] = convert<T>(start + step * at);
#endif
    }
}

} // namespace cymx
