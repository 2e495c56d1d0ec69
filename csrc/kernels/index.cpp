// take, take_grad, pick, pick_grad, one_hot, gather_nd, scatter_nd, gather_nd_grad: elements found by the values of an index array.
//
// Indices are of any numeric dtype; floats are cut to whole numbers.  take and pick clip, wrap or refuse what is out of range, as MXNet 1.9.1 does;
// one_hot gives it a row of `off`; the *_nd kernels count negative indices from the end and refuse what is still out of range.  Gradients add in the
// order of the indices, whatever the number of threads; float16 and bfloat16 add in float32.  Nothing aliases.  Called by: take, Embedding, pick,
// one_hot, gather_nd, scatter_nd, and gradients.
#include <stdlib.h>

#include "cymx/index.h"
#include "cymx/reduce.h"
#include "stream.h"
#include "table.h"
#include "types.h"

namespace {

constexpr i64 parallel_bytes = 1 << 18;

// All indices as int64, or null when there is no memory for them or their dtype is unknown (and err says so).  The caller frees them.
i64 *read_indices(const cymx_args *args, const cymx_tensor &t) {
    const i64 n = element_count(t);
    i64 *out = (i64 *)malloc((n + 1) * sizeof(i64));
    if (!out) {
        fail(args, CYMX_OUT_OF_MEMORY, "no memory for %lld indices", n);
        return nullptr;
    }
    int code = for_dtype(args, t.dtype, [&](auto type) {
        const decltype(type) *x = (const decltype(type) *)t.data;
        for (i64 i = 0; i < n; ++i) {
            out[i] = to_index(x[i]);
        }
        return int(CYMX_OK);
    });
    if (code) {
        free(out);
        return nullptr;
    }
    return out;
}

// `table` as (outer, length, inner) around the axis that is indexed.
struct Axis {
    i64 outer = 1, length = 1, inner = 1;
};

int read_axis(const cymx_args *args, const cymx_tensor &table, Axis *a, i64 *mode) {
    const index_params *p = (const index_params *)args->params;
    *mode = p->mode;
    if (p->axis < 0 || p->axis >= table.ndim || p->mode < INDEX_CLIP || p->mode > INDEX_RAISE) {
        return fail(args, CYMX_BAD_ARGUMENT, "axis %lld is out of range for %lld dimensions, or mode %lld does not exist", p->axis, table.ndim,
                    p->mode);
    }
    for (i32 d = 0; d < table.ndim; ++d) {
        (d < p->axis ? a->outer : d == p->axis ? a->length : a->inner) *= table.shape[d];
    }
    return CYMX_OK;
}

// Reads indices that are brought into [0, length).
int read_ranged(const cymx_args *args, const cymx_tensor &t, i64 length, i64 mode, i64 **out) {
    const i64 n = element_count(t);
    if (length == 0 && n > 0) {
        return fail(args, CYMX_BAD_ARGUMENT, "%lld indices point into an axis of length 0", n);
    }
    *out = read_indices(args, t);
    if (!*out) {
        return args->err->code;
    }
    for (i64 i = 0; i < n; ++i) {
        const i64 index = (*out)[i];
        if (mode == INDEX_RAISE && (index < 0 || index >= length)) {
            free(*out);
            return fail(args, CYMX_BAD_ARGUMENT, "index %lld is out of range for an axis of length %lld", index, length);
        }
        (*out)[i] = bring_in_range(index, length, mode);
    }
    return CYMX_OK;
}

int check_count(const cymx_args *args, const cymx_tensor &t, i64 expected, i32 dtype) {
    if (element_count(t) != expected || t.dtype != dtype) {
        return fail(args, CYMX_BAD_ARGUMENT, "%lld elements of dtype %lld do not fit the indices, expected %lld of dtype %lld", element_count(t),
                    t.dtype, expected, dtype);
    }
    return CYMX_OK;
}

// Copies whole lines; what comes 4 KiB later, here or in the run after this one, is fetched meanwhile: no prefetcher knows where that lies.
void stream_run(char *to, const char *from, const char *next, i64 bytes) {
    constexpr i64 ahead = 4096;
    for (i64 b = 0; b < bytes; b += line_bytes) {
        __builtin_prefetch(b + ahead < bytes ? from + b + ahead : next + (b + ahead - bytes) % bytes);
        stream_line(to + b, from + b);
    }
    end_stream();
}

int take(const cymx_args *args) {
    if (int code = expect(args, 2, 1, sizeof(index_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &indices = args->in[1], &y = args->out[0];
    Axis a;
    i64 mode, *rows;
    if (int code = read_axis(args, x, &a, &mode)) {
        return code;
    }
    const i64 n = element_count(indices), run_bytes = a.inner * element_size(x.dtype);
    if (int code = check_count(args, y, a.outer * n * a.inner, x.dtype)) {
        return code;
    }
    if (int code = read_ranged(args, indices, a.length, mode, &rows)) {
        return code;
    }
    const char *from = (const char *)x.data;
    char *to = (char *)y.data;
    const auto source = [&](i64 i) { return from + (i / n * a.length + rows[i % n]) * run_bytes; };
    if (a.outer * n * run_bytes > streamed_bytes && run_bytes % line_bytes == 0 && on_lines(to)) {
        for_tasks(a.outer * n, true, [&](i64 i) { stream_run(to + i * run_bytes, source(i), source(i + 1 < a.outer * n ? i + 1 : i), run_bytes); });
    } else {
        for_tasks(a.outer * n, a.outer * n * run_bytes > parallel_bytes, [&](i64 i) { __builtin_memcpy(to + i * run_bytes, source(i), run_bytes); });
    }
    free(rows);
    return CYMX_OK;
}

// ---- sums of rows at indices ----------------------------------------------------------------------------------------------------------------------

template <class T> struct Sum {
    using type = T;
};
template <> struct Sum<float16> {
    using type = float;
};
template <> struct Sum<bfloat16> {
    using type = float;
};

// dx (outer, length, inner) = the sum of dy (outer, n, inner) at rows[n].  Each task owns a range of dx's rows and looks through all indices.
template <class T> int add_rows(const cymx_args *args, const Axis &a, i64 n, const i64 *rows, const T *dy, T *dx) {
    using S = typename Sum<T>::type;
    constexpr bool own = sizeof(S) != sizeof(T);
    const i64 total = a.outer * a.length * a.inner;
    S *sums = own ? (S *)malloc(total * sizeof(S)) : (S *)dx;
    if (!sums && total > 0) {
        return fail(args, CYMX_OUT_OF_MEMORY, "no memory for %lld float32 sums", total);
    }
    const bool large = (a.outer * n * a.inner + total) * (i64)sizeof(T) > parallel_bytes;
    const i64 ranges = large ? (a.length < 16 ? a.length : 16) : 1;
    for_tasks(a.outer * ranges, large, [&](i64 task) {
        const i64 outer = task / ranges, begin = a.length * (task % ranges) / ranges, end = a.length * (task % ranges + 1) / ranges;
        S *to = sums + outer * a.length * a.inner;
        __builtin_memset(to + begin * a.inner, 0, (end - begin) * a.inner * sizeof(S));
        for (i64 i = 0; i < n; ++i) {
            if (rows[i] >= begin && rows[i] < end) {
                const T *from = dy + (outer * n + i) * a.inner;
                S *row = to + rows[i] * a.inner;
                for (i64 k = 0; k < a.inner; ++k) {
                    row[k] = S(wrap(row[k]) + wrap(S(to_lane(from[k]))));
                }
            }
        }
        if constexpr (own) {
            for (i64 k = begin * a.inner; k < end * a.inner; ++k) {
                dx[outer * a.length * a.inner + k] = from_float<T>(to[k]);
            }
        }
    });
    if (own) {
        free(sums);
    }
    return CYMX_OK;
}

int take_grad(const cymx_args *args) {
    if (int code = expect(args, 2, 1, sizeof(index_params))) {
        return code;
    }
    const cymx_tensor &dy = args->in[0], &indices = args->in[1], &dx = args->out[0];
    Axis a;
    i64 mode, *rows;
    if (int code = read_axis(args, dx, &a, &mode)) {
        return code;
    }
    const i64 n = element_count(indices);
    if (int code = check_count(args, dy, a.outer * n * a.inner, dx.dtype)) {
        return code;
    }
    if (int code = read_ranged(args, indices, a.length, mode, &rows)) {
        return code;
    }
    int code = for_dtype(args, dx.dtype, [&](auto type) {
        using T = decltype(type);
        return add_rows(args, a, n, rows, (const T *)dy.data, (T *)dx.data);
    });
    free(rows);
    return code;
}

// pick: y[o, i] = x[o, index[o, i], i].   pick_grad: dx[o, index[o, i], i] = dy[o, i], and 0 elsewhere.
int pick_either(const cymx_args *args, const cymx_tensor &table, const cymx_tensor &picked, bool forward) {
    const cymx_tensor &index = args->in[1];
    Axis a;
    i64 mode, *at;
    if (int code = read_axis(args, table, &a, &mode)) {
        return code;
    }
    const i64 n = a.outer * a.inner;
    if (int code = check_count(args, picked, n, table.dtype)) {
        return code;
    }
    if (int code = check_count(args, index, n, index.dtype)) {
        return code;
    }
    if (int code = read_ranged(args, index, a.length, mode, &at)) {
        return code;
    }
    for_size(element_size(table.dtype), [&](auto type) {
        using T = decltype(type);
        T *t = (T *)table.data, *p = (T *)picked.data;
        if (!forward) {
            __builtin_memset(t, 0, n * a.length * sizeof(T));
        }
        for (i64 i = 0; i < n; ++i) {
            T *element = t + (i / a.inner * a.length + at[i]) * a.inner + i % a.inner;
            if (forward) {
                p[i] = *element;
            } else {
                *element = p[i];
            }
        }
    });
    free(at);
    return CYMX_OK;
}

int pick(const cymx_args *args) {
    int code = expect(args, 2, 1, sizeof(index_params));
    return code ? code : pick_either(args, args->in[0], args->out[0], true);
}

int pick_grad(const cymx_args *args) {
    int code = expect(args, 2, 1, sizeof(index_params));
    return code ? code : pick_either(args, args->out[0], args->in[0], false);
}

int one_hot(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(one_hot_params))) {
        return code;
    }
    const cymx_tensor &indices = args->in[0], &y = args->out[0];
    const one_hot_params &p = *(const one_hot_params *)args->params;
    const i64 n = element_count(indices), depth = y.ndim ? y.shape[y.ndim - 1] : 0;
    if (int code = check_count(args, y, n * depth, y.dtype)) {
        return code;
    }
    i64 *at = read_indices(args, indices);
    if (!at) {
        return args->err->code;
    }
    int code = for_dtype(args, y.dtype, [&](auto type) {
        using T = decltype(type);
        const T on = convert<T>(p.on), off = convert<T>(p.off);
        T *to = (T *)y.data;
        for (i64 i = 0; i < n * depth; ++i) {
            to[i] = off;
        }
        for (i64 i = 0; i < n; ++i) {
            if (at[i] >= 0 && at[i] < depth) {
                to[i * depth + at[i]] = on;
            }
        }
        return int(CYMX_OK);
    });
    free(at);
    return code;
}

// ---- gather_nd and its kin: indices (M, n...) name the first M coordinates of n runs of `table` -------------------------------------------------

// Yields the run that each of the n columns of indices names; runs have *inner elements.
int read_runs(const cymx_args *args, const cymx_tensor &table, const cymx_tensor &indices, const cymx_tensor &runs, i64 *n, i64 *inner, i64 **out) {
    const i64 m = indices.ndim ? indices.shape[0] : 0;
    if (m < 1 || m > table.ndim) {
        return fail(args, CYMX_BAD_ARGUMENT, "indices of %lld coordinates do not fit an array of %lld dimensions", m, table.ndim);
    }
    *n = element_count(indices) / m;
    *inner = 1;
    for (i32 d = (i32)m; d < table.ndim; ++d) {
        *inner *= table.shape[d];
    }
    if (int code = check_count(args, runs, *n * *inner, table.dtype)) {
        return code;
    }
    i64 *at = read_indices(args, indices);
    if (!at) {
        return args->err->code;
    }
    for (i64 i = 0; i < *n; ++i) {
        i64 run = 0;
        for (i64 d = 0; d < m; ++d) {
            i64 index = at[d * *n + i], length = table.shape[d];
            if (index < -length || index >= length) {
                free(at);
                return fail(args, CYMX_BAD_ARGUMENT, "index %lld is out of range for axis %lld, which has length %lld", index, d, length);
            }
            run = run * length + (index < 0 ? index + length : index);
        }
        at[i] = run; // row 0 of the indices is read up to i, so its place is free
    }
    *out = at;
    return CYMX_OK;
}

int gather_nd(const cymx_args *args) {
    if (int code = expect(args, 2, 1, 0)) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    i64 n, inner, *at;
    if (int code = read_runs(args, x, args->in[1], y, &n, &inner, &at)) {
        return code;
    }
    const i64 run_bytes = inner * element_size(x.dtype);
    for_tasks(n, n * run_bytes > parallel_bytes,
              [&](i64 i) { __builtin_memcpy((char *)y.data + i * run_bytes, (const char *)x.data + at[i] * run_bytes, run_bytes); });
    free(at);
    return CYMX_OK;
}

// Where indices repeat, the last one wins.
int scatter_nd(const cymx_args *args) {
    if (int code = expect(args, 2, 1, 0)) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    i64 n, inner, *at;
    if (int code = read_runs(args, y, args->in[1], x, &n, &inner, &at)) {
        return code;
    }
    const i64 run_bytes = inner * element_size(x.dtype);
    __builtin_memset(y.data, 0, element_count(y) * element_size(y.dtype));
    for (i64 i = 0; i < n; ++i) {
        __builtin_memcpy((char *)y.data + at[i] * run_bytes, (const char *)x.data + i * run_bytes, run_bytes);
    }
    free(at);
    return CYMX_OK;
}

int gather_nd_grad(const cymx_args *args) {
    if (int code = expect(args, 2, 1, 0)) {
        return code;
    }
    const cymx_tensor &dy = args->in[0], &dx = args->out[0];
    i64 n, inner, *at;
    if (int code = read_runs(args, dx, args->in[1], dy, &n, &inner, &at)) {
        return code;
    }
    Axis a;
    a.inner = inner;
    a.length = inner ? element_count(dx) / inner : 0;
    int code = for_dtype(args, dx.dtype, [&](auto type) {
        using T = decltype(type);
        return add_rows(args, a, n, at, (const T *)dy.data, (T *)dx.data);
    });
    free(at);
    return code;
}

} // namespace

CYMX_ROWS(index, {"take", take}, {"take_grad", take_grad}, {"pick", pick}, {"pick_grad", pick_grad}, {"one_hot", one_hot}, {"gather_nd", gather_nd},
          {"scatter_nd", scatter_nd}, {"gather_nd_grad", gather_nd_grad})
