// The one matrix product: packed panels, a register tile of GCC vectors, blocks for the caches, OpenMP over blocks of C.
//
// C = A B (+ a bias for each row of C), where A and B are anything that can pack a panel of itself: a strided matrix here, image windows in conv.cpp.
// Every element of C is summed in one order that depends on shapes alone, so results do not change with the number of threads.
// Read by: matmul.cpp, conv.cpp.  Everything is in an anonymous namespace (see table.h).
#pragma once
#include <omp.h>
#include <stdlib.h>

#include "cast.h"

namespace {

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, TILE_ROWS = 12 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, TILE_ROWS = 6 };
#else
enum { VECTOR_BYTES = 16, TILE_ROWS = sizeof(void *) == 8 ? 6 : 4 };
#endif

template <class A> struct Tile {
    typedef A vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(A)), may_alias));
    enum { LANES = VECTOR_BYTES / sizeof(A), VECTORS = 2, ROWS = TILE_ROWS, COLUMNS = LANES * VECTORS };
};

// Blocks: K_BLOCK x COLUMNS of B stays in L1, M_TASK x K_BLOCK of A in L2; M_BLOCK and N_BLOCK bound the packed copies.
enum { K_BLOCK = 256, M_TASK = 8 * TILE_ROWS, N_TASK = 256, M_BLOCK = 16 * M_TASK, N_BLOCK = 2048 };

constexpr i64 NO_INNER = i64(1) << 62; // one level of steps only

inline i64 least(i64 a, i64 b) { return a < b ? a : b; }
inline i64 most(i64 a, i64 b) { return a > b ? a : b; }
inline i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

// Memory of one call; p is null when there is none left.
struct Scratch {
    void *p;
    explicit Scratch(i64 bytes) : p(nullptr) {
        if (posix_memalign(&p, 64, most(bytes, 64))) {
            p = nullptr;
        }
    }
    Scratch(const Scratch &) = delete;
    ~Scratch() { free(p); }
};

// An operand in memory: element (i, k) is at i * i_step + (k % k_inner) * k_step + (k / k_inner) * k_outer.
template <class T> struct Strided {
    const T *p;
    i64 i_step, k_step, k_inner, k_outer;

    // Writes rows i0 .. i0 + n of depth k0 .. k0 + kc as out[k][row], R rows wide, zeros below the last row.
    template <int R, class A> void pack(A *out, i64 i0, i64 n, i64 k0, i64 kc) const {
        for (i64 k = 0; k < kc;) {
            const i64 inner = (k0 + k) % k_inner, run = least(kc - k, k_inner - inner);
            const T *from = p + i0 * i_step + inner * k_step + (k0 + k) / k_inner * k_outer;
            pack_run<R>(out + k * R, from, n, run);
            k += run;
        }
    }

    template <int R, class A> void pack_run(A *out, const T *from, i64 n, i64 run) const {
        if (i_step == 1 && n == R) {
            for (i64 k = 0; k < run; ++k) {
                for (int r = 0; r < R; ++r) {
                    out[k * R + r] = widen(from[k * k_step + r]);
                }
            }
            return;
        }
        for (i64 r = 0; r < R; ++r) {
            for (i64 k = 0; k < run; ++k) {
                out[k * R + r] = r < n ? widen(from[r * i_step + k * k_step]) : A(0);
            }
        }
    }
};

template <class T> inline Strided<T> strided(const T *p, i64 i_step, i64 k_step) { return {p, i_step, k_step, NO_INNER, 0}; }

// Where C goes: element (i, j) is at i * i_step + j % j_inner + (j / j_inner) * j_outer.  row_bias, one a row, may be null.
template <class T> struct Output {
    T *p;
    i64 i_step, j_inner, j_outer;
    const T *row_bias;
};

// c[r][column] (+)= sum over k of a[k][r] * b[k][column], R rows of a panel that is TILE_ROWS wide.
template <int R, class A> inline void tile(i64 kc, const A *a, const A *b, A *c, i64 c_step, bool add) {
    using V = typename Tile<A>::vector;
    constexpr int NV = Tile<A>::VECTORS, L = Tile<A>::LANES;
    V sum[R][NV] = {};
    for (i64 k = 0; k < kc; ++k) {
        V bk[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
            bk[v] = *reinterpret_cast<const V *>(b + v * L);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                sum[r][v] += a[r] * bk[v];
            }
        }
        a += TILE_ROWS;
        b += NV * L;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
            V *to = reinterpret_cast<V *>(c + r * c_step + v * L);
            *to = add ? *to + sum[r][v] : sum[r][v];
        }
    }
}

template <class A> inline void tile_rows(i64 rows, i64 kc, const A *a, const A *b, A *c, i64 c_step, bool add) {
    if (rows > TILE_ROWS / 2) {
        tile<TILE_ROWS>(kc, a, b, c, c_step, add);
    } else if (rows > 2) {
        tile<TILE_ROWS / 2>(kc, a, b, c, c_step, add);
    } else {
        tile<2>(kc, a, b, c, c_step, add);
    }
}

template <class T, class A> inline void copy_rows(const A *from, i64 from_step, const Output<T> &c, i64 i0, i64 n_rows, i64 j0, i64 n_columns, bool add) {
    for (i64 j = 0; j < n_columns;) {
        const i64 inner = (j0 + j) % c.j_inner, run = least(n_columns - j, c.j_inner - inner);
        T *to = c.p + inner + (j0 + j) / c.j_inner * c.j_outer;
        for (i64 i = i0; i < i0 + n_rows; ++i) {
            for (i64 x = 0; x < run; ++x) {
                const A sum = from[(i - i0) * from_step + j + x];
                to[i * c.i_step + x] = narrow<T>(add ? widen(to[i * c.i_step + x]) + sum : sum);
            }
        }
        j += run;
    }
}

template <class T, class A> inline void add_bias(A *c, i64 c_step, const T *bias, i64 n_rows, i64 n_columns) {
    for (i64 i = 0; i < n_rows; ++i) {
        for (i64 j = 0; j < n_columns; ++j) {
            c[i * c_step + j] += widen(bias[i]);
        }
    }
}

// One task: rows x columns of C from packed a and b, for one block of K.  whole holds the sums between blocks of K when C itself cannot.
template <class T, class A>
inline void block(const Output<T> &c, i64 i0, i64 n_rows, i64 j0, i64 n_columns, i64 kc, const A *a, const A *b, A *whole, i64 whole_step, bool first,
                  bool last) {
    enum { COLUMNS = Tile<A>::COLUMNS };
    constexpr bool in_place = sizeof(T) == sizeof(A);
    alignas(64) A edge[TILE_ROWS * COLUMNS];
    for (i64 j = 0; j < n_columns; j += COLUMNS) {
        const i64 nj = least(COLUMNS, n_columns - j), inner = (j0 + j) % c.j_inner;
        const bool direct = in_place && nj == COLUMNS && inner + nj <= c.j_inner;
        for (i64 i = 0; i < n_rows; i += TILE_ROWS) {
            const i64 ni = least(TILE_ROWS, n_rows - i);
            const A *ai = a + i * kc, *bj = b + j * kc;
            const T *bias = c.row_bias && first ? c.row_bias + i0 + i : nullptr;
            A *to = edge;
            i64 step = COLUMNS;
            bool add = false;
            if (direct && (ni == TILE_ROWS || ni == TILE_ROWS / 2 || ni == 2)) {
                to = reinterpret_cast<A *>(c.p) + (i0 + i) * c.i_step + inner + (j0 + j) / c.j_inner * c.j_outer;
                step = c.i_step;
                add = !first;
            }
            tile_rows(ni, kc, ai, bj, to, step, add);
            if (bias) {
                add_bias(to, step, bias, ni, nj);
            }
            if (to != edge) {
                continue;
            }
            if (whole) {
                A *kept = whole + i * whole_step + j;
                for (i64 r = 0; r < ni; ++r) {
                    for (i64 x = 0; x < nj; ++x) {
                        edge[r * COLUMNS + x] += first ? A(0) : kept[r * whole_step + x];
                        kept[r * whole_step + x] = edge[r * COLUMNS + x];
                    }
                }
                if (!last) {
                    continue;
                }
            }
            copy_rows(edge, COLUMNS, c, i0 + i, ni, j0 + j, nj, in_place && !first);
        }
    }
}

// C = A B for k in [k_begin, k_end).  Returns false when there is no memory for the packed blocks.
template <class SA, class SB, class T> inline bool gemm(i64 m, i64 n, i64 k_begin, i64 k_end, const SA &a, const SB &b, const Output<T> &c, bool parallel) {
    using A = wide_t<T>;
    enum { COLUMNS = Tile<A>::COLUMNS };
    const i64 mb = least(ceil_div(m, TILE_ROWS) * TILE_ROWS, M_BLOCK), nb = least(ceil_div(n, COLUMNS) * COLUMNS, N_BLOCK);
    const i64 depth = most(k_end - k_begin, 0), kb = most(least(depth, K_BLOCK), 1);
    // Between blocks of K the sums stay in C, unless its type is narrower than they are.
    const bool keep = sizeof(T) != sizeof(A) && depth > kb;
    const i64 a_size = ceil_div(mb * kb, 16) * 16;
    Scratch packed((a_size + nb * kb) * i64(sizeof(A))), sums(keep ? mb * nb * i64(sizeof(A)) : 0);
    if (!packed.p || !sums.p) {
        return false;
    }
    A *pa = static_cast<A *>(packed.p), *pb = pa + a_size, *whole = keep ? static_cast<A *>(sums.p) : nullptr;
#pragma omp parallel if (parallel)
    for (i64 j0 = 0; j0 < n; j0 += nb) {
        const i64 nj = least(nb, n - j0), b_panels = ceil_div(nj, COLUMNS), tasks_j = ceil_div(nj, N_TASK);
        for (i64 i0 = 0; i0 < m; i0 += mb) {
            const i64 ni = least(mb, m - i0), a_panels = ceil_div(ni, TILE_ROWS), tasks_i = ceil_div(ni, M_TASK);
            for (i64 k0 = k_begin; k0 < most(k_end, k_begin + 1); k0 += kb) {
                const i64 kc = least(kb, k_end - k0);
#pragma omp for schedule(static) nowait
                for (i64 x = 0; x < a_panels; ++x) {
                    a.template pack<TILE_ROWS>(pa + x * TILE_ROWS * kc, i0 + x * TILE_ROWS, least(TILE_ROWS, ni - x * TILE_ROWS), k0, kc);
                }
#pragma omp for schedule(static)
                for (i64 x = 0; x < b_panels; ++x) {
                    b.template pack<COLUMNS>(pb + x * COLUMNS * kc, j0 + x * COLUMNS, least(COLUMNS, nj - x * COLUMNS), k0, kc);
                }
#pragma omp for schedule(dynamic)
                for (i64 x = 0; x < tasks_i * tasks_j; ++x) {
                    const i64 i = x % tasks_i * M_TASK, j = x / tasks_i * N_TASK;
                    block(c, i0 + i, least(M_TASK, ni - i), j0 + j, least(N_TASK, nj - j), kc, pa + i * kc, pb + j * kc,
                          whole ? whole + i * nb + j : nullptr, nb, k0 == k_begin, k0 + kc >= k_end);
                }
            }
        }
    }
    return true;
}

} // namespace
