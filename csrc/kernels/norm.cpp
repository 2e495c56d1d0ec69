// layer_norm over one axis: x (A, n, B), gamma, beta (n) -> y = (x - mean) / std gamma + beta, mean, std (A, B).  y may be x.
//
// std is (the mean of the squared differences to the mean + eps)**(1/2).  Runs of elements are summed in float32 (float64 for float64), a vector at
// a time, and the runs in float64, in an order that depends on shapes and the instruction set alone.  Called through csrc/dispatch.cpp.
#include "cast.h"
#include "cymx/math.h"
#include "cymx/params.h"
#include "stream.h"
#include "table.h"

namespace {

enum { RUN = 4096, COLUMNS = 64, COLUMN_ROWS = 16 };

inline i64 least(i64 a, i64 b) { return a < b ? a : b; }

// Sums of f over n elements.  HALF, 0 or 1: which half of the lines `ahead` elements further on is fetched meanwhile, so that two sums fetch all.
template <int HALF, i64 LANES, class T, class F> double sum_in_lanes(const T *x, i64 n, i64 ahead, F f) {
    using A = wide_t<T>;
    constexpr i64 half_bytes = LANES * sizeof(T) / 2;
    double total = 0;
    for (i64 begin = 0; begin < n; begin += RUN) {
        const i64 end = least(begin + RUN, n);
        A lanes[LANES] = {};
        i64 i = begin;
        for (; i + LANES <= end; i += LANES) {
            for (i64 b = 0; b < half_bytes; b += line_bytes) {
                __builtin_prefetch((const char *)(x + i + ahead) + HALF * half_bytes + b);
            }
            for (i64 k = 0; k < LANES; ++k) {
                lanes[k] += f(widen(x[i + k]));
            }
        }
        for (i64 k = 0; i + k < end; ++k) {
            lanes[k] += f(widen(x[i + k]));
        }
        for (i64 width = LANES / 2; width; width /= 2) {
            for (i64 k = 0; k < width; ++k) {
                lanes[k] += lanes[k + width];
            }
        }
        total += lanes[0];
    }
    return total;
}

// Few lanes for short rows, which would spend their time on joining many.
template <int HALF, class T, class F> double sum_of(const T *x, i64 n, i64 ahead, F f) {
    return n < 256 ? sum_in_lanes<HALF, 16>(x, n, ahead, f) : sum_in_lanes<HALF, 64>(x, n, ahead, f);
}

template <class T> struct Norm {
    using A = wide_t<T>;
    const T *x, *gamma, *beta;
    T *y, *means, *stds;
    i64 n, after;
    double eps, share; // share: 1 / n

    static A scaled(A v, A mean, A rate, T g, T b) { return (v - mean) * rate * widen(g) + widen(b); }

    A deviation(double squares) const { return m::sqrt(A(squares * share) + A(eps)); }

    // Row r of consecutive elements.  streamed: y lies on lines, and the caches have no use for it.
    void row(i64 r, bool streamed) const {
        constexpr i64 line = line_bytes / sizeof(T), near = 4096 / sizeof(T), far = 16384 / sizeof(T);
        const T *from = x + r * n;
        T *to = y + r * n;
        const i64 ahead = n < near ? near : least(n, far);
        const A mean = A(sum_of<0>(from, n, ahead, [](A v) { return v; }) * share);
        const A std = deviation(sum_of<1>(from, n, ahead, [mean](A v) { return (v - mean) * (v - mean); })), rate = 1 / std;
        i64 i = 0;
        for (; streamed && i + line <= n; i += line) {
            T whole[line];
            for (i64 k = 0; k < line; ++k) {
                whole[k] = convert<T>(scaled(widen(from[i + k]), mean, rate, gamma[i + k], beta[i + k]));
            }
            stream_line(to + i, whole);
        }
        for (; i < n; ++i) {
            to[i] = convert<T>(scaled(widen(from[i]), mean, rate, gamma[i], beta[i]));
        }
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
            const bool streamed = before * n * (i64)sizeof(T) > streamed_bytes && n * sizeof(T) % line_bytes == 0 && on_lines(y) && x != y;
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
