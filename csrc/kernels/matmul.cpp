// Matrix products: a (..., M, K) or (..., K, M), b (..., K, N) or (..., N, K) -> c (..., M, N).  a's and b's batches may each be one matrix.
//
// Floats of 16 bits are summed in float32; integers wrap.  K = 0 gives zeros.  Reads a and b, writes c, which aliases neither.
// Refuses mixed types and shapes that do not fit.  Called through csrc/dispatch.cpp.
#include "cymx/params.h"
#include "gemm.h"
#include "table.h"

namespace {

struct Product {
    i64 batch, a_batch, b_batch, m, n, k;
};

// The matrices of a batch, however many dimensions it has.
i64 count(const cymx_tensor &t) {
    i64 n = 1;
    for (i32 i = 0; i < t.ndim - 2; ++i) {
        n *= t.shape[i];
    }
    return n;
}

// y[j] = sum over k of v[k] * w(j, k), for w whose rows or whose columns are consecutive: w is read once, as it lies.
template <class T> void vector_product(i64 n, i64 k, const T *v, const Strided<T> &w, T *y) {
    using A = wide_t<T>;
    using V = typename Tile<A>::vector;
    enum { L = Tile<A>::LANES, ROWS = 8 };
    const bool by_columns = w.i_step == 1;
    // Enough columns for a few cache lines of each row; the blocks do not depend on the number of threads.
    const i64 block = by_columns ? ROWS * L : 16;
#pragma omp parallel for schedule(static) if (n * k > 500000)
    for (i64 j0 = 0; j0 < n; j0 += block) {
        const i64 nj = least(block, n - j0);
        const T *from = w.p + j0 * w.i_step;
        if (by_columns && nj == block) {
            V sum[ROWS] = {};
            for (i64 x = 0; x < k; ++x, from += w.k_step) {
                const A vx = widen(v[x]);
#pragma GCC unroll 8
                for (int r = 0; r < ROWS; ++r) {
                    sum[r] += vx * load<A>(from + r * L);
                }
            }
            for (i64 j = 0; j < nj; ++j) {
                y[j0 + j] = convert<T>(sum[j / L][j % L]);
            }
            continue;
        }
        for (i64 j = 0; j < nj; ++j) {
            const T *wj = from + j * w.i_step;
            V sums[4] = {};
            A sum = 0;
            i64 x = 0;
            if (w.k_step == 1) {
                for (; x + 4 * L <= k; x += 4 * L) {
#pragma GCC unroll 4
                    for (int r = 0; r < 4; ++r) {
                        sums[r] += load<A>(v + x + r * L) * load<A>(wj + x + r * L);
                    }
                }
                sums[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
                for (int l = 0; l < L; ++l) {
                    sum += sums[0][l];
                }
            }
            for (; x < k; ++x) {
                sum += widen(v[x]) * widen(wj[x * w.k_step]);
            }
            y[j0 + j] = convert<T>(sum);
        }
    }
}

template <class T> bool product(const Product &s, const T *a, const T *b, T *c, bool transpose_a, bool transpose_b) {
    const i64 a_size = s.m * s.k, b_size = s.k * s.n, c_size = s.m * s.n;
    const bool by_matrix = s.batch >= omp_get_max_threads() && s.batch > 1;
    const bool parallel = s.batch * c_size * s.k > 500000;
    bool done = true;
#pragma omp parallel for schedule(dynamic) if (by_matrix && parallel) reduction(&& : done)
    for (i64 x = 0; x < s.batch; ++x) {
        const T *ax = a + (s.a_batch == 1 ? 0 : x) * a_size, *bx = b + (s.b_batch == 1 ? 0 : x) * b_size;
        const Strided<T> ra = transpose_a ? strided(ax, 1, s.m) : strided(ax, s.k, 1);
        const Strided<T> rb = transpose_b ? strided(bx, s.k, 1) : strided(bx, 1, s.n);
        if (s.m == 1) {
            vector_product(s.n, s.k, ax, rb, c + x * c_size);
            continue;
        }
        if (s.n == 1) {
            vector_product(s.m, s.k, bx, ra, c + x * c_size);
            continue;
        }
        const Output<T> rc = {c + x * c_size, s.n, NO_INNER, 0, nullptr};
        done = gemm(s.m, s.n, 0, s.k, ra, rb, rc, parallel && !by_matrix) && done;
    }
    return done;
}

int matmul(const cymx_args *args) {
    if (int code = expect(args, 2, 1, sizeof(matmul_params))) {
        return code;
    }
    const cymx_tensor &a = args->in[0], &b = args->in[1], &c = args->out[0];
    const auto &p = *static_cast<const matmul_params *>(args->params);
    if (a.ndim < 2 || b.ndim < 2 || c.ndim < 2 || a.dtype != b.dtype || a.dtype != c.dtype) {
        return fail(args, CYMX_BAD_ARGUMENT, "wants two matrices, or batches of them, of one type");
    }
    const Product s = {count(c), count(a), count(b), c.shape[c.ndim - 2], c.shape[c.ndim - 1], a.shape[a.ndim - (p.transpose_a ? 2 : 1)]};
    if (a.shape[a.ndim - (p.transpose_a ? 1 : 2)] != s.m || b.shape[b.ndim - (p.transpose_b ? 2 : 1)] != s.n ||
        b.shape[b.ndim - (p.transpose_b ? 1 : 2)] != s.k || (s.a_batch != 1 && s.a_batch != s.batch) || (s.b_batch != 1 && s.b_batch != s.batch)) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes of a, b and c do not fit each other");
    }
    return for_number(args, a.dtype, [&](auto zero) {
        using T = decltype(zero);
        const bool done = product(s, static_cast<const T *>(a.data), static_cast<const T *>(b.data), static_cast<T *>(c.data), p.transpose_a != 0,
                                  p.transpose_b != 0);
        return done ? int(CYMX_OK) : fail(args, CYMX_OUT_OF_MEMORY, "no memory for packed blocks");
    });
}

} // namespace

CYMX_ROWS(matmul, {"matmul", matmul})
