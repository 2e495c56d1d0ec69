// The one matrix product: packed panels, a register tile of GCC vectors, blocks for the caches, OpenMP over blocks of C.
//
// C = A B (+ a bias for each row of C), where A and B are anything that can pack a panel of itself: a strided matrix here, image windows in conv.cpp.
// Every element of C is summed in one order that depends on shapes alone, so results do not change with the number of threads.
// Read by: matmul.cpp, conv.cpp.  Everything is in an anonymous namespace (see table.h).
#pragma once
#include <omp.h>
#include <stdlib.h>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "cast.h"

namespace {

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, TILE_ROWS = 12 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, TILE_ROWS = 6 };
#else
enum { VECTOR_BYTES = 16, TILE_ROWS = 6 };
#endif

template <class A> struct Tile {
    typedef A vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(A)), may_alias));
    enum { LANES = VECTOR_BYTES / sizeof(A), VECTORS = 2, ROWS = TILE_ROWS, COLUMNS = LANES * VECTORS };
};

// Blocks: K_BLOCK x COLUMNS of B stays in L1, M_TASK x K_BLOCK of A in L2; M_BLOCK and N_BLOCK bound the packed copies.
enum { K_BLOCK = 256, M_TASK = 8 * TILE_ROWS, N_TASK = 256, M_BLOCK = 16 * M_TASK, N_BLOCK = 2048 };

constexpr i64 NO_INNER = i64(1) << 62; // one level of steps only

inline i64 most(i64 a, i64 b) { return a > b ? a : b; }
inline i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

// Memory of one call, or null.  Given back by free: a destructor would leave exception tables, and with them a weak symbol, in the unit.
inline void *allocate(i64 bytes) {
    void *p = nullptr;
    return posix_memalign(&p, 64, size_t(most(bytes, 64))) == 0 ? p : nullptr;
}

// Transposes LANES vectors of LANES elements: each pass interleaves row i with row i + LANES / 2.
template <class A> inline void transpose(typename Tile<A>::vector *rows) {
    using V = typename Tile<A>::vector;
    typedef decltype(V() < V()) Mask;
    enum { L = Tile<A>::LANES };
    Mask low, high;
    for (int l = 0; l < L; ++l) {
        low[l] = l / 2 + (l % 2) * L;
        high[l] = L / 2 + low[l];
    }
#pragma GCC unroll 4
    for (int pass = 1; pass < L; pass *= 2) {
        V mixed[L];
#pragma GCC unroll 16
        for (int i = 0; i < L / 2; ++i) {
            mixed[2 * i] = __builtin_shuffle(rows[i], rows[i + L / 2], low);
            mixed[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + L / 2], high);
        }
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i) {
            rows[i] = mixed[i];
        }
    }
}

template <class A, class T> inline typename Tile<A>::vector load(const T *from) {
    alignas(64) A lanes[Tile<A>::LANES];
    for (int l = 0; l < Tile<A>::LANES; ++l) {
        lanes[l] = widen(from[l]);
    }
    return *reinterpret_cast<const typename Tile<A>::vector *>(lanes);
}
#ifdef __F16C__
template <> inline Tile<float>::vector load<float, float16>(const float16 *from) {
#ifdef __AVX512F__
    return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
#else
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
#endif
}
#endif

// Writes n rows of `run` consecutive elements each as out[k][row], R rows wide, zeros below the last row.
template <int R, class A, class T> inline void pack_rows(A *out, const T *from, i64 row_step, i64 n, i64 run) {
    using V = typename Tile<A>::vector;
    enum { L = Tile<A>::LANES, BLOCKS = (R + L - 1) / L };
    i64 k = 0;
    // A store past row R spills into the next k, which is written later; hence the last block goes one by one where there is a spill.
    for (; k + L + (R % L != 0) <= run; k += L) {
        V rows[BLOCKS][L] = {};
        for (i64 r = 0; r < n; ++r) {
            rows[r / L][r % L] = load<A>(from + r * row_step + k);
        }
#pragma GCC unroll 4
        for (int b = 0; b < BLOCKS; ++b) {
            transpose<A>(rows[b]);
        }
        for (i64 x = 0; x < L; ++x) {
#pragma GCC unroll 4
            for (int b = 0; b < BLOCKS; ++b) {
                *reinterpret_cast<V *>(out + (k + x) * R + b * L) = rows[b][x];
            }
        }
    }
    for (; k < run; ++k) {
        for (i64 r = 0; r < R; ++r) {
            out[k * R + r] = r < n ? widen(from[r * row_step + k]) : A(0);
        }
    }
}

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
        if (k_step == 1) {
            pack_rows<R>(out, from, i_step, n, run);
        } else if (i_step == 1 && n == R) {
            for (i64 k = 0; k < run; ++k) {
                for (int r = 0; r < R; ++r) {
                    out[k * R + r] = widen(from[k * k_step + r]);
                }
            }
        } else {
            for (i64 k = 0; k < run; ++k, out += R, from += k_step) {
                for (i64 r = 0; r < n; ++r) {
                    out[r] = widen(from[r * i_step]);
                }
                for (i64 r = n; r < R; ++r) {
                    out[r] = 0;
                }
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

// c[r][column] (+)= sum over k of a[k][r] * b[k][column]: R rows, V vectors of columns, of panels TILE_ROWS and COLUMNS wide.
template <int R, int V, class A> inline void tile(i64 kc, const A *a, const A *b, A *c, i64 c_step, bool add) {
    using Vector = typename Tile<A>::vector;
    constexpr int L = Tile<A>::LANES;
    Vector sum[R][V] = {};
    for (i64 k = 0; k < kc; ++k, a += TILE_ROWS, b += Tile<A>::COLUMNS) {
        Vector bk[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            bk[v] = *reinterpret_cast<const Vector *>(b + v * L);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {
                sum[r][v] += a[r] * bk[v];
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            Vector *to = reinterpret_cast<Vector *>(c + r * c_step + v * L);
            *to = add ? *to + sum[r][v] : sum[r][v];
        }
    }
}

// The fewest rows that a tile of its own has for `rows` rows.
constexpr i64 tile_rows(i64 rows) { return rows <= 1 ? 1 : rows <= 2 ? 2 : rows <= 4 ? 4 : rows <= 6 ? 6 : rows <= 8 ? 8 : 12; }

template <int V, class A> inline void run_tile(i64 rows, i64 kc, const A *a, const A *b, A *c, i64 c_step, bool add) {
    switch (tile_rows(rows)) {
    case 1: return tile<1, V>(kc, a, b, c, c_step, add);
    case 2: return tile<2, V>(kc, a, b, c, c_step, add);
    case 4: return tile<4, V>(kc, a, b, c, c_step, add);
    case 6: return tile<6, V>(kc, a, b, c, c_step, add);
    case 8: return tile < TILE_ROWS<8 ? 1 : 8, V>(kc, a, b, c, c_step, add);
    default: return tile < TILE_ROWS<12 ? 1 : 12, V>(kc, a, b, c, c_step, add);
    }
}

template <class T, class A> inline void copy_rows(const A *from, i64 from_step, const Output<T> &c, i64 i0, i64 n_rows, i64 j0, i64 n_columns,
                                                  bool add) {
    for (i64 j = 0; j < n_columns;) {
        const i64 inner = (j0 + j) % c.j_inner, run = least(n_columns - j, c.j_inner - inner);
        T *to = c.p + inner + (j0 + j) / c.j_inner * c.j_outer;
        for (i64 i = i0; i < i0 + n_rows; ++i) {
            for (i64 x = 0; x < run; ++x) {
                const A sum = from[(i - i0) * from_step + j + x];
                to[i * c.i_step + x] = convert<T>(add ? widen(to[i * c.i_step + x]) + sum : sum);
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
            if (direct && ni == tile_rows(ni)) {
                to = reinterpret_cast<A *>(c.p) + (i0 + i) * c.i_step + inner + (j0 + j) / c.j_inner * c.j_outer;
                step = c.i_step;
                add = !first;
            }
            if (nj > Tile<A>::LANES) {
                run_tile<2>(ni, kc, ai, bj, to, step, add);
            } else {
                run_tile<1>(ni, kc, ai, bj, to, step, add);
            }
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
template <class SA, class SB, class T>
inline bool gemm(i64 m, i64 n, i64 k_begin, i64 k_end, const SA &a, const SB &b, const Output<T> &c, bool parallel) {
    using A = wide_t<T>;
    enum { COLUMNS = Tile<A>::COLUMNS };
    const i64 mb = least(ceil_div(m, TILE_ROWS) * TILE_ROWS, M_BLOCK), nb = least(ceil_div(n, COLUMNS) * COLUMNS, N_BLOCK);
    const i64 depth = most(k_end - k_begin, 0), kb = most(least(depth, K_BLOCK), 1);
    // Between blocks of K the sums stay in C, unless its type is narrower than they are.
    const bool keep = sizeof(T) != sizeof(A) && depth > kb;
    const i64 a_size = ceil_div(mb * kb, 16) * 16;
    A *pa = static_cast<A *>(allocate((a_size + nb * kb + (keep ? mb * nb : 0)) * i64(sizeof(A))));
    if (!pa) {
        return false;
    }
    A *pb = pa + a_size, *whole = keep ? pb + nb * kb : nullptr;
#pragma omp parallel if (parallel && m * n * depth > 500000)
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
    free(pa);
    return true;
}

} // namespace
