// layer_norm over one axis: x (A, n, B), gamma, beta (n) -> y = (x - mean) / std gamma + beta, mean, std (A, B).  y may be x.
//
// std is (the mean of the squared differences to the mean + eps)**(1/2).  Runs of elements are summed in float32 (float64 for float64), a vector at
// a time, and the runs in float64, in an order that depends on shapes and the instruction set alone.  Called through csrc/dispatch.cpp.
#include "cast.h"
#include "cymx/math.h"
#include "cymx/params.h"
#include "rows.h"
#include "table.h"

namespace {

enum { RUN = 4096, COLUMNS = 64, COLUMN_ROWS = 16 };

// Sums f over n elements.  HALF, 0 or 1: which half of the next row is fetched meanwhile, so that two sums fetch all.
template <int HALF, class T, class F> double sum_of(const T *x, i64 n, F f) {
    double total = 0;
    for (i64 begin = 0; begin < n; begin += RUN) {
        total += join_run<Adding, HALF, 2>(x, begin, least(begin + RUN, n), fetch_distance<T>(n), f);
    }
    return total;
}

template <class T> struct Norm {
    using A = wide_t<T>;
    const T *x, *gamma, *beta;
    T *y, *means, *stds;
    i64 n, after;
    double eps, share; // share: 1 / n

    static A scaled(A v, A mean, A rate, T g, T b) { return (v - mean) * rate * widen(g) + widen(b); }

    A deviation(double squares) const { return m::sqrt(A(squares * share) + A(eps)); }

    // Row r of consecutive elements.
    void row(i64 r, bool streamed) const {
        const T *from = x + r * n;
        const A mean = A(sum_of<0>(from, n, [](A v, i64) { return v; }) * share);
        const A std = deviation(sum_of<1>(from, n, [mean](A v, i64) { return (v - mean) * (v - mean); })), rate = 1 / std;
        store_row(y + r * n, n, streamed, [&](i64 i) { return scaled(widen(from[i]), mean, rate, gamma[i], beta[i]); });
        means[r] = convert<T>(mean), stds[r] = convert<T>(std);
    }

    // Sums of f(element, column) down each of n_columns columns.
    template <class F> void sums_of(const T *from, i64 n_columns, double *total, F f) const {
        for (i64 b = 0; b < n_columns; ++b) {
            total[b] = 0;
        }
        for (i64 begin = 0; begin < n; begin += COLUMN_ROWS) {
            A part[COLUMNS] = {};
            for (i64 i = begin; i < least(begin + COLUMN_ROWS, n); ++i) {
                for (i64 b = 0; b < n_columns; ++b) {
                    part[b] += f(widen(from[i * after + b]), b);
                }
            }
            for (i64 b = 0; b < n_columns; ++b) {
                total[b] += part[b];
            }
        }
    }

    // Up to COLUMNS rows side by side: those of a whose place after the axis is first...
    void columns(i64 a, i64 first) const {
        const i64 at = a * n * after + first, n_columns = least(COLUMNS, after - first);
        double total[COLUMNS];
        A mean[COLUMNS], std[COLUMNS], rate[COLUMNS];
        sums_of(x + at, n_columns, total, [](A v, i64) { return v; });
        for (i64 b = 0; b < n_columns; ++b) {
            mean[b] = A(total[b] * share);
        }
        sums_of(x + at, n_columns, total, [&](A v, i64 b) { return (v - mean[b]) * (v - mean[b]); });
        for (i64 b = 0; b < n_columns; ++b) {
            std[b] = deviation(total[b]), rate[b] = 1 / std[b];
            means[a * after + first + b] = convert<T>(mean[b]), stds[a * after + first + b] = convert<T>(std[b]);
        }
        for (i64 i = 0; i < n; ++i) {
            const T *from = x + at + i * after;
            T *to = y + at + i * after;
            for (i64 b = 0; b < n_columns; ++b) {
                to[b] = convert<T>(scaled(widen(from[b]), mean[b], rate[b], gamma[i], beta[i]));
            }
        }
    }

    void run(i64 before) const {
        const bool parallel = before * n * after > 20000;
        if (after == 1) {
            const bool streamed = x != y && are_streamed(y, before, n);
#pragma omp parallel if (parallel)
            {
#pragma omp for schedule(static)
                for (i64 r = 0; r < before; ++r) {
                    row(r, streamed);
                }
                if (streamed) {
                    end_stream();
                }
            }
            return;
        }
        const i64 blocks = (after + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for schedule(static) if (parallel)
        for (i64 block = 0; block < before * blocks; ++block) {
            columns(block / blocks, block % blocks * COLUMNS);
        }
    }
};

int layer_norm(const cymx_args *args) {
    if (int code = expect(args, 3, 3, sizeof(norm_params))) {
        return code;
    }
    const cymx_tensor *in = args->in, *out = args->out, &x = in[0];
    const norm_params &p = *static_cast<const norm_params *>(args->params);
    if (p.axis < 0 || p.axis >= x.ndim) {
        return fail(args, CYMX_BAD_ARGUMENT, "axis %lld is out of range for %lld dimensions", p.axis, x.ndim);
    }
    i64 before = 1, after = 1, n = x.shape[p.axis];
    for (i32 d = 0; d < x.ndim; ++d) {
        before *= d < p.axis ? x.shape[d] : 1;
        after *= d > p.axis ? x.shape[d] : 1;
    }
    const cymx_tensor *others[] = {in + 1, in + 2, out, out + 1, out + 2};
    const i64 wanted[] = {n, n, before * n * after, before * after, before * after};
    for (i64 k = 0; k < 5; ++k) {
        if (others[k]->dtype != x.dtype || element_count(*others[k]) != wanted[k]) {
            return fail(args, CYMX_BAD_ARGUMENT, "of gamma, beta, y, mean and std number %lld has %lld elements of dtype %lld, expected %lld of %lld",
                        k, element_count(*others[k]), others[k]->dtype, wanted[k], x.dtype);
        }
    }
    return for_float(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        const auto data = [](const cymx_tensor &t) { return static_cast<T *>(t.data); };
        Norm<T>{data(x), data(in[1]), data(in[2]), data(out[0]), data(out[1]), data(out[2]), n, after, p.eps, 1.0 / n}.run(before);
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(norm, {"layer_norm", layer_norm})
