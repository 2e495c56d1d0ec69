// softmax and log_softmax over one axis: x (A, n, B) -> y, same shape.  y may be x.
//
// Each row is shifted by its maximum, so nothing overflows; sums are kept in float32 (float64 for float64), a vector at a time, in an
// order that depends on shapes and the instruction set alone.  A NaN anywhere in a row makes all of it NaN.  Called through csrc/dispatch.cpp.
#include "cast.h"
#include "cymx/math.h"
#include "cymx/params.h"
#include "rows.h"
#include "table.h"

namespace {

enum { ROOM = 8192, COLUMNS = 64 };

template <class T> constexpr wide_t<T> minus_infinity() { return -limits<wide_t<T>>::infinity(); }

// One row of consecutive elements.  Its exponentials wait in room; those of a longer row are made again.
template <bool LOG, class T> void row(const T *x, T *y, i64 n, bool streamed, wide_t<T> *room) {
    using A = wide_t<T>;
    const bool kept = !LOG && n <= ROOM;
    const A top = join_run<Greatest, 0, 0>(x, 0, n, 0, [](A v, i64) { return v; });
    A sum = 0;
    for (i64 begin = 0; begin < n; begin += ROOM) {
        sum += join_run<Adding, 0, 1>(x, begin, least(begin + ROOM, n), fetch_distance<T>(n), [=](A v, i64 i) {
            const A e = m::exp_below_zero(v - top);
            if (!LOG) {
                room[i - begin] = e;
            }
            return e;
        });
    }
    const A shift = LOG ? m::log(sum) : A(0), scale = 1 / sum;
    if (kept) {
        store_row(y, n, streamed, [=](i64 i) { return room[i] * scale; });
    } else {
        store_row(y, n, streamed, [=](i64 i) { return LOG ? widen(x[i]) - top - shift : m::exp_below_zero(widen(x[i]) - top) * scale; });
    }
}

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
            sum[b] += m::exp_below_zero(widen(x[i * step + b]) - top[b]);
        }
    }
    for (i64 b = 0; b < n_columns; ++b) {
        last[b] = LOG ? m::log(sum[b]) : 1 / sum[b];
    }
    for (i64 i = 0; i < n; ++i) {
        for (i64 b = 0; b < n_columns; ++b) {
            const A v = widen(x[i * step + b]) - top[b];
            y[i * step + b] = convert<T>(LOG ? v - last[b] : m::exp_below_zero(v) * last[b]);
        }
    }
}

template <bool LOG, class T> void softmax(const T *x, T *y, i64 before, i64 n, i64 after) {
    const bool parallel = before * n * after > 20000;
    if (after == 1) {
        const bool streamed = x != y && are_streamed(y, before, n);
#pragma omp parallel if (parallel)
        {
            alignas(64) wide_t<T> room[ROOM];
#pragma omp for schedule(static)
            for (i64 a = 0; a < before; ++a) {
                row<LOG>(x + a * n, y + a * n, n, streamed, room);
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
