// take_grad, gather_nd_grad: rows of dy are added to the rows of dx that indices name, in the order of the indices, whoever runs first.
//
// How: rows are found and sorted by (row, position); the sorted list is cut into tiles of equal length.  A block adds up the entries of one tile: rows that
// begin and end in it are finished, and what belongs to a row that reaches over a tile's end is left as a head or a tail, which join_tiles adds in order.
// Layout: dy (outer, n, inner), dx (outer, length, inner), which holds zeros before.  Reads every element of dy once, in packs of up to 16 bytes; writes
// only rows that are named.  Nothing aliases.  Accumulation: float32 for floats of 16 and 32 bits, float64, integers that wrap.  No atomics but the
// integer ones that count digits.  Launch shape: 256 threads; add_tiles and join_tiles take fewer for short rows.
#pragma once
#include "copy.cuh"
#include "index.cuh"
#include "wide.h"

namespace cymx {

constexpr int sort_rounds = 4, sort_tile = copy_threads * sort_rounds, n_digits = 256, n_warps = copy_threads / 32;

template <class T> struct Summed {
    using type = wide_t<T>;
};
template <> struct Summed<bool> {
    using type = u32;
};
template <class T> __device__ __forceinline__ typename Summed<T>::type to_sum(T x) { return (typename Summed<T>::type)widen(x); }

// ---- rows by name ---------------------------------------------------------------------------------------------------------------------------------

template <class Index>
__global__ void CYMX_BOUNDS(copy_threads) find_rows(const Index *indices, u32 *rows, i64 length, i64 mode, i64 n) {
    for (i64 j = first_index(); j < n; j += index_step()) {
        rows[j] = (u32)bring_in_range(to_index(indices[j]), length, mode);
    }
}

// What is out of range becomes `length`, which comes last and is dropped.
template <class Index>
__global__ void CYMX_BOUNDS(copy_threads) find_runs(const Index *indices, u32 *rows, Coordinates coordinates, i64 length, i64 n) {
    for (i64 j = first_index(); j < n; j += index_step()) {
        const i64 run = find_run(indices, coordinates, n, j);
        rows[j] = (u32)(run < 0 ? length : run);
    }
}

// ---- few rows: each finds its place by looking at all of them ---------------------------------------------------------------------------------------

__global__ void CYMX_BOUNDS(copy_threads) sort_by_rank(const u32 *rows, u32 *sorted, u32 *positions, i64 n) {
    __shared__ u32 others[copy_threads];
    const i64 j = first_index();
    const u32 own = j < n ? rows[j] : 0;
    i64 rank = 0;
    for (i64 start = 0; start < n; start += copy_threads) {
        __syncthreads();
        others[threadIdx.x] = start + threadIdx.x < n ? rows[start + threadIdx.x] : 0xffffffffu;
        __syncthreads();
#pragma unroll 8
        for (int k = 0; k < copy_threads; ++k) {
            rank += others[k] < own || (others[k] == own && start + k < j);
        }
    }
    if (j < n) {
        sorted[rank] = own;
        positions[rank] = (u32)j;
    }
}

// ---- many rows: by digits of 8 bits, the lowest first, each pass keeping the order of equal ones ---------------------------------------------------

// counts[digit][block]
__global__ void CYMX_BOUNDS(copy_threads) count_digits(const u32 *rows, u32 *counts, i64 shift, i64 n) {
    __shared__ u32 own[n_digits];
    own[threadIdx.x] = 0;
    __syncthreads();
    for (int round = 0; round < sort_rounds; ++round) {
        const i64 j = (i64)blockIdx.x * sort_tile + round * copy_threads + threadIdx.x;
        if (j < n) {
            atomicAdd(own + (rows[j] >> shift) % n_digits, 1u);
        }
    }
    __syncthreads();
    counts[(i64)threadIdx.x * gridDim.x + blockIdx.x] = own[threadIdx.x];
}

// counts become how many come before: one block.
__global__ void CYMX_BOUNDS(copy_threads) sum_before(u32 *counts, i64 n) {
    __shared__ u32 totals[copy_threads];
    const i64 share = (n + copy_threads - 1) / copy_threads, begin = threadIdx.x * share, end = n < begin + share ? n : begin + share;
    u32 total = 0;
    for (i64 i = begin; i < end; ++i) {
        total += counts[i];
    }
    totals[threadIdx.x] = total;
    for (int apart = 1; apart < copy_threads; apart *= 2) {
        __syncthreads();
        const u32 below = (int)threadIdx.x >= apart ? totals[threadIdx.x - apart] : 0;
        __syncthreads();
        totals[threadIdx.x] += below;
    }
    u32 before = totals[threadIdx.x] - total;
    for (i64 i = begin; i < end; ++i) {
        const u32 count = counts[i];
        counts[i] = before;
        before += count;
    }
}

// positions_in may be null: they are 0, 1, 2, ...
__global__ void CYMX_BOUNDS(copy_threads)
    move_digits(const u32 *rows, const u32 *positions_in, const u32 *before, u32 *sorted, u32 *positions, i64 shift, i64 n) {
    __shared__ u32 next[n_digits], counted[n_warps * n_digits];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    next[threadIdx.x] = before[(i64)threadIdx.x * gridDim.x + blockIdx.x];
    for (int round = 0; round < sort_rounds; ++round) {
        const i64 j = (i64)blockIdx.x * sort_tile + round * copy_threads + threadIdx.x;
        for (int w = 0; w < n_warps; ++w) {
            counted[w * n_digits + threadIdx.x] = 0;
        }
        __syncthreads();
        const u32 row = j < n ? rows[j] : 0, digit = (row >> shift) % n_digits;
        u32 alike = __ballot_sync(full_warp, j < n);
#pragma unroll
        for (int bit = 0; bit < 8; ++bit) {
            const u32 set = __ballot_sync(full_warp, digit >> bit & 1);
            alike &= digit >> bit & 1 ? set : ~set;
        }
        const u32 rank = (u32)__popc(alike & ((1u << lane) - 1));
        if (j < n && rank == 0) {
            counted[warp * n_digits + digit] = (u32)__popc(alike);
        }
        __syncthreads();
        if (j < n) {
            u32 at = next[digit] + rank;
            for (u32 w = 0; w < warp; ++w) {
                at += counted[w * n_digits + digit];
            }
            sorted[at] = row;
            positions[at] = positions_in ? positions_in[j] : (u32)j;
        }
        __syncthreads();
        u32 all = 0;
        for (int w = 0; w < n_warps; ++w) {
            all += counted[w * n_digits + threadIdx.x];
        }
        next[threadIdx.x] += all;
    }
}

// ---- sums -----------------------------------------------------------------------------------------------------------------------------------------

// Whether entry e - 1 of the sorted list names the same row as entry e.
__device__ __forceinline__ bool runs_on(const u32 *sorted, i64 e, i64 n) { return e > 0 && e < n && sorted[e - 1] == sorted[e]; }

template <class T, int vector> __device__ __forceinline__ void store_sum(T *to, const Pack<typename Summed<T>::type, vector> &sum, bool aligned) {
    Pack<T, vector> out;
#pragma unroll
    for (int k = 0; k < vector; ++k) {
        out.v[k] = convert<T>(sum.v[k]);
    }
    write_pack<T, vector>(to, out, aligned);
}

// heads, tails: [tile][outer * inner].   blockIdx.x: the tile, blockIdx.y: which packs of (outer, inner).
template <class T, int vector>
__global__ void CYMX_BOUNDS(copy_threads)
    add_tiles(const T *__restrict__ dy, const u32 *__restrict__ sorted, const u32 *__restrict__ positions, T *dx, typename Summed<T>::type *heads,
              typename Summed<T>::type *tails, i64 n, i64 tile, i64 length, i64 outer, i64 inner) {
    using Sum = Pack<typename Summed<T>::type, vector>;
    constexpr int ahead = 4; // packs in flight
    const bool aligned = both_aligned<T, vector>(dy, dx);
    const i64 column = ((i64)blockIdx.y * blockDim.x + threadIdx.x) * vector;
    if (column >= outer * inner) {
        return;
    }
    const i64 o = column / inner, c = column % inner, begin = blockIdx.x * tile, partial = blockIdx.x * outer * inner + column;
    const int size = (int)(n - begin < tile ? n - begin : tile), known = size + (begin + size < n); // the entry behind the tile is known, too
    const u32 *__restrict__ names = sorted + begin, *__restrict__ places = positions + begin;
    const T *__restrict__ from = dy + o * n * inner + c;
    T *to = dx + o * length * inner + c;
    bool began_before = runs_on(sorted, begin, n);
    Sum sum = {};
    for (int e = 0; e < size; e += ahead) {
        Pack<T, vector> packs[ahead];
        u32 rows[ahead + 1];
#pragma unroll
        for (int u = 0; u < ahead; ++u) {
            rows[u] = names[e + u < known ? e + u : e];
            packs[u] = read_pack<T, vector>(from + places[e + u < size ? e + u : e] * inner, aligned);
        }
        rows[ahead] = names[e + ahead < known ? e + ahead : e];
#pragma unroll
        for (int u = 0; u < ahead; ++u) {
            if (e + u >= size) {
                break;
            }
#pragma unroll
            for (int k = 0; k < vector; ++k) {
                sum.v[k] += to_sum(packs[u].v[k]);
            }
            const bool goes_on = e + u + 1 < known && rows[u] == rows[u + 1];
            if (goes_on && e + u + 1 < size) {
                continue;
            }
            if (began_before || goes_on) {
                write_pack((began_before ? heads : tails) + partial, sum, true);
            } else if (rows[u] < length) {
                store_sum<T, vector>(to + rows[u] * inner, sum, aligned);
            }
            began_before = false;
            sum = {};
        }
    }
}

// Finishes the row that begins in tile blockIdx.x and reaches over its end, if there is one.
template <class T, int vector>
__global__ void CYMX_BOUNDS(copy_threads) join_tiles(const u32 *sorted, T *dx, const typename Summed<T>::type *heads,
                                                     const typename Summed<T>::type *tails, i64 n, i64 tile, i64 length, i64 outer, i64 inner) {
    using Sum = Pack<typename Summed<T>::type, vector>;
    const i64 column = ((i64)blockIdx.y * blockDim.x + threadIdx.x) * vector, begin = blockIdx.x * tile, end = begin + tile;
    if (column >= outer * inner || !runs_on(sorted, end, n)) {
        return;
    }
    const u32 row = sorted[end];
    if (row >= length || (runs_on(sorted, begin, n) && sorted[begin] == row)) { // dropped, or begun before
        return;
    }
    Sum sum = read_pack<typename Summed<T>::type, vector>(tails + blockIdx.x * outer * inner + column, true);
    for (i64 next = blockIdx.x + 1; next * tile < n && sorted[next * tile] == row; ++next) {
        const Sum head = read_pack<typename Summed<T>::type, vector>(heads + next * outer * inner + column, true);
#pragma unroll
        for (int k = 0; k < vector; ++k) {
            sum.v[k] += head.v[k];
        }
    }
    T *to = dx + (column / inner * length + row) * inner + column % inner;
    store_sum<T, vector>(to, sum, both_aligned<T, vector>(to, to));
}

} // namespace cymx
