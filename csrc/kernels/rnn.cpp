// The recurrence of one layer in one direction: rnn_fwd and rnn_bwd, for rnn_relu, rnn_tanh, lstm and gru, in float32
// and float64.
//
// What is not recurrent (the product of all steps' inputs, the gradients of both weights) is the caller's, as large
// matrix products.  One parallel
// region covers all time steps: a task is a tile of sequences x hidden units, all gates at once, so the arithmetic of
// the gates runs on products that
// are still in L1; W is packed once, h is packed as it is made, and a step costs one barrier.  G gates, H units, N
// sequences, T steps; every sum runs
// in an order that depends on shapes alone.  Refuses other types and shapes that do not fit.  Called by: the operator
// RNN.
//
//   rnn_fwd  in: x_tng (T, N, G H) = W_x x, w_gh (G H, H), bias (2, G H), h0 (N, H) [, c0 (N, H)]
//            out: y (T, N, H), h_last (N, H) [, c_last (N, H)] [, kept (T, N, 5 H) i f g o c, or (T, N, 4 H) r z n and
// U_n h + b]
//   rnn_bwd  in: dy, dh_last [, dc_last], w_gh, y, h0 [, c0] [, kept]
//            out: dx_tng, dh0 [, dc0] [, dr_tng: the gradient of W_h h, where it is not dx]
// A reverse layer runs from the last step to the first.
#include "cymx/math.h"
#include "cymx/params.h"
#include "gemm.h"
#include "table.h"

namespace {

struct Sizes {
    i64 t, n, h, gates, kept;
    bool reverse;
    i64 at(i64 step) const { return reverse ? t - 1 - step : step; } // the time of the step'th step
};

inline i64 gate_count(i64 mode) { return mode == RNN_LSTM ? 4 : mode == RNN_GRU ? 3 : 1; }
inline i64 kept_count(i64 mode) { return mode == RNN_LSTM ? 5 : mode == RNN_GRU ? 4 : 0; }

// What one task computes: sequences n0 .. n0 + n, units j0 .. j0 + j.
struct Piece {
    i64 n0, n, j0, j;
};

template <class T> struct Walk {
    enum { COLUMNS = Tile<T>::COLUMNS, EDGE = TILE_ROWS * COLUMNS };
    i64 rows, blocks, depth; // row tiles of N, column blocks of H, the length of a packed row
    T *weights, *packed[2];
    void *memory;

    bool prepare(i64 n, i64 h, i64 depth_, i64 n_panels) {
        rows = ceil_div(n, TILE_ROWS), blocks = ceil_div(h, COLUMNS), depth = depth_;
        const i64 panel = ceil_div(depth * COLUMNS, 16) * 16, one = ceil_div(rows * TILE_ROWS * depth, 16) * 16;
        memory = allocate((n_panels * panel + 2 * one) * i64(sizeof(T)));
        weights = static_cast<T *>(memory);
        packed[0] = weights + n_panels * panel;
        packed[1] = packed[0] + one;
        return memory != nullptr;
    }
    T *panel(i64 i) const { return weights + i * (ceil_div(depth * COLUMNS, 16) * 16); }
    // The last, narrow block comes first: where the tasks do not divide evenly, the first threads have one more.
    Piece piece(i64 task, i64 n, i64 h) const {
        const i64 n0 = task % rows * TILE_ROWS, j0 = (blocks - 1 - task / rows) * COLUMNS;
        return {n0, least(TILE_ROWS, n - n0), j0, least(COLUMNS, h - j0)};
    }
    // Packs n x j elements whose first is `from` as columns column .. of the row tile at n0.
    void pack(int which, const Piece &p, i64 column, const T *from, i64 step) const {
        pack_rows<TILE_ROWS>(packed[which] + p.n0 * depth + column * TILE_ROWS, from, step, p.n, p.j);
    }
    void multiply(int which, const Piece &p, i64 i_panel, T *edge) const {
        const T *a = packed[which] + p.n0 * depth, *b = panel(i_panel);
        for (i64 k = 0; k < depth; k += K_BLOCK) {
            const i64 kc = least(K_BLOCK, depth - k);
            if (p.j > Tile<T>::LANES) {
                run_tile<2>(p.n, kc, a + k * TILE_ROWS, b + k * COLUMNS, edge, COLUMNS, k != 0);
            } else {
                run_tile<1>(p.n, kc, a + k * TILE_ROWS, b + k * COLUMNS, edge, COLUMNS, k != 0);
            }
        }
    }
};

template <class T> inline T activate(i64 mode, T x) { return mode == RNN_RELU ? (x > 0 ? x : T(0)) : m::tanh(x); }

// ---- forward: one row of one tile; u[g] is W_h h of gate g ----

template <class T> struct Forward {
    const T *x, *bias, *h0, *c0;
    T *y, *h_last, *c_last, *kept;
};

template <class T> inline void plain_row(i64 mode, i64 n, const T *x, const T *u, const T *bx, const T *bh, T *y) {
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        y[j] = activate(mode, x[j] + u[j] + (bx[j] + bh[j]));
    }
}

template <class T>
inline void lstm_row(i64 n, i64 h, const T *x, const T *u, i64 edge, const T *bx, const T *bh, const T *c_before, T *y, T *kept) {
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        const T i = m::sigmoid(x[j] + u[j] + (bx[j] + bh[j]));
        const T f = m::sigmoid(x[h + j] + u[edge + j] + (bx[h + j] + bh[h + j]));
        kept[j] = i;
        kept[h + j] = f;
    }
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        const T g = m::tanh(x[2 * h + j] + u[2 * edge + j] + (bx[2 * h + j] + bh[2 * h + j]));
        const T o = m::sigmoid(x[3 * h + j] + u[3 * edge + j] + (bx[3 * h + j] + bh[3 * h + j]));
        const T c = kept[h + j] * c_before[j] + kept[j] * g;
        kept[2 * h + j] = g;
        kept[3 * h + j] = o;
        kept[4 * h + j] = c;
        y[j] = o * m::tanh(c);
    }
}

template <class T>
inline void gru_row(i64 n, i64 h, const T *x, const T *u, i64 edge, const T *bx, const T *bh, const T *before, T *y, T *kept) {
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        kept[j] = m::sigmoid(x[j] + u[j] + (bx[j] + bh[j]));
        kept[h + j] = m::sigmoid(x[h + j] + u[edge + j] + (bx[h + j] + bh[h + j]));
    }
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        const T q = u[2 * edge + j] + bh[2 * h + j];
        const T fresh = m::tanh(x[2 * h + j] + bx[2 * h + j] + kept[j] * q);
        kept[2 * h + j] = fresh;
        kept[3 * h + j] = q;
        y[j] = fresh + kept[h + j] * (before[j] - fresh);
    }
}

template <class T> void forward_rows(i64 mode, const Sizes &s, const Forward<T> &f, i64 step, const Piece &p, const T *u, i64 edge) {
    const i64 t = s.at(step), before = step ? s.at(step - 1) : 0;
    for (i64 r = 0; r < p.n; ++r, u += Walk<T>::COLUMNS) {
        const i64 row = t * s.n + p.n0 + r, old = before * s.n + p.n0 + r, first = (p.n0 + r) * s.h + p.j0;
        const T *x = f.x + row * s.gates * s.h + p.j0, *bx = f.bias + p.j0, *bh = bx + s.gates * s.h;
        T *y = f.y + row * s.h + p.j0, *kept = f.kept + row * s.kept * s.h + p.j0;
        const T *h_before = step ? f.y + old * s.h + p.j0 : f.h0 + first;
        if (mode == RNN_LSTM) {
            lstm_row(p.j, s.h, x, u, edge, bx, bh, step ? f.kept + (old * 5 + 4) * s.h + p.j0 : f.c0 + first, y, kept);
        } else if (mode == RNN_GRU) {
            gru_row(p.j, s.h, x, u, edge, bx, bh, h_before, y, kept);
        } else {
            plain_row(mode, p.j, x, u, bx, bh, y);
        }
        if (step == s.t - 1) {
            for (i64 j = 0; j < p.j; ++j) {
                f.h_last[first + j] = y[j];
            }
            for (i64 j = 0; mode == RNN_LSTM && j < p.j; ++j) {
                f.c_last[first + j] = kept[4 * s.h + j];
            }
        }
    }
}

template <class T> bool run_forward(i64 mode, const Sizes &s, const T *w, const Forward<T> &f) {
    Walk<T> walk;
    enum { COLUMNS = Walk<T>::COLUMNS, EDGE = Walk<T>::EDGE };
    const i64 blocks = ceil_div(s.h, COLUMNS);
    if (!walk.prepare(s.n, s.h, s.h, blocks * s.gates)) {
        return false;
    }
    const Strided<T> columns = strided(w, s.h, 1);
#pragma omp parallel if (s.n * s.h * s.h * s.gates > 30000)
    {
        alignas(64) T edge[4 * EDGE];
#pragma omp for schedule(static) nowait
        for (i64 x = 0; x < blocks * s.gates; ++x) {
            const i64 j0 = x / s.gates * COLUMNS;
            columns.template pack<COLUMNS>(walk.panel(x), x % s.gates * s.h + j0, least(COLUMNS, s.h - j0), 0, s.h);
        }
#pragma omp for schedule(static)
        for (i64 x = 0; x < walk.rows * blocks; ++x) {
            const Piece p = walk.piece(x, s.n, s.h);
            walk.pack(0, p, p.j0, f.h0 + p.n0 * s.h + p.j0, s.h);
        }
        for (i64 step = 0; step < s.t; ++step) {
#pragma omp for schedule(static)
            for (i64 x = 0; x < walk.rows * blocks; ++x) {
                const Piece p = walk.piece(x, s.n, s.h);
                for (i64 g = 0; g < s.gates; ++g) {
                    walk.multiply(step % 2, p, p.j0 / COLUMNS * s.gates + g, edge + g * EDGE);
                }
                forward_rows(mode, s, f, step, p, edge, EDGE);
                walk.pack((step + 1) % 2, p, p.j0, f.y + (s.at(step) * s.n + p.n0) * s.h + p.j0, s.h);
            }
        }
    }
    free(walk.memory);
    return true;
}

// ---- backward: one row of one tile; dh is the whole gradient of h ----

// dh0 and dc0 hold what flows to the step before, beyond what goes through W.
template <class T> struct Backward {
    const T *dy, *y, *h0, *c0, *kept;
    T *dx, *dr, *dh0, *dc0;
};

template <class T> inline void lstm_row_back(i64 n, i64 h, const T *dh, const T *kept, const T *c_before, T *dc, T *dx) {
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        const T i = kept[j], f = kept[h + j], g = kept[2 * h + j], o = kept[3 * h + j], c = m::tanh(kept[4 * h + j]);
        const T d = dc[j] + dh[j] * o * (1 - c * c);
        dx[j] = d * g * i * (1 - i);
        dx[h + j] = d * c_before[j] * f * (1 - f);
        dx[2 * h + j] = d * i * (1 - g * g);
        dx[3 * h + j] = dh[j] * c * o * (1 - o);
        dc[j] = d * f;
    }
}

template <class T> inline void gru_row_back(i64 n, i64 h, const T *dh, const T *kept, const T *before, T *through, T *dx, T *dr) {
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        const T r = kept[j], z = kept[h + j], fresh = kept[2 * h + j], q = kept[3 * h + j];
        const T d = dh[j] * (1 - z) * (1 - fresh * fresh);
        dx[j] = dr[j] = d * q * r * (1 - r);
        dx[h + j] = dr[h + j] = dh[j] * (before[j] - fresh) * z * (1 - z);
        dx[2 * h + j] = d;
        dr[2 * h + j] = d * r;
        through[j] = dh[j] * z;
    }
}

template <class T> inline void plain_row_back(i64 mode, i64 n, const T *dh, const T *y, T *dx) {
#pragma GCC ivdep
    for (i64 j = 0; j < n; ++j) {
        dx[j] = dh[j] * (mode == RNN_RELU ? T(y[j] > 0) : 1 - y[j] * y[j]);
    }
}

// Turns u, what comes through W, into the gradients of the gates; at step -1 only dh0 is left to finish.
template <class T> void backward_rows(i64 mode, const Sizes &s, const Backward<T> &b, i64 step, const Piece &p, T *u, bool last) {
    for (i64 r = 0; r < p.n; ++r, u += Walk<T>::COLUMNS) {
        const i64 first = (p.n0 + r) * s.h + p.j0, row = step < 0 ? 0 : s.at(step) * s.n + p.n0 + r;
        const i64 old = step < 1 ? 0 : s.at(step - 1) * s.n + p.n0 + r;
        T *through = b.dh0 + first;
        // dh0 starts as the gradient of the last state; only gru sends more than W's share through it.
        const bool carries = last || mode == RNN_GRU;
        for (i64 j = 0; j < p.j; ++j) {
            u[j] = (last ? T(0) : u[j]) + (carries ? through[j] : T(0));
        }
        if (step < 0) {
            for (i64 j = 0; j < p.j; ++j) {
                through[j] = u[j];
            }
            continue;
        }
        const T *dy = b.dy + row * s.h + p.j0, *y = b.y + row * s.h + p.j0, *kept = b.kept + row * s.kept * s.h + p.j0;
        T *dx = b.dx + row * s.gates * s.h + p.j0, *dr = b.dr + row * s.gates * s.h + p.j0;
        for (i64 j = 0; j < p.j; ++j) {
            u[j] += dy[j];
        }
        if (mode == RNN_LSTM) {
            lstm_row_back(p.j, s.h, u, kept, step ? b.kept + (old * 5 + 4) * s.h + p.j0 : b.c0 + first, b.dc0 + first, dx);
        } else if (mode == RNN_GRU) {
            gru_row_back(p.j, s.h, u, kept, step ? b.y + old * s.h + p.j0 : b.h0 + first, through, dx, dr);
        } else {
            plain_row_back(mode, p.j, u, y, dx);
        }
    }
}

template <class T> bool run_backward(i64 mode, const Sizes &s, const T *w, const Backward<T> &b) {
    Walk<T> walk;
    enum { COLUMNS = Walk<T>::COLUMNS, EDGE = Walk<T>::EDGE };
    const i64 blocks = ceil_div(s.h, COLUMNS), wide = s.gates * s.h;
    if (!walk.prepare(s.n, s.h, wide, blocks)) {
        return false;
    }
    const Strided<T> columns = strided(w, 1, s.h);
#pragma omp parallel if (s.n * s.h * wide > 30000)
    {
        alignas(64) T edge[EDGE];
#pragma omp for schedule(static)
        for (i64 x = 0; x < blocks; ++x) {
            columns.template pack<COLUMNS>(walk.panel(x), x * COLUMNS, least(COLUMNS, s.h - x * COLUMNS), 0, wide);
        }
        for (i64 step = s.t - 1; step >= -1; --step) {
            const int which = int((step + 2) % 2);
            const bool last = step == s.t - 1;
#pragma omp for schedule(static)
            for (i64 x = 0; x < walk.rows * blocks; ++x) {
                const Piece p = walk.piece(x, s.n, s.h);
                if (!last) {
                    walk.multiply(which, p, p.j0 / COLUMNS, edge);
                }
                backward_rows(mode, s, b, step, p, edge, last);
                for (i64 g = 0; step >= 0 && g < s.gates; ++g) {
                    walk.pack(1 - which, p, g * s.h + p.j0, b.dr + ((s.at(step) * s.n + p.n0) * s.gates + g) * s.h + p.j0, wide);
                }
            }
        }
    }
    free(walk.memory);
    return true;
}

// ---- rows ----

// Checks the first n tensors of a launch: their elements, in order, and that all have one dtype.
int fits(const cymx_args *args, const cymx_tensor *tensors, const i64 *counts, i64 n) {
    for (i64 i = 0; i < n; ++i) {
        if (tensors[i].dtype != args->in[0].dtype || element_count(tensors[i]) != counts[i]) {
            return fail(args, CYMX_BAD_ARGUMENT, "tensor %lld has %lld elements of dtype %lld, expected %lld of dtype %lld", i,
                        element_count(tensors[i]), tensors[i].dtype, counts[i], args->in[0].dtype);
        }
    }
    return CYMX_OK;
}

template <class F> int for_wide_float(const cymx_args *args, F f) {
    switch (args->in[0].dtype) {
    case CYMX_FLOAT32: return f(float());
    case CYMX_FLOAT64: return f(double());
    default: return fail(args, CYMX_UNSUPPORTED, "takes float32 and float64 only");
    }
}

int rnn_fwd(const cymx_args *args) {
    if (int code = expect(args, 4, 2, sizeof(rnn_params))) {
        return code;
    }
    const auto &p = *static_cast<const rnn_params *>(args->params);
    const bool lstm = p.mode == RNN_LSTM;
    const cymx_tensor &x = args->in[0];
    if (x.ndim != 3 || x.shape[0] < 1 || p.mode < RNN_RELU || p.mode > RNN_GRU || x.shape[2] % gate_count(p.mode)) {
        return fail(args, CYMX_BAD_ARGUMENT, "wants the products of the inputs as (T, N, gates x H), T at least 1");
    }
    const Sizes s = {x.shape[0], x.shape[1], x.shape[2] / gate_count(p.mode), gate_count(p.mode), kept_count(p.mode), p.reverse != 0};
    const i64 n_in = lstm ? 5 : 4, n_out = lstm ? 4 : p.mode == RNN_GRU ? 3 : 2, nh = s.n * s.h;
    if (int code = expect(args, int(n_in), int(n_out), sizeof(rnn_params))) {
        return code;
    }
    const i64 ins[] = {s.t * nh * s.gates, s.gates * s.h * s.h, 2 * s.gates * s.h, nh, nh};
    const i64 outs[] = {s.t * nh, nh, lstm ? nh : s.t * nh * s.kept, s.t * nh * s.kept};
    int code = fits(args, args->in, ins, n_in);
    if (code || (code = fits(args, args->out, outs, n_out))) {
        return code;
    }
    return for_wide_float(args, [&](auto zero) {
        using T = decltype(zero);
        auto in = [&](i64 i) { return static_cast<const T *>(args->in[i].data); };
        auto out = [&](i64 i) { return static_cast<T *>(args->out[i].data); };
        T *kept = s.kept ? out(n_out - 1) : out(0);
        const Forward<T> f = {in(0), in(2), in(3), lstm ? in(4) : nullptr, out(0), out(1), lstm ? out(2) : nullptr, kept};
        return run_forward(p.mode, s, in(1), f) ? int(CYMX_OK) : fail(args, CYMX_OUT_OF_MEMORY, "no memory for packed weights");
    });
}

int rnn_bwd(const cymx_args *args) {
    if (int code = expect(args, 5, 2, sizeof(rnn_params))) {
        return code;
    }
    const auto &p = *static_cast<const rnn_params *>(args->params);
    const bool lstm = p.mode == RNN_LSTM, gru = p.mode == RNN_GRU;
    const cymx_tensor &dy = args->in[0];
    if (dy.ndim != 3 || p.mode < RNN_RELU || p.mode > RNN_GRU) {
        return fail(args, CYMX_BAD_ARGUMENT, "wants the gradient of the outputs as (T, N, H)");
    }
    const Sizes s = {dy.shape[0], dy.shape[1], dy.shape[2], gate_count(p.mode), kept_count(p.mode), p.reverse != 0};
    const i64 nh = s.n * s.h, n_in = lstm ? 8 : gru ? 6 : 5, n_out = lstm || gru ? 3 : 2;
    if (int code = expect(args, int(n_in), int(n_out), sizeof(rnn_params))) {
        return code;
    }
    const i64 kept = s.t * nh * s.kept, weight = s.gates * s.h * s.h;
    const i64 ins_lstm[] = {s.t * nh, nh, nh, weight, s.t * nh, nh, nh, kept}, ins[] = {s.t * nh, nh, weight, s.t * nh, nh, kept};
    const i64 outs[] = {s.t * nh * s.gates, nh, lstm ? nh : s.t * nh * s.gates};
    int code = fits(args, args->in, lstm ? ins_lstm : ins, n_in);
    if (code || (code = fits(args, args->out, outs, n_out))) {
        return code;
    }
    return for_wide_float(args, [&](auto zero) {
        using T = decltype(zero);
        auto in = [&](i64 i) { return static_cast<const T *>(args->in[i].data); };
        auto out = [&](i64 i) { return static_cast<T *>(args->out[i].data); };
        for (i64 i = 0; i < nh; ++i) { // what flows into the last states is what the walk starts from
            out(1)[i] = in(1)[i];
            if (lstm) {
                out(2)[i] = in(2)[i];
            }
        }
        const i64 w = lstm ? 3 : 2;
        const T *more = s.kept ? in(n_in - 1) : in(0);
        const Backward<T> b = {
            in(0), in(w + 1), in(w + 2), lstm ? in(w + 3) : nullptr, more, out(0), gru ? out(2) : out(0), out(1), lstm ? out(2) : nullptr};
        return run_backward(p.mode, s, in(w), b) ? int(CYMX_OK) : fail(args, CYMX_OUT_OF_MEMORY, "no memory for packed weights");
    });
}

} // namespace

CYMX_ROWS(rnn, {"rnn_fwd", rnn_fwd}, {"rnn_bwd", rnn_bwd})
