// Kernels that move elements and look at none of them: runs, strided moves, transposes in tiles, padding.
//
// T is an unsigned integer of the element's size.  Layout: contiguous arrays; a Move says where each element comes from and goes to.  Every element of the
// input is read at most once and every element that is moved written once, 16 bytes at a time where addresses allow it; nothing aliases.  Launch shape:
// blocks of 256 threads; all but the tiles stride over the grid.
#pragma once
#include "device.cuh"
#include "index.h"

namespace cymx {

constexpr int copy_threads = 256, copy_unroll = 4;

// Dimensions, outer ones first, with strides in elements.  multiplier, shift: dividing by size[d] is multiplying, for numbers below 2**31.
struct Move {
    i64 size[8], from[8], to[8];
    u32 multiplier[8], shift[8];
    i64 n;
};

__device__ __forceinline__ u32 divide(u32 x, const Move &m, int d) { return (u32)(((u64)x * m.multiplier[d] >> 32) + x) >> m.shift[d]; }
__device__ __forceinline__ u64 divide(u64 x, const Move &m, int d) { return x / (u64)m.size[d]; }

// Offsets of element number `index`.
template <class I> __device__ __forceinline__ void locate(const Move &m, I index, i64 &from, i64 &to) {
    from = to = 0;
    for (int d = (int)m.n - 1; d > 0; --d) {
        const I rest = divide(index, m, d);
        const i64 at = (i64)(index - rest * (I)m.size[d]);
        from += at * m.from[d];
        to += at * m.to[d];
        index = rest;
    }
    if (m.n > 0) {
        from += (i64)index * m.from[0];
        to += (i64)index * m.to[0];
    }
}

template <class T, int n> __device__ __forceinline__ Pack<T, n> read_pack(const T *from, bool aligned) {
    if (aligned) {
        return *reinterpret_cast<const Pack<T, n> *>(from);
    }
    Pack<T, n> x;
#pragma unroll
    for (int k = 0; k < n; ++k) {
        x.v[k] = from[k];
    }
    return x;
}

template <class T, int n> __device__ __forceinline__ void write_pack(T *to, const Pack<T, n> &x, bool aligned) {
    if (aligned) {
        *reinterpret_cast<Pack<T, n> *>(to) = x;
        return;
    }
#pragma unroll
    for (int k = 0; k < n; ++k) {
        to[k] = x.v[k];
    }
}

template <class T, int n> __device__ __forceinline__ bool both_aligned(const T *x, const T *y) {
    return ((u64)x | (u64)y) % alignof(Pack<T, n>) == 0;
}

// y[i] = x[i]
template <class T> __global__ void CYMX_BOUNDS(copy_threads) copy_run(const T *x, T *y, i64 n) {
    constexpr int vector = 16 / sizeof(T);
    const i64 n_packs = both_aligned<T, vector>(x, y) ? n / vector : 0, step = index_step();
    for (i64 first = first_index(); first < n_packs; first += step * copy_unroll) {
        Pack<T, vector> packs[copy_unroll];
#pragma unroll
        for (int u = 0; u < copy_unroll; ++u) {
            const i64 i = first + u * step;
            packs[u] = read_pack<T, vector>(x + (i < n_packs ? i : first) * vector, true);
        }
#pragma unroll
        for (int u = 0; u < copy_unroll; ++u) {
            if (first + u * step < n_packs) {
                write_pack<T, vector>(y + (first + u * step) * vector, packs[u], true);
            }
        }
    }
    for (i64 i = n_packs * vector + first_index(); i < n; i += step) {
        y[i] = x[i];
    }
}

// Moves n runs of `vector` elements that lie side by side on both sides; I: u32 where n < 2**31.
template <class T, int vector, class I> __global__ void CYMX_BOUNDS(copy_threads) move_runs(const T *x, T *y, Move m, i64 n) {
    const bool aligned = both_aligned<T, vector>(x, y);
    const I step = (I)index_step(), end = (I)n;
    for (I first = (I)first_index(); first < end; first += step * copy_unroll) {
        Pack<T, vector> packs[copy_unroll];
        i64 to[copy_unroll];
#pragma unroll
        for (int u = 0; u < copy_unroll; ++u) {
            const I i = first + u * step;
            i64 from;
            locate(m, i < end ? i : first, from, to[u]);
            packs[u] = read_pack<T, vector>(x + from, aligned);
        }
#pragma unroll
        for (int u = 0; u < copy_unroll; ++u) {
            if (first + u * step < end) {
                write_pack<T, vector>(y + to[u], packs[u], aligned);
            }
        }
    }
}

// y[j * to_j + i] = x[i * from_i + j] for i < n_i, j < n_j, and again for every element of `outer`.  A block takes a square of 16 x 16 packs: each
// thread turns a small square of `vector` rows in registers, and the block exchanges packs through shared memory, whose columns are permuted so that no
// two threads of a phase meet in one bank.  Memory is read and written in rows of 16 packs.  whole: all strides are whole packs.
template <class T, int vector>
__global__ void CYMX_BOUNDS(copy_threads) transpose_tiles(const T *x, T *y, Move outer, i64 n_i, i64 n_j, i64 from_i, i64 to_j, i64 whole) {
    constexpr int side = 16 * vector;
    __shared__ Pack<T, vector> room[side * 16];
    const i64 tiles_i = (n_i + side - 1) / side, tiles_j = (n_j + side - 1) / side, tile = blockIdx.x / tiles_j;
    const i64 tile_i = tile % tiles_i * side, tile_j = blockIdx.x % tiles_j * side;
    i64 from, to;
    locate(outer, (u64)(tile / tiles_i), from, to);
    const int high = threadIdx.x / 16, low = threadIdx.x % 16;
    const bool fast = whole && tile_i + side <= n_i && tile_j + side <= n_j && both_aligned<T, vector>(x, y);
    Pack<T, vector> rows[vector];
    x += from + (tile_i + high * vector) * from_i + tile_j + low * vector;
#pragma unroll
    for (int r = 0; r < vector; ++r) {
        if (fast) {
            rows[r] = read_pack<T, vector>(x + r * from_i, true);
        } else {
#pragma unroll
            for (int c = 0; c < vector; ++c) {
                const bool inside = tile_i + high * vector + r < n_i && tile_j + low * vector + c < n_j;
                rows[r].v[c] = inside ? x[r * from_i + c] : T(0);
            }
        }
    }
#pragma unroll
    for (int c = 0; c < vector; ++c) {
        Pack<T, vector> column;
#pragma unroll
        for (int r = 0; r < vector; ++r) {
            column.v[r] = rows[r].v[c];
        }
        room[(low * vector + c) * 16 + (high ^ low)] = column;
    }
    __syncthreads();
    y += to + tile_i + low * vector;
#pragma unroll
    for (int k = 0; k < vector; ++k) {
        const int row = high + 16 * k;
        const Pack<T, vector> column = room[row * 16 + (low ^ row / vector)];
        if (fast) {
            write_pack<T, vector>(y + (tile_j + row) * to_j, column, true);
        } else {
#pragma unroll
            for (int r = 0; r < vector; ++r) {
                if (tile_j + row < n_j && tile_i + low * vector + r < n_i) {
                    y[(tile_j + row) * to_j + r] = column.v[r];
                }
            }
        }
    }
}

struct PadSides {
    i64 lo[8], length[8]; // added before, and the input's length
};

// y's n elements from x padded.  m: the output's sizes, and in `from` the input's strides.
template <class T, class I> __global__ void CYMX_BOUNDS(copy_threads) pad(const T *x, T *y, Move m, PadSides p, i64 mode, i64 bits, i64 n) {
    const I step = (I)index_step(), end = (I)n;
    for (I i = (I)first_index(); i < end; i += step) {
        bool constant = false;
        i64 from = 0;
        I index = i;
        for (int d = (int)m.n - 1; d >= 0; --d) {
            const I rest = d ? divide(index, m, d) : I(0);
            const i64 source = pad_source((i64)(index - rest * (I)m.size[d]) - p.lo[d], p.length[d], mode);
            constant |= source < 0;
            from += source * m.from[d];
            index = rest;
        }
        y[i] = constant ? (T)bits : x[from];
    }
}

} // namespace cymx
