// Pooling over windows of 1 to 3 spatial dimensions: maximum, average, sum, p-norm.
//
// pool_fwd  x (N, C, *S) -> y (N, C, *P)        pool_bwd  dy (N, C, *P), x, y -> dx (N, C, *S)      channels_last: (N, *S, C) and (N, *P, C)
// As MXNet 1.9.1 has it: an average over the padding too divides by the window clipped to S + 2 pad_lo, so that the overhang of 'full' never counts;
// windows with nothing inside give 0 (the lowest finite number for a maximum); NaN never wins a maximum; its gradient goes to the first maximum;
// the p-norm takes no absolute values.  16-bit floats are summed in float32.  dx aliases no input.  Called through csrc/dispatch.cpp.
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "cast.h"
#include "cymx/math.h"
#include "cymx/params.h"
#include "table.h"

namespace {

// Always three spatial dimensions; unused ones lead and have extent 1.
struct Geometry {
    i64 images = 0, channels = 1, in[3] = {}, out[3] = {}, kernel[3] = {}, stride[3] = {}, pad[3] = {}, n_in = 0, n_out = 0, p = 0;
    bool count_pad = false;
};

// One dimension of one output's window: [lo, hi) inside the image, and its extent inside the padded image.
struct Span {
    i64 lo, hi, padded;
};

Span span(const Geometry &s, int d, i64 at) {
    const i64 from = at * s.stride[d] - s.pad[d], to = from + s.kernel[d], end = s.in[d] + s.pad[d];
    const i64 lo = from > 0 ? from : 0, hi = to < s.in[d] ? to : s.in[d];
    return {lo, hi > lo ? hi : lo, (to < end ? to : end) - from};
}

// The part of one output's window that lies inside the image, and what an average over it divides by.
struct Window {
    i64 lo[3], hi[3], size;
};

Window window(const Geometry &s, const i64 at[3]) {
    Window w;
    i64 padded = 1, inside = 1;
    for (int d = 0; d < 3; ++d) {
        const Span one = span(s, d, at[d]);
        w.lo[d] = one.lo, w.hi[d] = one.hi;
        padded *= one.padded, inside *= one.hi - one.lo;
    }
    w.size = inside == 0 ? 0 : s.count_pad ? padded : inside;
    return w;
}

template <class A> A lowest();
template <> float lowest() { return -FLT_MAX; }
template <> double lowest() { return -DBL_MAX; }

template <class A> A power(A x, i64 n) { return n == 1 ? x : n == 2 ? x * x : x * x * x; }
template <class A> A root(A x, i64 n) { return n == 1 ? x : n == 2 ? m::sqrt(x) : m::cbrt(x); }

// Calls f(index of the element) over a window, in row-major order.
template <class F> inline void each(const Geometry &s, const Window &w, F &&f) {
    for (i64 z = w.lo[0]; z < w.hi[0]; ++z) {
        for (i64 h = w.lo[1]; h < w.hi[1]; ++h) {
            for (i64 x = w.lo[2]; x < w.hi[2]; ++x) {
                f((z * s.in[1] + h) * s.in[2] + x);
            }
        }
    }
}

// Calls f(index of the output, its window) over one image's outputs.
template <class F> inline void each_window(const Geometry &s, F &&f) {
    i64 at[3], o = 0;
    for (at[0] = 0; at[0] < s.out[0]; ++at[0]) {
        for (at[1] = 0; at[1] < s.out[1]; ++at[1]) {
            for (at[2] = 0; at[2] < s.out[2]; ++at[2], ++o) {
                f(o, window(s, at));
            }
        }
    }
}

template <int KIND, class T> void image_forward(const Geometry &s, const T *x, T *y) {
    using A = wide_t<T>;
    each_window(s, [&](i64 o, const Window &w) {
        A sum = KIND == POOL_MAX ? lowest<A>() : A(0);
        each(s, w, [&](i64 i) {
            const A v = widen(x[i]);
            if (KIND == POOL_MAX) {
                sum = v > sum ? v : sum;
            } else {
                sum += KIND == POOL_LP ? power(v, s.p) : v;
            }
        });
        sum = KIND == POOL_AVG && w.size ? sum / A(w.size) : KIND == POOL_LP ? root(sum, s.p) : sum;
        y[o] = convert<T>(sum);
    });
}

// Rows of outputs at once: what one column of the window adds to outputs [lo, hi), from pixel `offset` of the row on.
struct Tap {
    i64 offset, lo, hi;
};

enum { MOST_OUTPUTS = 128, MOST_TAPS = 16 };

// Whether a row of outputs is long enough, and its window small enough, to go by rows instead of window by window.
bool goes_by_rows(const Geometry &s) { return s.out[2] >= 4 && s.out[2] <= MOST_OUTPUTS && s.kernel[2] <= MOST_TAPS && s.stride[2] <= 2; }

// The window columns of a row, and for each output how many of them an average counts.
struct RowPlan {
    Tap taps[MOST_TAPS];
    i64 counted[MOST_OUTPUTS];
    bool any[MOST_OUTPUTS];

    explicit RowPlan(const Geometry &s) {
        const i64 stride = s.stride[2], n = s.out[2];
        for (i64 k = 0; k < s.kernel[2]; ++k) {
            const i64 offset = k - s.pad[2], left = s.in[2] - offset;
            const i64 lo = offset < 0 ? (-offset + stride - 1) / stride : 0, hi = left > 0 ? (left + stride - 1) / stride : 0;
            taps[k] = {offset, lo, hi < n ? hi : n};
        }
        for (i64 o = 0; o < n; ++o) {
            const Span w = span(s, 2, o);
            counted[o] = s.count_pad ? w.padded : w.hi - w.lo;
            any[o] = w.hi > w.lo;
        }
    }
};

template <int KIND, int STRIDE, class T> void rows_forward(const Geometry &s, const RowPlan &plan, const T *x, T *y) {
    using A = wide_t<T>;
    const i64 n = s.out[2];
    alignas(64) A sum[MOST_OUTPUTS];
    for (i64 zh = 0; zh < s.out[0] * s.out[1]; ++zh, y += n) {
        const Span sz = span(s, 0, zh / s.out[1]), sh = span(s, 1, zh % s.out[1]);
        for (i64 o = 0; o < n; ++o) {
            sum[o] = KIND == POOL_MAX ? lowest<A>() : A(0);
        }
        for (i64 z = sz.lo; z < sz.hi; ++z) {
            for (i64 h = sh.lo; h < sh.hi; ++h) {
                for (i64 k = 0; k < s.kernel[2]; ++k) {
                    const Tap tap = plan.taps[k];
                    const T *from = x + (z * s.in[1] + h) * s.in[2] + tap.offset;
                    for (i64 o = tap.lo; o < tap.hi; ++o) {
                        const A v = widen(from[o * STRIDE]);
                        sum[o] = KIND == POOL_MAX ? (v > sum[o] ? v : sum[o]) : sum[o] + (KIND == POOL_LP ? power(v, s.p) : v);
                    }
                }
            }
        }
        const i64 counted = s.count_pad ? sz.padded * sh.padded : (sz.hi - sz.lo) * (sh.hi - sh.lo);
        const bool any = sz.hi > sz.lo && sh.hi > sh.lo;
        for (i64 o = 0; o < n; ++o) {
            if (KIND == POOL_AVG) {
                sum[o] = any && plan.any[o] ? sum[o] / A(counted * plan.counted[o]) : A(0);
            }
            y[o] = convert<T>(KIND == POOL_LP ? root(sum[o], s.p) : sum[o]);
        }
    }
}

// Maximum, average and sum; dx as in image_backward.
template <int KIND, int STRIDE, class T> void rows_backward(const Geometry &s, const RowPlan &plan, const T *dy, const T *x, wide_t<T> *dx) {
    using A = wide_t<T>;
    const i64 n = s.out[2];
    alignas(64) A top[MOST_OUTPUTS];
    alignas(64) int32_t best[MOST_OUTPUTS];
    for (i64 zh = 0; zh < s.out[0] * s.out[1]; ++zh, dy += n) {
        const Span sz = span(s, 0, zh / s.out[1]), sh = span(s, 1, zh % s.out[1]);
        if (sz.hi <= sz.lo || sh.hi <= sh.lo) {
            continue;
        }
        const i64 counted = s.count_pad ? sz.padded * sh.padded : (sz.hi - sz.lo) * (sh.hi - sh.lo);
        const i64 first = (sz.lo * s.in[1] + sh.lo) * s.in[2] - s.pad[2];
        for (i64 o = 0; o < n; ++o) {
            const i64 begin = o * STRIDE < s.pad[2] ? s.pad[2] : o * STRIDE;
            best[o] = int32_t(first + begin);
            const A share = KIND == POOL_AVG && plan.any[o] ? widen(dy[o]) / A(counted * plan.counted[o]) : widen(dy[o]);
            top[o] = KIND == POOL_MAX ? lowest<A>() : share;
        }
        for (i64 z = sz.lo; z < sz.hi; ++z) {
            for (i64 h = sh.lo; h < sh.hi; ++h) {
                for (i64 k = 0; k < s.kernel[2]; ++k) {
                    const Tap tap = plan.taps[k];
                    const i64 at = (z * s.in[1] + h) * s.in[2] + tap.offset;
                    for (i64 o = tap.lo; o < tap.hi; ++o) {
                        if (KIND == POOL_MAX) {
                            const A v = widen(x[at + o * STRIDE]);
                            best[o] = v > top[o] ? int32_t(at + o * STRIDE) : best[o];
                            top[o] = v > top[o] ? v : top[o];
                        } else {
                            dx[at + o * STRIDE] += top[o];
                        }
                    }
                }
            }
        }
        for (i64 o = 0; KIND == POOL_MAX && o < n; ++o) {
            if (plan.any[o]) {
                dx[best[o]] += widen(dy[o]);
            }
        }
    }
}

// dx is float32 or wider and starts at zero.
template <int KIND, class T> void image_backward(const Geometry &s, const T *dy, const T *x, const T *y, wide_t<T> *dx) {
    using A = wide_t<T>;
    each_window(s, [&](i64 o, const Window &w) {
        const A g = widen(dy[o]);
        if (KIND == POOL_MAX) {
            if (w.size == 0) {
                return;
            }
            i64 best = (w.lo[0] * s.in[1] + w.lo[1]) * s.in[2] + w.lo[2];
            A top = lowest<A>();
            each(s, w, [&](i64 i) {
                const A v = widen(x[i]);
                best = v > top ? i : best;
                top = v > top ? v : top;
            });
            dx[best] += g;
        } else if (KIND == POOL_LP && s.p > 1) {
            const A norm = widen(y[o]);
            each(s, w, [&](i64 i) { dx[i] += norm != 0 ? g * power(widen(x[i]) / norm, s.p - 1) : A(0); });
        } else {
            const A share = KIND == POOL_AVG && w.size ? g / A(w.size) : g;
            each(s, w, [&](i64 i) { dx[i] += share; });
        }
    });
}

// ---- channels last: a window at a time, a strip of channels at once ------------------------------------------------------------------------------

enum { STRIP = 256 };

// Calls f(first channel, how many) for the strips of all channels.
template <class F> inline void each_strip(const Geometry &s, F &&f) {
    for (i64 c = 0; c < s.channels; c += STRIP) {
        f(c, s.channels - c < STRIP ? s.channels - c : STRIP);
    }
}

template <int KIND, class T> void window_forward(const Geometry &s, const Window &w, const T *x, T *y) {
    using A = wide_t<T>;
    each_strip(s, [&](i64 c0, i64 n) {
        alignas(64) A sum[STRIP];
        for (i64 c = 0; c < n; ++c) {
            sum[c] = KIND == POOL_MAX ? lowest<A>() : A(0);
        }
        each(s, w, [&](i64 i) {
            const T *from = x + i * s.channels + c0;
            for (i64 c = 0; c < n; ++c) {
                const A v = widen(from[c]);
                sum[c] = KIND == POOL_MAX ? (v > sum[c] ? v : sum[c]) : sum[c] + (KIND == POOL_LP ? power(v, s.p) : v);
            }
        });
        for (i64 c = 0; c < n; ++c) {
            y[c0 + c] = convert<T>(KIND == POOL_AVG && w.size ? sum[c] / A(w.size) : KIND == POOL_LP ? root(sum[c], s.p) : sum[c]);
        }
    });
}

// dx is float32 or wider, and holds the whole image.
template <int KIND, class T> void window_backward(const Geometry &s, const Window &w, const T *dy, const T *x, const T *y, wide_t<T> *dx) {
    using A = wide_t<T>;
    each_strip(s, [&](i64 c0, i64 n) {
        alignas(64) A share[STRIP], top[STRIP];
        alignas(64) int32_t best[STRIP];
        for (i64 c = 0; c < n; ++c) {
            share[c] = widen(dy[c0 + c]) / A(KIND == POOL_AVG && w.size ? w.size : 1);
            top[c] = KIND == POOL_MAX ? lowest<A>() : widen(y[c0 + c]);
            best[c] = int32_t((w.lo[0] * s.in[1] + w.lo[1]) * s.in[2] + w.lo[2]);
        }
        if (KIND == POOL_MAX) {
            each(s, w, [&](i64 i) {
                const T *from = x + i * s.channels + c0;
                for (i64 c = 0; c < n; ++c) {
                    const A v = widen(from[c]);
                    best[c] = v > top[c] ? int32_t(i) : best[c];
                    top[c] = v > top[c] ? v : top[c];
                }
            });
        }
        each(s, w, [&](i64 i) {
            A *to = dx + i * s.channels + c0;
            const T *from = x + i * s.channels + c0;
            for (i64 c = 0; c < n; ++c) {
                if (KIND == POOL_MAX) {
                    to[c] += best[c] == int32_t(i) ? share[c] : A(0);
                } else if (KIND == POOL_LP && s.p > 1) {
                    to[c] += top[c] != 0 ? share[c] * power(widen(from[c]) / top[c], s.p - 1) : A(0);
                } else {
                    to[c] += share[c];
                }
            }
        });
    });
}

template <int KIND, class T> void forward_last(const Geometry &s, const T *x, T *y) {
#pragma omp parallel for schedule(static) if (s.images * s.n_in * s.channels > 50000)
    for (i64 row = 0; row < s.images * s.out[0] * s.out[1]; ++row) {
        const T *image = x + row / (s.out[0] * s.out[1]) * s.n_in * s.channels;
        i64 at[3] = {row / s.out[1] % s.out[0], row % s.out[1], 0};
        for (; at[2] < s.out[2]; ++at[2]) {
            window_forward<KIND>(s, window(s, at), image, y + (row * s.out[2] + at[2]) * s.channels);
        }
    }
}

template <int KIND, class T> bool backward_last(const Geometry &s, const T *dy, const T *x, const T *y, T *dx) {
    using A = wide_t<T>;
    const i64 size = s.n_in * s.channels;
    constexpr bool in_place = sizeof(A) == sizeof(T);
    bool done = true;
#pragma omp parallel for schedule(static) if (s.images * size > 50000) reduction(&& : done)
    for (i64 i = 0; i < s.images; ++i) {
        T *to = dx + i * size;
        A *sums = in_place ? reinterpret_cast<A *>(to) : static_cast<A *>(malloc(size_t(size + 1) * sizeof(A)));
        if (!sums) {
            done = false;
            continue;
        }
        memset(sums, 0, size_t(size) * sizeof(A));
        each_window(s, [&](i64 o, const Window &w) {
            const i64 at = (i * s.n_out + o) * s.channels;
            window_backward<KIND>(s, w, dy + at, x + i * size, y + at, sums);
        });
        for (i64 j = 0; j < size && !in_place; ++j) {
            to[j] = convert<T>(sums[j]);
        }
        if (!in_place) {
            free(sums);
        }
    }
    return done;
}

bool measure(const pool_params &p, const cymx_tensor &x, const cymx_tensor &y, Geometry &s) {
    const i64 channel = p.channels_last ? p.n + 1 : 1, first = p.channels_last ? 1 : 2;
    if (p.n < 1 || p.n > 3 || x.ndim != p.n + 2 || y.ndim != x.ndim || x.shape[0] != y.shape[0] || x.shape[channel] != y.shape[channel] ||
        x.dtype != y.dtype || (p.kind == POOL_LP && (p.p < 1 || p.p > 3))) {
        return false;
    }
    s.channels = p.channels_last ? x.shape[channel] : 1, s.images = p.channels_last ? x.shape[0] : x.shape[0] * x.shape[1];
    s.n_in = s.n_out = 1, s.p = p.p, s.count_pad = p.count_include_pad != 0;
    for (i64 d = 0; d < 3; ++d) {
        const i64 at = d - (3 - p.n);
        const bool used = at >= 0;
        s.in[d] = used ? x.shape[first + at] : 1, s.out[d] = used ? y.shape[first + at] : 1, s.kernel[d] = used ? p.kernel[at] : 1;
        s.stride[d] = used ? p.stride[at] : 1, s.pad[d] = used ? p.pad_lo[at] : 0;
        if (s.stride[d] < 1 || s.kernel[d] < 1 || s.pad[d] < 0) {
            return false;
        }
        s.n_in *= s.in[d], s.n_out *= s.out[d];
    }
    return true;
}

template <int KIND, class T> void forward(const Geometry &s, bool last, const T *x, T *y) {
    if (last) {
        forward_last<KIND>(s, x, y);
        return;
    }
    const bool by_rows = goes_by_rows(s);
    const RowPlan plan(by_rows ? s : Geometry());
#pragma omp parallel for schedule(static) if (s.images * s.n_in > 50000)
    for (i64 i = 0; i < s.images; ++i) {
        const T *xi = x + i * s.n_in;
        T *yi = y + i * s.n_out;
        if (!by_rows) {
            image_forward<KIND>(s, xi, yi);
        } else if (s.stride[2] == 1) {
            rows_forward<KIND, 1>(s, plan, xi, yi);
        } else {
            rows_forward<KIND, 2>(s, plan, xi, yi);
        }
    }
}

template <int KIND, class T> bool backward(const Geometry &s, bool last, const T *dy, const T *x, const T *y, T *dx) {
    using A = wide_t<T>;
    if (last) {
        return backward_last<KIND>(s, dy, x, y, dx);
    }
    bool done = true;
    const bool by_rows = goes_by_rows(s) && KIND != POOL_LP && s.n_in < INT32_MAX;
    const RowPlan plan(by_rows ? s : Geometry());
#pragma omp parallel if (s.images * s.n_in > 50000) reduction(&& : done)
    {
        A *sums = static_cast<A *>(malloc(size_t(s.n_in + 1) * sizeof(A)));
        done = sums != nullptr;
#pragma omp for schedule(static)
        for (i64 i = 0; i < s.images; ++i) {
            if (!sums) {
                continue;
            }
            memset(sums, 0, size_t(s.n_in) * sizeof(A));
            const T *xi = x + i * s.n_in, *dyi = dy + i * s.n_out;
            if (!by_rows) {
                image_backward<KIND>(s, dyi, xi, y + i * s.n_out, sums);
            } else if (s.stride[2] == 1) {
                rows_backward<KIND, 1>(s, plan, dyi, xi, sums);
            } else {
                rows_backward<KIND, 2>(s, plan, dyi, xi, sums);
            }
            for (i64 j = 0; j < s.n_in; ++j) {
                dx[i * s.n_in + j] = convert<T>(sums[j]);
            }
        }
        free(sums);
    }
    return done;
}

int pool_fwd(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(pool_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const pool_params &p = *static_cast<const pool_params *>(args->params);
    Geometry s;
    if (!measure(p, x, y, s)) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes or types of x and y do not fit, or p is none of 1, 2, 3");
    }
    return for_float(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        const T *px = static_cast<const T *>(x.data);
        T *py = static_cast<T *>(y.data);
        switch (p.kind) {
        case POOL_MAX: forward<POOL_MAX>(s, p.channels_last, px, py); break;
        case POOL_AVG: forward<POOL_AVG>(s, p.channels_last, px, py); break;
        case POOL_SUM: forward<POOL_SUM>(s, p.channels_last, px, py); break;
        default: forward<POOL_LP>(s, p.channels_last, px, py); break;
        }
        return int(CYMX_OK);
    });
}

int pool_bwd(const cymx_args *args) {
    if (int code = expect(args, 3, 1, sizeof(pool_params))) {
        return code;
    }
    const cymx_tensor &dy = args->in[0], &x = args->in[1], &y = args->in[2], &dx = args->out[0];
    const pool_params &p = *static_cast<const pool_params *>(args->params);
    Geometry s;
    if (!measure(p, x, y, s) || !measure(p, dx, dy, s) || dx.dtype != x.dtype) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes or types of dy, x, y and dx do not fit, or p is none of 1, 2, 3");
    }
    return for_float(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        const T *pd = static_cast<const T *>(dy.data), *px = static_cast<const T *>(x.data), *py = static_cast<const T *>(y.data);
        T *to = static_cast<T *>(dx.data);
        const bool done = p.kind == POOL_MAX   ? backward<POOL_MAX>(s, p.channels_last, pd, px, py, to)
                          : p.kind == POOL_AVG ? backward<POOL_AVG>(s, p.channels_last, pd, px, py, to)
                          : p.kind == POOL_SUM ? backward<POOL_SUM>(s, p.channels_last, pd, px, py, to)
                                               : backward<POOL_LP>(s, p.channels_last, pd, px, py, to);
        return done ? int(CYMX_OK) : fail(args, CYMX_OUT_OF_MEMORY, "no memory for the sums of one image");
    });
}

} // namespace

CYMX_ROWS(pool, {"pool_fwd", pool_fwd}, {"pool_bwd", pool_bwd})
