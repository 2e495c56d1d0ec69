// copy, transpose, concat, slice, slice_scatter, pad: kernels that move elements and look at none of them.
//
// They work by element size, for every dtype.  All but pad are one strided copy between a contiguous array and a part, or another order, of one.
// Inputs are read once and outputs written once; nothing may alias.  Called by: transpose, swapaxes, Concat, stack, split, slice*, Pad, copy and
// their gradients.  tile, repeat and broadcasts are map's business.
#include "cymx/index.h"
#include "stream.h"
#include "table.h"
#include "types.h"

namespace {

constexpr i64 parallel_bytes = 1 << 18, tile = 16;

struct Move { // size[d] elements along each dimension, at strides in elements
    int n = 0;
    i64 size[CYMX_MAX_NDIM], from[CYMX_MAX_NDIM], to[CYMX_MAX_NDIM];

    // Adds an inner dimension, merged with the last one where both sides run on.
    void add(i64 count, i64 from_stride, i64 to_stride) {
        if (count == 1) {
            return;
        }
        if (n && from[n - 1] == from_stride * count && to[n - 1] == to_stride * count) {
            size[n - 1] *= count;
            --n;
        } else {
            size[n] = count;
        }
        from[n] = from_stride;
        to[n++] = to_stride;
    }
    i64 count() const {
        i64 c = 1;
        for (int d = 0; d < n; ++d) {
            c *= size[d];
        }
        return c;
    }
};

// Offsets of the index-th element of the first n dimensions.
void locate(const Move &m, int n, i64 index, i64 *from, i64 *to) {
    *from = *to = 0;
    for (int d = n - 1; d >= 0; --d) {
        i64 at = index % m.size[d];
        index /= m.size[d];
        *from += at * m.from[d];
        *to += at * m.to[d];
    }
}

template <class T> void move_row(const T *x, i64 from, T *y, i64 to, i64 n) {
    if (from == 1 && to == 1) {
        __builtin_memcpy(y, x, n * sizeof(T));
    } else if (to == 1) {
        for (i64 i = 0; i < n; ++i) {
            y[i] = x[i * from];
        }
    } else if (from == 1) {
        for (i64 i = 0; i < n; ++i) {
            y[i * to] = x[i];
        }
    } else {
        for (i64 i = 0; i < n; ++i) {
            y[i * to] = x[i * from];
        }
    }
}

template <class T> void move_rows(const Move &m, const T *x, T *y) {
    const int outer = m.n - 1;
    i64 n_rows = 1;
    for (int d = 0; d < outer; ++d) {
        n_rows *= m.size[d];
    }
    for_tasks(n_rows, n_rows > 1 && n_rows * m.size[outer] * (i64)sizeof(T) > parallel_bytes, [&](i64 r) {
        i64 from, to;
        locate(m, outer, r, &from, &to);
        move_row(x + from, m.from[outer], y + to, m.to[outer], m.size[outer]);
    });
}

// One tile of a matrix to its transpose: y[j * to + i] = x[i * from + j], i < n_i <= tile, j < n_j <= tile.  streamed: y's rows lie on lines.
template <class T> void move_tile(const T *x, i64 from, T *y, i64 to, i64 n_i, i64 n_j, bool streamed) {
    if (n_i == tile && n_j == tile) {
        T block[tile][tile];
        for (i64 i = 0; i < tile; ++i) {
            __builtin_memcpy(block[i], x + i * from, sizeof block[i]);
        }
        for (i64 j = 0; j < tile; ++j) {
            T column[tile];
            for (i64 i = 0; i < tile; ++i) {
                column[i] = block[i][j];
            }
            if constexpr (sizeof column % line_bytes == 0) {
                for (i64 b = 0; streamed && b < (i64)sizeof column; b += line_bytes) {
                    stream_line((char *)(y + j * to) + b, (const char *)column + b);
                }
            }
            if (!streamed) {
                __builtin_memcpy(y + j * to, column, sizeof column);
            }
        }
        return;
    }
    for (i64 j = 0; j < n_j; ++j) {
        for (i64 i = 0; i < n_i; ++i) {
            y[j * to + i] = x[i * from + j];
        }
    }
}

// The input runs along dimension j and the output along the last one: square tiles use every cache line whole, two side by side pages' lines better.
template <class T> void move_tiles(const Move &whole, int j, const T *x, T *y) {
    const int i = whole.n - 1;
    const i64 n_i = whole.size[i], n_j = whole.size[j], width = 2 * tile, strips = (n_j + width - 1) / width, step = whole.from[i];
    Move outer;
    for (int d = 0; d < i; ++d) {
        if (d != j) {
            outer.add(whole.size[d], whole.from[d], whole.to[d]);
        }
    }
    const i64 tasks = outer.count() * strips;
    const bool large =
        whole.count() * (i64)sizeof(T) > streamed_bytes && whole.to[j] * sizeof(T) % line_bytes == 0 && tile * sizeof(T) % line_bytes == 0;
    for_tasks(tasks, tasks > 1 && tasks * width * n_i * (i64)sizeof(T) > parallel_bytes, [&](i64 task) {
        i64 from, to, begin = task % strips * width, end = begin + width < n_j ? begin + width : n_j;
        locate(outer, outer.n, task / strips, &from, &to);
        const bool streamed = large && on_lines(y + to);
        for (i64 at_i = 0; at_i < n_i; at_i += tile) {
            const T *rows = x + from + at_i * step;
            for (i64 r = tile; streamed && r < 2 * tile && at_i + r < n_i; ++r) { // the next ones: no prefetcher sees such strides
                for (i64 b = 0; b < width * (i64)sizeof(T); b += line_bytes) {
                    __builtin_prefetch((const char *)(rows + r * step + begin) + b);
                }
            }
            for (i64 at_j = begin; at_j < end; at_j += tile) {
                move_tile(rows + at_j, step, y + to + at_j * whole.to[j] + at_i, whole.to[j], n_i - at_i < tile ? n_i - at_i : tile,
                          end - at_j < tile ? end - at_j : tile, streamed);
            }
        }
        if (streamed) {
            end_stream();
        }
    });
}

void move_bytes(const char *x, char *y, i64 bytes) {
    const i64 piece = 1 << 16, pieces = (bytes + piece - 1) / piece;
    if (bytes <= parallel_bytes) {
        __builtin_memcpy(y, x, bytes);
        return;
    }
#pragma omp parallel for schedule(static)
    for (i64 i = 0; i < pieces; ++i) {
        __builtin_memcpy(y + i * piece, x + i * piece, bytes - i * piece < piece ? bytes - i * piece : piece);
    }
}

// x and y point at the first elements that are moved.
void move(const Move &m, i64 size, const void *x, void *y) {
    if (m.n == 0 || (m.n == 1 && m.from[0] == 1 && m.to[0] == 1)) {
        return move_bytes((const char *)x, (char *)y, m.count() * size);
    }
    const int last = m.n - 1;
    int along = last;
    for (int d = 0; d < last; ++d) {
        along = m.from[d] == 1 && m.to[last] == 1 ? d : along;
    }
    for_size(size, [&](auto type) {
        using T = decltype(type);
        if (along != last) {
            move_tiles(m, along, (const T *)x, (T *)y);
        } else {
            move_rows(m, (const T *)x, (T *)y);
        }
    });
}

void strides_of(const cymx_tensor &t, i64 *strides) {
    i64 stride = 1;
    for (i32 d = t.ndim - 1; d >= 0; --d) {
        strides[d] = stride;
        stride *= t.shape[d];
    }
}

int copy(const cymx_args *args) {
    if (int code = expect(args, 1, 1, 0)) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    if (x.dtype != y.dtype || element_count(x) != element_count(y)) {
        return fail(args, CYMX_BAD_ARGUMENT, "%lld elements of dtype %lld cannot be copied to %lld of dtype %lld", element_count(x), x.dtype,
                    element_count(y), y.dtype);
    }
    move_bytes((const char *)x.data, (char *)y.data, element_count(x) * element_size(x.dtype));
    return CYMX_OK;
}

int transpose(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(transpose_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const i64 *axes = ((const transpose_params *)args->params)->axes;
    i64 from[CYMX_MAX_NDIM], to[CYMX_MAX_NDIM], seen = 0;
    strides_of(x, from);
    strides_of(y, to);
    Move m;
    for (i32 d = 0; d < y.ndim; ++d) {
        if (axes[d] < 0 || axes[d] >= x.ndim || seen >> axes[d] & 1 || x.shape[axes[d]] != y.shape[d] || x.ndim != y.ndim) {
            return fail(args, CYMX_BAD_ARGUMENT, "axis %lld of the output does not fit axis %lld of the input, or axes repeat", d, axes[d]);
        }
        seen |= 1 << axes[d];
        m.add(y.shape[d], from[axes[d]], to[d]);
    }
    if (element_count(x) > 0) {
        move(m, element_size(x.dtype), x.data, y.data);
    }
    return CYMX_OK;
}

int concat(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(axis_params))) {
        return code;
    }
    const cymx_tensor &y = args->out[0];
    const i64 axis = ((const axis_params *)args->params)->axis, size = element_size(y.dtype);
    i64 outer = 1, inner = 1, length = 0;
    if (axis < 0 || axis >= y.ndim) {
        return fail(args, CYMX_BAD_ARGUMENT, "axis %lld is out of range for %lld dimensions", axis, y.ndim);
    }
    for (i32 d = 0; d < y.ndim; ++d) {
        (d < axis ? outer : inner) *= d == axis ? 1 : y.shape[d];
    }
    for (i64 k = 0; k < args->n_in; ++k) {
        const cymx_tensor &x = args->in[k];
        bool fits = x.ndim == y.ndim && x.dtype == y.dtype;
        for (i32 d = 0; fits && d < y.ndim; ++d) {
            fits = d == axis || x.shape[d] == y.shape[d];
        }
        if (!fits) {
            return fail(args, CYMX_BAD_ARGUMENT, "input %lld has another dtype, or another shape beside axis %lld, than the output", k, axis);
        }
        length += x.shape[axis];
    }
    if (length != y.shape[axis]) {
        return fail(args, CYMX_BAD_ARGUMENT, "the inputs have %lld elements along axis %lld and the output %lld", length, axis, y.shape[axis]);
    }
    char *to = (char *)y.data;
    for (i64 k = 0; k < args->n_in; ++k) {
        const i64 run = args->in[k].shape[axis] * inner;
        Move m;
        m.add(outer, run, length * inner);
        m.add(run, 1, 1);
        if (outer * run > 0) {
            move(m, size, args->in[k].data, to);
        }
        to += run * size;
    }
    return CYMX_OK;
}

// The part of `whole` that begins and steps as p says and has the shape of `part`; *start is its first element.
int plan_slice(const cymx_args *args, const cymx_tensor &whole, const cymx_tensor &part, bool to_part, Move *m, i64 *start) {
    const slice_params *p = (const slice_params *)args->params;
    i64 in_whole[CYMX_MAX_NDIM], in_part[CYMX_MAX_NDIM];
    if (whole.ndim != part.ndim || whole.dtype != part.dtype) {
        return fail(args, CYMX_BAD_ARGUMENT, "a slice has %lld dimensions, expected %lld, and the same dtype", part.ndim, whole.ndim);
    }
    strides_of(whole, in_whole);
    strides_of(part, in_part);
    *start = 0;
    for (i32 d = 0; d < whole.ndim; ++d) {
        i64 last = p->begin[d] + (part.shape[d] - 1) * p->step[d];
        if (part.shape[d] > 0 && (p->begin[d] < 0 || p->begin[d] >= whole.shape[d] || last < 0 || last >= whole.shape[d])) {
            return fail(args, CYMX_BAD_ARGUMENT, "the slice runs from %lld to %lld along axis %lld, which has length %lld", p->begin[d], last, d,
                        whole.shape[d]);
        }
        *start += p->begin[d] * in_whole[d];
        i64 step = p->step[d] * in_whole[d];
        m->add(part.shape[d], to_part ? step : in_part[d], to_part ? in_part[d] : step);
    }
    return CYMX_OK;
}

int slice(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(slice_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    Move m;
    i64 start;
    if (int code = plan_slice(args, x, y, true, &m, &start)) {
        return code;
    }
    if (element_count(y) > 0) {
        move(m, element_size(x.dtype), (const char *)x.data + start * element_size(x.dtype), y.data);
    }
    return CYMX_OK;
}

int slice_scatter(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(slice_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const i64 size = element_size(x.dtype);
    Move m;
    i64 start;
    if (int code = plan_slice(args, y, x, false, &m, &start)) {
        return code;
    }
    if (element_count(x) != element_count(y)) {
        __builtin_memset(y.data, 0, element_count(y) * size);
    }
    if (element_count(x) > 0) {
        move(m, size, x.data, (char *)y.data + start * size);
    }
    return CYMX_OK;
}

// ---- pad ------------------------------------------------------------------------------------------------------------------------------------------

template <class T> void pad_rows(const cymx_tensor &x, const cymx_tensor &y, const pad_params &p, T value) {
    const i32 last = x.ndim - 1;
    const i64 n_in = x.shape[last], n_out = y.shape[last], lo = p.lo[last], n_rows = element_count(y) / n_out;
    const i64 middle = lo + n_in < n_out ? lo + n_in : n_out;
    i64 strides[CYMX_MAX_NDIM];
    strides_of(x, strides);
    for_tasks(n_rows, n_rows > 1 && n_rows * n_out * (i64)sizeof(T) > parallel_bytes, [&](i64 r) {
        const T *from = (const T *)x.data;
        T *to = (T *)y.data + r * n_out;
        bool constant = false;
        i64 rest = r;
        for (i32 d = last - 1; d >= 0; --d) {
            i64 source = pad_source(rest % y.shape[d] - p.lo[d], x.shape[d], p.mode);
            rest /= y.shape[d];
            constant |= source < 0;
            from += source * strides[d];
        }
        for (i64 i = 0; i < n_out; ++i) {
            if (i == lo && !constant) {
                __builtin_memcpy(to + lo, from, (middle - lo) * sizeof(T));
                i = middle;
                if (i == n_out) {
                    break;
                }
            }
            i64 source = constant ? -1 : pad_source(i - lo, n_in, p.mode);
            to[i] = source < 0 ? value : from[source];
        }
    });
}

int pad(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(pad_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const pad_params &p = *(const pad_params *)args->params;
    if (x.dtype != y.dtype || x.ndim != y.ndim || x.ndim == 0 || p.mode < PAD_CONSTANT || p.mode > PAD_REFLECT) {
        return fail(args, CYMX_BAD_ARGUMENT, "input and output differ in dtype or rank, or have none, or mode %lld does not exist", p.mode);
    }
    for (i32 d = 0; d < x.ndim; ++d) {
        if (p.lo[d] < 0 || y.shape[d] < x.shape[d] + p.lo[d] || (x.shape[d] == 0 && p.mode != PAD_CONSTANT)) {
            return fail(args, CYMX_BAD_ARGUMENT, "axis %lld has %lld elements and %lld before them, but the output %lld", d, x.shape[d], p.lo[d],
                        y.shape[d]);
        }
    }
    if (element_count(y) == 0) {
        return CYMX_OK;
    }
    return for_dtype(args, x.dtype, [&](auto type) {
        pad_rows(x, y, p, convert<decltype(type)>(p.value));
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(copy, {"copy", copy}, {"transpose", transpose}, {"concat", concat}, {"slice", slice}, {"slice_scatter", slice_scatter}, {"pad", pad})
