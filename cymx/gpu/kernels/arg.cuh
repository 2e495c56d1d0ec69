// argmax, argmin along one axis: x (outer, n, inner) -> the first index of the best, (outer, 1, inner).
//
// Layout: row-major.  Each cell of the output is shared by threads of one block: where inner is 1 they are neighbours along n, otherwise cells lie side by
// side and threads below them take other rows.  Reads x once, element by element, neighbouring threads neighbouring elements; writes one index a cell, or
// with gridDim.y pieces one pair a piece, which arg_pieces joins.  Nothing aliases.  Values are compared as Lane<T>; of equal ones, and of nan ones, the
// first wins, so the result does not depend on who compares.  Launch shape: 256 threads; grid (cells / cells a block, pieces).
#pragma once
#include "device.cuh"
#include "reduce.h"
#include "wide.h"

namespace cymx {

constexpr int arg_threads = 256;

// A candidate; at is -1 for none.
template <class R, class L> struct Best {
    L value;
    i64 at;
    __device__ __forceinline__ void join(L v, i64 index) {
        const bool better = at < 0 || R::beats(v, value) || (!R::beats(value, v) && index < at);
        if (index >= 0 && better) {
            value = v;
            at = index;
        }
    }
};

// Joins the candidates of a cell's threads, `apart` from each other, into the first's.  All threads of the block come.
template <class R, class L> __device__ __forceinline__ void join_block(Best<R, L> &best, int lane, int lanes, int apart) {
    __shared__ L values[arg_threads];
    __shared__ i64 indices[arg_threads];
    values[threadIdx.x] = best.value;
    indices[threadIdx.x] = best.at;
    for (int half = lanes / 2; half; half /= 2) {
        __syncthreads();
        if (lane < half) {
            best.join(values[threadIdx.x + half * apart], indices[threadIdx.x + half * apart]);
            values[threadIdx.x] = best.value;
            indices[threadIdx.x] = best.at;
        }
    }
}

// cells: how many of them a block has, a power of two.   values, indices: of pieces, [piece][cell], or null.
template <class R, class T, class Index>
__global__ void CYMX_BOUNDS(arg_threads) arg_reduce(const T *x, Index *y, Lane<T> *values, i64 *indices, i64 n_cells, i64 n, i64 inner, i64 cells) {
    const int lanes = arg_threads / (int)cells, apart = inner == 1 ? 1 : (int)cells;
    const int lane = inner == 1 ? threadIdx.x % lanes : threadIdx.x / (int)cells;
    const i64 cell = (i64)blockIdx.x * cells + (inner == 1 ? threadIdx.x / lanes : threadIdx.x % (int)cells);
    const i64 share = (n + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * share, end = n < begin + share ? n : begin + share;
    Best<R, Lane<T>> best = {Lane<T>(0), -1};
    if (cell < n_cells) {
        const T *from = x + cell / inner * n * inner + cell % inner;
#pragma unroll 4
        for (i64 i = begin + lane; i < end; i += lanes) {
            best.join(to_lane(from[i * inner]), i);
        }
    }
    join_block(best, lane, lanes, apart);
    if (lane == 0 && cell < n_cells) {
        if (values) {
            values[blockIdx.y * n_cells + cell] = best.value;
            indices[blockIdx.y * n_cells + cell] = best.at;
        } else {
            y[cell] = convert<Index>(best.at);
        }
    }
}

// Joins the pieces of one cell a block.
template <class R, class T, class Index>
__global__ void CYMX_BOUNDS(arg_threads) arg_pieces(const Lane<T> *values, const i64 *indices, Index *y, i64 n_cells, i64 n_pieces) {
    const i64 cell = blockIdx.x;
    Best<R, Lane<T>> best = {Lane<T>(0), -1};
    for (i64 piece = threadIdx.x; piece < n_pieces; piece += arg_threads) {
        best.join(values[piece * n_cells + cell], indices[piece * n_cells + cell]);
    }
    join_block(best, threadIdx.x, arg_threads, 1);
    if (threadIdx.x == 0) {
        y[cell] = convert<Index>(best.at);
    }
}

} // namespace cymx
