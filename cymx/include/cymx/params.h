// Parameter blocks of the kernels: structs of 8-byte fields only (i64 or double), in the order in which the operator's launch lists them.
// Read by the C++ compiler and by NVRTC.  An operator's Python side packs ints and floats flat; arrays of axes are padded to CYMX max rank (8) or to
// three spatial dimensions.
#pragma once
#include "prelude.h"

namespace cymx {

// map, the fused block runner, has a block of variable length, all i64 words:
//     ndim, n_const, n_instr, n_store
//     shape[ndim]                                       the iteration space; outputs are contiguous over it
//     strides[ndim] for each input, in elements         0 where the input is broadcast
//     n_const times {dtype, bits}                       bits: of a double for floating dtypes, else the integer itself
//     n_instr times {functor, dtype, src0, src1, src2}  functor: cymx_functor_find(name); dtype: what it computes in and yields; -1: no such source
//     n_store times {register}                          output k takes that register, converted to the output's dtype only from float32 to 16 bits
// Registers are numbered: inputs, then constants, then instructions.  A float16 or bfloat16 input is a float32 register.  Sources have the
// instruction's dtype, but for "cast", whose source has any.
struct map_header {
    i64 ndim, n_const, n_instr, n_store;
};

// map_flat: one functor on one or two operands of one shape and dtype, of which one may be a number.  number_at: the operand that is `number` instead of an input; -1: none.
struct flat_params {
    i64 functor, number_at;
    double number;
};

// map_reduce has the block of map and then
//     mask                                              bit i: axis i of the iteration space is reduced in every reduced output
//     n_store times {kind}                              what becomes of output k's register: a store_kind
// A reduced output holds the kept axes in order; its register has the output's dtype, or is float32 where that has 16 bits.
enum store_kind { STORE_PLAIN = 0, STORE_SUM = 1, STORE_PROD = 2, STORE_MAX = 3, STORE_MIN = 4 };

// matmul: a (..., M, K) or its transpose, b (..., K, N) or its transpose -> c (..., M, N).  b's batch may be 1.
struct matmul_params {
    i64 transpose_a, transpose_b;
};

// conv_fwd, conv_bwd_data, conv_bwd_weight, conv_weights: n spatial dimensions in use, the first n of each array.
// channels_last: with 1 images are (N, *S, C); with 2, which the CPU refuses, weights are (O, *K, C/groups) besides.  kernel: the weight's, for the
// bytes that conv_weights makes of it.  residual, relu: what conv_fwd adds last, and whether it then takes the maximum with 0.
struct conv_params {
    i64 n, stride[3], dilate[3], pad_lo[3], pad_hi[3], groups, channels_last, kernel[3], residual, relu;
};

// winograd_fwd, winograd_weights.  tile: outputs in each direction that one tile makes, 2 or 4.  residual, relu: as in conv_params.  turned: the weights
// are for the gradient of the convolution by its input.
struct winograd_params {
    i64 tile, pad[2], residual, relu, turned;
};

enum pool_kind { POOL_MAX = 0, POOL_AVG = 1, POOL_SUM = 2, POOL_LP = 3 };

// pool_fwd, pool_bwd.  pad_hi may be larger than asked by the user: the 'full' convention rounds the output up.
struct pool_params {
    i64 n, kind, kernel[3], stride[3], pad_lo[3], pad_hi[3], count_include_pad, p, channels_last;
};

// softmax, log_softmax, argmax, argmin, concat: one axis, already non-negative; -1 means all axes as one in argmax and argmin.
struct axis_params {
    i64 axis;
};

// layer_norm: the axis, non-negative, and what is added to the variance.
struct norm_params {
    i64 axis;
    double eps;
};

// reduce_*: bit i of the mask says that axis i of the input is reduced.  The output holds the kept axes in order; its own shape may keep ones.
struct reduce_params {
    i64 mask;
};

// transpose: output axis i is input axis axes[i].
struct transpose_params {
    i64 axes[8];
};

// slice: out[i...] = in[begin + i * step ...].   slice_scatter: out = 0 everywhere but out[begin + i * step ...] = in[i...].
struct slice_params {
    i64 begin[8], step[8];
};

enum pad_mode { PAD_CONSTANT = 0, PAD_EDGE = 1, PAD_REFLECT = 2 };

struct pad_params {
    i64 mode, lo[8];
    double value;
};

enum index_mode { INDEX_CLIP = 0, INDEX_WRAP = 1, INDEX_RAISE = 2 };

// take (data, indices), take_grad (dy, indices), pick (data, index), pick_grad (dy, index).
struct index_params {
    i64 axis, mode;
};

struct one_hot_params {
    double on, off;
};

// random_uniform [a, b), random_normal mean a, deviation b, random_bernoulli 1 with probability a, random_randint [a, b): n elements use ceil(n / 4)
// counters.
struct random_params {
    double a, b;
};

struct arange_params {
    double start, step;
    i64 repeat;
};

enum rnn_mode { RNN_RELU = 0, RNN_TANH = 1, RNN_LSTM = 2, RNN_GRU = 3 };

// rnn_fwd, rnn_bwd: one layer in one direction.
struct rnn_params {
    i64 mode, reverse;
};

// sort, argsort: rows are the input's last dimension; the first k of each are written.
struct sort_params {
    i64 ascending, k;
};

} // namespace cymx
