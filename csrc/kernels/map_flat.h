// map_flat: one functor on whole arrays of one dtype, or on an array and a number, or on a number, without a program.
//
// in (n,)?, (n,)?  out (n,); out may be the memory of an input.  16-bit floats are computed in float32, block by block.  Refuses what `map` refuses.
// Included by map.cpp alone.
#pragma once
#include <omp.h>

#include "program.h"

namespace {

struct Flat {
    const char *in[2]; // null: the number
    char *out;
    i64 size;  // of an element
    i32 dtype; // stored
    BlockFn fn;
};

// The elements [begin, end) in one go: arrays as they lie.
void flat_whole(const Flat &f, i64 begin, i64 end) {
    const i64 at = begin * f.size;
    const char *second = f.in[1] ? f.in[1] + at : nullptr;
    f.fn(f.in[0] + at, second, nullptr, f.out + at, end - begin);
}

// The same in blocks: with a number, or in halves.
void flat_blocks(const Flat &f, double number, i64 begin, i64 end) {
    alignas(64) char blocks[3][block_elements * sizeof(double)];
    const bool half = is_half(f.dtype);
    const i64 longest = end - begin < block_elements ? end - begin : block_elements;
    for (i64 k = 0; k < 2; ++k) {
        if (!f.in[k]) {
            const i32 dtype = half ? CYMX_FLOAT32 : f.dtype;
            const i64 bits = dtype <= CYMX_FLOAT64 ? (i64)bits_of(number) : (i64)number;
            fill(type_sizes[dtype], constant_bits(dtype, bits), blocks[k], longest);
        }
    }
    for (i64 start = begin; start < end; start += block_elements) {
        const i64 n = end - start < block_elements ? end - start : block_elements;
        const char *src[2];
        for (i64 k = 0; k < 2; ++k) {
            src[k] = f.in[k] && !half ? f.in[k] + start * f.size : blocks[k];
            if (f.in[k] && half) {
                widen(f.dtype, f.in[k] + start * f.size, blocks[k], n);
            }
        }
        char *to = f.out + start * f.size;
        f.fn(src[0], src[1], nullptr, half ? blocks[2] : to, n);
        if (half) {
            narrow(f.dtype, blocks[2], to, n);
        }
    }
}

int map_flat(const cymx_args *args) {
    const flat_params &p = *(const flat_params *)args->params;
    const i32 dtype = args->out[0].dtype, computed = is_half(dtype) ? CYMX_FLOAT32 : dtype;
    const i64 n = args->out[0].shape[0];
    if (p.functor < 0 || p.functor >= functor_cast || computed < 0 || computed >= n_types || !functors[p.functor].blocks[computed]) {
        return fail(args, CYMX_UNSUPPORTED, "functor %lld does not compute in dtype %lld", p.functor, dtype);
    }
    const i64 n_operands = args->n_in + (p.number_at >= 0);
    if (functors[p.functor].arity != n_operands || p.number_at > 1 || (args->n_in > 0 && p.number_at >= 0 && computed > CYMX_FLOAT64)) {
        return fail(args, CYMX_BAD_ARGUMENT, "functor %lld takes %lld operands, %lld came with a number at %lld", p.functor,
                    functors[p.functor].arity, n_operands, p.number_at);
    }
    Flat f = {{}, (char *)args->out[0].data, is_half(dtype) ? 2 : type_sizes[dtype], dtype, functors[p.functor].blocks[computed]};
    for (i64 k = 0, used = 0; k < n_operands; ++k) {
        f.in[k] = k == p.number_at ? nullptr : (const char *)args->in[used++].data;
    }
    const bool whole = p.number_at < 0 && !is_half(dtype);
    auto run = [&](i64 begin, i64 end) { whole ? flat_whole(f, begin, end) : flat_blocks(f, p.number, begin, end); };
    const bool dear = !functors[p.functor].blocks[CYMX_INT32];
    if (n * (dear ? 6 : 1) < parallel_work) {
        run(0, n);
        return CYMX_OK;
    }
    const i64 n_blocks = (n + block_elements - 1) / block_elements;
#pragma omp parallel
    {
        const i64 n_threads = omp_get_num_threads(), me = omp_get_thread_num();
        const i64 begin = n_blocks * me / n_threads * block_elements, end = n_blocks * (me + 1) / n_threads * block_elements;
        run(begin, end < n ? end : n);
    }
    return CYMX_OK;
}

} // namespace
