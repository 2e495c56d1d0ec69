// Runs of 16 bytes as kernels compute with them, and joins across the warps of a row.
//
// A run that lies on a 16-byte boundary is one access; elsewhere, and at a row's end, it goes element by element.  Read by: kernels of rows.
#pragma once
#include "device.cuh"
#include "wide.h"

#ifdef __CUDACC_RTC__
#define CYMX_PRAGMA(text) _Pragma(#text)
#define CYMX_UNROLL CYMX_PRAGMA(unroll)
#define CYMX_UNROLL_BY(n) CYMX_PRAGMA(unroll n)
#else
#define CYMX_UNROLL
#define CYMX_UNROLL_BY(n)
#endif

namespace cymx {

template <class T> struct Vector {
    static constexpr int size = 16 / sizeof(T);
    using type = Pack<T, size>;
};

// Whether row r of n elements starts on a 16-byte boundary for every r.
template <class T> __device__ __forceinline__ bool is_aligned(const T *p, i64 n) { return ((u64)p | (u64)(n * (i64)sizeof(T))) % 16 == 0; }

// Widens elements at .. at + V of a row of n; `fill` beyond its end.
template <class T, class A, int V> __device__ __forceinline__ void load_vector(const T *row, i64 at, i64 n, bool whole, A fill, A (&to)[V]) {
    if (whole && at + V <= n) {
        const Pack<T, V> run = *reinterpret_cast<const Pack<T, V> *>(row + at);
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            to[e] = widen(run.v[e]);
        }
        return;
    }
    CYMX_UNROLL
    for (int e = 0; e < V; ++e) {
        to[e] = at + e < n ? widen(row[at + e]) : fill;
    }
}

// The runs of a row that a thread holds, the first at element `at`, the next ones `apart` elements on; of rows that are whole.
template <int apart> __device__ __forceinline__ int count_runs(int at, int n) { return at < n ? (n - at + apart - 1) / apart : 0; }

// Loads them all before the first use; `fill` beyond the row's end.
template <int apart, class T, class A, int V, int CHUNKS>
__device__ __forceinline__ void load_runs(const T *from, int n_runs, A fill, A (&to)[CHUNKS][V]) {
    Pack<T, V> runs[CHUNKS] = {};
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        if (c < n_runs) {
            runs[c] = *reinterpret_cast<const Pack<T, V> *>(from + c * apart);
        }
    }
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            to[c][e] = c < n_runs ? widen(runs[c].v[e]) : fill;
        }
    }
}

template <class T, class A, int V> __device__ __forceinline__ void store_run(T *to, const A (&from)[V]) {
    Pack<T, V> run;
    CYMX_UNROLL
    for (int e = 0; e < V; ++e) {
        run.v[e] = convert<T>(from[e]);
    }
    *reinterpret_cast<Pack<T, V> *>(to) = run;
}

template <class T, class A, int V> __device__ __forceinline__ void store_vector(T *row, i64 at, i64 n, bool whole, const A (&from)[V]) {
    if (whole && at + V <= n) {
        store_run(row + at, from);
        return;
    }
    CYMX_UNROLL
    for (int e = 0; e < V; ++e) {
        if (at + e < n) {
            row[at + e] = convert<T>(from[e]);
        }
    }
}

struct plus {
    template <class A> __device__ A operator()(A x, A y) const { return x + y; }
};
struct greater {
    template <class A> __device__ A operator()(A x, A y) const { return x > y ? x : y; }
};

// A value of another lane: word by word, since shuffles take at most 8 bytes.
template <class W> __device__ __forceinline__ W other_lane(W value, int mask) {
    union {
        W whole;
        u32 word[sizeof(W) / 4];
    } mine = {value}, theirs = {value};
    CYMX_UNROLL
    for (int i = 0; i < int(sizeof(W) / 4); ++i) {
        theirs.word[i] = __shfl_xor_sync(full_warp, mine.word[i], mask);
    }
    return theirs.whole;
}

// Joins the values of a row's threads, for every one of them.  One warp a row, or all WARPS of the block as one row.
template <int WARPS, class W, class Join> __device__ __forceinline__ W join_row(W value, Join join) {
    CYMX_UNROLL
    for (int step = 16; step; step /= 2) {
        value = join(value, other_lane(value, step));
    }
    if (WARPS > 1) {
        __shared__ Pack<W, 1> parts[WARPS];
        __syncthreads();
        if (threadIdx.x % 32 == 0) {
            parts[threadIdx.x / 32].v[0] = value;
        }
        __syncthreads();
        value = parts[0].v[0];
        for (int w = 1; w < WARPS; ++w) {
            value = join(value, parts[w].v[0]);
        }
    }
    return value;
}

} // namespace cymx
