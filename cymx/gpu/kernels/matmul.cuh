// matmul: a (..., M, K) or (..., K, M), b (..., K, N) or (..., N, K) -> c (..., M, N); a's and b's batches may each be one matrix.
//
// A block makes one tile of one product, or of one part of its depth.  Floats of 16 bits are summed in float32; integers wrap.  K = 0 gives zeros.
// Reads a and b, writes c, which aliases neither.  Recipes: recipes/matmul.py.
#pragma once
#include "gemm.cuh"

namespace cymx {

// a_step, b_step: from one matrix of a batch to the next.   part: depths of one part.
struct MatmulShape {
    i64 batch, m, n, k, a_step, b_step, n_parts, part;
};

// Y: T, or what T is summed in where c is an array of parts (n_parts, batch, M, N).
template <class T, class Y, int TILE, int EACH, bool TRANSPOSE_A, bool TRANSPOSE_B>
__global__ void CYMX_BOUNDS(GemmTile<TILE, EACH>::threads) matmul(const T *a, const T *b, Y *c, MatmulShape s) {
    const GemmPlace at((s.m + TILE - 1) / TILE, (s.n + TILE - 1) / TILE, s.n_parts, TILE);
    const Matrix<T, TRANSPOSE_A ? ALONG_ROWS : ALONG_DEPTH> rows = {a + at.product * s.a_step, s.m, TRANSPOSE_A ? s.m : s.k};
    const Matrix<T, TRANSPOSE_B ? ALONG_DEPTH : ALONG_ROWS> columns = {b + at.product * s.b_step, s.n, TRANSPOSE_B ? s.k : s.n};
    const Result<Y> to = {c + (at.part * s.batch + at.product) * s.m * s.n, s.m, s.n};
    const i64 end = (at.part + 1) * s.part;
    gemm_tile<GemmTile<TILE, EACH>>(rows, columns, to, at.i, at.j, at.part * s.part, end < s.k ? end : s.k);
}

} // namespace cymx
