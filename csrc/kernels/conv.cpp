// Convolutions of 1 to 3 spatial dimensions, as matrix products over image windows that are gathered block by block while packing.
//
// conv_fwd         x (N, C, *S), w (O, C/G, *K) [, bias (O,)] -> y (N, O, *P)
// conv_bwd_data    dy (N, O, *P), w                           -> dx (N, C, *S)
// conv_bwd_weight  dy, x                                      -> dw (O, C/G, *K)
// Groups, dilation and different padding below and above.  16-bit floats are summed in float32.  Outputs alias no input.
// Refuses integers and shapes that do not fit.  Called through csrc/dispatch.cpp.
#include "cymx/params.h"
#include "gemm.h"
#include "table.h"

namespace {

// Always three spatial dimensions; unused ones lead and have extent 1.
struct Geometry {
    i64 batch, groups, c, o; // channels of one group
    i64 in[3], out[3], kernel[3], stride[3], dilate[3], pad[3];
    i64 n_in, n_out, n_taps;
};

// The windows of an image as a matrix: element (k, j), k = (channel, tap), j = (image, position of the other side).
// Forward, the image is x and positions are outputs.  Backward, the image is dy and positions are inputs: the same walk with the roles turned round.
template <class T, bool BACKWARD> struct Windows {
    const Geometry &s;
    const T *image; // first channel of the group
    i64 image_step; // from one image of the batch to the next

    // The coordinate of the image that tap k of position j reads, or -1.
    i64 source(int d, i64 j, i64 k) const {
        if (BACKWARD) {
            const i64 at = j + s.pad[d] - k * s.dilate[d];
            return at >= 0 && at % s.stride[d] == 0 && at / s.stride[d] < s.out[d] ? at / s.stride[d] : -1;
        }
        const i64 at = j * s.stride[d] - s.pad[d] + k * s.dilate[d];
        return at >= 0 && at < s.in[d] ? at : -1;
    }

    // Columns j0 .. j0 + n of depth k0 .. k0 + kc as out[k][column], R wide, zeros beyond.
    template <int R, class A> void pack(A *out, i64 j0, i64 n, i64 k0, i64 kc) const {
        const i64 *size = BACKWARD ? s.in : s.out, *extent = BACKWARD ? s.out : s.in;
        const i64 n_positions = BACKWARD ? s.n_in : s.n_out, n_pixels = BACKWARD ? s.n_out : s.n_in;
        for (i64 r = 0; r < R;) {
            if (r >= n) {
                for (i64 k = 0; k < kc; ++k) {
                    out[k * R + r] = 0;
                }
                ++r;
                continue;
            }
            // A run of columns that share all but the last coordinate.
            const i64 b = (j0 + r) / n_positions, j = (j0 + r) % n_positions, w0 = j % size[2], h = j / size[2] % size[1], z = j / size[2] / size[1];
            const i64 run = least(n - r, size[2] - w0);
            for (i64 k = 0; k < kc; ++k) {
                const i64 tap = (k0 + k) % s.n_taps, channel = (k0 + k) / s.n_taps;
                const i64 kw = tap % s.kernel[2], kh = tap / s.kernel[2] % s.kernel[1], kz = tap / s.kernel[2] / s.kernel[1];
                const i64 iz = source(0, z, kz), ih = source(1, h, kh);
                const T *row = image + b * image_step + channel * n_pixels + (iz * extent[1] + ih) * extent[2];
                A *to = out + k * R + r;
                if (iz < 0 || ih < 0) {
                    for (i64 x = 0; x < run; ++x) {
                        to[x] = 0;
                    }
                } else {
                    for (i64 x = 0; x < run; ++x) {
                        const i64 iw = source(2, w0 + x, kw);
                        to[x] = iw >= 0 ? widen(row[iw]) : A(0);
                    }
                }
            }
            r += run;
        }
    }
};

// The transpose: element (k, j), k = (image, output position), j = (channel, tap).
template <class T> struct Taps {
    Windows<T, false> windows;

    template <int R, class A> void pack(A *out, i64 j0, i64 n, i64 k0, i64 kc) const {
        const Geometry &s = windows.s;
        for (i64 r = 0; r < R; ++r) {
            const i64 tap = (j0 + r) % s.n_taps, channel = (j0 + r) / s.n_taps;
            const i64 kw = tap % s.kernel[2], kh = tap / s.kernel[2] % s.kernel[1], kz = tap / s.kernel[2] / s.kernel[1];
            for (i64 k = 0; k < kc;) {
                const i64 b = (k0 + k) / s.n_out, p = (k0 + k) % s.n_out, w0 = p % s.out[2], h = p / s.out[2] % s.out[1];
                const i64 iz = windows.source(0, p / s.out[2] / s.out[1], kz), ih = windows.source(1, h, kh), run = least(kc - k, s.out[2] - w0);
                const T *row = windows.image + b * windows.image_step + channel * s.n_in + (iz * s.in[1] + ih) * s.in[2];
                const bool inside = r < n && iz >= 0 && ih >= 0;
                for (i64 x = 0; x < run; ++x) {
                    const i64 iw = inside ? windows.source(2, w0 + x, kw) : -1;
                    out[(k + x) * R + r] = iw >= 0 ? widen(row[iw]) : A(0);
                }
                k += run;
            }
        }
    }
};

enum Direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT };

// Groups one after the other; each is one product over the whole batch.
template <class T> bool forward(const Geometry &s, const T *x, const T *w, const T *bias, T *y) {
    bool done = true;
    for (i64 g = 0; g < s.groups; ++g) {
        const i64 depth = s.c * s.n_taps;
        const Windows<T, false> windows = {s, x + g * s.c * s.n_in, s.groups * s.c * s.n_in};
        const Output<T> to = {y + g * s.o * s.n_out, s.n_out, s.n_out, s.groups * s.o * s.n_out, bias ? bias + g * s.o : nullptr};
        done = gemm(s.o, s.batch * s.n_out, 0, depth, strided(w + g * s.o * depth, depth, 1), windows, to, true) && done;
    }
    return done;
}

template <class T> bool backward_data(const Geometry &s, const T *dy, const T *w, T *dx) {
    bool done = true;
    for (i64 g = 0; g < s.groups; ++g) {
        const Windows<T, true> windows = {s, dy + g * s.o * s.n_out, s.groups * s.o * s.n_out};
        const Strided<T> weights = {w + g * s.o * s.c * s.n_taps, s.n_taps, 1, s.n_taps, s.c * s.n_taps};
        const Output<T> to = {dx + g * s.c * s.n_in, s.n_in, s.n_in, s.groups * s.c * s.n_in, nullptr};
        done = gemm(s.c, s.batch * s.n_in, 0, s.o * s.n_taps, weights, windows, to, true) && done;
    }
    return done;
}

template <class T> bool backward_weight(const Geometry &s, const T *dy, const T *x, T *dw) {
    bool done = true;
    for (i64 g = 0; g < s.groups; ++g) {
        const Taps<T> taps = {{s, x + g * s.c * s.n_in, s.groups * s.c * s.n_in}};
        const Strided<T> rows = {dy + g * s.o * s.n_out, s.n_out, 1, s.n_out, s.groups * s.o * s.n_out};
        const Output<T> to = {dw + g * s.o * s.c * s.n_taps, s.c * s.n_taps, NO_INNER, 0, nullptr};
        done = gemm(s.o, s.c * s.n_taps, 0, s.batch * s.n_out, rows, taps, to, true) && done;
    }
    return done;
}

// Fills s from the shapes; false where they do not fit.
bool measure(const cymx::conv_params &p, const cymx_tensor &x, const cymx_tensor &w, const cymx_tensor &y, Geometry &s) {
    if (p.n < 1 || p.n > 3 || p.groups < 1 || x.ndim != p.n + 2 || w.ndim != p.n + 2 || y.ndim != p.n + 2 || x.shape[0] != y.shape[0] ||
        x.shape[1] != w.shape[1] * p.groups || w.shape[0] % p.groups != 0 || y.shape[1] != w.shape[0]) {
        return false;
    }
    s.batch = x.shape[0], s.groups = p.groups, s.c = w.shape[1], s.o = w.shape[0] / p.groups;
    s.n_in = s.n_out = s.n_taps = 1;
    for (i64 d = 0; d < 3; ++d) {
        const i64 at = d - (3 - p.n);
        const bool used = at >= 0;
        s.in[d] = used ? x.shape[2 + at] : 1, s.out[d] = used ? y.shape[2 + at] : 1, s.kernel[d] = used ? w.shape[2 + at] : 1;
        s.stride[d] = used ? p.stride[at] : 1, s.dilate[d] = used ? p.dilate[at] : 1, s.pad[d] = used ? p.pad_lo[at] : 0;
        const i64 room = s.in[d] + s.pad[d] + (used ? p.pad_hi[at] : 0) - (s.kernel[d] - 1) * s.dilate[d] - 1;
        if (s.stride[d] < 1 || s.dilate[d] < 1 || s.kernel[d] < 1 || room < 0 || s.out[d] != room / s.stride[d] + 1) {
            return false;
        }
        s.n_in *= s.in[d], s.n_out *= s.out[d], s.n_taps *= s.kernel[d];
    }
    return true;
}

template <Direction DIRECTION> int conv(const cymx_args *args) {
    const cymx_tensor &a = args->in[0], &b = args->in[1], &c = args->out[0];
    const bool has_bias = DIRECTION == FORWARD && args->n_in == 3;
    const cymx_tensor &x = DIRECTION == FORWARD ? a : DIRECTION == BACKWARD_DATA ? c : b;
    const cymx_tensor &w = DIRECTION == BACKWARD_WEIGHT ? c : b, &y = DIRECTION == FORWARD ? c : a;
    Geometry s;
    if (a.dtype != b.dtype || a.dtype != c.dtype || !measure(*static_cast<const cymx::conv_params *>(args->params), x, w, y, s) ||
        (has_bias && (args->in[2].dtype != a.dtype || args->in[2].ndim != 1 || args->in[2].shape[0] != w.shape[0]))) {
        return fail(args->err, CYMX_BAD_ARGUMENT, "the shapes or types of image, weight, bias and output do not fit each other");
    }
    return for_float(a.dtype, args->err, [&](auto zero) {
        using T = decltype(zero);
        const T *pa = static_cast<const T *>(a.data), *pb = static_cast<const T *>(b.data);
        T *pc = static_cast<T *>(c.data);
        const bool done = DIRECTION == FORWARD         ? forward(s, pa, pb, has_bias ? static_cast<const T *>(args->in[2].data) : nullptr, pc)
                          : DIRECTION == BACKWARD_DATA ? backward_data(s, pa, pb, pc)
                                                       : backward_weight(s, pa, pb, pc);
        return done ? int(CYMX_OK) : fail(args->err, CYMX_OUT_OF_MEMORY, "no memory for packed blocks");
    });
}

} // namespace

CYMX_ROWS(conv, {"conv_fwd", conv<FORWARD>}, {"conv_bwd_data", conv<BACKWARD_DATA>}, {"conv_bwd_weight", conv<BACKWARD_WEIGHT>})
