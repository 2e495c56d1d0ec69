// reduce_sum, reduce_prod, reduce_max, reduce_min over any set of axes, and argmax, argmin over one axis or all (axis -1).
//
// Layout: the input's neighbouring axes of one kind are merged, so that kept and reduced dimensions alternate; what is done depends on the innermost
// one. Sums of 1,024 elements run in 64 lanes and are joined pairwise (float32: in float64), so errors stay those of pairwise summation.  The work
// is cut by shapes alone: results do not depend on the number of threads.  nan wins every maximum and minimum.  The output holds the kept axes in
// order. Refuses an empty maximum or minimum.  Called by: sum, mean, max, norm and what is composed of them, gradients of broadcasts.
#include <stdlib.h>

#include "cymx/params.h"
#include "joins.h"
#include "table.h"
#include "types.h"

namespace {

// Types that are worth loops of their own, for each reduction and instruction set; the others take the general ones.
template <class T> constexpr bool frequent = false;
template <> constexpr bool frequent<float> = true;

template <class R, class T> Lane<T> join_block(const T *x, i64 n) {
    if constexpr (frequent<T>) {
        return reduce_far_block<R>(x, n);
    } else {
        return reduce_block<R>(x, n);
    }
}

constexpr i64 block_elements = 1024, n_columns = 256, column_rows = 16, column_tasks = 16;

// The innermost dimension is reduced: each output joins runs of contiguous elements.
template <class R, class T> int reduce_runs(const cymx_args *args, const Layout &l, const T *x, T *y) {
    using W = Total<T>;
    if (l.inner < n_lanes && l.reduced.n == 0) {
        const i64 n_rows = l.kept.count(), strip = 1024;
        for_tasks((n_rows + strip - 1) / strip, n_rows * l.inner > parallel_elements, [&](i64 task) {
            i64 start = task * strip, left = n_rows - start;
            reduce_short_rows<R>(x + start * l.inner, left < strip ? left : strip, l.inner, [&](i64 r, W v) { y[start + r] = Stored<T>::of(v); });
        });
        return CYMX_OK;
    }
    const i64 n_out = l.kept.count(), run_blocks = (l.inner + block_elements - 1) / block_elements, units = l.reduced.count() * run_blocks;
    const i64 pieces = piece_count(n_out, l.reduced.count() * l.inner), total = n_out * l.reduced.count() * l.inner;
    W *partial = pieces > 1 ? (W *)malloc(sizeof(W) * n_out * pieces) : nullptr;
    if (pieces > 1 && !partial) {
        return fail(args, CYMX_OUT_OF_MEMORY, "no memory for %lld partial results", n_out * pieces);
    }
    for_tasks(n_out * pieces, total > parallel_elements, [&](i64 task) {
        i64 o = task / pieces, piece = task % pieces, end = units * (piece + 1) / pieces;
        const T *from = x + l.kept.offset(o);
        Pairwise<R, W> joined;
        for (i64 u = units * piece / pieces; u < end; ++u) {
            i64 run = u / run_blocks, start = u % run_blocks * block_elements, left = l.inner - start;
            joined.add((W)join_block<R>(from + l.reduced.offset(run) + start, left < block_elements ? left : block_elements));
        }
        if (partial) {
            partial[task] = joined.get();
        } else {
            y[o] = Stored<T>::of(joined.get());
        }
    });
    for (i64 o = 0; partial && o < n_out; ++o) {
        Pairwise<R, W> joined;
        for (i64 piece = 0; piece < pieces; ++piece) {
            joined.add(partial[o * pieces + piece]);
        }
        y[o] = Stored<T>::of(joined.get());
    }
    free(partial);
    return CYMX_OK;
}

// Joins rows [begin, end) of n columns, column by column.  FULL: n is n_columns, so that all of them may stay in registers.
template <class R, bool FULL, class T> void join_rows(const T *x, const Dims &rows, i64 begin, i64 end, i64 n, Lane<T> *to) {
    const i64 count = FULL ? n_columns : n;
    Lane<T> part[n_columns];
    for (i64 k = 0; k < count; ++k) {
        part[k] = R::template start<Lane<T>>();
    }
    for (i64 r = begin; r < end; ++r) {
        const T *row = x + rows.offset(r);
        for (i64 k = 0; k < count; ++k) {
            part[k] = R::join(part[k], to_lane(row[k]));
        }
    }
    for (i64 k = 0; k < count; ++k) {
        to[k] = part[k];
    }
}

// Sums and products of frequent types join rows by eights, of wider strips; g++ makes no vectors of a chain of choices, as maxima are.
template <class R, class T> constexpr bool by_eights = frequent<T> && R::has_empty;
template <class R, class T> constexpr i64 strip_columns = by_eights<R, T> ? 1024 : n_columns;

// Joins elements at .. at + n of eight rows to total.
template <class R, class T> inline __attribute__((always_inline)) void join_eight(const T *const *from, i64 at, i64 n, Total<T> *total) {
    const T *a = from[0], *b = from[1], *c = from[2], *d = from[3], *e = from[4], *f = from[5], *g = from[6], *h = from[7];
    const auto join = [](Lane<T> v, T w) { return R::join(v, to_lane(w)); };
#pragma GCC ivdep
    for (i64 k = at; k < at + n; ++k) {
        const Lane<T> four = join(join(join(to_lane(a[k]), b[k]), c[k]), d[k]);
        total[k] = R::join(total[k], (Total<T>)join(join(join(join(four, e[k]), f[k]), g[k]), h[k]));
    }
}

// Joins rows [begin, end) of n columns to total.  Eight at a time are read side by side, in short steps, so that memory serves as many places.
template <class R, class T> void join_eights(const T *x, const Dims &rows, i64 begin, i64 end, i64 n, Total<T> *total) {
    constexpr i64 step = 16;
    for (; begin + 8 <= end; begin += 8) {
        const T *from[8];
        for (i64 j = 0; j < 8; ++j) {
            from[j] = x + rows.offset(begin + j);
        }
        i64 at = 0;
        for (; at + step <= n; at += step) {
            join_eight<R>(from, at, step, total);
        }
        join_eight<R>(from, at, n - at, total);
    }
    for (; begin < end; ++begin) {
        const T *row = x + rows.offset(begin);
        for (i64 k = 0; k < n; ++k) {
            total[k] = R::join(total[k], (Total<T>)to_lane(row[k]));
        }
    }
}

// Joins rows [begin, end) of n <= strip_columns columns into total.  Narrow rows that follow each other are joined several at a time.
template <class R, class T> void reduce_rows(const T *x, const Dims &rows, i64 begin, i64 end, i64 n, Total<T> *total) {
    using W = Total<T>;
    for (i64 k = 0; k < n; ++k) {
        total[k] = R::template start<W>();
    }
    if (const i64 together = strip_columns<R, T> / n; together > 1 && rows.n == 1 && rows.stride[0] == n && end - begin >= 2 * together) {
        const i64 wide = together * n, n_wide = (end - begin) / together;
        Dims wide_rows;
        wide_rows.n = 1;
        wide_rows.size[0] = n_wide;
        wide_rows.stride[0] = wide;
        W wide_total[strip_columns<R, T>];
        reduce_rows<R>(x + begin * n, wide_rows, 0, n_wide, wide, wide_total);
        for (i64 k = 0; k < wide; k += n) {
            for (i64 c = 0; c < n; ++c) {
                total[c] = R::join(total[c], wide_total[k + c]);
            }
        }
        begin += n_wide * together;
    }
    if constexpr (by_eights<R, T>) {
        join_eights<R>(x, rows, begin, end, n, total);
    } else {
        Lane<T> part[n_columns];
        for (; begin < end; begin += column_rows) {
            const i64 stop = least(begin + column_rows, end);
            (frequent<T> && n == n_columns ? join_rows<R, frequent<T>, T> : join_rows<R, false, T>)(x, rows, begin, stop, n, part);
            for (i64 k = 0; k < n; ++k) {
                total[k] = R::join(total[k], (W)part[k]);
            }
        }
    }
}

// The innermost dimension is kept: rows are joined, column by column.
template <class R, class T> int reduce_columns(const cymx_args *args, const Layout &l, const T *x, T *y) {
    using W = Total<T>;
    constexpr i64 most_columns = strip_columns<R, T>;
    const i64 n_rows = l.reduced.count(), n_outer = l.kept.count(), strips = (l.inner + most_columns - 1) / most_columns;
    const i64 width = ((l.inner + strips - 1) / strips + 63) & ~63ll; // of each strip but the last
    const i64 tasks = n_outer * strips, most = (column_tasks + tasks - 1) / tasks;
    const i64 wanted = piece_count(tasks, n_rows * width), pieces = least(wanted, most);
    W *partial = pieces > 1 ? (W *)malloc(sizeof(W) * tasks * pieces * most_columns) : nullptr;
    if (pieces > 1 && !partial) {
        return fail(args, CYMX_OUT_OF_MEMORY, "no memory for %lld partial rows", tasks * pieces);
    }
    const auto store = [&](i64 task, const W *total) {
        const i64 start = task % strips * width, n = least(l.inner - start, width);
        for (i64 k = 0; k < n; ++k) {
            y[task / strips * l.inner + start + k] = Stored<T>::of(total[k]);
        }
    };
    for_tasks(tasks * pieces, n_outer * n_rows * l.inner > parallel_elements, [&](i64 t) {
        i64 task = t / pieces, piece = t % pieces, outer = task / strips, start = task % strips * width, n = least(l.inner - start, width);
        alignas(64) W total[most_columns];
        reduce_rows<R>(x + l.kept.offset(outer) + start, l.reduced, n_rows * piece / pieces, n_rows * (piece + 1) / pieces, n, total);
        if (partial) {
            __builtin_memcpy(partial + t * most_columns, total, sizeof(W) * n);
        } else {
            store(task, total);
        }
    });
    for (i64 task = 0; partial && task < tasks; ++task) {
        const i64 n = least(l.inner - task % strips * width, width);
        W *total = partial + task * pieces * most_columns;
        for (i64 piece = 1; piece < pieces; ++piece) {
            for (i64 k = 0; k < n; ++k) {
                total[k] = R::join(total[k], total[piece * most_columns + k]);
            }
        }
        store(task, total);
    }
    free(partial);
    return CYMX_OK;
}

template <class R> int reduce(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(reduce_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const i64 mask = ((const reduce_params *)args->params)->mask;
    i64 n_kept = 1;
    for (i32 d = 0; d < x.ndim; ++d) {
        n_kept *= mask >> d & 1 ? 1 : x.shape[d];
    }
    if (y.dtype != x.dtype || element_count(y) != n_kept) {
        return fail(args, CYMX_BAD_ARGUMENT, "the output has %lld elements of dtype %lld, expected %lld of dtype %lld", element_count(y), y.dtype,
                    n_kept, x.dtype);
    }
    if (n_kept == 0) {
        return CYMX_OK;
    }
    const bool empty = element_count(x) == 0;
    if (empty && !R::has_empty) {
        return fail(args, CYMX_BAD_ARGUMENT, "the maximum or minimum of no elements does not exist: a reduced axis has length 0");
    }
    return for_dtype(args, x.dtype, [&](auto type) {
        using T = decltype(type);
        T *out = (T *)y.data;
        if (empty) {
            for (i64 i = 0; i < n_kept; ++i) {
                out[i] = Stored<T>::of(R::template start<Total<T>>());
            }
            return int(CYMX_OK);
        }
        const Layout l = merge_axes(x.ndim, x.shape, mask);
        return l.inner_reduced ? reduce_runs<R>(args, l, (const T *)x.data, out) : reduce_columns<R>(args, l, (const T *)x.data, out);
    });
}

// ---- argmax, argmin -------------------------------------------------------------------------------------------------------------------------------

template <class T> void store_index(const cymx_tensor &y, i64 at, i64 index) { ((T *)y.data)[at] = convert<T>(index); }

typedef void (*StoreIndex)(const cymx_tensor &y, i64 at, i64 index);

// The first index of the best of n elements: that of the first block that holds it, which alone is searched.
template <class R, class T> i64 arg_run(const T *x, i64 n) {
    Lane<T> best = to_lane(x[0]);
    i64 at = 0;
    for (i64 start = 0; start < n; start += block_elements) {
        i64 count = n - start < block_elements ? n - start : block_elements;
        Lane<T> v = join_block<R>(x + start, count);
        if (start == 0 || R::beats(v, best)) {
            best = v;
            at = start;
        }
    }
    for (; at + n_lanes <= n; at += n_lanes) {
        i32 held = 0;
        for (i64 k = 0; k < n_lanes; ++k) {
            held |= !R::beats(best, to_lane(x[at + k]));
        }
        if (held) {
            break;
        }
    }
    while (R::beats(best, to_lane(x[at]))) {
        ++at;
    }
    return at;
}

// The same for each of n <= n_columns columns: column_rows rows are searched only where they hold something better.
template <class R, class T> void arg_columns(const T *x, i64 n_rows, i64 stride, i64 n, i64 *at) {
    Lane<T> best[n_columns], part[n_columns];
    Dims rows;
    rows.n = 1;
    rows.size[0] = n_rows;
    rows.stride[0] = stride;
    for (i64 begin = 0; begin < n_rows; begin += column_rows) {
        i64 end = begin + column_rows < n_rows ? begin + column_rows : n_rows;
        (frequent<T> && n == n_columns ? join_rows<R, frequent<T>, T> : join_rows<R, false, T>)(x, rows, begin, end, n, part);
        for (i64 k = 0; k < n; ++k) {
            if (begin == 0 || R::beats(part[k], best[k])) {
                best[k] = part[k];
                at[k] = begin;
                while (R::beats(best[k], to_lane(x[at[k] * stride + k]))) {
                    ++at[k];
                }
            }
        }
    }
}

template <class R> int arg_reduce(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(axis_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const i64 axis = ((const axis_params *)args->params)->axis;
    if (axis >= x.ndim || axis < -1) {
        return fail(args, CYMX_BAD_ARGUMENT, "axis %lld is out of range for %lld dimensions", axis, x.ndim);
    }
    i64 n_outer = 1, n_rows = axis < 0 ? element_count(x) : x.shape[axis], inner = 1;
    for (i32 d = 0; axis >= 0 && d < x.ndim; ++d) {
        (d < axis ? n_outer : inner) *= d == axis ? 1 : x.shape[d];
    }
    if (element_count(y) != n_outer * inner) {
        return fail(args, CYMX_BAD_ARGUMENT, "the output has %lld elements, expected %lld", element_count(y), n_outer * inner);
    }
    if (n_rows == 0 && n_outer * inner != 0) {
        return fail(args, CYMX_BAD_ARGUMENT, "the largest or smallest of no elements has no index: the axis has length 0");
    }
    StoreIndex store = nullptr;
    if (int code = for_dtype(args, y.dtype, [&](auto type) {
            store = store_index<decltype(type)>;
            return int(CYMX_OK);
        })) {
        return code;
    }
    return for_dtype(args, x.dtype, [&](auto type) {
        using T = decltype(type);
        const T *from = (const T *)x.data;
        const i64 strips = (inner + n_columns - 1) / n_columns;
        for_tasks(n_outer * strips, n_outer * n_rows * inner > parallel_elements, [&](i64 task) {
            i64 outer = task / strips, start = task % strips * n_columns, n = inner - start < n_columns ? inner - start : n_columns;
            i64 at[n_columns];
            if (inner == 1) {
                at[0] = arg_run<R>(from + outer * n_rows, n_rows);
            } else {
                arg_columns<R>(from + outer * n_rows * inner + start, n_rows, inner, n, at);
            }
            for (i64 k = 0; k < n; ++k) {
                store(y, outer * inner + start + k, at[k]);
            }
        });
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(reduce, {"reduce_sum", reduce<reducer::sum>}, {"reduce_prod", reduce<reducer::prod>}, {"reduce_max", reduce<reducer::max>},
          {"reduce_min", reduce<reducer::min>}, {"argmax", arg_reduce<reducer::max>}, {"argmin", arg_reduce<reducer::min>})
