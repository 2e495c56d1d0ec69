// Convolutions of 3x3 taps and stride 1 by Winograd's minimal filtering, channels last, float32.
//
// winograd_fwd      x (N, H, W, C), u [, bias (O,)] [, residual (N, P, Q, O)] -> y (N, P, Q, O)
// winograd_weights  w (O, C, 3, 3) -> u (S*S, panels, C, 32), S = tile + 2; panels of 32 outputs, zeros beyond the last
// Tiles of tile x tile outputs: windows of S x S inputs are transformed, S*S matrix products sum over channels, and their results are transformed back,
// with bias, residual and relu on the way out.  Products take (S / tile)**2 multiplications where the definition takes 9.  The points of interpolation
// are 0, +-11/16, +-11/8 and infinity for tiles of 4, which lose half as much as 0, +-1, +-2; 0, +-1 and infinity for tiles of 2.
// Every sum has one order, whatever the number of threads.  Outputs alias no input but the residual.
// Refuses other types and shapes that do not fit.  Called through csrc/dispatch.cpp.
// Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
#include <string.h>

#include "cymx/params.h"
#include "gemm.h"
#include "table.h"

namespace {

using Vector = Tile<float>::vector;
enum { L = Tile<float>::LANES, PANEL = 32, CACHE_FLOATS = 225000 };

#if defined(__AVX512F__)
enum { MOST_ROWS = 14 };
#else
enum { MOST_ROWS = 6 };
#endif

// ---- one-dimensional transforms, for points 0, +-a, +-b and infinity -------------------------------------------------------------------------------

template <int M> struct Points;

template <> struct Points<2> {
    // in and out may be the same; step: from one element to the next.
    static inline void image(const Vector *in, Vector *out, int step) {
        const Vector d0 = in[0], d1 = in[step], d2 = in[2 * step], d3 = in[3 * step];
        out[0] = d0 - d2;
        out[step] = d1 + d2;
        out[2 * step] = d2 - d1;
        out[3 * step] = d3 - d1;
    }
    static inline void taps(const Vector *in, Vector *out, int in_step, int out_step) {
        const Vector even = (in[0] + in[2 * in_step]) * 0.5f, odd = in[in_step] * 0.5f;
        out[0] = in[0];
        out[out_step] = even + odd;
        out[2 * out_step] = even - odd;
        out[3 * out_step] = in[2 * in_step];
    }
    static inline void result(const Vector *in, Vector *out, int in_step, int out_step) {
        const Vector sum = in[in_step] + in[2 * in_step], difference = in[in_step] - in[2 * in_step];
        out[0] = in[0] + sum;
        out[out_step] = difference + in[3 * in_step];
    }
};

template <> struct Points<4> {
    static constexpr float a = 0.6875f, b = 1.375f, a2 = a * a, b2 = b * b;

    static inline void image(const Vector *in, Vector *out, int step) {
        const Vector d0 = in[0], d1 = in[step], d2 = in[2 * step], d3 = in[3 * step], d4 = in[4 * step], d5 = in[5 * step];
        const Vector even_a = d4 - b2 * d2, odd_a = a * (d3 - b2 * d1), even_b = d4 - a2 * d2, odd_b = b * (d3 - a2 * d1);
        out[0] = a2 * b2 * d0 - (a2 + b2) * d2 + d4;
        out[step] = even_a + odd_a;
        out[2 * step] = even_a - odd_a;
        out[3 * step] = even_b + odd_b;
        out[4 * step] = even_b - odd_b;
        out[5 * step] = a2 * b2 * d1 - (a2 + b2) * d3 + d5;
    }
    static inline void taps(const Vector *in, Vector *out, int in_step, int out_step) {
        constexpr float na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2));
        const Vector w0 = in[0], w1 = in[in_step], w2 = in[2 * in_step];
        const Vector even_a = na * (w0 + a2 * w2), odd_a = na * a * w1, even_b = nb * (w0 + b2 * w2), odd_b = nb * b * w1;
        out[0] = w0 * (1 / (a2 * b2));
        out[out_step] = even_a + odd_a;
        out[2 * out_step] = even_a - odd_a;
        out[3 * out_step] = even_b + odd_b;
        out[4 * out_step] = even_b - odd_b;
        out[5 * out_step] = w2;
    }
    static inline void result(const Vector *in, Vector *out, int in_step, int out_step) {
        const Vector m1 = in[in_step], m2 = in[2 * in_step], m3 = in[3 * in_step], m4 = in[4 * in_step];
        const Vector even_a = m1 + m2, odd_a = m1 - m2, even_b = m3 + m4, odd_b = m3 - m4;
        out[0] = in[0] + even_a + even_b;
        out[out_step] = a * odd_a + b * odd_b;
        out[2 * out_step] = a2 * even_a + b2 * even_b;
        out[3 * out_step] = a2 * a * odd_a + b2 * b * odd_b + in[5 * in_step];
    }
};

// ---- one call --------------------------------------------------------------------------------------------------------------------------------------

struct Call {
    i64 batch, h, w, c, o, p, q, pad_h, pad_w;
    i64 down, across, n_tiles;   // tiles of an image, and of all
    i64 rows, block;             // of a panel of tiles; tiles of a block, a multiple of it
    i64 image_step, result_step; // from one point to the next
    const float *x, *u, *bias, *residual;
    float *y;
    bool relu;
};

i64 panels(i64 n) { return ceil_div(n, PANEL); }
i64 padded(i64 n) { return ceil_div(n, L) * L; }

inline Vector some(const float *from, i64 n) {
    alignas(64) float lanes[L] = {};
    for (i64 l = 0; l < n; ++l) {
        lanes[l] = from[l];
    }
    return *reinterpret_cast<const Vector *>(lanes);
}
inline Vector whole(const float *from) { return *reinterpret_cast<const Vector *>(from); }

struct Place {
    i64 n, row, column; // image, and the first output of the tile
};
template <int M> inline Place place_of(const Call &s, i64 t) {
    const i64 within = t % (s.down * s.across);
    return {t / (s.down * s.across), within / s.across * M, within % s.across * M};
}

// Transforms a panel of tiles into v[point][panel][channels / L][row][L]; rows beyond the last tile are zeros.
template <int M> void transform_panel(const Call &s, i64 first_tile, i64 n, const float *zeros, float *v) {
    enum { S = M + 2 };
    for (i64 r = 0; r < s.rows; ++r) {
        const float *pixel[S * S];
        const Place at = place_of<M>(s, first_tile + (r < n ? r : 0));
        const float *image = s.x + at.n * s.h * s.w * s.c;
        for (int i = 0; i < S; ++i) {
            const i64 row = at.row + i - s.pad_h;
            for (int j = 0; j < S; ++j) {
                const i64 column = at.column + j - s.pad_w;
                const bool inside = r < n && row >= 0 && row < s.h && column >= 0 && column < s.w;
                pixel[i * S + j] = inside ? image + (row * s.w + column) * s.c : zeros;
            }
        }
        for (i64 c = 0; c < s.c; c += L) {
            Vector d[S * S];
            if (c + L <= s.c) {
                for (int e = 0; e < S * S; ++e) {
                    d[e] = whole(pixel[e] + c);
                }
            } else {
                for (int e = 0; e < S * S; ++e) {
                    d[e] = some(pixel[e] + c, s.c - c);
                }
            }
            for (int j = 0; j < S; ++j) {
                Points<M>::image(d + j, d + j, S);
            }
            float *to = v + c * s.rows + r * L;
            for (int i = 0; i < S; ++i) {
                Points<M>::image(d + i * S, d + i * S, 1);
                for (int j = 0; j < S; ++j) {
                    *reinterpret_cast<Vector *>(to + (i * S + j) * s.image_step) = d[i * S + j];
                }
            }
        }
    }
}

// m[row][column] = sum over channels of v[channel][row] u[channel][column], R rows and V vectors of columns.
template <int R, int V> inline void product(i64 c, const float *v, const float *u, float *m, i64 m_step) {
    Vector sum[R][V] = {};
    for (i64 k0 = 0; k0 < c; k0 += L, v += R * L) {
        const i64 n = least(L, c - k0);
        for (i64 k = 0; k < n; ++k, u += PANEL) {
            Vector uk[V];
#pragma GCC unroll 4
            for (int x = 0; x < V; ++x) {
                uk[x] = whole(u + x * L);
            }
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
                for (int x = 0; x < V; ++x) {
                    sum[r][x] += v[r * L + k] * uk[x];
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int x = 0; x < V; ++x) {
            *reinterpret_cast<Vector *>(m + r * m_step + x * L) = sum[r][x];
        }
    }
}

// One point and one panel of outputs: u stays in L1 while the panels of tiles pass.
template <int R> void products(const Call &s, i64 n_panels, i64 panel, const float *v, const float *u, float *m) {
    const i64 o = panel * PANEL, o_step = padded(s.o);
    for (i64 x = 0; x < PANEL && o + x < s.o; x += 2 * L) {
        const bool two = o + x + L < s.o;
        for (i64 i = 0; i < n_panels; ++i) {
            float *to = m + i * R * o_step + o + x;
            if (two) {
                product<R, 2>(s.c, v + i * R * padded(s.c), u + x, to, o_step);
            } else {
                product<R, 1>(s.c, v + i * R * padded(s.c), u + x, to, o_step);
            }
        }
    }
}

void any_products(const Call &s, i64 n_panels, i64 panel, const float *v, const float *u, float *m) {
    switch (s.rows) {
    case 2: return products<2>(s, n_panels, panel, v, u, m);
    case 4: return products<4>(s, n_panels, panel, v, u, m);
    case 6: return products<6>(s, n_panels, panel, v, u, m);
#if defined(__AVX512F__)
    case 8: return products<8>(s, n_panels, panel, v, u, m);
    case 10: return products<10>(s, n_panels, panel, v, u, m);
    case 12: return products<12>(s, n_panels, panel, v, u, m);
    default: return products<14>(s, n_panels, panel, v, u, m);
#else
    default: return products<6>(s, n_panels, panel, v, u, m);
#endif
    }
}

// Transforms one tile's results back into y.
template <int M> void transform_back(const Call &s, i64 tile, const float *m) {
    enum { S = M + 2 };
    const Place at = place_of<M>(s, tile);
    const i64 n_rows = least(M, s.p - at.row), n_columns = least(M, s.q - at.column);
    const i64 start = ((at.n * s.p + at.row) * s.q + at.column) * s.o;
    for (i64 o = 0; o < s.o; o += L) {
        const i64 n = least(L, s.o - o);
        Vector d[S * S], half[M * S], out[M * M];
        for (int e = 0; e < S * S; ++e) {
            d[e] = whole(m + e * s.result_step + o);
        }
        for (int j = 0; j < S; ++j) {
            Points<M>::result(d + j, half + j, S, S);
        }
        for (int i = 0; i < M; ++i) {
            Points<M>::result(half + i * S, out + i * M, 1, 1);
        }
        const Vector bias = !s.bias ? Vector{} : n == L ? whole(s.bias + o) : some(s.bias + o, n);
        for (i64 i = 0; i < n_rows; ++i) {
            for (i64 j = 0; j < n_columns; ++j) {
                const i64 to = start + (i * s.q + j) * s.o + o;
                Vector sum = out[i * M + j] + bias;
                if (s.residual) {
                    sum += n == L ? whole(s.residual + to) : some(s.residual + to, n);
                }
                if (s.relu) {
                    sum = sum <= 0.0f ? Vector{} : sum;
                }
                if (n == L) {
                    *reinterpret_cast<Vector *>(s.y + to) = sum;
                } else {
                    for (i64 l = 0; l < n; ++l) {
                        s.y[to + l] = sum[l];
                    }
                }
            }
        }
    }
}

struct Team { // threads that share a block
    i64 rank, size;

    i64 begin(i64 n) const { return n * rank / size; }
    i64 end(i64 n) const { return n * (rank + 1) / size; }
    void meet() const {
        if (size > 1) {
#pragma omp barrier
        }
    }
};

template <int M> void run_block(const Call &s, i64 first, const Team &team, const float *zeros, float *v, float *m) {
    enum { POINTS = (M + 2) * (M + 2) };
    const i64 n = least(s.block, s.n_tiles - first), n_panels = ceil_div(n, s.rows), n_outputs = panels(s.o);
    for (i64 i = team.begin(n_panels); i < team.end(n_panels); ++i) {
        transform_panel<M>(s, first + i * s.rows, least(s.rows, n - i * s.rows), zeros, v + i * s.rows * padded(s.c));
    }
    team.meet();
    for (i64 i = team.begin(POINTS * n_outputs); i < team.end(POINTS * n_outputs); ++i) {
        const i64 point = i / n_outputs, panel = i % n_outputs;
        any_products(s, n_panels, panel, v + point * s.image_step, s.u + i * s.c * PANEL, m + point * s.result_step);
    }
    team.meet();
    for (i64 i = team.begin(n); i < team.end(n); ++i) {
        transform_back<M>(s, first + i, m + i * padded(s.o));
    }
}

// Blocks of tiles whose transforms stay in L2, or larger ones where reading u again costs more; panels that leave few rows empty.
void cut(Call &s, i64 points) {
    const i64 per_tile = points * (padded(s.c) + padded(s.o)), weight = points * s.c * s.o;
    const i64 fit = most(CACHE_FLOATS / per_tile, 2 * MOST_ROWS + weight / CACHE_FLOATS);
    const i64 share = ceil_div(s.n_tiles, ceil_div(s.n_tiles, fit));
    i64 best = 0;
    for (i64 rows = 2; rows <= MOST_ROWS; rows += 2) {
        const i64 cost = ceil_div(share, rows) * (most(rows, 4) * 2 + 1); // a panel of few rows waits for its own sums
        if (!best || cost <= best) {
            best = cost, s.rows = rows;
        }
    }
    s.block = ceil_div(share, s.rows) * s.rows;
    // A line more than the data, so that the points of one tile do not all fall into one set of the caches.
    s.image_step = s.block * padded(s.c) + 16;
    s.result_step = s.block * padded(s.o) + 16;
}

// How threads share the blocks, and what each needs.
struct Shares {
    i64 n_blocks, most_threads, room; // room: floats of one block's transforms
    bool alone;                       // a thread has blocks of its own

    Shares(const Call &s, i64 points)
        : n_blocks(ceil_div(s.n_tiles, s.block)),
          most_threads(s.n_tiles * points * s.c * s.o > 500000 ? omp_get_max_threads() : 1),
          room(points * (s.image_step + s.result_step)),
          alone(n_blocks >= 4 * most_threads || n_blocks % most_threads == 0) {}

    i64 n_bytes(const Call &s) const { return ((alone ? most_threads : 1) * room + padded(s.c)) * i64(sizeof(float)); }
};

template <int M> void forward(const Call &s, const Shares &shares, float *memory) {
    enum { POINTS = (M + 2) * (M + 2) };
    const i64 n_blocks = shares.n_blocks, n_zeros = padded(s.c);
    const bool alone = shares.alone;
    memset(memory, 0, size_t(n_zeros) * sizeof(float));
#pragma omp parallel num_threads(shares.most_threads) if (shares.most_threads > 1)
    {
        const i64 rank = omp_get_thread_num(), size = omp_get_num_threads();
        float *v = memory + n_zeros + (alone ? rank * shares.room : 0), *m = v + POINTS * s.image_step;
        const Team team = alone ? Team{0, 1} : Team{rank, size};
        for (i64 i = alone ? n_blocks * rank / size : 0; i < (alone ? n_blocks * (rank + 1) / size : n_blocks); ++i) {
            run_block<M>(s, i * s.block, team, memory, v, m);
            team.meet();
        }
    }
}

// ---- weights -----------------------------------------------------------------------------------------------------------------------------------------

// u for L outputs from o and all inputs.  inputs, outputs: of the convolution that reads u; turned: w is (inputs, outputs, 3, 3), rotated by half a turn.
template <int M> void transform_taps(const float *w, i64 inputs, i64 outputs, bool turned, i64 o, float *u) {
    enum { S = M + 2, CHUNK = 16 };
    const i64 n = most(0, least(L, outputs - o)), u_step = panels(outputs) * inputs * PANEL;
    alignas(64) float taps[CHUNK * 9 * L];
    Vector all[CHUNK * S * S];
    for (i64 c0 = 0; c0 < inputs; c0 += CHUNK) {
        const i64 nc = least(CHUNK, inputs - c0);
        if (turned) {
            for (i64 c = 0; c < nc; ++c) {
                for (i64 l = 0; l < L; ++l) {
                    for (i64 k = 0; k < 9; ++k) {
                        taps[(c * 9 + k) * L + l] = l < n ? w[((c0 + c) * outputs + o + l) * 9 + 8 - k] : 0;
                    }
                }
            }
        } else {
            pack_rows<L>(taps, w + (o * inputs + c0) * 9, inputs * 9, n, nc * 9);
        }
        for (i64 c = 0; c < nc; ++c) {
            const Vector *g = reinterpret_cast<const Vector *>(taps + c * 9 * L);
            Vector half[S * 3];
            for (int j = 0; j < 3; ++j) {
                Points<M>::taps(g + j, half + j, 3, 3);
            }
            for (int i = 0; i < S; ++i) {
                Points<M>::taps(half + i * 3, all + c * S * S + i * S, 1, 1);
            }
        }
        float *to = u + (o / PANEL * inputs + c0) * PANEL + o % PANEL;
        for (i64 point = 0; point < S * S; ++point) { // one stream of stores at a time
            for (i64 c = 0; c < nc; ++c) {
                *reinterpret_cast<Vector *>(to + point * u_step + c * PANEL) = all[c * S * S + point];
            }
        }
    }
}

bool is_shape(const cymx_tensor &t, i64 a, i64 b, i64 c, i64 d) {
    return t.dtype == CYMX_FLOAT32 && t.ndim == 4 && t.shape[0] == a && t.shape[1] == b && t.shape[2] == c && t.shape[3] == d;
}

i64 points_of(const winograd_params &p) { return (p.tile + 2) * (p.tile + 2); }

// Reads the arguments; false where shapes or types do not fit each other.
bool read(const cymx_args *args, Call &s) {
    const winograd_params &p = *static_cast<const winograd_params *>(args->params);
    const cymx_tensor &x = args->in[0], &u = args->in[1], &y = args->out[0];
    const bool has_bias = args->n_in == 3 + (p.residual != 0);
    bool fits = (p.tile == 2 || p.tile == 4) && args->n_in >= 2 + (p.residual != 0) && x.ndim == 4 && y.ndim == 4 && x.dtype == CYMX_FLOAT32;
    if (fits) {
        s.batch = x.shape[0], s.h = x.shape[1], s.w = x.shape[2], s.c = x.shape[3];
        s.o = y.shape[3], s.p = y.shape[1], s.q = y.shape[2], s.pad_h = p.pad[0], s.pad_w = p.pad[1];
        fits = is_shape(u, points_of(p), panels(s.o), s.c, PANEL) && s.pad_h >= 0 && s.pad_w >= 0 &&
               is_shape(y, s.batch, s.h + 2 * s.pad_h - 2, s.w + 2 * s.pad_w - 2, s.o);
    }
    if (fits && has_bias) {
        fits = args->in[2].dtype == CYMX_FLOAT32 && args->in[2].ndim == 1 && args->in[2].shape[0] == s.o;
    }
    if (fits && p.residual) {
        fits = is_shape(args->in[args->n_in - 1], s.batch, s.p, s.q, s.o);
    }
    if (!fits) {
        return false;
    }
    s.x = static_cast<const float *>(x.data), s.u = static_cast<const float *>(u.data), s.y = static_cast<float *>(y.data);
    s.bias = has_bias ? static_cast<const float *>(args->in[2].data) : nullptr;
    s.residual = p.residual ? static_cast<const float *>(args->in[args->n_in - 1].data) : nullptr;
    s.relu = p.relu != 0;
    s.down = ceil_div(s.p, p.tile), s.across = ceil_div(s.q, p.tile), s.n_tiles = s.batch * s.down * s.across;
    if (s.n_tiles != 0 && s.o != 0) {
        cut(s, points_of(p));
    }
    return true;
}

int winograd_fwd(const cymx_args *args) {
    if (int code = expect(args, 2, 1, sizeof(winograd_params))) {
        return code;
    }
    const winograd_params &p = *static_cast<const winograd_params *>(args->params);
    Call s = {};
    if (!read(args, s)) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes or types of image, weight, bias, residual and output do not fit each other");
    }
    if (s.n_tiles == 0 || s.o == 0) {
        return CYMX_OK;
    }
    const Shares shares(s, points_of(p));
    void *own = shares.n_bytes(s) <= args->scratch_bytes ? nullptr : allocate(shares.n_bytes(s)), *memory = own ? own : args->scratch;
    if (!own && shares.n_bytes(s) > args->scratch_bytes) {
        return fail(args, CYMX_OUT_OF_MEMORY, "no memory for transformed tiles");
    }
    p.tile == 2 ? forward<2>(s, shares, static_cast<float *>(memory)) : forward<4>(s, shares, static_cast<float *>(memory));
    free(own);
    return CYMX_OK;
}

int64_t winograd_fwd_scratch(const cymx_args *args) {
    Call s = {};
    return read(args, s) && s.n_tiles != 0 && s.o != 0 ? Shares(s, points_of(*static_cast<const winograd_params *>(args->params))).n_bytes(s) : 0;
}

int winograd_weights(const cymx_args *args) {
    if (int code = expect(args, 1, 1, sizeof(winograd_params))) {
        return code;
    }
    const winograd_params &p = *static_cast<const winograd_params *>(args->params);
    const cymx_tensor &w = args->in[0], &u = args->out[0];
    const bool turned = p.turned != 0, known = p.tile == 2 || p.tile == 4;
    const i64 inputs = w.ndim == 4 ? w.shape[turned ? 0 : 1] : 0, outputs = w.ndim == 4 ? w.shape[turned ? 1 : 0] : 0;
    if (!known || !is_shape(w, w.shape[0], w.shape[1], 3, 3) || !is_shape(u, points_of(p), panels(outputs), inputs, PANEL)) {
        return fail(args, CYMX_BAD_ARGUMENT, "the shapes or types of the weight and of what is made of it do not fit each other");
    }
    const float *from = static_cast<const float *>(w.data);
    float *to = static_cast<float *>(u.data);
    const i64 n = panels(outputs) * PANEL / L;
#pragma omp parallel for schedule(static) if (n * inputs > 2000)
    for (i64 i = 0; i < n; ++i) {
        if (p.tile == 2) {
            transform_taps<2>(from, inputs, outputs, turned, i * L, to);
        } else {
            transform_taps<4>(from, inputs, outputs, turned, i * L, to);
        }
    }
    return CYMX_OK;
}

} // namespace

CYMX_ROWS(winograd, {"winograd_fwd", winograd_fwd, winograd_fwd_scratch}, {"winograd_weights", winograd_weights})
