// Convolutions of 1 to 3 spatial dimensions, as matrix products over image windows that are gathered block by block while packing.
//
// conv_fwd         x (N, C, *S), w (O, C/G, *K) [, bias (O,)] [, residual (N, O, *P)] -> y (N, O, *P)
// conv_bwd_data    dy (N, O, *P), w                                                   -> dx (N, C, *S)
// conv_bwd_weight  dy, x                                                              -> dw (O, C/G, *K)
// conv_weights     w                                                                  -> its bytes, which conv_fwd takes for w
// conv_windows     x (N, *S, C)                                                       -> windows (N, *P, C * taps)
// conv_windows_sum windows                                                            -> x, each pixel the sum of what the windows hold of it
// Groups, dilation and different padding below and above; relu after the residual.  16-bit floats are summed in float32.  Images with their channels
// last are copied to channels first and back.  Outputs alias no input.
// Refuses integers and shapes that do not fit.  Called through csrc/dispatch.cpp.
#include <string.h>

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

// Which pixels the positions first, first + 1, ... of one dimension read through one tap: those x in [lo, hi) read pixel, pixel + step, ... in
// turn, the others read zero.
struct Run {
    i64 lo, hi, pixel, step;
};

// Forward, positions are outputs and pixels inputs.  Backward the roles are turned round, for strides of 1 only.
template <bool BACKWARD> inline Run run_of(const Geometry &s, int d, i64 first, i64 n, i64 tap) {
    const i64 stride = s.stride[d], offset = tap * s.dilate[d] - s.pad[d];
    const i64 start = BACKWARD ? first - offset : first * stride + offset, left = (BACKWARD ? s.out[d] : s.in[d]) - start;
    Run run = {0, 0, start, stride};
    run.lo = start < 0 ? (stride == 1 ? -start : ceil_div(-start, stride)) : 0;
    run.hi = left <= 0 ? 0 : least(n, stride == 1 ? left : ceil_div(left, stride));
    run.pixel += run.lo * stride;
    return run;
}

template <class T, class A> inline void copy_run(const Run &run, const T *row, i64 n, A *to) {
    if (run.lo > 0 || run.hi < n) {
        for (i64 x = 0; x < n; ++x) {
            to[x] = 0;
        }
    }
    const T *from = row + run.pixel;
    if (run.step == 1) {
        for (i64 x = run.lo; x < run.hi; ++x) {
            to[x] = widen(from[x - run.lo]);
        }
    } else {
        for (i64 x = run.lo; x < run.hi; ++x, from += run.step) {
            to[x] = widen(*from);
        }
    }
}

// The way back: adds what positions [lo, hi) got to the pixels that they read.
template <class A> inline void add_run(const Run &run, const A *from, A *row) {
    A *to = row + run.pixel;
    if (run.step == 1) {
        for (i64 x = run.lo; x < run.hi; ++x) {
            to[x - run.lo] += from[x];
        }
    } else {
        for (i64 x = run.lo; x < run.hi; ++x, to += run.step) {
            *to += from[x];
        }
    }
}

// The windows of an image as a matrix: element (k, j), k = (channel, tap), j = (image, position).
template <class T, bool BACKWARD> struct Windows {
    const Geometry &s;
    const T *image; // first channel of the group
    i64 image_step; // from one image of the batch to the next

    const i64 *positions() const { return BACKWARD ? s.in : s.out; }
    i64 n_positions() const { return BACKWARD ? s.n_in : s.n_out; }
    i64 n_pixels() const { return BACKWARD ? s.n_out : s.n_in; }

    // Calls f(first column, columns, image, z, h, w) for the runs of positions j0 .. j0 + n that share all but the last coordinate.
    template <class F> void each_run(i64 j0, i64 n, F &&f) const {
        const i64 *size = positions();
        i64 b = j0 / n_positions(), j = j0 % n_positions(), w = j % size[2], h = j / size[2] % size[1], z = j / size[2] / size[1];
        for (i64 r = 0; r < n;) {
            const i64 run = least(n - r, size[2] - w);
            f(r, run, image + b * image_step, z, h, w);
            r += run, w = 0;
            if (++h == size[1]) {
                h = 0;
                if (++z == size[0]) {
                    z = 0, ++b;
                }
            }
        }
    }

    // Columns j0 .. j0 + n of depth k0 .. k0 + kc as out[k][column], R wide, zeros beyond.
    template <int R, class A> void pack(A *out, i64 j0, i64 n, i64 k0, i64 kc) const {
        const i64 *extent = BACKWARD ? s.out : s.in;
        each_run(j0, n, [&](i64 r, i64 run, const T *pixels, i64 z, i64 h, i64 w) {
            const i64 tap = k0 % s.n_taps;
            i64 kw = tap % s.kernel[2], kh = tap / s.kernel[2] % s.kernel[1], kz = tap / s.kernel[2] / s.kernel[1];
            const T *channel = pixels + k0 / s.n_taps * n_pixels();
            for (i64 k = 0; k < kc;) {
                const Run rz = run_of<BACKWARD>(s, 0, z, 1, kz), rh = run_of<BACKWARD>(s, 1, h, 1, kh);
                const T *row = channel + (rz.pixel * extent[1] + rh.pixel) * extent[2];
                const bool inside = rz.lo < rz.hi && rh.lo < rh.hi;
                for (; kw < s.kernel[2] && k < kc; ++kw, ++k) {
                    copy_run(inside ? run_of<BACKWARD>(s, 2, w, run, kw) : Run{0, 0, 0, 1}, inside ? row : channel, run, out + k * R + r);
                }
                if (kw == s.kernel[2]) {
                    kw = 0;
                    if (++kh == s.kernel[1]) {
                        kh = 0;
                        if (++kz == s.kernel[0]) {
                            kz = 0, channel += n_pixels();
                        }
                    }
                }
            }
        });
        for (i64 k = 0; k < kc && n < R; ++k) {
            for (i64 r = n; r < R; ++r) {
                out[k * R + r] = 0;
            }
        }
    }
};

// The transpose: element (k, j), k = (image, output position), j = (channel, tap).
template <class T> struct Taps {
    Windows<T, false> windows;

    template <int R, class A> void pack(A *out, i64 j0, i64 n, i64 k0, i64 kc) const {
        enum { CHUNK = 64 };
        const Geometry &s = windows.s;
        alignas(64) A gathered[R * CHUNK];
        for (i64 k = 0; k < kc; k += CHUNK) {
            const i64 depth = least(CHUNK, kc - k);
            for (i64 r = 0; r < n; ++r) {
                const i64 tap = (j0 + r) % s.n_taps, channel = (j0 + r) / s.n_taps * s.n_in;
                const i64 kw = tap % s.kernel[2], kh = tap / s.kernel[2] % s.kernel[1], kz = tap / s.kernel[2] / s.kernel[1];
                windows.each_run(k0 + k, depth, [&](i64 x, i64 run, const T *pixels, i64 z, i64 h, i64 w) {
                    const Run rz = run_of<false>(s, 0, z, 1, kz), rh = run_of<false>(s, 1, h, 1, kh);
                    const T *row = pixels + channel + (rz.pixel * s.in[1] + rh.pixel) * s.in[2];
                    const bool inside = rz.lo < rz.hi && rh.lo < rh.hi;
                    copy_run(inside ? run_of<false>(s, 2, w, run, kw) : Run{0, 0, 0, 1}, inside ? row : pixels, run, gathered + r * CHUNK + x);
                });
            }
            pack_rows<R>(out + k * R, gathered, CHUNK, n, depth);
        }
    }
};

enum Direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT };

// Runs product(group, parallel) for every group: many groups side by side, few one after the other.  Returns whether all had memory.
template <class F> bool each_group(const Geometry &s, F &&product) {
    const bool wide = s.groups > 1 && s.batch * s.groups * s.o * s.c * s.n_taps * s.n_out > 200000;
    bool done = true;
#pragma omp parallel for schedule(dynamic) if (wide) reduction(&& : done)
    for (i64 g = 0; g < s.groups; ++g) {
        done = product(g, !wide) && done;
    }
    return done;
}

template <class T> bool forward(const Geometry &s, const T *x, const T *w, const T *bias, T *y) {
    return each_group(s, [=, &s](i64 g, bool parallel) {
        const i64 depth = s.c * s.n_taps;
        const Windows<T, false> windows = {s, x + g * s.c * s.n_in, s.groups * s.c * s.n_in};
        const Output<T> to = {y + g * s.o * s.n_out, s.n_out, s.n_out, s.groups * s.o * s.n_out, bias ? bias + g * s.o : nullptr};
        return gemm(s.o, s.batch * s.n_out, 0, depth, strided(w + g * s.o * depth, depth, 1), windows, to, parallel);
    });
}

// Windows of dy against turned weights: nothing is written twice, but every pixel reads every tap, so strides would waste most of the work.
template <class T> bool backward_data_gathered(const Geometry &s, const T *dy, const T *w, T *dx) {
    return each_group(s, [=, &s](i64 g, bool parallel) {
        const Windows<T, true> windows = {s, dy + g * s.o * s.n_out, s.groups * s.o * s.n_out};
        const Strided<T> weights = {w + g * s.o * s.c * s.n_taps, s.n_taps, 1, s.n_taps, s.c * s.n_taps};
        const Output<T> to = {dx + g * s.c * s.n_in, s.n_in, s.n_in, s.groups * s.c * s.n_in, nullptr};
        return gemm(s.c, s.batch * s.n_in, 0, s.o * s.n_taps, weights, windows, to, parallel);
    });
}

// One group of one image: weights times dy give what every window hands back, block by block of positions, and it is added where it was read.
template <class T> bool scatter_image(const Geometry &s, const T *dy, const T *w, T *dx) {
    using A = wide_t<T>;
    const i64 depth = s.c * s.n_taps, block = least(s.n_out, most(64, 200000 / most(depth, 1))), size = s.c * s.n_in;
    A *handed = static_cast<A *>(allocate((depth * block + size) * i64(sizeof(A)))), *sums = handed + depth * block;
    bool done = handed != nullptr;
    for (i64 i = 0; i < size && done; ++i) {
        sums[i] = 0;
    }
    const Windows<A, false> walk = {s, sums, 0};
    for (i64 p = 0; p < s.n_out && done; p += block) {
        const i64 n = least(block, s.n_out - p);
        const Output<A> to = {handed, block, NO_INNER, 0, nullptr};
        done = gemm(depth, n, 0, s.o, strided(w, 1, depth), strided(dy + p, 1, s.n_out), to, false);
        for (i64 k = 0; k < depth; ++k) {
            const i64 tap = k % s.n_taps, kw = tap % s.kernel[2], kh = tap / s.kernel[2] % s.kernel[1], kz = tap / s.kernel[2] / s.kernel[1];
            walk.each_run(p, n, [&](i64 x, i64 run, const A *, i64 z, i64 h, i64 first) {
                const Run rz = run_of<false>(s, 0, z, 1, kz), rh = run_of<false>(s, 1, h, 1, kh);
                if (rz.lo < rz.hi && rh.lo < rh.hi) {
                    A *row = sums + k / s.n_taps * s.n_in + (rz.pixel * s.in[1] + rh.pixel) * s.in[2];
                    add_run(run_of<false>(s, 2, first, run, kw), handed + k * block + x, row);
                }
            });
        }
    }
    for (i64 i = 0; i < size && done; ++i) {
        dx[i] = convert<T>(sums[i]);
    }
    free(handed);
    return done;
}

template <class T> bool backward_data(const Geometry &s, const T *dy, const T *w, T *dx) {
    enum { FEW_CHANNELS = 8 };
    if (s.stride[0] * s.stride[1] * s.stride[2] == 1 && s.c > FEW_CHANNELS) {
        return backward_data_gathered(s, dy, w, dx);
    }
    bool done = true;
#pragma omp parallel for schedule(dynamic) if (s.batch * s.groups * s.o * s.c * s.n_taps * s.n_out > 200000) reduction(&& : done)
    for (i64 i = 0; i < s.batch * s.groups; ++i) {
        done = scatter_image(s, dy + i * s.o * s.n_out, w + i % s.groups * s.o * s.c * s.n_taps, dx + i * s.c * s.n_in) && done;
    }
    return done;
}

// The sum over images and positions is long and the weight small: it is cut into pieces, as many as the shapes say, which are added in order.
template <class T> bool backward_weight(const Geometry &s, const T *dy, const T *x, T *dw) {
    using A = wide_t<T>;
    const i64 depth = s.batch * s.n_out, columns = s.c * s.n_taps, size = s.o * columns;
    const i64 n_pieces = size < M_TASK * N_TASK * 4 ? most(1, least(8, depth / (2 * K_BLOCK))) : 1, piece = ceil_div(depth, n_pieces);
    return each_group(s, [=, &s](i64 g, bool parallel) {
        const Taps<T> taps = {{s, x + g * s.c * s.n_in, s.groups * s.c * s.n_in}};
        const Strided<T> rows = {dy + g * s.o * s.n_out, s.n_out, 1, s.n_out, s.groups * s.o * s.n_out};
        T *to = dw + g * size;
        if (n_pieces == 1) {
            return gemm(s.o, columns, 0, depth, rows, taps, Output<T>{to, columns, NO_INNER, 0, nullptr}, parallel);
        }
        A *sums = static_cast<A *>(allocate(n_pieces * size * i64(sizeof(A))));
        bool done = sums != nullptr;
#pragma omp parallel for schedule(dynamic) if (parallel && done && size * depth > 200000) reduction(&& : done)
        for (i64 i = 0; i < n_pieces; ++i) {
            const Output<A> part = {sums + i * size, columns, NO_INNER, 0, nullptr};
            done = done && gemm(s.o, columns, i * piece, least(depth, (i + 1) * piece), rows, taps, part, false);
        }
        for (i64 i = 1; i < n_pieces && done; ++i) {
            for (i64 j = 0; j < size; ++j) {
                sums[j] += sums[i * size + j];
            }
        }
        for (i64 j = 0; j < size && done; ++j) {
            to[j] = convert<T>(sums[j]);
        }
        free(sums);
        return done;
    });
}

// Fills s from the shapes; false where they do not fit.
bool measure(const conv_params &p, const cymx_tensor &x, const cymx_tensor &w, const cymx_tensor &y, Geometry &s) {
    if (p.n < 1 || p.n > 3 || p.groups < 1 || p.channels_last > 1 || x.ndim != p.n + 2 || w.ndim != p.n + 2 || y.ndim != p.n + 2 ||
        x.shape[0] != y.shape[0] || x.shape[1] != w.shape[1] * p.groups || w.shape[0] % p.groups != 0 || y.shape[1] != w.shape[0]) {
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

// The tensor of an image whose channels are last, as one whose channels come second.
cymx_tensor channels_second(cymx_tensor t) {
    const i64 channels = t.ndim > 1 ? t.shape[t.ndim - 1] : 0;
    for (i32 d = t.ndim - 1; d > 1; --d) {
        t.shape[d] = t.shape[d - 1];
    }
    if (t.ndim > 1) {
        t.shape[1] = channels;
    }
    return t;
}

// to (N, columns, rows) = from (N, rows, columns)
template <class T> void turn(const T *from, T *to, i64 n, i64 rows, i64 columns) {
    for (i64 i = 0; i < n; ++i, from += rows * columns, to += rows * columns) {
        for (i64 c = 0; c < columns; ++c) {
            for (i64 r = 0; r < rows; ++r) {
                to[c * rows + r] = from[r * columns + c];
            }
        }
    }
}

// An image with its channels first: the argument itself, or a copy that ends with this.  null: no memory.
template <class T> class Image {
  public:
    Image(const cymx_tensor &t, i64 batch, i64 channels, i64 pixels, bool turned, bool is_input)
        : given_(static_cast<T *>(t.data)), p_(given_), batch_(batch), channels_(channels), pixels_(pixels) {
        if (turned) {
            p_ = static_cast<T *>(allocate(batch * channels * pixels * i64(sizeof(T))));
            if (p_ && is_input) {
                turn(given_, p_, batch, pixels, channels);
            }
        }
    }
    Image(const Image &) = delete;
    ~Image() {
        if (p_ != given_) {
            free(p_);
        }
    }
    T *get() const { return p_; }
    void write_back() const {
        if (p_ != given_) {
            turn(p_, given_, batch_, channels_, pixels_);
        }
    }

  private:
    T *given_, *p_;
    i64 batch_, channels_, pixels_;
};

template <class T> void finish(T *y, const T *residual, bool relu, i64 n) {
#pragma omp parallel for schedule(static) if (n > 50000)
    for (i64 i = 0; i < n; ++i) {
        const auto sum = residual ? widen(y[i]) + widen(residual[i]) : widen(y[i]);
        y[i] = convert<T>(relu && sum <= 0 ? 0 : sum);
    }
}

i64 count(const cymx_tensor &t) {
    i64 n = 1;
    for (i32 d = 0; d < t.ndim; ++d) {
        n *= t.shape[d];
    }
    return n;
}

// The weight that conv_weights turned into bytes: its shape follows from the images and the parameters.
cymx_tensor unpacked(const conv_params &p, const cymx_tensor &x, const cymx_tensor &y, cymx_tensor w) {
    w.dtype = x.dtype, w.ndim = i32(p.n) + 2, w.shape[0] = y.shape[1], w.shape[1] = p.groups < 1 ? 0 : x.shape[1] / p.groups;
    for (i64 d = 0; d < p.n && d < 3; ++d) {
        w.shape[2 + d] = p.kernel[d];
    }
    return w;
}

template <Direction DIRECTION> int conv(const cymx_args *args) {
    if (int code = expect(args, 2, 1, sizeof(conv_params))) {
        return code;
    }
    const conv_params &p = *static_cast<const conv_params *>(args->params);
    const auto image = [&](const cymx_tensor &t) { return p.channels_last ? channels_second(t) : t; };
    const cymx_tensor &b = args->in[1], &c = args->out[0];
    const cymx_tensor x = image(DIRECTION == FORWARD ? args->in[0] : DIRECTION == BACKWARD_DATA ? c : b);
    const cymx_tensor y = image(DIRECTION == FORWARD ? c : args->in[0]);
    const bool packed = DIRECTION == FORWARD && b.dtype == CYMX_UINT8, has_residual = DIRECTION == FORWARD && p.residual;
    const bool has_bias = DIRECTION == FORWARD && args->n_in == 3 + has_residual;
    const cymx_tensor w = packed ? unpacked(p, x, y, b) : DIRECTION == BACKWARD_WEIGHT ? c : b;
    Geometry s;
    bool fits = args->n_in >= 2 + has_residual && x.dtype == y.dtype && x.dtype == w.dtype && measure(p, x, w, y, s);
    if (packed) {
        fits = fits && count(b) == count(w) * i64(x.dtype == CYMX_FLOAT64 ? 8 : x.dtype == CYMX_FLOAT32 ? 4 : 2);
    }
    if (fits && has_bias) {
        fits = args->in[2].dtype == x.dtype && args->in[2].ndim == 1 && args->in[2].shape[0] == w.shape[0];
    }
    if (fits && has_residual) {
        fits = args->in[args->n_in - 1].dtype == y.dtype && count(args->in[args->n_in - 1]) == count(y);
    }
    if (!fits) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes or types of image, weight, bias, residual and output do not fit each other");
    }
    return for_float(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        const bool turned = p.channels_last && s.batch != 0;
        const Image<T> ix(x, s.batch, x.shape[1], s.n_in, turned, DIRECTION != BACKWARD_DATA);
        const Image<T> iy(y, s.batch, y.shape[1], s.n_out, turned, DIRECTION != FORWARD);
        T *px = ix.get(), *py = iy.get(), *pw = static_cast<T *>(w.data);
        bool done = px && py;
        if (DIRECTION == FORWARD && done) {
            done = forward(s, px, pw, has_bias ? static_cast<const T *>(args->in[2].data) : nullptr, py);
            iy.write_back();
            if (has_residual || p.relu) {
                finish(static_cast<T *>(c.data), has_residual ? static_cast<const T *>(args->in[args->n_in - 1].data) : nullptr, p.relu, count(c));
            }
        } else if (DIRECTION == BACKWARD_DATA && done) {
            done = backward_data(s, py, pw, px);
            ix.write_back();
        } else if (done) {
            done = backward_weight(s, py, px, pw);
        }
        return done ? int(CYMX_OK) : fail(args, CYMX_OUT_OF_MEMORY, "no memory for packed blocks");
    });
}

// Which pixel of its image a window's tap reads, or -1 for the margin.
i64 pixel_of(const Geometry &s, i64 position, i64 tap) {
    i64 pixel = 0, at[3], k[3];
    for (int d = 2; d >= 0; --d) {
        at[d] = position % s.out[d], position /= s.out[d];
        k[d] = tap % s.kernel[d], tap /= s.kernel[d];
    }
    for (int d = 0; d < 3; ++d) {
        const i64 x = at[d] * s.stride[d] + k[d] * s.dilate[d] - s.pad[d];
        if (x < 0 || x >= s.in[d]) {
            return -1;
        }
        pixel = pixel * s.in[d] + x;
    }
    return pixel;
}

// Which window reads a pixel through a tap, or -1 for none.
i64 position_of(const Geometry &s, i64 pixel, i64 tap) {
    i64 position = 0, at[3], k[3];
    for (int d = 2; d >= 0; --d) {
        at[d] = pixel % s.in[d], pixel /= s.in[d];
        k[d] = tap % s.kernel[d], tap /= s.kernel[d];
    }
    for (int d = 0; d < 3; ++d) {
        const i64 x = at[d] + s.pad[d] - k[d] * s.dilate[d];
        if (x < 0 || x % s.stride[d] != 0 || x / s.stride[d] >= s.out[d]) {
            return -1;
        }
        position = position * s.out[d] + x / s.stride[d];
    }
    return position;
}

template <class T> void gather_windows(const Geometry &s, const T *x_nsc, T *windows) {
#pragma omp parallel for schedule(static) if (s.batch * s.n_out * s.c * s.n_taps > 100000)
    for (i64 row = 0; row < s.batch * s.n_out; ++row) {
        T *to = windows + row * s.c * s.n_taps;
        for (i64 tap = 0; tap < s.n_taps; ++tap) {
            const i64 pixel = pixel_of(s, row % s.n_out, tap);
            const T *from = x_nsc + (row / s.n_out * s.n_in + most(pixel, 0)) * s.c;
            for (i64 c = 0; c < s.c; ++c) {
                to[c * s.n_taps + tap] = pixel < 0 ? T() : from[c];
            }
        }
    }
}

template <class T> void sum_windows(const Geometry &s, const T *windows, T *x_nsc) {
    enum { CHUNK = 64 };
#pragma omp parallel for schedule(static) if (s.batch * s.n_out * s.c * s.n_taps > 100000)
    for (i64 i = 0; i < s.batch * s.n_in; ++i) {
        for (i64 c0 = 0; c0 < s.c; c0 += CHUNK) {
            const i64 n = least(CHUNK, s.c - c0);
            wide_t<T> sums[CHUNK] = {};
            for (i64 tap = 0; tap < s.n_taps; ++tap) {
                const i64 position = position_of(s, i % s.n_in, tap);
                const T *from = windows + ((i / s.n_in * s.n_out + most(position, 0)) * s.c + c0) * s.n_taps + tap;
                for (i64 c = 0; c < n && position >= 0; ++c) {
                    sums[c] += widen(from[c * s.n_taps]);
                }
            }
            for (i64 c = 0; c < n; ++c) {
                x_nsc[i * s.c + c0 + c] = convert<T>(sums[c]);
            }
        }
    }
}

template <bool SUM> int conv_windows(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(conv_params))) {
        return code;
    }
    const conv_params &p = *static_cast<const conv_params *>(args->params);
    const cymx_tensor x = channels_second(SUM ? args->out[0] : args->in[0]), y = channels_second(SUM ? args->in[0] : args->out[0]);
    cymx_tensor w = unpacked(p, x, y, x);
    Geometry s;
    if (!p.channels_last || p.groups != 1 || x.dtype != y.dtype || !measure(p, x, w, y, s) || y.shape[1] != s.c * s.n_taps) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes or types of image and windows do not fit each other");
    }
    return for_float(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        if (SUM) {
            sum_windows(s, static_cast<const T *>(y.data), static_cast<T *>(x.data));
        } else {
            gather_windows(s, static_cast<const T *>(x.data), static_cast<T *>(y.data));
        }
        return int(CYMX_OK);
    });
}

int conv_weights(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(conv_params))) {
        return code;
    }
    const cymx_tensor &w = args->in[0], &bytes = args->out[0];
    return for_float(args, w.dtype, [&](auto zero) {
        const i64 n = count(w) * i64(sizeof zero);
        if (bytes.dtype != CYMX_UINT8 || count(bytes) != n) {
            return fail(args, CYMX_BAD_ARGUMENT, "the output has %lld bytes, expected %lld", count(bytes), n);
        }
        memcpy(bytes.data, w.data, size_t(n));
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(conv, {"conv_fwd", conv<FORWARD>}, {"conv_bwd_data", conv<BACKWARD_DATA>}, {"conv_bwd_weight", conv<BACKWARD_WEIGHT>},
          {"conv_weights", conv_weights}, {"conv_windows", conv_windows<false>}, {"conv_windows_sum", conv_windows<true>})
