// layer_norm over one axis: x (A, n, B), gamma, beta (n) -> y = (x - mean) / std gamma + beta, mean, std (A, B).  y may be x.
//
// Rows (B = 1) live in registers, a warp or a block each, in vectors of 16 bytes; longer ones are read three times.  Columns (B > 1) go 32 side by
// side.  float16 and bfloat16 are summed in float32, float64 in float64, in an order that depends on shapes alone.  The variance is the mean of the
// squared differences to the mean.  Recipe: recipes/norm.py.
#pragma once
#include "math.h"
#include "vector.cuh"

namespace cymx {

template <class A> struct Moments {
    A mean, std, rate;

    __device__ void find_mean(A sum, i64 n) { mean = sum / A(n); }
    __device__ void find_std(A squares, i64 n, double eps) { std = m::sqrt(squares / A(n) + A(eps)), rate = A(1) / std; }
    __device__ A square(A v) const { return (v - mean) * (v - mean); }
    __device__ A scaled(A v, A gamma, A beta) const { return (v - mean) * rate * gamma + beta; }
    template <class T> __device__ void store(T *means, T *stds, i64 at) const { means[at] = convert<T>(mean), stds[at] = convert<T>(std); }
};

// Elements at .. at + V of a row, which are v, get their final values.
template <class T, class A, int V>
__device__ __forceinline__ void finish(const Moments<A> &found, const T *gamma, const T *beta, T *y, i64 at, i64 n, bool whole, bool whole_scale,
                                       A (&v)[V]) {
    A g[V], b[V];
    load_vector(gamma, at, n, whole_scale, A(0), g);
    load_vector(beta, at, n, whole_scale, A(0), b);
    CYMX_UNROLL
    for (int e = 0; e < V; ++e) {
        v[e] = found.scaled(v[e], g[e], b[e]);
    }
    store_vector(y, at, n, whole, v);
}

// A row in registers, in runs of 16 bytes.
template <class T, int CHUNKS, int WARPS, class A>
__device__ __forceinline__ void norm_held(const T *x, const T *gamma, const T *beta, T *y, double eps, i64 n, Moments<A> &found) {
    constexpr int V = Vector<T>::size, apart = WARPS * 32 * V;
    const int at = threadIdx.x * V, n_runs = count_runs<apart>(at, (int)n);
    A v[CHUNKS][V];
    A sum = 0, squares = 0;
    load_runs<apart>(x + at, n_runs, A(0), v);
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            sum += v[c][e];
        }
    }
    found.find_mean(join_row<WARPS>(sum, plus()), n);
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            squares += c < n_runs ? found.square(v[c][e]) : A(0);
        }
    }
    found.find_std(join_row<WARPS>(squares, plus()), n, eps);
    CYMX_UNROLL
    for (int c = 0; c < CHUNKS; ++c) {
        if (c < n_runs) {
            const int i = at + c * apart;
            const Pack<T, V> g = *reinterpret_cast<const Pack<T, V> *>(gamma + i), b = *reinterpret_cast<const Pack<T, V> *>(beta + i);
            CYMX_UNROLL
            for (int e = 0; e < V; ++e) {
                v[c][e] = found.scaled(v[c][e], widen(g.v[e]), widen(b.v[e]));
            }
            store_run(y + i, v[c]);
        }
    }
}

// A row of any length at any address, read three times in the same order.
template <class T, int WARPS, class A>
__device__ __forceinline__ void norm_read(const T *x, const T *gamma, const T *beta, T *y, double eps, i64 n, bool whole, bool whole_scale,
                                          Moments<A> &found) {
    constexpr int V = Vector<T>::size;
    const i64 first = (i64)threadIdx.x * V, step = WARPS * 32 * V;
    A v[V];
    A sum = 0, squares = 0;
    for (i64 at = first; at < n; at += step) {
        load_vector(x, at, n, whole, A(0), v);
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            sum += v[e];
        }
    }
    found.find_mean(join_row<WARPS>(sum, plus()), n);
    for (i64 at = first; at < n; at += step) {
        load_vector(x, at, n, whole, found.mean, v);
        CYMX_UNROLL
        for (int e = 0; e < V; ++e) {
            squares += at + e < n ? found.square(v[e]) : A(0);
        }
    }
    found.find_std(join_row<WARPS>(squares, plus()), n, eps);
    for (i64 at = first; at < n; at += step) {
        load_vector(x, at, n, whole, A(0), v);
        finish(found, gamma, beta, y, at, n, whole, whole_scale, v);
    }
}

// Rows of n <= blockDim.x * CHUNKS * Vector<T>::size elements; x is the thread in its row, y the row in the block.  WARPS: of one row.
template <class T, int CHUNKS, int WARPS>
__global__ void CYMX_BOUNDS(WARPS == 1 ? 128 : WARPS * 32)
    norm_rows(const T *x, const T *gamma, const T *beta, T *y, T *means, T *stds, double eps, i64 n_rows, i64 n) {
    const bool whole = is_aligned(x, n) && is_aligned(y, n) && is_aligned(gamma, 0) && is_aligned(beta, 0);
    const i64 step = (i64)gridDim.x * blockDim.y;
    // A block of several rows has a warp for each, which needs no other.
    for (i64 row = (i64)blockIdx.x * blockDim.y + threadIdx.y; row < n_rows; row += step) {
        Moments<wide_t<T>> found;
        if (whole) {
            norm_held<T, CHUNKS, WARPS>(x + row * n, gamma, beta, y + row * n, eps, n, found);
        } else {
            norm_read<T, WARPS>(x + row * n, gamma, beta, y + row * n, eps, n, false, false, found);
        }
        if (threadIdx.x == 0) {
            found.store(means, stds, row);
        }
    }
}

// Rows of any length, a block of WARPS warps each.
template <class T, int WARPS>
__global__ void CYMX_BOUNDS(WARPS * 32)
    norm_long_rows(const T *x, const T *gamma, const T *beta, T *y, T *means, T *stds, double eps, i64 n_rows, i64 n) {
    const bool whole = is_aligned(x, n) && is_aligned(y, n), whole_scale = is_aligned(gamma, 0) && is_aligned(beta, 0);
    for (i64 row = blockIdx.x; row < n_rows; row += gridDim.x) {
        Moments<wide_t<T>> found;
        norm_read<T, WARPS>(x + row * n, gamma, beta, y + row * n, eps, n, whole, whole_scale, found);
        if (threadIdx.x == 0) {
            found.store(means, stds, row);
        }
    }
}

// Joins a value of each slice of a column: of all threads of a block with one threadIdx.x.
template <int ROWS, class A> __device__ __forceinline__ A join_column(A value) {
    __shared__ A parts[ROWS][32];
    __syncthreads();
    parts[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    value = 0;
    for (int r = 0; r < ROWS; ++r) {
        value += parts[r][threadIdx.x];
    }
    return value;
}

// Columns of (A, n, B): blocks of 32 columns x ROWS slices of the axis.
template <class T, int ROWS>
__global__ void CYMX_BOUNDS(32 * ROWS)
    norm_columns(const T *x, const T *gamma, const T *beta, T *y, T *means, T *stds, double eps, i64 before, i64 n, i64 after) {
    using A = wide_t<T>;
    const i64 n_tiles = (after + 31) / 32;
    for (i64 tile = blockIdx.x; tile < before * n_tiles; tile += gridDim.x) {
        const i64 outer = tile / n_tiles, column = tile % n_tiles * 32 + threadIdx.x;
        const i64 length = column < after ? n : 0, first = outer * n * after + column;
        A sum = 0, squares = 0;
        for (i64 i = threadIdx.y; i < length; i += ROWS) {
            sum += widen(x[first + i * after]);
        }
        Moments<A> found;
        found.find_mean(join_column<ROWS>(sum), n);
        for (i64 i = threadIdx.y; i < length; i += ROWS) {
            squares += found.square(widen(x[first + i * after]));
        }
        found.find_std(join_column<ROWS>(squares), n, eps);
        for (i64 i = threadIdx.y; i < length; i += ROWS) {
            y[first + i * after] = convert<T>(found.scaled(widen(x[first + i * after]), widen(gamma[i]), widen(beta[i])));
        }
        if (length && threadIdx.y == 0) {
            found.store(means, stds, outer * after + column);
        }
    }
}

} // namespace cymx
