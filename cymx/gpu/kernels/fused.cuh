// The loops around a generated group of functors: element by element (map), and joined along runs or columns (map_reduce).
//
// A Group (gpu/codegen.py writes it) holds the addresses of a step and knows how to load `vector` neighbouring elements of each input, compute one of
// them and store the outputs.  Layout: the iteration space is row-major; whole inputs and plain outputs are contiguous over it.  Reads and writes: 16
// bytes at a time where all addresses allow it, else single elements; every element is read before the thread that read it writes it, so an output may
// be the memory of a whole input.  Accumulation: a Lane (float32; float64; int64) for at most 32 elements, then a Total (float64, int64).  Joins come
// in a fixed order.  Launch shape: blocks of 256 threads; map and runs stride over the grid, pieces of a reduction are blockIdx.y.
#pragma once
#include "device.cuh"
#include "map.h"
#include "reduce.h"
#include "wide.h"

namespace cymx {

constexpr int fused_threads = 256;

template <class T, int n> __device__ __forceinline__ void load_pack(const T *from, Pack<T, n> &x) { x = *reinterpret_cast<const Pack<T, n> *>(from); }
template <class T, int n> __device__ __forceinline__ void store_pack(T *to, const Pack<T, n> &y) { *reinterpret_cast<Pack<T, n> *>(to) = y; }
template <class T, int n> __device__ __forceinline__ void splat(T value, Pack<T, n> &x) {
#pragma unroll
    for (int k = 0; k < n; ++k) {
        x.v[k] = value;
    }
}
template <int n, class T> __device__ __forceinline__ bool is_aligned(const T *p) { return (u64)p % alignof(Pack<T, n>) == 0; }

// Registers of 16-bit floats are float32.
template <class T> __device__ __forceinline__ T to_register(T x) { return x; }
__device__ __forceinline__ float to_register(float16 x) { return to_float(x); }
__device__ __forceinline__ float to_register(bfloat16 x) { return to_float(x); }

// ---- map ------------------------------------------------------------------------------------------------------------------------------------------

// Whole tiles go by packs, all loads of a thread before its stores; the last tile, and all where an address is odd, element by element.  I: u32 where
// n < 2**31.
template <class I, class Group> __device__ __forceinline__ void map_elements(const Group &g, I n) {
    constexpr int vector = Group::vector, unroll = Group::unroll;
    constexpr I step = fused_threads * vector, tile = step * unroll;
    const bool aligned = g.aligned();
    for (I start = (I)blockIdx.x * tile; start < n; start += (I)gridDim.x * tile) {
        if (aligned && n - start >= tile) {
            typename Group::In x[unroll];
            const I first = start + threadIdx.x * vector;
#pragma unroll
            for (int u = 0; u < unroll; ++u) {
                g.load(first + u * step, x[u]);
            }
#pragma unroll
            for (int u = 0; u < unroll; ++u) {
                typename Group::Out y;
#pragma unroll
                for (int k = 0; k < vector; ++k) {
                    g.compute(x[u], k, y);
                }
                g.store(first + u * step, y);
            }
        } else {
            const I end = n - start < tile ? n : start + tile;
#pragma unroll 1
            for (I i = start + threadIdx.x; i < end; i += fused_threads) {
                typename Group::In x;
                typename Group::Out y;
                g.load_one(i, 0, x);
                g.compute(x, 0, y);
                g.store_one(i, 0, y);
            }
        }
    }
}

// ---- map_reduce -----------------------------------------------------------------------------------------------------------------------------------

// What one thread has joined for one cell of a reduced output; T: the register that is reduced.
template <class R, class T> struct Joined {
    using Reducer = R;
    using W = Total<T>;
    Lane<T> lane;
    W total;
    __device__ __forceinline__ void start() {
        lane = R::template start<Lane<T>>();
        total = R::template start<W>();
    }
    __device__ __forceinline__ void add(T x) { lane = R::join(lane, to_lane(x)); }
    __device__ __forceinline__ void flush() { // keeps the lanes' sums short
        total = R::join(total, (W)lane);
        lane = R::template start<Lane<T>>();
    }
};

// Loads the elements [i, i + vector), computes them, joins them to t[k * apart] and stores plain outputs.
template <int apart, class I, class Group>
__device__ __forceinline__ void reduce_pack(const Group &g, I i, bool aligned, const typename Group::In &x, typename Group::Tails *t) {
    typename Group::Out y;
#pragma unroll
    for (int k = 0; k < Group::vector; ++k) {
        g.compute(x, k, y, t[k * apart]);
    }
    if (aligned) {
        g.store(i, y);
    } else {
#pragma unroll
        for (int k = 0; k < Group::vector; ++k) {
            g.store_one(i + k, k, y);
        }
    }
}

template <class I, class Group> __device__ __forceinline__ void load_either(const Group &g, I i, bool aligned, typename Group::In &x) {
    if (aligned) {
        g.load(i, x);
    } else {
#pragma unroll
        for (int k = 0; k < Group::vector; ++k) {
            g.load_one(i + k, k, x);
        }
    }
}

// The result of a cell: to its output, or as piece blockIdx.y to partial[tail][piece][cell].
template <class J, class T> __device__ __forceinline__ void finish_cell(const J &t, T *out, u64 *partial, int tail, u64 n_cells, u64 cell) {
    if (partial) {
        reinterpret_cast<typename J::W *>(partial)[((u64)tail * gridDim.y + blockIdx.y) * n_cells + cell] = t.total;
    } else {
        out[cell] = Stored<T>::of(t.total);
    }
}

// Joins what `lanes` neighbouring threads hold; the first of them gets it.  All threads of the block come.
template <int lanes, class J> __device__ __forceinline__ void join_lanes(J &t) {
#pragma unroll
    for (int apart = lanes < 32 ? lanes / 2 : 16; apart; apart /= 2) {
        t.total = J::Reducer::join(t.total, __shfl_xor_sync(full_warp, t.total, apart));
    }
    if constexpr (lanes > 32) {
        __shared__ typename J::W warps[fused_threads / 32];
        __syncthreads(); // an earlier join may still be read
        if (threadIdx.x % 32 == 0) {
            warps[threadIdx.x / 32] = t.total;
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int w = 1; w < fused_threads / 32; ++w) {
                t.total = J::Reducer::join(t.total, warps[w]);
            }
        }
    }
}

// The innermost axis is reduced: `lanes` threads (a power of two up to 32, or all 256) share a cell of n_reduced elements, in whole packs.
template <class I, int lanes, class Group> __device__ __forceinline__ void reduce_runs(const Group &g, I n_cells, I n_reduced, u64 *partial) {
    constexpr int vector = Group::vector, unroll = Group::unroll;
    const bool aligned = g.aligned();
    const I n_packs = n_reduced / vector, share = ((n_packs + gridDim.y - 1) / gridDim.y + lanes - 1) / lanes * lanes;
    const I begin = (I)blockIdx.y * share, end = n_packs < begin + share ? n_packs : begin + share;
    constexpr I cells = fused_threads / lanes;
    for (I base = (I)blockIdx.x * cells; base < n_cells; base += (I)gridDim.x * cells) {
        const I cell = base + threadIdx.x / lanes;
        typename Group::Tails t;
        g.each_tail(t, [&](auto &tail, auto *, int) { tail.start(); });
        if (cell < n_cells) {
            const I from = Group::cell(cell);
#pragma unroll 1
            for (I first = begin + threadIdx.x % lanes; first < end; first += lanes * unroll) {
                typename Group::In x[unroll];
                I at[unroll];
#pragma unroll
                for (int u = 0; u < unroll; ++u) {
                    const I pack = first + u * lanes;
                    at[u] = from + Group::reduced((pack < end ? pack : first) * vector);
                    load_either(g, at[u], aligned, x[u]);
                }
#pragma unroll
                for (int u = 0; u < unroll; ++u) {
                    if (first + u * lanes < end) {
                        reduce_pack<0>(g, at[u], aligned, x[u], &t);
                    }
                }
                g.each_tail(t, [&](auto &tail, auto *, int) { tail.flush(); });
            }
        }
        g.each_tail(t, [&](auto &tail, auto *out, int number) {
            join_lanes<lanes>(tail);
            if (threadIdx.x % lanes == 0 && cell < n_cells) {
                finish_cell(tail, out, partial, number, n_cells, cell);
            }
        });
    }
}

// Joins what the threads of one column hold, `across` threads from each other; those of the first row get it.  All threads of the block come.
template <int across, class J> __device__ __forceinline__ void join_rows(J &t) {
    __shared__ typename J::W room[fused_threads];
    __syncthreads(); // an earlier join may still be read
    room[threadIdx.x] = t.total;
    for (int apart = fused_threads / 2; apart >= across; apart /= 2) {
        __syncthreads();
        if (threadIdx.x < apart) {
            room[threadIdx.x] = t.total = J::Reducer::join(t.total, room[threadIdx.x + apart]);
        }
    }
}

// The innermost axis is kept and has n_columns elements, in whole packs: `across` threads side by side, the others below them take other rows.
template <class I, int across, class Group>
__device__ __forceinline__ void reduce_columns(const Group &g, I n_columns, I n_outer, I n_rows, u64 *partial) {
    constexpr int vector = Group::vector, unroll = Group::unroll, down = fused_threads / across;
    const bool aligned = g.aligned();
    const I strips = (n_columns + across * vector - 1) / (across * vector), outer = blockIdx.x / strips;
    const I column = (blockIdx.x % strips * across + threadIdx.x % across) * vector, from = Group::cell(outer) + column;
    const I share = (n_rows + gridDim.y - 1) / gridDim.y, begin = (I)blockIdx.y * share, end = n_rows < begin + share ? n_rows : begin + share;
    typename Group::Tails t[vector];
#pragma unroll
    for (int k = 0; k < vector; ++k) {
        g.each_tail(t[k], [&](auto &tail, auto *, int) { tail.start(); });
    }
    if (column < n_columns) {
        for (I first = begin + threadIdx.x / across; first < end; first += down * unroll) {
            typename Group::In x[unroll];
            I at[unroll];
#pragma unroll
            for (int u = 0; u < unroll; ++u) {
                const I row = first + u * down;
                at[u] = from + Group::reduced(row < end ? row : first);
                load_either(g, at[u], aligned, x[u]);
            }
#pragma unroll
            for (int u = 0; u < unroll; ++u) {
                if (first + u * down < end) {
                    reduce_pack<1>(g, at[u], aligned, x[u], t);
                }
            }
#pragma unroll
            for (int k = 0; k < vector; ++k) {
                g.each_tail(t[k], [&](auto &tail, auto *, int) { tail.flush(); });
            }
        }
    }
#pragma unroll
    for (int k = 0; k < vector; ++k) {
        g.each_tail(t[k], [&](auto &tail, auto *out, int number) {
            join_rows<across>(tail);
            if (threadIdx.x < across && column < n_columns) {
                finish_cell(tail, out, partial, number, (u64)n_columns * n_outer, (u64)outer * n_columns + column + k);
            }
        });
    }
}

// Joins the pieces of cells, partial[piece][cell], in order of the pieces: `across` cells in a block.
template <class R, class T, class Out, int across>
__global__ void CYMX_BOUNDS(fused_threads) join_pieces(const Total<T> *partial, Out *out, i64 n_cells, i64 n_pieces) {
    const i64 cell = (i64)blockIdx.x * across + threadIdx.x % across;
    Joined<R, T> t;
    t.start();
    for (i64 piece = threadIdx.x / across; cell < n_cells && piece < n_pieces; piece += fused_threads / across) {
        t.total = R::join(t.total, partial[piece * n_cells + cell]);
    }
    join_rows<across>(t);
    if (threadIdx.x < across && cell < n_cells) {
        out[cell] = Stored<Out>::of(t.total);
    }
}

} // namespace cymx
