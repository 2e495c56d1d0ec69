// One matrix product: C = A B over tiles in shared memory, each thread's part of a tile in registers.
//
// A and B are anything that can load four elements of itself: strided matrices here, image windows in conv.cuh; C is anything that takes four
// neighbouring columns of a row.  Tiles of the depth are double-buffered: while one is multiplied the next is on its way.  16-bit floats are
// summed in float32, integers in unsigned words that wrap; every element is summed in one order, by shapes alone.  A long depth may be cut into
// parts, whose sums go to scratch and are added in order by sum_parts.  Read by: matmul.cuh, conv.cuh.
#pragma once
#include "vector.cuh"

namespace cymx {

// How the threads of a block share the loads of an operand: neighbours take four rows at one depth each, or four depths of one row, and
// then the next depths or the next row.
enum GemmOrder { ALONG_ROWS, ALONG_DEPTH, ROW_BY_ROW };

constexpr int gemm_depth = 16;

// A square tile of TILE x TILE elements of C: (TILE / EACH)^2 threads with EACH x EACH elements.
template <int TILE_, int EACH_> struct GemmTile {
    static constexpr int size = TILE_, each = EACH_, side = TILE_ / EACH_, threads = side * side, quads = EACH_ / 4;
};

// What one thread brings of an operand's tiles.  Operand has: element, order, Slot slot(row), and load(slot, depth, end, four elements).
template <class Operand, class Tile> struct GemmStage {
    using A = wide_t<typename Operand::element>;
    using Line = Pack<A, 4>[Tile::size / 4 + 1];
    static constexpr int slots = Tile::size * gemm_depth / 4 / Tile::threads;
    typename Operand::Slot slot[slots];
    A held[slots][4];

    static __device__ __forceinline__ int row_of(int s) {
        const int i = s * Tile::threads + threadIdx.x;
        return Operand::order == ALONG_ROWS ? i % (Tile::size / 4) * 4 : Operand::order == ALONG_DEPTH ? i / (gemm_depth / 4) : i % Tile::size;
    }
    static __device__ __forceinline__ int depth_of(int s) {
        const int i = s * Tile::threads + threadIdx.x;
        return Operand::order == ALONG_ROWS ? i / (Tile::size / 4) : Operand::order == ALONG_DEPTH ? i % (gemm_depth / 4) * 4 : i / Tile::size * 4;
    }
    __device__ __forceinline__ void start(const Operand &operand, i64 row) {
        CYMX_UNROLL
        for (int s = 0; s < slots; ++s) {
            slot[s] = operand.slot(row + row_of(s));
        }
    }
    __device__ __forceinline__ void fetch(const Operand &operand, i64 depth, i64 end) {
        CYMX_UNROLL
        for (int s = 0; s < slots; ++s) {
            operand.load(slot[s], depth + depth_of(s), end, held[s]);
        }
    }
    __device__ __forceinline__ void put(Line *lines) const {
        CYMX_UNROLL
        for (int s = 0; s < slots; ++s) {
            const int row = row_of(s), depth = depth_of(s);
            if (Operand::order == ALONG_ROWS) {
                Pack<A, 4> quad;
                CYMX_UNROLL
                for (int e = 0; e < 4; ++e) {
                    quad.v[e] = held[s][e];
                }
                lines[depth][row / 4] = quad;
            } else {
                CYMX_UNROLL
                for (int e = 0; e < 4; ++e) {
                    lines[depth + e][row / 4].v[row % 4] = held[s][e];
                }
            }
        }
    }
};

// The tile of C at (i0, j0), for depths k0 .. k1; k0 is a multiple of four.
template <class Tile, class OpA, class OpB, class To>
__device__ __forceinline__ void gemm_tile(const OpA &a, const OpB &b, const To &to, i64 i0, i64 j0, i64 k0, i64 k1) {
    using A = wide_t<typename OpA::element>;
    using StageA = GemmStage<OpA, Tile>;
    using StageB = GemmStage<OpB, Tile>;
    __shared__ Pack<A, 4> lines[2][2][gemm_depth][Tile::size / 4 + 1];
    const int x = threadIdx.x % Tile::side, y = threadIdx.x / Tile::side;
    A sum[Tile::each][Tile::each];
    CYMX_UNROLL
    for (int i = 0; i < Tile::each; ++i) {
        CYMX_UNROLL
        for (int j = 0; j < Tile::each; ++j) {
            sum[i][j] = 0;
        }
    }
    StageA stage_a;
    StageB stage_b;
    stage_a.start(a, i0);
    stage_b.start(b, j0);
    stage_a.fetch(a, k0, k1);
    stage_b.fetch(b, k0, k1);
    stage_a.put(lines[0][0]);
    stage_b.put(lines[0][1]);
    __syncthreads();
    int now = 0;
    for (i64 k = k0; k < k1; k += gemm_depth) {
        const bool more = k + gemm_depth < k1;
        if (more) {
            stage_a.fetch(a, k + gemm_depth, k1);
            stage_b.fetch(b, k + gemm_depth, k1);
        }
        CYMX_UNROLL_BY(sizeof(A) == 8 ? 1 : 4) // sums of 8 bytes leave no room for more
        for (int d = 0; d < gemm_depth; ++d) {
            Pack<A, 4> row[Tile::quads], column[Tile::quads];
            CYMX_UNROLL
            for (int q = 0; q < Tile::quads; ++q) {
                row[q] = lines[now][0][d][q * Tile::side + y];
                column[q] = lines[now][1][d][q * Tile::side + x];
            }
            CYMX_UNROLL
            for (int i = 0; i < Tile::each; ++i) {
                CYMX_UNROLL
                for (int j = 0; j < Tile::each; ++j) {
                    sum[i][j] += row[i / 4].v[i % 4] * column[j / 4].v[j % 4];
                }
            }
        }
        if (more) {
            stage_a.put(lines[1 - now][0]);
            stage_b.put(lines[1 - now][1]);
        }
        __syncthreads();
        now = 1 - now;
    }
    CYMX_UNROLL
    for (int j = 0; j < Tile::quads; ++j) {
        const typename To::Column at = to.column(j0 + (j * Tile::side + x) * 4);
        CYMX_UNROLL
        for (int i = 0; i < Tile::each; ++i) {
            A quad[4];
            CYMX_UNROLL
            for (int e = 0; e < 4; ++e) {
                quad[e] = sum[i][j * 4 + e];
            }
            to.put(at, i0 + (i / 4 * Tile::side + y) * 4 + i % 4, quad);
        }
    }
}

// Where a block works: which product of a batch, which part of its depth, which tile.  Eight rows of tiles go down before the next column, so
// that what they read of B stays in the cache.
struct GemmPlace {
    i64 product, part, i, j;
    __device__ __forceinline__ GemmPlace(i64 tiles_i, i64 tiles_j, i64 n_parts, int size) {
        const u32 tiles = (u32)(tiles_i * tiles_j), at = blockIdx.x % tiles, rest = blockIdx.x / tiles;
        product = rest / (u32)n_parts;
        part = rest % (u32)n_parts;
        const u32 group = 8 * (u32)tiles_j, first = at / group * 8, left = (u32)tiles_i - first, rows = left < 8 ? left : 8;
        i = (i64)(first + at % group % rows) * size;
        j = (i64)(at % group / rows) * size;
    }
};

// A matrix whose rows, or whose depths, are consecutive; `step` is the distance of its lines.
template <class T, GemmOrder ORDER> struct Matrix {
    using element = T;
    static constexpr GemmOrder order = ORDER;
    const T *p;
    i64 n_rows, step;
    struct Slot {
        const T *at;
        i64 left; // rows from here on
    };
    __device__ __forceinline__ Slot slot(i64 row) const { return {p + (ORDER == ALONG_ROWS ? row : row * step), n_rows - row}; }
    template <class A> __device__ __forceinline__ void load(const Slot &s, i64 k, i64 end, A (&to)[4]) const {
        constexpr i64 bytes = sizeof(Pack<T, 4>) < 16 ? sizeof(Pack<T, 4>) : 16;
        const bool whole = ((u64)p | (u64)(step * (i64)sizeof(T))) % bytes == 0;
        if (ORDER == ALONG_ROWS) {
            load_vector(s.at + k * step, 0, k < end ? s.left : 0, whole, A(0), to);
        } else {
            load_vector(s.at, k, s.left > 0 ? end : 0, whole, A(0), to);
        }
    }
};

// A row-major matrix that takes the results.
template <class T> struct Result {
    T *p;
    i64 n_rows, n_columns;
    using Column = i64;
    __device__ __forceinline__ Column column(i64 j) const { return j; }
    template <class A> __device__ __forceinline__ void put(Column j, i64 i, const A (&from)[4]) const {
        constexpr i64 bytes = sizeof(Pack<T, 4>) < 16 ? sizeof(Pack<T, 4>) : 16;
        const bool whole = ((u64)p | (u64)(n_columns * (i64)sizeof(T))) % bytes == 0;
        store_vector(p + i * n_columns, j, i < n_rows ? n_columns : 0, whole, from);
    }
};

// What is added to a finished sum: the bias of its channel, what lies at its place in another array; and then whether it is at least 0.
template <class T> struct Finish {
    const T *bias, *residual;
    i64 relu;
    template <class A> __device__ __forceinline__ T of(A sum, i64 channel, i64 at) const {
        sum += bias ? widen(bias[channel]) : A(0);
        sum += residual ? widen(residual[at]) : A(0);
        return convert<T>(relu && sum <= A(0) ? A(0) : sum);
    }
};

// y[i] = the sum of parts[p * n + i] over p, in order, finished.  Channel of element i: i / inner % channels.
template <class T>
__global__ void CYMX_BOUNDS(256)
    sum_parts(const wide_t<T> *parts, T *y, i64 n, i64 n_parts, const T *bias, const T *residual, i64 relu, i64 inner, i64 channels) {
    const Finish<T> finish = {bias, residual, relu};
    for (i64 i = first_index(); i < n; i += index_step()) {
        wide_t<T> sum = 0;
        for (i64 p = 0; p < n_parts; ++p) {
            sum += parts[p * n + i];
        }
        y[i] = finish.of(sum, bias ? i / inner % channels : 0, i);
    }
}

} // namespace cymx
