// map_reduce: a program whose outputs may be reductions of registers over some axes of the iteration space; params.h has its layout.
//
// All plain and reduced outputs are made in one pass.  Reduced outputs are contiguous over the kept axes and are never the memory of an input.  Runs
// of the innermost axis are joined as in reduce.cpp, columns in float64 (integers: in int64) from the start.  The work is cut by shapes alone: results
// do not depend on the number of threads.  Refuses more than 8 reductions, and a maximum or minimum of nothing.  Included by map.cpp alone.
#pragma once
#include <omp.h>
#include <stdlib.h>

#include "joins.h"
#include "program.h"

namespace {

constexpr i64 max_tails = 8, short_run = 256;

// ---- what a reduction does to a block; its totals are 8-byte cells, double or i64 -----------------------------------------------------------------

struct TailOps {
    void (*start)(u64 *cells, i64 n);
    void (*join)(const u64 *x, u64 *cells, i64 n);
    void (*add)(const void *x, u64 *cells, i64 n);                  // element by element
    void (*add_runs)(const void *x, i64 n_runs, i64 n, u64 *cells); // each run of n elements to its cell
    void (*add_block)(const void *x, i64 n, void *joined);          // all elements, to a Pairwise
    void (*finish)(const void *joined, u64 *cell);
    bool has_empty;
};

template <class R, class T> struct TailOf {
    using W = Total<T>;
    static void start(u64 *cells, i64 n) {
        for (i64 i = 0; i < n; ++i) {
            ((W *)cells)[i] = R::template start<W>();
        }
    }
    static void join(const u64 *x, u64 *cells, i64 n) {
        for (i64 i = 0; i < n; ++i) {
            ((W *)cells)[i] = R::join(((W *)cells)[i], ((const W *)x)[i]);
        }
    }
    static void add(const void *x, u64 *cells, i64 n) {
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            ((W *)cells)[i] = R::join(((W *)cells)[i], (W)to_lane(((const T *)x)[i]));
        }
    }
    static void add_runs(const void *xv, i64 n_runs, i64 n, u64 *cells) {
        const T *x = (const T *)xv;
        W *total = (W *)cells;
        if (n < n_lanes) {
            reduce_short_rows<R>(x, n_runs, n, [&](i64 r, W v) { total[r] = R::join(total[r], v); });
            return;
        }
        for (i64 r = 0; r < n_runs; ++r) {
            total[r] = R::join(total[r], (W)reduce_block<R>(x + r * n, n));
        }
    }
    static void add_block(const void *x, i64 n, void *joined) { ((Pairwise<R, W> *)joined)->add((W)reduce_block<R>((const T *)x, n)); }
    static void finish(const void *joined, u64 *cell) { *(W *)cell = ((const Pairwise<R, W> *)joined)->get(); }
};

#define CYMX_TAIL(R, T, flag) \
    {TailOf<R, T>::start, TailOf<R, T>::join, TailOf<R, T>::add, TailOf<R, T>::add_runs, TailOf<R, T>::add_block, TailOf<R, T>::finish, R::has_empty}
#define CYMX_TAILS(R)                                                                                                     \
    {CYMX_TAIL(R, float, 0), CYMX_TAIL(R, double, 1), {}, CYMX_TAIL(R, u8, 3), CYMX_TAIL(R, i32, 4), CYMX_TAIL(R, i8, 5), \
     CYMX_TAIL(R, i64, 6),   CYMX_TAIL(R, bool, 7)}
const TailOps tail_ops[][n_types] = {CYMX_TAILS(reducer::sum), CYMX_TAILS(reducer::prod), CYMX_TAILS(reducer::max), CYMX_TAILS(reducer::min)};

struct Tail {
    const TailOps *ops;
    i64 reg, output;
};

struct Tails {
    i64 n;
    Tail each[max_tails];
};

typedef Pairwise<reducer::sum, double> AnyPairwise; // all of them are as large

template <class T> void store_cells(const u64 *cells, void *out, i64 at, i64 n) {
    for (i64 i = 0; i < n; ++i) {
        ((T *)out)[at + i] = Stored<T>::of(((const Total<T> *)cells)[i]);
    }
}

void store_cells(const cymx_tensor &out, i64 at, const u64 *cells, i64 n) {
    switch (out.dtype) {
    case CYMX_FLOAT32: return store_cells<float>(cells, out.data, at, n);
    case CYMX_FLOAT64: return store_cells<double>(cells, out.data, at, n);
    case CYMX_FLOAT16: return store_cells<float16>(cells, out.data, at, n);
    case CYMX_BFLOAT16: return store_cells<bfloat16>(cells, out.data, at, n);
    case CYMX_UINT8: return store_cells<u8>(cells, out.data, at, n);
    case CYMX_INT8: return store_cells<i8>(cells, out.data, at, n);
    case CYMX_INT32: return store_cells<i32>(cells, out.data, at, n);
    case CYMX_INT64: return store_cells<i64>(cells, out.data, at, n);
    default: return store_cells<bool>(cells, out.data, at, n);
    }
}

// ---- walks over the iteration space ---------------------------------------------------------------------------------------------------------------

// Calls f(runner, i) for i in [0, n), one runner a thread.
template <class F> void run_tasks(const cymx_args *args, const Program &p, i64 n, i64 longest, F f) {
    if (n < 2 || p.n * (p.work + 1) < parallel_work) {
        Runner<slot_bytes> runner(args, p, longest);
        for (i64 i = 0; i < n; ++i) {
            f(runner, i);
        }
        return;
    }
#pragma omp parallel
    {
        Runner<slot_bytes> runner(args, p, longest);
        const i64 n_threads = omp_get_num_threads(), me = omp_get_thread_num();
        for (i64 i = n * me / n_threads; i < n * (me + 1) / n_threads; ++i) {
            f(runner, i);
        }
    }
}

// Joins the cells of a task's pieces, which lie `apart` cells from each other, into the first's.
void join_pieces(const Tail &tail, u64 *cells, i64 pieces, i64 apart, i64 n) {
    for (i64 piece = 1; piece < pieces; ++piece) {
        tail.ops->join(cells + piece * apart, cells, n);
    }
}

// The innermost dimension is reduced and long: an output joins runs of contiguous elements.
int walk_runs(const cymx_args *args, const Program &p, const Layout &l, const Tails &tails) {
    const i64 n_out = l.kept.count(), run_blocks = (l.inner + p.block - 1) / p.block, units = l.reduced.count() * run_blocks;
    const i64 pieces = piece_count(n_out, l.reduced.count() * l.inner), even = ((l.inner + run_blocks - 1) / run_blocks + 31) & ~31ll;
    const i64 block = even < p.block ? even : p.block;
    u64 *partial = pieces > 1 ? (u64 *)malloc(8 * n_out * pieces * tails.n) : nullptr;
    if (pieces > 1 && !partial) {
        return fail(args, CYMX_OUT_OF_MEMORY, "no memory for %lld partial results", n_out * pieces * tails.n);
    }
    run_tasks(args, p, n_out * pieces, l.inner < block ? l.inner : block, [&](Runner<slot_bytes> &runner, i64 task) {
        const i64 o = task / pieces, piece = task % pieces, from = l.kept.offset(o), end = units * (piece + 1) / pieces;
        AnyPairwise joined[max_tails];
        for (i64 u = units * piece / pieces; u < end; ++u) {
            const i64 begin = u % run_blocks * block, left = l.inner - begin, n = left < block ? left : block;
            const i64 start = from + l.reduced.offset(u / run_blocks) + begin;
            if (n <= 0) {
                continue;
            }
            runner.compute(start, n);
            for (i64 t = 0; t < tails.n; ++t) {
                tails.each[t].ops->add_block(runner.at[tails.each[t].reg], n, &joined[t]);
            }
            runner.store(start, n);
        }
        for (i64 t = 0; t < tails.n; ++t) {
            u64 own, *cell = partial ? partial + t * n_out * pieces + task : &own;
            tails.each[t].ops->finish(&joined[t], cell);
            if (!partial) {
                store_cells(args->out[tails.each[t].output], o, cell, 1);
            }
        }
    });
    for (i64 t = 0; partial && t < tails.n; ++t) {
        for (i64 o = 0; o < n_out; ++o) {
            u64 *cells = partial + (t * n_out + o) * pieces;
            join_pieces(tails.each[t], cells, pieces, 1, 1);
            store_cells(args->out[tails.each[t].output], o, cells, 1);
        }
    }
    free(partial);
    return CYMX_OK;
}

// The innermost kept dimension has n_columns items: elements, or short runs of reduced ones.  A block is some rows of items, or a part of a row; blocks
// are added item by item, and the rows of what comes out are joined last.
int walk_columns(const cymx_args *args, const Program &p, const Layout &l, const Tails &tails) {
    const i64 item = l.inner_reduced ? l.inner : 1, n_columns = l.inner_reduced ? l.kept.size[l.kept.n - 1] : l.inner;
    Dims outer = l.kept, rows = l.reduced;
    outer.n -= l.inner_reduced;
    i64 n_rows = 1; // that follow each other
    if (rows.n) {
        n_rows = rows.size[--rows.n];
    }
    const i64 room = p.block / item, many = n_columns < room ? room / n_columns : 1, together = many < n_rows ? many : n_rows;
    const i64 width = n_columns < room ? n_columns : room, strips = (n_columns + width - 1) / width;
    const i64 groups = (n_rows + together - 1) / together, units = rows.count() * groups, n_outer = outer.count(), tasks = n_outer * strips;
    const i64 pieces = piece_count(tasks, units * together * width * item), apart = tails.n * width;
    u64 *partial = pieces > 1 ? (u64 *)malloc(8 * tasks * pieces * apart) : nullptr;
    if (pieces > 1 && !partial) {
        return fail(args, CYMX_OUT_OF_MEMORY, "no memory for %lld partial rows", tasks * pieces);
    }
    auto store = [&](i64 task, i64 t, const u64 *cells, i64 n) {
        store_cells(args->out[tails.each[t].output], task / strips * n_columns + task % strips * width, cells, n);
    };
    auto columns_of = [&](i64 task) {
        const i64 left = n_columns - task % strips * width;
        return left < width ? left : width;
    };
    run_tasks(args, p, tasks * pieces, together * width * item, [&](Runner<slot_bytes> &runner, i64 i) {
        const i64 task = i / pieces, piece = i % pieces, end = units * (piece + 1) / pieces, columns = columns_of(task);
        const i64 from = outer.offset(task / strips) + task % strips * width * item;
        u64 total[max_tails][block_elements];
        for (i64 t = 0; t < tails.n; ++t) {
            tails.each[t].ops->start(total[t], together * columns);
        }
        for (i64 u = units * piece / pieces; u < end; ++u) {
            const i64 row = u % groups * together, left = n_rows - row, n_items = (left < together ? left : together) * columns;
            const i64 start = from + rows.offset(u / groups) + row * n_columns * item;
            runner.compute(start, n_items * item);
            for (i64 t = 0; t < tails.n; ++t) {
                const Tail &tail = tails.each[t];
                if (item == 1) {
                    tail.ops->add(runner.at[tail.reg], total[t], n_items);
                } else {
                    tail.ops->add_runs(runner.at[tail.reg], n_items, item, total[t]);
                }
            }
            runner.store(start, n_items * item);
        }
        for (i64 t = 0; t < tails.n; ++t) {
            join_pieces(tails.each[t], total[t], together, columns, columns);
            if (partial) {
                __builtin_memcpy(partial + i * apart + t * width, total[t], 8 * columns);
            } else {
                store(task, t, total[t], columns);
            }
        }
    });
    for (i64 task = 0; partial && task < tasks; ++task) {
        for (i64 t = 0; t < tails.n; ++t) {
            u64 *cells = partial + task * pieces * apart + t * width;
            join_pieces(tails.each[t], cells, pieces, apart, columns_of(task));
            store(task, t, cells, columns_of(task));
        }
    }
    free(partial);
    return CYMX_OK;
}

// Finds the reductions among the stores and checks their outputs.
int read_tails(const cymx_args *args, const Program &p, const Words &w, i64 n_kept, Tails *tails) {
    tails->n = 0;
    for (i64 k = 0; k < args->n_out; ++k) {
        const i64 kind = w.kinds[k], reg = w.stores[k];
        const cymx_tensor &out = args->out[k];
        if (kind == STORE_PLAIN) {
            continue;
        }
        i64 n = 1;
        for (i32 d = 0; d < out.ndim; ++d) {
            n *= out.shape[d];
        }
        if (kind < 0 || kind > STORE_MIN || tails->n == max_tails) {
            return fail(args, CYMX_BAD_ARGUMENT, "store %lld is of kind %lld and follows %lld reductions, expected a kind of 0 to 4 and at most 8", k,
                        kind, tails->n);
        }
        if (n != n_kept) {
            return fail(args, CYMX_BAD_ARGUMENT, "reduced output %lld has %lld elements, expected %lld", k, n, n_kept);
        }
        tails->each[tails->n++] = Tail{&tail_ops[kind - STORE_SUM][p.dtype[reg]], reg, k};
    }
    return CYMX_OK;
}

int map_reduce(const cymx_args *args) {
    Program p;
    Words words;
    Tails tails;
    if (int code = split_words(args, true, &p, &words)) {
        return code;
    }
    i64 n_kept = 1;
    for (i64 d = 0; d < words.ndim; ++d) {
        n_kept *= *words.mask >> d & 1 ? 1 : words.shape[d];
    }
    const Layout l = merge_axes(words.ndim, words.shape, *words.mask);
    // Blocks start at multiples of the innermost dimension, so that a row of that length may repeat.
    if (int code = read_program(args, words, l.inner ? l.inner : 1, &p)) {
        return code;
    }
    if (int code = read_tails(args, p, words, n_kept, &tails)) {
        return code;
    }
    if (p.n == 0) {
        for (i64 t = 0; t < tails.n; ++t) {
            const Tail &tail = tails.each[t];
            if (n_kept && !tail.ops->has_empty) {
                return fail(args, CYMX_BAD_ARGUMENT, "the maximum or minimum of no elements does not exist: a reduced axis has length 0");
            }
            u64 cell;
            tail.ops->start(&cell, 1);
            for (i64 i = 0; i < n_kept; ++i) {
                store_cells(args->out[tail.output], i, &cell, 1);
            }
        }
        return CYMX_OK;
    }
    const bool runs = l.inner_reduced && (l.kept.n == 0 || l.inner >= short_run || l.inner * 2 > p.block);
    return runs ? walk_runs(args, p, l, tails) : walk_columns(args, p, l, tails);
}

} // namespace
