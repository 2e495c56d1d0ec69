// softmax and log_softmax over one axis: x (A, n, B) -> y, same shape.  y may be x.
//
// Rows (B = 1) live in registers, a warp or a block each, in vectors of 16 bytes; longer ones are read twice, the first time for a maximum
// and a sum that is rescaled as the maximum grows.  Columns (B > 1) go 32 side by side.  float16 and bfloat16 are summed in float32, float64
// in float64, in an order that depends on shapes alone.  A NaN anywhere in a row makes all of it NaN.  Recipes: recipes/softmax.py.
#pragma once
#include "math.h"
#include "vector.cuh"

namespace cymx {

// The maximum of some elements, and the sum of the exponentials of all, shifted by it.
template <class A> struct Shifted {
    A top, sum;

    static __device__ Shifted start() { return {limits<A>::lowest(), A(0)}; }
    // The sum as if its maximum were `most`, which is no smaller; where all are -inf it holds nothing but NaNs.
    __device__ A moved(A most) const { return top == limits<A>::lowest() ? sum : sum * m::exp(top - most); }
    __device__ void add(A v, A most) { sum += v == limits<A>::lowest() ? A(0) : m::exp(v - most); }
};

struct join_shifted {
    template <class A> __device__ Shifted<A> operator()(const Shifted<A> &a, const Shifted<A> &b) const {
        const A most = a.top > b.top ? a.top : b.top;
        return {most, a.moved(most) + b.moved(most)};
    }
};

template <class T, bool LOG, class A> __device__ __forceinline__ T softmax_of(A v, A top, A last) {
    return convert<T>(LOG ? v - top - last : m::exp(v - top) * last);
}

// A row in registers, in runs of 16 bytes.
template <class T, bool LOG, int CHUNKS, int WARPS> __device__ __forceinline__ void softmax_held(const T *x, T *y, i64 n) {
    using A = wide_t<T>;
    constexpr int V = Vector<T>::size, apart = WARPS * 32 * V;
    const int at = threadIdx.x * V, n_runs = count_runs<apart>(at, (int)n);
    A v[CHUNKS][V];
    load_runs<apart>(x + at, n_runs, limits<A>::lowest(), v);
    A top = limits<A>::lowest(), sum = 0;
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            top = v[c][e] > top ? v[c][e] : top;
        }
    }
    top = join_row<WARPS>(top, greater());
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            const A shifted = v[c][e] - top, power = m::exp(shifted);
            v[c][e] = LOG ? shifted : power;
            sum += c < n_runs ? power : A(0);
        }
    }
    sum = join_row<WARPS>(sum, plus());
    const A last = LOG ? m::log(sum) : A(1) / sum;
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            v[c][e] = LOG ? v[c][e] - last : v[c][e] * last;
        }
        if (c < n_runs) {
            store_run(y + at + c * apart, v[c]);
        }
    }
}

// A row at any address, read three times in the same order.
template <class T, bool LOG, int WARPS> __device__ __forceinline__ void softmax_read(const T *x, T *y, i64 n) {
    using A = wide_t<T>;
    constexpr int V = Vector<T>::size;
    const i64 first = (i64)threadIdx.x * V, step = WARPS * 32 * V;
    A v[V], top = limits<A>::lowest(), sum = 0;
    CYMX_UNROLL_BY(1)
    for (i64 at = first; at < n; at += step) {
        load_vector(x, at, n, false, limits<A>::lowest(), v);
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            top = v[e] > top ? v[e] : top;
        }
    }
    top = join_row<WARPS>(top, greater());
    CYMX_UNROLL_BY(1)
    for (i64 at = first; at < n; at += step) {
        load_vector(x, at, n, false, limits<A>::lowest(), v);
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            sum += at + e < n ? m::exp(v[e] - top) : A(0);
        }
    }
    sum = join_row<WARPS>(sum, plus());
    const A last = LOG ? m::log(sum) : A(1) / sum;
    CYMX_UNROLL_BY(1)
    for (i64 at = first; at < n; at += step) {
        load_vector(x, at, n, false, limits<A>::lowest(), v);
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            v[e] = LOG ? v[e] - top - last : m::exp(v[e] - top) * last;
        }
        store_vector(y, at, n, false, v);
    }
}

// Rows of n <= blockDim.x * CHUNKS * Vector<T>::size elements; x is the thread in its row, y the row in the block.  WARPS: of one row.
template <class T, bool LOG, int CHUNKS, int WARPS>
__global__ void CYMX_SHARES(WARPS == 1 ? 128 : WARPS * 32) softmax_rows(const T *x, T *y, i64 n_rows, i64 n) {
    const bool whole = is_aligned(x, n) && is_aligned(y, n);
    const i64 step = (i64)gridDim.x * blockDim.y;
    // A block of several rows has a warp for each, which needs no other.
    for (i64 row = (i64)blockIdx.x * blockDim.y + threadIdx.y; row < n_rows; row += step) {
        if (whole) {
            softmax_held<T, LOG, CHUNKS, WARPS>(x + row * n, y + row * n, n);
        } else {
            softmax_read<T, LOG, WARPS>(x + row * n, y + row * n, n);
        }
    }
}

// Rows of any length, a block of WARPS warps each.
template <class T, bool LOG, int WARPS> __global__ void CYMX_BOUNDS(WARPS * 32) softmax_long_rows(const T *x, T *y, i64 n_rows, i64 n) {
    using A = wide_t<T>;
    constexpr int V = Vector<T>::size;
    const bool whole = is_aligned(x, n) && is_aligned(y, n);
    for (i64 row = blockIdx.x; row < n_rows; row += gridDim.x) {
        const T *from = x + row * n;
        Shifted<A> mine = Shifted<A>::start();
        A v[V];
        for (i64 at = (i64)threadIdx.x * V; at < n; at += WARPS * 32 * V) {
            load_vector(from, at, n, whole, limits<A>::lowest(), v);
            A most = mine.top;
            CYMX_UNROLL
            for (int e = 0; e < V; ++e) {
                most = v[e] > most ? v[e] : most;
            }
            mine = {most, mine.moved(most)};
            CYMX_UNROLL
            for (int e = 0; e < V; ++e) {
                mine.add(v[e], most);
            }
        }
        mine = join_row<WARPS>(mine, join_shifted());
        const A last = LOG ? m::log(mine.sum) : A(1) / mine.sum;
        for (i64 at = (i64)threadIdx.x * V; at < n; at += WARPS * 32 * V) {
            load_vector(from, at, n, whole, limits<A>::lowest(), v);
            CYMX_UNROLL
            for (int e = 0; e < V; ++e) {
                v[e] = LOG ? v[e] - mine.top - last : m::exp(v[e] - mine.top) * last;
            }
            store_vector(y + row * n, at, n, whole, v);
        }
    }
}

// Columns of (A, n, B): blocks of 32 columns x ROWS slices of the axis.
template <class T, bool LOG, int ROWS> __global__ void CYMX_BOUNDS(32 * ROWS) softmax_columns(const T *x, T *y, i64 before, i64 n, i64 after) {
    using A = wide_t<T>;
    __shared__ A tops[ROWS][32], sums[ROWS][32];
    const i64 n_tiles = (after + 31) / 32;
    for (i64 tile = blockIdx.x; tile < before * n_tiles; tile += gridDim.x) {
        const i64 column = tile % n_tiles * 32 + threadIdx.x;
        const i64 length = column < after ? n : 0, first = tile / n_tiles * n * after + column;
        Shifted<A> mine = Shifted<A>::start();
        for (i64 i = threadIdx.y; i < length; i += ROWS) {
            const A v = widen(x[first + i * after]), most = v > mine.top ? v : mine.top;
            mine = {most, mine.moved(most)};
            mine.add(v, most);
        }
        tops[threadIdx.y][threadIdx.x] = mine.top;
        sums[threadIdx.y][threadIdx.x] = mine.sum;
        __syncthreads();
        mine = Shifted<A>::start();
        for (int r = 0; r < ROWS; ++r) {
            mine = join_shifted()(mine, Shifted<A>{tops[r][threadIdx.x], sums[r][threadIdx.x]});
        }
        __syncthreads();
        const A last = LOG ? m::log(mine.sum) : A(1) / mine.sum;
        for (i64 i = threadIdx.y; i < length; i += ROWS) {
            y[first + i * after] = softmax_of<T, LOG>(widen(x[first + i * after]), mine.top, last);
        }
    }
}

} // namespace cymx
