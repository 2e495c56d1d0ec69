// softmax and log_softmax over one axis: x (A, n, B) -> y, same shape.  y may be x.
//
// Each row is shifted by its maximum, so nothing overflows; sums are kept in float32 (float64 for float64), a vector at a time, in an
// order that depends on shapes and the instruction set alone.  A NaN anywhere in a row makes all of it NaN.  Called through csrc/dispatch.cpp.
#include "cast.h"
#include "cymx/math.h"
#include "cymx/params.h"
#include "stream.h"
#include "table.h"

namespace {

enum { ROOM = 8192, COLUMNS = 64 };

template <class T> constexpr wide_t<T> minus_infinity() { return -limits<wide_t<T>>::infinity(); }

inline i64 least(i64 a, i64 b) { return a < b ? a : b; }

// One row of consecutive elements goes through room piece by piece; a row that fits is read once.
template <bool LOG, class T> struct Row {
    using A = wide_t<T>;
    const T *x;
    i64 n;
    alignas(64) A room[ROOM];
    A top, sum;

    // Loads elements from... and returns how many.
    i64 load(i64 from) {
        constexpr i64 ahead = 2048, line = line_bytes / sizeof(T);
        const i64 m = least(ROOM, n - from), whole = m / line * line;
        for (i64 i = 0; i < whole; i += line) {
            __builtin_prefetch((const char *)(x + from + i) + ahead);
            for (i64 k = i; k < i + line; ++k) {
                room[k] = widen(x[from + k]);
            }
        }
        for (i64 i = whole; i < m; ++i) {
            room[i] = widen(x[from + i]);
        }
        return m;
    }

    void find_top(i64 m) {
        A most = top;
#pragma omp simd reduction(max : most)
        for (i64 i = 0; i < m; ++i) {
            most = room[i] > most ? room[i] : most;
        }
        top = most;
    }

    // Leaves the shifted element in room, or its exponential, which is what the result needs.
    void add_up(i64 m) {
        const A most = top;
        A total = 0;
#pragma omp simd reduction(+ : total)
        for (i64 i = 0; i < m; ++i) {
            const A v = room[i] - most, e = m::exp(v);
            room[i] = LOG ? v : e;
            total += e;
        }
        sum += total;
    }

    void finish(i64 m, T *y, A shift, A scale, bool streamed) {
        constexpr i64 line = line_bytes / sizeof(T);
        i64 i = 0;
        for (; streamed && i + line <= m; i += line) {
            T whole[line];
            for (i64 k = 0; k < line; ++k) {
                whole[k] = convert<T>(LOG ? room[i + k] - shift : room[i + k] * scale);
            }
            stream_line(y + i, whole);
        }
        for (; i < m; ++i) {
            y[i] = convert<T>(LOG ? room[i] - shift : room[i] * scale);
        }
    }

    // streamed: y lies on lines, and the caches have no use for it.
    void run(const T *from, T *y, i64 length, bool streamed) {
        x = from, n = length;
        top = minus_infinity<T>(), sum = 0;
        i64 m = 0;
        for (i64 at = 0; at < n; at += ROOM) {
            m = load(at);
            find_top(m);
        }
        for (i64 at = 0; at < n; at += ROOM) {
            m = n > ROOM ? load(at) : m;
            add_up(m);
        }
        const A shift = LOG ? m::log(sum) : A(0), scale = 1 / sum;
        for (i64 at = 0; at < n; at += ROOM) {
            if (n > ROOM) {
                m = load(at);
                for (i64 i = 0; i < m; ++i) {
                    room[i] = LOG ? room[i] - top : m::exp(room[i] - top);
                }
            }
            finish(least(ROOM, n - at), y + at, shift, scale, streamed);
        }
    }
};

// Up to COLUMNS rows side by side, element i of column b at i * step + b.
template <bool LOG, class T> void columns(const T *x, T *y, i64 n, i64 step, i64 n_columns) {
    using A = wide_t<T>;
    alignas(64) A top[COLUMNS], sum[COLUMNS], last[COLUMNS];
    for (i64 b = 0; b < n_columns; ++b) {
        top[b] = minus_infinity<T>(), sum[b] = 0;
    }
    for (i64 i = 0; i < n; ++i) {
        for (i64 b = 0; b < n_columns; ++b) {
            const A v = widen(x[i * step + b]);
            top[b] = v > top[b] ? v : top[b];
        }
    }
    for (i64 i = 0; i < n; ++i) {
        for (i64 b = 0; b < n_columns; ++b) {
            sum[b] += m::exp(widen(x[i * step + b]) - top[b]);
        }
    }
    for (i64 b = 0; b < n_columns; ++b) {
        last[b] = LOG ? m::log(sum[b]) : 1 / sum[b];
    }
    for (i64 i = 0; i < n; ++i) {
        for (i64 b = 0; b < n_columns; ++b) {
            const A v = widen(x[i * step + b]) - top[b];
            y[i * step + b] = convert<T>(LOG ? v - last[b] : m::exp(v) * last[b]);
        }
    }
}

template <bool LOG, class T> void softmax(const T *x, T *y, i64 before, i64 n, i64 after) {
    const bool parallel = before * n * after > 20000;
    if (after == 1) {
        const bool streamed = before * n * (i64)sizeof(T) > streamed_bytes && n * sizeof(T) % line_bytes == 0 && on_lines(y) && x != y;
#pragma omp parallel if (parallel)
        {
            Row<LOG, T> row;
#pragma omp for schedule(static)
            for (i64 a = 0; a < before; ++a) {
                row.run(x + a * n, y + a * n, n, streamed);
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
        const i64 b = block % blocks * COLUMNS, at = block / blocks * n * after + b;
        columns<LOG>(x + at, y + at, n, after, least(COLUMNS, after - b));
    }
}

template <bool LOG> int softmax_axis(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(axis_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const i64 axis = static_cast<const axis_params *>(args->params)->axis;
    if (axis < 0 || axis >= x.ndim || x.dtype != y.dtype) {
        return fail(args, CYMX_BAD_ARGUMENT, "axis out of range, or types that differ");
    }
    i64 before = 1, after = 1;
    for (int32_t i = 0; i < x.ndim; ++i) {
        before *= i < axis ? x.shape[i] : 1;
        after *= i > axis ? x.shape[i] : 1;
    }
    return for_float(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        softmax<LOG>(static_cast<const T *>(x.data), static_cast<T *>(y.data), before, x.shape[axis], after);
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(softmax, {"softmax", softmax_axis<false>}, {"log_softmax", softmax_axis<true>})
