// Convolutions of groups of few channels (depthwise ones above all), where tiles of a product would stand almost empty: a thread makes one
// output, or one pixel's gradient, and a block one element of the weight's gradient.  Operands, sums and layouts as in conv.cuh.
#pragma once
#include "conv.cuh"

namespace cymx {

// Where element i of images that lie as `steps` say is: i counts channels, images and pixels as memory does.
struct DirectPlace {
    u32 image, channel;
    i32 at[3];
    __device__ __forceinline__ DirectPlace(u32 i, u32 channels, const Box &box, bool channels_last) {
        const u32 n = (u32)box.count();
        u32 pixel;
        if (channels_last) {
            const u32 up = i / channels;
            channel = i - up * channels, image = up / n, pixel = up - image * n;
        } else {
            const u32 up = i / n;
            pixel = i - up * n, image = up / channels, channel = up - image * channels;
        }
        box.take_apart(pixel, at);
    }
};

template <class T>
__global__ void CYMX_BOUNDS(256) conv_direct_forward(const T *x, const T *w, T *y, const T *bias, const T *residual, i64 relu, ConvShape s) {
    using A = wide_t<T>;
    const Reach reach = forward_reach(s);
    const i64 n = s.batch * s.groups * s.o * s.n_out();
    const Finish<T> finish = {bias, residual, relu};
    for (i64 i = first_index(); i < n; i += index_step()) {
        const DirectPlace place((u32)i, (u32)(s.groups * s.o), reach.positions, s.y.channel == 1);
        const T *image = x + place.image * s.x.image + place.channel / (u32)s.o * s.c * s.x.channel, *weight = w + place.channel * s.c * s.n_taps();
        i32 start[3], tap[3] = {0, 0, 0};
        CYMX_UNROLL
        for (int d = 0; d < 3; ++d) {
            start[d] = reach.first[d] + place.at[d] * reach.step[d];
        }
        A sum = 0;
        for (i64 k = 0; k < s.c * s.n_taps(); ++k) {
            const i32 pixel = reach.pixel(start, tap, reach.tap_step);
            sum += pixel >= 0 ? widen(image[pixel * s.x.pixel]) * widen(weight[k]) : A(0);
            image += reach.taps.advance(tap) ? 0 : s.x.channel;
        }
        y[i] = finish.of(sum, place.channel, i);
    }
}

template <class T> __global__ void CYMX_BOUNDS(256) conv_direct_backward_data(const T *dy, const T *w, T *dx, ConvShape s) {
    using A = wide_t<T>;
    const Reach reach = forward_reach(s);
    const i64 n = s.batch * s.groups * s.c * reach.image.count();
    const i32 n_taps = s.n_taps();
    for (i64 i = first_index(); i < n; i += index_step()) {
        const DirectPlace place((u32)i, (u32)(s.groups * s.c), reach.image, s.x.channel == 1);
        const u32 group = place.channel / (u32)s.c, channel = place.channel - group * (u32)s.c;
        const T *image = dy + place.image * s.y.image + group * s.o * s.y.channel, *weight = w + (group * s.o * s.c + channel) * n_taps;
        A sum = 0;
        i32 tap[3] = {0, 0, 0};
        for (i64 k = 0; k < s.o * n_taps; ++k) {
            i32 output = 0;
            bool inside = true;
            CYMX_UNROLL
            for (int d = 0; d < 3; ++d) {
                const i32 from = place.at[d] + s.pad[d] - tap[d] * s.dilate[d], at = from / s.stride[d];
                inside = inside && from >= 0 && at < s.out[d] && at * s.stride[d] == from;
                output = output * s.out[d] + at;
            }
            sum += inside ? widen(image[output * s.y.pixel]) * widen(weight[(tap[0] * s.kernel[1] + tap[1]) * s.kernel[2] + tap[2]]) : A(0);
            if (!reach.taps.advance(tap)) {
                image += s.y.channel, weight += s.c * n_taps;
            }
        }
        dx[i] = convert<T>(sum);
    }
}

template <class T> __global__ void CYMX_BOUNDS(256) conv_direct_backward_weight(const T *dy, const T *x, T *dw, ConvShape s) {
    using A = wide_t<T>;
    const Reach reach = forward_reach(s);
    const i32 n_taps = s.n_taps();
    const u32 n_out = (u32)s.n_out();
    const i64 n = s.groups * s.o * s.c * n_taps;
    for (i64 i = blockIdx.x; i < n; i += gridDim.x) {
        const u32 row = (u32)i / (u32)n_taps, output = row / (u32)s.c, channel = output / (u32)s.o * (u32)s.c + row % (u32)s.c;
        i32 tap[3], start[3];
        reach.taps.take_apart((u32)i - row * (u32)n_taps, tap);
        CYMX_UNROLL
        for (int d = 0; d < 3; ++d) {
            start[d] = reach.first[d] + tap[d] * reach.tap_step[d];
        }
        A sum = 0;
        for (i64 k = threadIdx.x; k < s.batch * n_out; k += blockDim.x) {
            const u32 image = (u32)k / n_out, place = (u32)k - image * n_out;
            i32 at[3];
            reach.positions.take_apart(place, at);
            const i32 pixel = reach.pixel(start, at, reach.step);
            sum += pixel >= 0 ? widen(dy[image * s.y.image + output * s.y.channel + place * s.y.pixel]) *
                                    widen(x[image * s.x.image + channel * s.x.channel + pixel * s.x.pixel])
                              : A(0);
        }
        sum = join_row<8>(sum, plus());
        if (threadIdx.x == 0) {
            dw[i] = convert<T>(sum);
        }
    }
}

} // namespace cymx
