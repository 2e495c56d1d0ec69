// Pooling over windows of 1 to 3 spatial dimensions: maximum, average, sum, p-norm, as csrc/kernels/pool.cpp has them.
//
// pool_fwd  x (N, *S, C) -> y (N, *P, C)        pool_bwd  dy (N, *P, C), x, y -> dx (N, *S, C)      channels first: N C images of one channel
// A thread makes one output, or one pixel's gradient from all windows that hold it, in the order of the windows: nothing is added atomically.  A
// maximum's gradient goes to the first element that equals it; where no element is larger than the lowest finite number, to the window's first.
// 16-bit floats are summed in float32.  dx aliases no input.  Recipes: recipes/pool.py.
#pragma once
#include "math.h"
#include "params.h"
#include "vector.cuh"

namespace cymx {

// Always three spatial dimensions; unused ones lead and have extent 1.
struct PoolShape {
    i64 images, channels;
    i32 in[3], out[3], kernel[3], stride[3], pad[3], p, count_pad;
    __device__ i32 n_in() const { return in[0] * in[1] * in[2]; }
    __device__ i32 n_out() const { return out[0] * out[1] * out[2]; }
};

// The part of one output's window that lies inside the image, and what an average over it divides by.
struct PoolWindow {
    i32 lo[3], hi[3];
    i64 size;

    __device__ __forceinline__ PoolWindow(const PoolShape &s, const i32 (&at)[3]) {
        i64 padded = 1, inside = 1;
        CYMX_UNROLL
        for (int d = 0; d < 3; ++d) {
            const i32 from = at[d] * s.stride[d] - s.pad[d], to = from + s.kernel[d], end = s.in[d] + s.pad[d];
            lo[d] = from > 0 ? from : 0;
            hi[d] = to < s.in[d] ? to : s.in[d];
            hi[d] = hi[d] > lo[d] ? hi[d] : lo[d];
            padded *= (to < end ? to : end) - from;
            inside *= hi[d] - lo[d];
        }
        size = inside == 0 ? 0 : s.count_pad ? padded : inside;
    }
};

// Goes to the next place of a box, in row-major order.  One loop over it needs fewer registers than three.
__device__ __forceinline__ void advance(i32 (&at)[3], const i32 (&lo)[3], const i32 (&hi)[3]) {
    if (++at[2] == hi[2]) {
        at[2] = lo[2];
        if (++at[1] == hi[1]) {
            at[1] = lo[1];
            ++at[0];
        }
    }
}

template <class A> __device__ __forceinline__ A lowest_finite();
template <> __device__ __forceinline__ float lowest_finite<float>() { return float_of(0xff7fffffu); }
template <> __device__ __forceinline__ double lowest_finite<double>() { return double_of(0xffefffffffffffffull); }

template <class A> __device__ __forceinline__ A power_of(A x, i64 n) { return n == 1 ? x : n == 2 ? x * x : x * x * x; }
template <class A> __device__ __forceinline__ A root_of(A x, i64 n) { return n == 1 ? x : n == 2 ? m::sqrt(x) : m::cbrt(x); }

// Takes index (image, place, channel) apart and returns the image; the extents are those of the places.  I: a type that holds the index.
template <class I> __device__ __forceinline__ I take_apart(I index, I channels, const i32 (&extent)[3], i32 (&at)[3], i64 &channel) {
    const I place = index / channels, n = (I)(extent[0] * extent[1] * extent[2]), image = place / n;
    channel = index - place * channels;
    u32 rest = (u32)(place - image * n);
    CYMX_UNROLL
    for (int d = 2; d >= 0; --d) {
        const u32 up = rest / (u32)extent[d];
        at[d] = (i32)(rest - up * (u32)extent[d]);
        rest = up;
    }
    return image;
}

template <class T, int KIND, class I> __global__ void CYMX_BOUNDS(256) pool_forward(const T *x, T *y, PoolShape s) {
    using A = wide_t<T>;
    const i64 n = s.images * s.n_out() * s.channels;
    for (i64 i = first_index(); i < n; i += index_step()) {
        i64 channel;
        i32 at[3];
        const i64 image = take_apart((I)i, (I)s.channels, s.out, at, channel);
        const PoolWindow w(s, at);
        const T *from = x + image * s.n_in() * s.channels + channel;
        A sum = KIND == POOL_MAX ? lowest_finite<A>() : A(0);
        for (i32 z = w.lo[0]; z < w.hi[0]; ++z) {
            for (i32 h = w.lo[1]; h < w.hi[1]; ++h) {
                for (i32 c = w.lo[2]; c < w.hi[2]; ++c) {
                    const A v = widen(from[i64((z * s.in[1] + h) * s.in[2] + c) * s.channels]);
                    sum = KIND == POOL_MAX ? (v > sum ? v : sum) : sum + (KIND == POOL_LP ? power_of(v, s.p) : v);
                }
            }
        }
        y[i] = convert<T>(KIND == POOL_AVG && w.size ? sum / A(w.size) : KIND == POOL_LP ? root_of(sum, s.p) : sum);
    }
}

// Whether pixel `mine` of a window is where its maximum came from.
template <class T, class A> __device__ bool is_first_maximum(const PoolShape &s, const PoolWindow &w, const T *x, i32 mine, A top) {
    const i32 first = (w.lo[0] * s.in[1] + w.lo[1]) * s.in[2] + w.lo[2];
    if (top == widen(convert<T>(lowest_finite<A>()))) {
        return mine == first;
    }
    if (widen(x[mine * s.channels]) != top) {
        return false;
    }
    i32 at[3] = {w.lo[0], w.lo[1], w.lo[2]}, pixel = first;
    while (pixel != mine && widen(x[pixel * s.channels]) != top) {
        advance(at, w.lo, w.hi);
        pixel = (at[0] * s.in[1] + at[1]) * s.in[2] + at[2];
    }
    return pixel == mine;
}

template <class T, int KIND, class I> __global__ void CYMX_BOUNDS(256) pool_backward(const T *dy, const T *x, const T *y, T *dx, PoolShape s) {
    using A = wide_t<T>;
    const i64 n = s.images * s.n_in() * s.channels;
    for (i64 i = first_index(); i < n; i += index_step()) {
        i64 channel;
        i32 pixel[3], lo[3], hi[3];
        const i64 image = take_apart((I)i, (I)s.channels, s.in, pixel, channel);
        CYMX_UNROLL
        for (int d = 0; d < 3; ++d) { // the windows that hold this pixel
            const i32 end = pixel[d] + s.pad[d], past = end - s.kernel[d];
            lo[d] = past < 0 ? 0 : past / s.stride[d] + 1;
            hi[d] = end / s.stride[d] + 1;
            hi[d] = hi[d] < s.out[d] ? hi[d] : s.out[d];
            hi[d] = hi[d] > lo[d] ? hi[d] : lo[d];
        }
        const T *from = x + image * s.n_in() * s.channels + channel;
        const i32 mine = (pixel[0] * s.in[1] + pixel[1]) * s.in[2] + pixel[2];
        A sum = 0;
        i32 at[3] = {lo[0], lo[1], lo[2]};
        for (i32 left = (hi[0] - lo[0]) * (hi[1] - lo[1]) * (hi[2] - lo[2]); left > 0; --left, advance(at, lo, hi)) {
            const i64 o = (image * s.n_out() + (at[0] * s.out[1] + at[1]) * s.out[2] + at[2]) * s.channels + channel;
            const A g = widen(dy[o]), made = widen(y[o]);
            if (KIND == POOL_MAX) {
                sum += is_first_maximum(s, PoolWindow(s, at), from, mine, made) ? g : A(0);
            } else if (KIND == POOL_AVG) {
                const i64 size = PoolWindow(s, at).size;
                sum += g / A(size ? size : 1);
            } else if (KIND == POOL_LP && s.p > 1) {
                sum += made != 0 ? g * power_of(widen(from[mine * s.channels]) / made, s.p - 1) : A(0);
            } else {
                sum += g;
            }
        }
        dx[i] = convert<T>(sum);
    }
}

} // namespace cymx
