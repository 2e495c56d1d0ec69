// softmax and log_softmax over one axis: x (A, n, B) -> y, same shape.  y may be x.
//
// Each row is shifted by its maximum, so nothing overflows; sums are kept in float32 (float64 for float64).  Called through csrc/dispatch.cpp.
#include "cast.h"
#include "cymx/math.h"
#include "cymx/params.h"
#include "table.h"

namespace {

// n_columns rows side by side, element (i, b) at i * step + b.
template <bool LOG, class T> void rows(const T *x, T *y, i64 n, i64 step, i64 n_columns) {
    using A = wide_t<T>;
    for (i64 b = 0; b < n_columns; ++b) {
        A top = widen(x[b]), sum = 0;
        for (i64 i = 1; i < n; ++i) {
            const A v = widen(x[i * step + b]);
            top = v > top ? v : top;
        }
        for (i64 i = 0; i < n; ++i) {
            sum += cymx::m::exp(widen(x[i * step + b]) - top);
        }
        const A shift = cymx::m::log(sum), scale = 1 / sum;
        for (i64 i = 0; i < n; ++i) {
            const A v = widen(x[i * step + b]) - top;
            y[i * step + b] = narrow<T>(LOG ? v - shift : cymx::m::exp(v) * scale);
        }
    }
}

template <bool LOG> int softmax_axis(const cymx_args *args) {
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const i64 axis = static_cast<const cymx::axis_params *>(args->params)->axis;
    if (axis < 0 || axis >= x.ndim || x.dtype != y.dtype) {
        return fail(args->err, CYMX_BAD_ARGUMENT, "axis out of range, or types that differ");
    }
    i64 before = 1, after = 1;
    for (int32_t i = 0; i < x.ndim; ++i) {
        before *= i < axis ? x.shape[i] : 1;
        after *= i > axis ? x.shape[i] : 1;
    }
    const i64 n = x.shape[axis];
    if (before * after * n == 0) {
        return CYMX_OK;
    }
    return for_float(x.dtype, args->err, [&](auto zero) {
        using T = decltype(zero);
#pragma omp parallel for schedule(static) if (before * after * n > 20000)
        for (i64 a = 0; a < before; ++a) {
            rows<LOG>(static_cast<const T *>(x.data) + a * n * after, static_cast<T *>(y.data) + a * n * after, n, after, after);
        }
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(softmax, {"softmax", softmax_axis<false>}, {"log_softmax", softmax_axis<true>})
