// One step of a recurrent layer in one direction, after the product of the last state and the weight, and the same backward.
//
// G gates, H units, N sequences: x (N, G H) = W_x x, u (n_parts, N, G H), which add up to W h, bias (2, G H), y (N, H), kept (N, 5 H) i f g o c of an
// lstm, or (N, 4 H) r z n and U_n h + b of a gru.  `before` is the last c of an lstm or the last h of a gru, row r at r * before_step.  A thread makes
// one unit of one sequence, in float32 or float64; operations are those of csrc/kernels/rnn.cpp.  Outputs alias no input but d_cell_out, which may be
// d_cell, and `through`, which may be `carried`.  Recipes: recipes/rnn.py, which launches a step after the other.
#pragma once
#include "device.cuh"
#include "math.h"
#include "params.h"

namespace cymx {

// Element i of a product that lies in parts of n elements.
template <class T> __device__ __forceinline__ T sum_of(const T *u, i64 i, i64 n, i64 n_parts) {
    T sum = 0;
    for (i64 p = 0; p < n_parts; ++p) {
        sum += u[p * n + i];
    }
    return sum;
}

// h_last, c_last: null but in the last step.
template <class T, int MODE>
__global__ void CYMX_BOUNDS(256) rnn_forward_step(const T *x, const T *u, i64 n_parts, const T *bias, const T *before, i64 before_step, T *y, T *kept,
                                                  T *h_last, T *c_last, i64 n, i64 h) {
    constexpr int gates = MODE == RNN_LSTM ? 4 : MODE == RNN_GRU ? 3 : 1;
    for (i64 i = first_index(); i < n * h; i += index_step()) {
        const i64 row = (u32)i / (u32)h, j = i - row * h;
        const T *xr = x + row * gates * h + j, *bx = bias + j, *bh = bx + gates * h;
        const auto through = [&](i64 gate) { return sum_of(u, (row * gates + gate) * h + j, n * gates * h, n_parts); };
        T made;
        if (MODE == RNN_LSTM) {
            T *k = kept + row * 5 * h + j;
            const T in = k[0] = m::sigmoid(xr[0] + through(0) + (bx[0] + bh[0]));
            const T forget = k[h] = m::sigmoid(xr[h] + through(1) + (bx[h] + bh[h]));
            const T fresh = k[2 * h] = m::tanh(xr[2 * h] + through(2) + (bx[2 * h] + bh[2 * h]));
            const T cell = k[4 * h] = forget * before[row * before_step + j] + in * fresh;
            const T out = k[3 * h] = m::sigmoid(xr[3 * h] + through(3) + (bx[3 * h] + bh[3 * h]));
            made = out * m::tanh(cell);
            if (c_last) {
                c_last[i] = cell;
            }
        } else if (MODE == RNN_GRU) {
            T *k = kept + row * 4 * h + j;
            const T reset = m::sigmoid(xr[0] + through(0) + (bx[0] + bh[0]));
            const T update = m::sigmoid(xr[h] + through(1) + (bx[h] + bh[h]));
            const T q = through(2) + bh[2 * h];
            const T fresh = m::tanh(xr[2 * h] + bx[2 * h] + reset * q);
            k[0] = reset, k[h] = update, k[2 * h] = fresh, k[3 * h] = q;
            made = fresh + update * (before[row * before_step + j] - fresh);
        } else {
            const T v = xr[0] + through(0) + (bx[0] + bh[0]);
            made = MODE == RNN_RELU ? (v > 0 ? v : T(0)) : m::tanh(v);
        }
        y[i] = made;
        if (h_last) {
            h_last[i] = made;
        }
    }
}

// u (n_parts, N, H): the gradient of h that comes through W, no parts in the last step of time; carried: what else comes, or null.
template <class T, int MODE>
__global__ void CYMX_BOUNDS(256) rnn_backward_step(const T *dy, const T *u, i64 n_parts, const T *carried, const T *d_cell, const T *y, const T *kept,
                                                   const T *before, i64 before_step, T *dx, T *dr, T *through, T *d_cell_out, i64 n, i64 h) {
    constexpr int gates = MODE == RNN_LSTM ? 4 : MODE == RNN_GRU ? 3 : 1;
    for (i64 i = first_index(); i < n * h; i += index_step()) {
        const i64 row = (u32)i / (u32)h, j = i - row * h;
        const T dh = sum_of(u, i, n * h, n_parts) + (carried ? carried[i] : T(0)) + dy[i];
        T *d = dx + row * gates * h + j;
        if (MODE == RNN_LSTM) {
            const T *k = kept + row * 5 * h + j;
            const T in = k[0], forget = k[h], fresh = k[2 * h], out = k[3 * h], cell = m::tanh(k[4 * h]);
            const T dc = d_cell[i] + dh * out * (1 - cell * cell);
            d[0] = dc * fresh * in * (1 - in);
            d[h] = dc * before[row * before_step + j] * forget * (1 - forget);
            d[2 * h] = dc * in * (1 - fresh * fresh);
            d[3 * h] = dh * cell * out * (1 - out);
            d_cell_out[i] = dc * forget;
        } else if (MODE == RNN_GRU) {
            const T *k = kept + row * 4 * h + j;
            T *r = dr + row * gates * h + j;
            const T reset = k[0], update = k[h], fresh = k[2 * h], q = k[3 * h];
            const T dn = dh * (1 - update) * (1 - fresh * fresh);
            d[0] = r[0] = dn * q * reset * (1 - reset);
            d[h] = r[h] = dh * (before[row * before_step + j] - fresh) * update * (1 - update);
            d[2 * h] = dn;
            r[2 * h] = dn * reset;
            through[i] = dh * update;
        } else {
            d[0] = dh * (MODE == RNN_RELU ? T(y[i] > 0) : 1 - y[i] * y[i]);
        }
    }
}

// to += u
template <class T> __global__ void CYMX_BOUNDS(256) rnn_add(const T *u, i64 n_parts, T *to, i64 n) {
    for (i64 i = first_index(); i < n; i += index_step()) {
        to[i] += sum_of(u, i, n, n_parts);
    }
}

} // namespace cymx
