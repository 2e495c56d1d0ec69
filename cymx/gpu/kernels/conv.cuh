// Convolutions of 1 to 3 spatial dimensions as matrix products, whose windows are gathered while tiles are loaded.
//
// conv_forward          x (N, C, *S), w (O, C/G, *K) [, bias (O,)] [, residual (N, O, *P)] -> y (N, O, *P)
// conv_backward_data    dy (N, O, *P), w                                                   -> dx (N, C, *S)
// conv_backward_weight  dy, x                                                              -> dw (O, C/G, *K)
// Images lie as their steps say, channels first or last.  A block makes a tile of (channels, images x positions), or of (O, C taps).  The data's
// gradient is gathered: pixels that leave the same remainder by the stride read the same taps, so each such phase is a product of its own, and no
// zero is multiplied.  16-bit floats are summed in float32; nothing is added atomically.  Outputs alias no input.  Recipes: recipes/conv.py.
#pragma once
#include "gemm.cuh"

namespace cymx {

// Distances from one image, channel, pixel to the next.
struct ConvSteps {
    i64 image, channel, pixel;
};

// Always three spatial dimensions; unused ones lead and have extent 1.  c, o: channels of one group.  period: taps from one that a pixel reads to
// the next, on the way back.   part: depths of each of n_parts sums.
struct ConvShape {
    i64 batch, groups, c, o, n_parts, part;
    ConvSteps x, y;
    i32 in[3], out[3], kernel[3], stride[3], dilate[3], pad[3], period[3], unused;
    __device__ i32 n_taps() const { return kernel[0] * kernel[1] * kernel[2]; }
    __device__ i32 n_out() const { return out[0] * out[1] * out[2]; }
};

// A box of places that are counted in row-major order.
struct Box {
    i32 size[3];
    __device__ __forceinline__ i32 count() const { return size[0] * size[1] * size[2]; }
    __device__ __forceinline__ void take_apart(u32 i, i32 (&at)[3]) const {
        const u32 up = i / (u32)size[2], top = up / (u32)size[1];
        at[2] = (i32)(i - up * (u32)size[2]);
        at[1] = (i32)(up - top * (u32)size[1]);
        at[0] = (i32)top;
    }
    // Goes to the next place; false where that is the first again.
    __device__ __forceinline__ bool advance(i32 (&at)[3]) const {
        if (++at[2] < size[2]) {
            return true;
        }
        at[2] = 0;
        if (++at[1] < size[1]) {
            return true;
        }
        at[1] = 0;
        if (++at[0] < size[0]) {
            return true;
        }
        at[0] = 0;
        return false;
    }
};

// Which pixels positions read through taps: pixel = first + position * step + tap * tap_step, where it lies inside `image`.
struct Reach {
    Box positions, taps, image;
    i32 first[3], step[3], tap_step[3];

    __device__ __forceinline__ i32 pixel(const i32 (&start)[3], const i32 (&place)[3], const i32 (&by)[3]) const {
        const i32 z = start[0] + place[0] * by[0], h = start[1] + place[1] * by[1], w = start[2] + place[2] * by[2];
        const bool inside = (u32)z < (u32)image.size[0] && (u32)h < (u32)image.size[1] && (u32)w < (u32)image.size[2];
        return inside ? (z * image.size[1] + h) * image.size[2] + w : -1;
    }
};

__device__ __forceinline__ Reach forward_reach(const ConvShape &s) {
    Reach r;
    CYMX_UNROLL
    for (int d = 0; d < 3; ++d) {
        r.positions.size[d] = s.out[d], r.taps.size[d] = s.kernel[d], r.image.size[d] = s.in[d];
        r.first[d] = -s.pad[d], r.step[d] = s.stride[d], r.tap_step[d] = s.dilate[d];
    }
    return r;
}

// The pixels of one phase, first_pixel + stride * position, and the taps first_tap + period * tap through which outputs read them.
struct Phase {
    Reach reach; // positions: this phase's pixels; image: the outputs
    i32 first_pixel[3], first_tap[3];

    __device__ __forceinline__ Phase(const ConvShape &s, u32 number) {
        CYMX_UNROLL
        for (int d = 2; d >= 0; --d) {
            const i32 stride = s.stride[d], f = (i32)(number % (u32)stride);
            number /= (u32)stride;
            i32 tap = 0;
            while (tap < s.period[d] && (f + s.pad[d] - tap * s.dilate[d]) % stride != 0) {
                ++tap;
            }
            const bool any = tap < s.period[d] && tap < s.kernel[d];
            first_pixel[d] = f, first_tap[d] = tap;
            reach.positions.size[d] = f < s.in[d] ? (s.in[d] - f + stride - 1) / stride : 0;
            reach.taps.size[d] = any ? (s.kernel[d] - tap + s.period[d] - 1) / s.period[d] : 0;
            reach.image.size[d] = s.out[d];
            reach.first[d] = (f + s.pad[d] - tap * s.dilate[d]) / stride;
            reach.step[d] = 1;
            reach.tap_step[d] = -(s.dilate[d] * s.period[d] / stride);
        }
    }
};

// Windows of images: row (image, position), depth (channel, tap).
template <class T> struct Windows {
    using element = T;
    static constexpr GemmOrder order = ROW_BY_ROW;
    const T *p; // first channel of the group
    ConvSteps steps;
    i64 n_rows;
    Reach reach;
    struct Slot {
        const T *image; // null where there is no such row
        i32 start[3];
    };
    __device__ __forceinline__ Slot slot(i64 row) const {
        Slot s = {};
        if (row < n_rows) {
            const u32 n = (u32)reach.positions.count(), image = (u32)row / n;
            i32 at[3];
            reach.positions.take_apart((u32)row - image * n, at);
            s.image = p + image * steps.image;
            CYMX_UNROLL
            for (int d = 0; d < 3; ++d) {
                s.start[d] = reach.first[d] + at[d] * reach.step[d];
            }
        }
        return s;
    }
    template <class A> __device__ __forceinline__ void load(const Slot &s, i64 k, i64 end, A (&to)[4]) const {
        const bool any = s.image && k < end;
        const u32 n = any ? (u32)reach.taps.count() : 1, channel = (u32)k / n;
        i32 tap[3] = {};
        if (any) {
            reach.taps.take_apart((u32)k - channel * n, tap);
        }
        const T *from = any ? s.image + channel * steps.channel : p;
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            const i32 pixel = any && k + e < end ? reach.pixel(s.start, tap, reach.tap_step) : -1;
            to[e] = pixel >= 0 ? widen(from[pixel * steps.pixel]) : A(0);
            from += reach.taps.advance(tap) ? 0 : steps.channel;
        }
    }
};

// The same turned round: row (channel, tap), depth (image, position).
template <class T> struct Taps {
    using element = T;
    static constexpr GemmOrder order = ALONG_DEPTH;
    const T *p;
    ConvSteps steps;
    i64 n_rows;
    Reach reach;
    struct Slot {
        const T *channel;
        i32 start[3];
    };
    __device__ __forceinline__ Slot slot(i64 row) const {
        Slot s = {};
        if (row < n_rows) {
            const u32 n = (u32)reach.taps.count(), channel = (u32)row / n;
            i32 tap[3];
            reach.taps.take_apart((u32)row - channel * n, tap);
            s.channel = p + channel * steps.channel;
            CYMX_UNROLL
            for (int d = 0; d < 3; ++d) {
                s.start[d] = reach.first[d] + tap[d] * reach.tap_step[d];
            }
        }
        return s;
    }
    template <class A> __device__ __forceinline__ void load(const Slot &s, i64 k, i64 end, A (&to)[4]) const {
        const bool any = s.channel && k < end;
        const u32 n = (u32)reach.positions.count(), image = (u32)k / n;
        i32 at[3];
        reach.positions.take_apart((u32)k - image * n, at);
        const T *from = any ? s.channel + image * steps.image : p;
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            const i32 pixel = any && k + e < end ? reach.pixel(s.start, at, reach.step) : -1;
            to[e] = pixel >= 0 ? widen(from[pixel * steps.pixel]) : A(0);
            from += reach.positions.advance(at) ? 0 : steps.image;
        }
    }
};

// Images as they are: row channel, depth (image, pixel).
template <class T> struct Images {
    using element = T;
    static constexpr GemmOrder order = ALONG_DEPTH;
    const T *p;
    ConvSteps steps;
    i64 n_rows;
    u32 n_pixels;
    struct Slot {
        const T *channel;
    };
    __device__ __forceinline__ Slot slot(i64 row) const { return {row < n_rows ? p + row * steps.channel : nullptr}; }
    template <class A> __device__ __forceinline__ void load(const Slot &s, i64 k, i64 end, A (&to)[4]) const {
        const u32 image = (u32)k / n_pixels;
        u32 pixel = (u32)k - image * n_pixels;
        const bool any = s.channel && k < end;
        const T *from = any ? s.channel + image * steps.image : p;
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            to[e] = any && k + e < end ? widen(from[pixel * steps.pixel]) : A(0);
            if (++pixel == n_pixels) {
                pixel = 0, from += steps.image;
            }
        }
    }
};

// Weights turned round: row input channel, depth (output channel, tap of a phase).
template <class T> struct Turned {
    using element = T;
    static constexpr GemmOrder order = ALONG_DEPTH;
    const T *p;
    i64 n_rows;
    Box taps, kernel;
    i32 first[3], period[3];
    struct Slot {
        const T *at;
    };
    __device__ __forceinline__ Slot slot(i64 row) const { return {row < n_rows ? p + row * kernel.count() : nullptr}; }
    template <class A> __device__ __forceinline__ void load(const Slot &s, i64 k, i64 end, A (&to)[4]) const {
        const bool any = s.at && k < end;
        const u32 n = any ? (u32)taps.count() : 1, channel = (u32)k / n;
        i32 tap[3] = {};
        if (any) {
            taps.take_apart((u32)k - channel * n, tap);
        }
        const i64 step = n_rows * kernel.count();
        const T *from = any ? s.at + channel * step : p;
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            const i32 z = first[0] + tap[0] * period[0], h = first[1] + tap[1] * period[1], w = first[2] + tap[2] * period[2];
            to[e] = any && k + e < end ? widen(from[(z * kernel.size[1] + h) * kernel.size[2] + w]) : A(0);
            from += taps.advance(tap) ? 0 : step;
        }
    }
};

// Images that take the results: row channel, column (image, position); position i is pixel first + step * i of `image`.
template <class Y> struct Pixels {
    Y *p;
    ConvSteps steps;
    i64 n_rows, n_columns;
    Box positions, image;
    i32 first[3], step[3];
    Finish<Y> finish;
    struct Column {
        i64 at[4];
    };
    __device__ __forceinline__ Column column(i64 j) const {
        Column c;
        const u32 n = (u32)positions.count();
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            c.at[e] = -1;
            if (j + e < n_columns) {
                const u32 number = (u32)(j + e) / n;
                i32 at[3];
                positions.take_apart((u32)(j + e) - number * n, at);
                const i32 z = first[0] + at[0] * step[0], h = first[1] + at[1] * step[1], w = first[2] + at[2] * step[2];
                c.at[e] = number * steps.image + ((z * image.size[1] + h) * image.size[2] + w) * steps.pixel;
            }
        }
        return c;
    }
    template <class A> __device__ __forceinline__ void put(const Column &c, i64 i, const A (&sum)[4]) const {
        CYMX_UNROLL
        for (int e = 0; e < 4; ++e) {
            if (i < n_rows && c.at[e] >= 0) {
                const i64 at = c.at[e] + i * steps.channel;
                p[at] = finish.of(sum[e], i, at);
            }
        }
    }
};

// Y: T, or what T is summed in where y is an array of parts of y's layout.
template <class T, class Y, int TILE, int EACH>
__global__ void CYMX_BOUNDS(GemmTile<TILE, EACH>::threads)
    conv_forward(const T *x, const T *w, Y *y, const Y *bias, const Y *residual, i64 relu, ConvShape s) {
    const i64 n = s.batch * s.n_out(), depth = s.c * s.n_taps(), size = s.batch * s.groups * s.o * s.n_out();
    const GemmPlace at((s.o + TILE - 1) / TILE, (n + TILE - 1) / TILE, s.n_parts, TILE);
    const i64 channel = at.product * s.o, start = channel * s.y.channel;
    const Reach reach = forward_reach(s);
    const Matrix<T, ALONG_DEPTH> weights = {w + channel * depth, s.o, depth};
    const Windows<T> windows = {x + at.product * s.c * s.x.channel, s.x, n, reach};
    const Finish<Y> finish = {bias ? bias + channel : nullptr, residual ? residual + start : nullptr, relu};
    const Pixels<Y> to = {y + at.part * size + start, s.y, s.o, n, reach.positions, reach.positions, {0, 0, 0}, {1, 1, 1}, finish};
    const i64 end = (at.part + 1) * s.part;
    gemm_tile<GemmTile<TILE, EACH>>(weights, windows, to, at.i, at.j, at.part * s.part, end < depth ? end : depth);
}

// blockIdx.y: the phase.  The grid is that of the first phase, which has the most pixels.
template <class T, class Y, int TILE, int EACH>
__global__ void CYMX_BOUNDS(GemmTile<TILE, EACH>::threads) conv_backward_data(const T *dy, const T *w, Y *dx, ConvShape s) {
    const i64 size = s.batch * s.groups * s.c * s.in[0] * s.in[1] * s.in[2];
    const GemmPlace at((s.c + TILE - 1) / TILE, (s.batch * Phase(s, 0).reach.positions.count() + TILE - 1) / TILE, s.n_parts, TILE);
    const Phase phase(s, blockIdx.y);
    const i64 n = s.batch * phase.reach.positions.count(), depth = s.o * phase.reach.taps.count();
    if (at.j >= n) {
        return;
    }
    const T *weights = w + at.product * s.o * s.c * s.n_taps();
    const Windows<T> windows = {dy + at.product * s.o * s.y.channel, s.y, n, phase.reach};
    Turned<T> turned = {weights, s.c, phase.reach.taps};
    Pixels<Y> to = {dx + at.part * size + at.product * s.c * s.x.channel, s.x, s.c, n, phase.reach.positions};
    CYMX_UNROLL
    for (int d = 0; d < 3; ++d) {
        turned.kernel.size[d] = s.kernel[d], turned.first[d] = phase.first_tap[d], turned.period[d] = s.period[d];
        to.image.size[d] = s.in[d], to.first[d] = phase.first_pixel[d], to.step[d] = s.stride[d];
    }
    to.finish = {nullptr, nullptr, 0};
    const i64 end = (at.part + 1) * s.part;
    gemm_tile<GemmTile<TILE, EACH>>(turned, windows, to, at.i, at.j, at.part * s.part, end < depth ? end : depth);
}

template <class T, class Y, int TILE, int EACH>
__global__ void CYMX_BOUNDS(GemmTile<TILE, EACH>::threads) conv_backward_weight(const T *dy, const T *x, Y *dw, ConvShape s) {
    const i64 n = s.c * s.n_taps(), depth = s.batch * s.n_out();
    const GemmPlace at((s.o + TILE - 1) / TILE, (n + TILE - 1) / TILE, s.n_parts, TILE);
    const Images<T> rows = {dy + at.product * s.o * s.y.channel, s.y, s.o, (u32)s.n_out()};
    const Taps<T> taps = {x + at.product * s.c * s.x.channel, s.x, n, forward_reach(s)};
    const Result<Y> to = {dw + (at.part * s.groups + at.product) * s.o * n, s.o, n};
    const i64 end = (at.part + 1) * s.part;
    gemm_tile<GemmTile<TILE, EACH>>(rows, taps, to, at.i, at.j, at.part * s.part, end < depth ? end : depth);
}

} // namespace cymx
