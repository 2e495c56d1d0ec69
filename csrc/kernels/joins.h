// How runs of elements are joined: the dimensions that are left when neighbouring axes are merged, many lanes, and pairwise totals.
//
// Read by: reduce.cpp, map_reduce.h.
#pragma once
#include "cymx.h"
#include "cymx/reduce.h"

namespace {

using namespace cymx;

constexpr i64 n_lanes = 32, far_lanes = 64, piece_elements = 1 << 15, max_pieces = 64, parallel_elements = 1 << 15;

// Some of the input's dimensions, with strides in elements.
struct Dims {
    int n = 0;
    i64 size[CYMX_MAX_NDIM], stride[CYMX_MAX_NDIM];
    i64 count() const {
        i64 c = 1;
        for (int d = 0; d < n; ++d) {
            c *= size[d];
        }
        return c;
    }
    i64 offset(i64 index) const {
        i64 at = 0;
        for (int d = n - 1; d > 0; --d) {
            at += index % size[d] * stride[d];
            index /= size[d];
        }
        return n ? at + index * stride[0] : 0;
    }
};

struct Layout {
    Dims kept, reduced; // without the innermost
    i64 inner;
    bool inner_reduced;
};

template <class Size> Layout merge_axes(i64 ndim, const Size *shape, i64 mask) {
    i64 size[CYMX_MAX_NDIM + 1];
    bool reduced[CYMX_MAX_NDIM + 1];
    int n = 0;
    for (i64 d = 0; d < ndim; ++d) {
        bool r = mask >> d & 1;
        if (shape[d] == 1) {
            continue;
        }
        if (n && reduced[n - 1] == r) {
            size[n - 1] *= shape[d];
        } else {
            size[n] = shape[d];
            reduced[n++] = r;
        }
    }
    if (n == 0) {
        size[n] = 1;
        reduced[n++] = true;
    }
    Layout l;
    l.inner = size[n - 1];
    l.inner_reduced = reduced[n - 1];
    i64 stride[CYMX_MAX_NDIM + 1];
    stride[n - 1] = 1;
    for (int d = n - 2; d >= 0; --d) {
        stride[d] = stride[d + 1] * size[d + 1];
    }
    for (int d = 0; d < n - 1; ++d) {
        Dims &dims = reduced[d] ? l.reduced : l.kept;
        dims.size[dims.n] = size[d];
        dims.stride[dims.n++] = stride[d];
    }
    return l;
}

// Joins values pairwise as they come, as a binary counter carries.
template <class R, class W> struct Pairwise {
    W level[48];
    u64 count = 0;
    void add(W v) {
        int i = 0;
        for (u64 c = count++; c & 1; c >>= 1) {
            v = R::join(level[i++], v);
        }
        level[i] = v;
    }
    W get() const {
        W v = R::template start<W>();
        int i = 0;
        for (u64 c = count; c; c >>= 1, ++i) {
            v = c & 1 ? R::join(level[i], v) : v;
        }
        return v;
    }
};

// Joins n >= LANES elements; AHEAD: how many bytes further on memory is fetched already.
template <class R, class T, i64 LANES, i64 AHEAD> Lane<T> reduce_in_lanes(const T *x, i64 n) {
    Lane<T> lanes[LANES];
    for (i64 k = 0; k < LANES; ++k) {
        lanes[k] = to_lane(x[k]);
    }
    i64 i = LANES;
    for (; i + LANES <= n; i += LANES) {
        for (i64 b = 0; AHEAD && b < LANES * (i64)sizeof(T); b += 64) {
            __builtin_prefetch((const char *)(x + i) + AHEAD + b);
        }
        for (i64 k = 0; k < LANES; ++k) {
            lanes[k] = R::join(lanes[k], to_lane(x[i + k]));
        }
    }
    for (i64 k = 0; i + k < n; ++k) {
        lanes[k] = R::join(lanes[k], to_lane(x[i + k]));
    }
    for (i64 width = LANES / 2; width; width /= 2) {
        for (i64 k = 0; k < width; ++k) {
            lanes[k] = R::join(lanes[k], lanes[k + width]);
        }
    }
    return lanes[0];
}

// Joins n <= block_elements contiguous elements.
template <class R, class T> Lane<T> reduce_block(const T *x, i64 n) {
    if (n < n_lanes) {
        Lane<T> v = R::template start<Lane<T>>();
        for (i64 i = 0; i < n; ++i) {
            v = R::join(v, to_lane(x[i]));
        }
        return v;
    }
    return reduce_in_lanes<R, T, n_lanes, 0>(x, n);
}

// The same where they come from memory: the next ones are fetched meanwhile.
template <class R, class T> Lane<T> reduce_far_block(const T *x, i64 n) {
    return n < far_lanes ? reduce_block<R>(x, n) : reduce_in_lanes<R, T, far_lanes, 4096>(x, n);
}

// Joins each of n_rows short rows of n contiguous elements and hands take(row, joined) the results: rows side by side, since one row is one chain of dependent additions.
template <class R, class T, class F> void reduce_short_rows(const T *x, i64 n_rows, i64 n, F take) {
    using L = Lane<T>;
    constexpr i64 width = 16;
    for (i64 r = 0; r < n_rows; r += width) {
        const i64 count = n_rows - r < width ? n_rows - r : width;
        L joined[width];
        for (i64 k = 0; k < width; ++k) {
            joined[k] = R::template start<L>();
        }
        if (count == width) {
            for (i64 i = 0; i < n; ++i) {
                for (i64 k = 0; k < width; ++k) {
                    joined[k] = R::join(joined[k], to_lane(x[(r + k) * n + i]));
                }
            }
        } else {
            for (i64 k = 0; k < count; ++k) {
                joined[k] = reduce_block<R>(x + (r + k) * n, n);
            }
        }
        for (i64 k = 0; k < count; ++k) {
            take(r + k, (Total<T>)joined[k]);
        }
    }
}

// How many pieces each of n_tasks reductions of n elements is cut into: by the shape alone.
i64 piece_count(i64 n_tasks, i64 n) {
    i64 pieces = n / piece_elements < max_pieces ? n / piece_elements : max_pieces;
    return n_tasks >= 16 || pieces < 2 ? 1 : pieces;
}

} // namespace
