// Block functions: one functor, one type, n elements; their tables; and the gathers that bring blocks together.
//
// Included by map.cpp alone, so that every functor is compiled once for each instruction set.
#pragma once
#include "cymx/map.h"
#include "table.h"

namespace {

using namespace cymx;

// ---- block functions: one functor, one type, n elements -------------------------------------------------------------------------------------------

typedef void (*BlockFn)(const void *x, const void *y, const void *z, void *out, i64 n);

template <class F, class T> struct Unary {
    static void run(const void *xv, const void *, const void *, void *ov, i64 n) {
        const T *x = (const T *)xv;
        T *out = (T *)ov;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            out[i] = F::f(x[i]);
        }
    }
};

// sin and cos of float32: a block with an argument too large for the vectorized reduction goes to the C library as a whole.
template <class F> struct Circular {
    static CYMX_FN float f(float x, const fn::sin *) { return m::sin_any(x); }
    static CYMX_FN float f(float x, const fn::cos *) { return m::cos_any(x); }
    static void run(const void *xv, const void *, const void *, void *ov, i64 n) {
        const float *x = (const float *)xv;
        float *out = (float *)ov;
        int small = 1;
        for (i64 i = 0; i < n; ++i) {
            small &= m::magnitude(x[i]) < m::sin_limit;
        }
        if (small) {
#pragma GCC ivdep
            for (i64 i = 0; i < n; ++i) {
                out[i] = F::f(x[i]);
            }
        } else {
            for (i64 i = 0; i < n; ++i) {
                out[i] = f(x[i], (const F *)nullptr);
            }
        }
    }
};
template <> struct Unary<fn::sin, float> : Circular<fn::sin> {};
template <> struct Unary<fn::cos, float> : Circular<fn::cos> {};

template <class F, class T> struct Binary {
    static void run(const void *xv, const void *yv, const void *, void *ov, i64 n) {
        const T *x = (const T *)xv, *y = (const T *)yv;
        T *out = (T *)ov;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            out[i] = F::f(x[i], y[i]);
        }
    }
};

template <class F, class T> struct Ternary {
    static void run(const void *xv, const void *yv, const void *zv, void *ov, i64 n) {
        const T *x = (const T *)xv, *y = (const T *)yv, *z = (const T *)zv;
        T *out = (T *)ov;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            out[i] = F::f(x[i], y[i], z[i]);
        }
    }
};

template <class To, class From> void cast_block(const void *xv, const void *, const void *, void *ov, i64 n) {
    const From *x = (const From *)xv;
    To *out = (To *)ov;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        out[i] = cast<To>(x[i]);
    }
}

template <class T> void load_half(const void *xv, void *ov, i64 n) {
    const T *x = (const T *)xv;
    float *out = (float *)ov;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        out[i] = to_float(x[i]);
    }
}

template <class T> void store_half(const void *xv, void *ov, i64 n) {
    const float *x = (const float *)xv;
    T *out = (T *)ov;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        out[i] = from_float<T>(x[i]);
    }
}

// ---- their tables, indexed by functor number and dtype flag ---------------------------------------------------------------------------------------

constexpr int n_types = 8;

template <template <class, class> class Block, class F, class T, int flag> constexpr BlockFn block_of() {
    if constexpr ((F::types >> flag & 1) != 0) {
        return Block<F, T>::run;
    } else {
        return nullptr;
    }
}

#define CYMX_TYPES(X, kind, name)                                                                                                  \
    X(kind, name, float, 0), X(kind, name, double, 1), nullptr, X(kind, name, u8, 3), X(kind, name, i32, 4), X(kind, name, i8, 5), \
        X(kind, name, i64, 6), X(kind, name, bool, 7)
#define CYMX_BLOCK(kind, name, type, flag) block_of<kind, fn::name, type, flag>()
#define CYMX_UNARY(name, ...) {1, {CYMX_TYPES(CYMX_BLOCK, Unary, name)}},
#define CYMX_BINARY(name, ...) {2, {CYMX_TYPES(CYMX_BLOCK, Binary, name)}},
#define CYMX_TERNARY(name, ...) {3, {CYMX_TYPES(CYMX_BLOCK, Ternary, name)}},

const struct {
    i64 arity;
    BlockFn blocks[n_types];
} functors[] = {CYMX_UNARY_LIST(CYMX_UNARY) CYMX_BINARY_LIST(CYMX_BINARY) CYMX_TERNARY_LIST(CYMX_TERNARY)};

constexpr i64 functor_cast = sizeof functors / sizeof functors[0];

#define CYMX_CAST(kind, to, from, flag) cast_block<to, from>
#define CYMX_CASTS(to) {CYMX_TYPES(CYMX_CAST, , to)}
const BlockFn casts[n_types][n_types] = {CYMX_CASTS(float), CYMX_CASTS(double), {}, CYMX_CASTS(u8), CYMX_CASTS(i32), CYMX_CASTS(i8),
                                         CYMX_CASTS(i64),   CYMX_CASTS(bool)};

const i64 type_sizes[n_types] = {4, 8, 2, 1, 4, 1, 8, 1};

// ---- gathering inputs that are not contiguous over the space --------------------------------------------------------------------------------------

struct Gather { // the space as this input sees it: neighbouring dimensions merged where its strides allow
    int ndim;
    i64 shape[CYMX_MAX_NDIM], stride[CYMX_MAX_NDIM]; // strides in elements
};

void merge_dims(i64 ndim, const i64 *shape, const i64 *stride, Gather *g) {
    g->ndim = 0;
    for (i64 d = 0; d < ndim; ++d) {
        int last = g->ndim - 1;
        if (shape[d] == 1) {
            continue;
        }
        if (last >= 0 && g->stride[last] == stride[d] * shape[d]) {
            g->shape[last] *= shape[d];
            g->stride[last] = stride[d];
        } else {
            g->shape[g->ndim] = shape[d];
            g->stride[g->ndim++] = stride[d];
        }
    }
}

template <class T> void gather_run(const T *x, i64 stride, T *out, i64 n) {
    if (stride == 1) {
        __builtin_memcpy(out, x, n * sizeof(T));
    } else if (stride == 0) {
        T v = *x;
        for (i64 i = 0; i < n; ++i) {
            out[i] = v;
        }
    } else {
        for (i64 i = 0; i < n; ++i) {
            out[i] = x[i * stride];
        }
    }
}

template <class T> void gather_block(const Gather &g, const T *data, i64 start, T *out, i64 n) {
    i64 at[CYMX_MAX_NDIM];
    const T *row = data;
    const int last = g.ndim - 1;
    for (int d = last; d >= 0; --d) {
        at[d] = start % g.shape[d];
        start /= g.shape[d];
        row += d == last ? 0 : at[d] * g.stride[d];
    }
    const i64 inner = g.shape[last], stride = g.stride[last];
    if (last == 1 && g.stride[0] == 0 && at[1] == 0 && n > inner) { // one short row, again and again
        gather_run(row, stride, out, inner);
        for (i64 done = inner, count; done < n; done += count) {
            count = done < n - done ? done : n - done;
            __builtin_memcpy(out + done, out, count * sizeof(T));
        }
        return;
    }
    for (i64 from = at[last]; n > 0; from = 0) {
        i64 run = inner - from < n ? inner - from : n;
        gather_run(row + from * stride, stride, out, run);
        out += run;
        n -= run;
        for (int d = last - 1; d >= 0; --d) {
            row += g.stride[d];
            if (++at[d] < g.shape[d]) {
                break;
            }
            row -= g.stride[d] * at[d];
            at[d] = 0;
        }
    }
}

void gather(const Gather &g, i64 size, const void *data, i64 start, void *out, i64 n) {
    switch (size) {
    case 1: gather_block(g, (const u8 *)data, start, (u8 *)out, n); break;
    case 2: gather_block(g, (const u16 *)data, start, (u16 *)out, n); break;
    case 4: gather_block(g, (const u32 *)data, start, (u32 *)out, n); break;
    default: gather_block(g, (const u64 *)data, start, (u64 *)out, n);
    }
}
} // namespace
