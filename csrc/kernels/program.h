// A program of elementwise functors, checked, laid out over registers and run block by block; params.h has its layout.  Included by map.cpp alone.
//
// Every block is read before it is overwritten, and blocks may come in any order.  Registers hold float32, float64, the integers or bool; float16
// and bfloat16 are converted to float32 on load and from it on store.
#pragma once
#include "blocks.h"
#include "cymx/params.h"
#include "errors.h"

namespace {

// ---- the program, checked and laid out for running ------------------------------------------------------------------------------------------------

constexpr i64 max_inputs = 32, max_outputs = 16, max_registers = 64, block_elements = 1024, slot_bytes = 65536, small_bytes = 4096;
constexpr i64 parallel_work = 1 << 16; // below this many element operations, starting the threads costs more than they save

// Where an input's block comes from: its own memory; a copy of it; a gather; or a slot that is filled once, with one value or with a row that every
// block repeats (blocks are then whole numbers of rows).
enum Kind : u8 { IN_PLACE, COPIED, GATHERED, FILLED, REPEATED };

struct Input {
    const char *data;
    i64 size;  // of a stored element
    i32 dtype; // stored
    Kind kind;
    Gather gather;
};

struct Step {
    BlockFn fn;
    u8 src[3], dst;
};

struct Copy { // a store that its instruction cannot do itself
    u8 output, reg;
};

struct Program {
    i64 n, block, period, n_in, n_const, n_regs, n_steps, n_slots, n_copies, n_moving, work, widest;
    u64 consts[max_registers];
    Input inputs[max_inputs];
    u8 dtype[max_registers];
    i8 slot[max_registers]; // -1: a place in an input's or an output's own memory
    u8 moving[max_registers];
    char *base[max_registers];
    Step steps[max_registers];
    Copy copies[max_outputs];
};

bool is_half(i32 dtype) { return dtype == CYMX_FLOAT16 || dtype == CYMX_BFLOAT16; }

// A block of 16-bit floats of that dtype to float32, and back.
void widen(i32 dtype, const void *x, void *out, i64 n) { dtype == CYMX_FLOAT16 ? load_half<float16>(x, out, n) : load_half<bfloat16>(x, out, n); }
void narrow(i32 dtype, const void *x, void *out, i64 n) { dtype == CYMX_FLOAT16 ? store_half<float16>(x, out, n) : store_half<bfloat16>(x, out, n); }

// The bits of a constant, as its register's type has them.
u64 constant_bits(i32 dtype, i64 bits) {
    if (dtype == CYMX_FLOAT32) {
        return bits_of((float)double_of((u64)bits));
    }
    return dtype == CYMX_BOOL ? bits != 0 : (u64)bits;
}

Kind classify(i64 ndim, const i64 *shape, const i64 *stride) {
    i64 expected = 1;
    bool whole = true, constant = true;
    for (i64 d = ndim - 1; d >= 0; --d) {
        if (shape[d] != 1) {
            whole &= stride[d] == expected;
            constant &= stride[d] == 0;
        }
        expected *= shape[d];
    }
    return whole ? IN_PLACE : constant ? FILLED : GATHERED;
}

int read_inputs(const cymx_args *args, i64 ndim, const i64 *shape, const i64 *strides, i64 only_period, Program *p) {
    for (i64 i = 0; i < args->n_in; ++i) {
        const cymx_tensor &t = args->in[i];
        Input &in = p->inputs[i];
        bool half = is_half(t.dtype);
        if (!half && (t.dtype < 0 || t.dtype >= n_types)) {
            return fail(args, CYMX_UNSUPPORTED, "input %lld has dtype %lld, which no register holds", i, t.dtype);
        }
        in.data = (const char *)t.data;
        in.dtype = t.dtype;
        in.size = half ? 2 : type_sizes[t.dtype];
        in.kind = classify(ndim, shape, strides + i * ndim);
        if (in.kind == GATHERED) {
            merge_dims(ndim, shape, strides + i * ndim, &in.gather);
            i64 row = in.gather.shape[1];
            if (in.gather.ndim == 2 && in.gather.stride[0] == 0 && (p->period == row || p->period == 1) && (!only_period || only_period == row) &&
                row <= block_elements && p->n_regs * 8 * row <= slot_bytes / 2) {
                in.kind = REPEATED;
                p->period = row;
            }
        } else if (in.kind == IN_PLACE && half) {
            in.kind = COPIED;
        }
        p->dtype[i] = half ? CYMX_FLOAT32 : t.dtype;
    }
    return CYMX_OK;
}

int read_instructions(const cymx_args *args, const i64 *words, i64 n_instr, Program *p) {
    i64 reg = p->n_in + p->n_const;
    for (i64 i = 0; i < n_instr; ++i, ++reg, words += 5) {
        i64 functor = words[0], dtype = words[1];
        if (functor < 0 || functor > functor_cast || dtype < 0 || dtype >= n_types) {
            return fail(args, CYMX_BAD_ARGUMENT, "instruction %lld names functor %lld with dtype %lld, which do not exist", i, functor, dtype);
        }
        i64 arity = functor == functor_cast ? 1 : functors[functor].arity;
        Step &step = p->steps[i];
        for (i64 s = 0; s < 3; ++s) {
            i64 src = s < arity ? words[2 + s] : words[2];
            if (src < 0 || src >= reg) {
                return fail(args, CYMX_BAD_ARGUMENT, "instruction %lld reads register %lld, which is not set before it", i, src);
            }
            if (functor != functor_cast && p->dtype[src] != dtype) {
                return fail(args, CYMX_BAD_ARGUMENT, "instruction %lld computes in dtype %lld but reads a register of dtype %lld", i, dtype,
                            p->dtype[src]);
            }
            step.src[s] = (u8)src;
        }
        step.fn = functor == functor_cast ? casts[dtype][p->dtype[step.src[0]]] : functors[functor].blocks[dtype];
        if (!step.fn) {
            return fail(args, CYMX_UNSUPPORTED, "functor %lld of instruction %lld does not compute in dtype %lld", functor, i, dtype);
        }
        step.dst = (u8)reg;
        p->dtype[reg] = (u8)dtype;
        // Functors of floats alone are the dear ones: roots, exponentials and their kin.
        p->work += functor == functor_cast || functors[functor].blocks[CYMX_INT32] ? 1 : 6;
    }
    return CYMX_OK;
}

// Decides where each register lives: in an input, in an output (its last instruction then stores), or in a slot that is used again once it is dead.
// kinds: what becomes of each store's register (params.h); null: all are plain.  What a reduction takes stays until the block is done.
int place_registers(const cymx_args *args, const i64 *stores, const i64 *kinds, Program *p) {
    i64 last_use[max_registers], n_steps = p->n_steps, first_step = p->n_in + p->n_const;
    i8 direct[max_registers]; // the output that the register is computed in, or -1
    for (i64 r = 0; r < p->n_regs; ++r) {
        last_use[r] = -1;
        direct[r] = -1;
    }
    for (i64 i = 0; i < n_steps; ++i) {
        last_use[p->steps[i].src[0]] = last_use[p->steps[i].src[1]] = last_use[p->steps[i].src[2]] = i;
    }
    auto plain = [&](i64 k) { return !kinds || kinds[k] == STORE_PLAIN; };
    for (i64 k = 0; k < args->n_out; ++k) {
        if (!plain(k) && stores[k] >= 0 && stores[k] < p->n_regs) {
            last_use[stores[k]] = n_steps;
        }
    }
    for (i64 k = 0; k < args->n_out; ++k) {
        i64 r = stores[k];
        const cymx_tensor &out = args->out[k];
        if (r < 0 || r >= p->n_regs) {
            return fail(args, CYMX_BAD_ARGUMENT, "output %lld takes register %lld, which does not exist", k, r);
        }
        if (out.dtype != p->dtype[r] && !(is_half(out.dtype) && p->dtype[r] == CYMX_FLOAT32)) {
            return fail(args, CYMX_BAD_ARGUMENT, "output %lld has dtype %lld but takes a register of dtype %lld", k, out.dtype, p->dtype[r]);
        }
        if (!plain(k)) {
            continue;
        }
        bool in_output = r >= first_step && direct[r] < 0 && !is_half(out.dtype);
        for (i64 i = 0; in_output && i < p->n_in; ++i) { // an input in the same memory must be dead by then
            if (p->inputs[i].kind == IN_PLACE && p->inputs[i].data == out.data) {
                in_output = last_use[i] <= r - first_step;
                for (i64 other = 0; other < args->n_out; ++other) {
                    in_output &= stores[other] != i;
                }
            }
        }
        if (in_output) {
            direct[r] = (i8)k;
        } else {
            p->copies[p->n_copies++] = Copy{(u8)k, (u8)r};
            if (r < p->n_in && p->inputs[r].kind == IN_PLACE) {
                for (i64 other = 0; other < args->n_out; ++other) {
                    p->inputs[r].kind = other != k && args->out[other].data == p->inputs[r].data ? COPIED : p->inputs[r].kind;
                }
            }
        }
    }
    for (i64 c = 0; c < p->n_copies; ++c) {
        last_use[p->copies[c].reg] = n_steps;
    }
    u64 free_slots = ~0ull;
    auto take_slot = [&](i64 r) {
        i64 s = __builtin_ctzll(free_slots);
        free_slots &= free_slots - 1;
        p->slot[r] = (i8)s;
        p->n_slots = s >= p->n_slots ? s + 1 : p->n_slots;
        p->widest = type_sizes[p->dtype[r]] > p->widest ? type_sizes[p->dtype[r]] : p->widest;
    };
    for (i64 r = 0; r < first_step; ++r) {
        if (r < p->n_in && p->inputs[r].kind == IN_PLACE) {
            p->slot[r] = -1;
            p->base[r] = (char *)p->inputs[r].data;
            p->moving[p->n_moving++] = (u8)r;
        } else {
            take_slot(r);
            // What is filled once for all blocks keeps its slot.
            last_use[r] = r >= p->n_in || p->inputs[r].kind >= FILLED ? n_steps : last_use[r];
        }
    }
    for (i64 i = 0; i < n_steps; ++i) {
        const Step &step = p->steps[i];
        i64 r = step.dst, x = step.src[0];
        bool same_size = type_sizes[p->dtype[x]] == type_sizes[p->dtype[r]];
        auto release = [&] {
            for (i64 s = 0; s < 3; ++s) {
                i64 src = step.src[s];
                if (p->slot[src] >= 0 && last_use[src] == i) {
                    free_slots |= 1ull << p->slot[src];
                }
            }
        };
        if (same_size) {
            release();
        }
        if (direct[r] >= 0) {
            p->slot[r] = -1;
            p->base[r] = (char *)args->out[direct[r]].data;
            p->moving[p->n_moving++] = (u8)r;
        } else {
            take_slot(r);
        }
        if (!same_size) { // a cast in its own memory would overwrite what it has not read
            release();
        }
    }
    return CYMX_OK;
}

void fill(i64 size, u64 bits, void *out, i64 n) {
    const Gather one = {1, {n}, {0}};
    gather(one, size, &bits, 0, out, n);
}

// Loads input i of [start, start + n) into its slot.
void load(const Input &in, i64 start, char *out, i64 n, i64 block) {
    const char *from = in.data + start * in.size;
    if (in.kind == COPIED && !is_half(in.dtype)) {
        __builtin_memcpy(out, from, n * in.size);
        return;
    }
    if (in.kind != COPIED) {
        from = is_half(in.dtype) ? out + 2 * block : out; // a half goes to the slot's upper half, whence it is widened in place
        if (in.kind != FILLED) {
            gather(in.gather, in.size, in.data, start, (void *)from, n);
        } else {
            u64 bits = 0;
            __builtin_memcpy(&bits, in.data, in.size);
            fill(in.size, bits, (void *)from, n);
        }
    }
    if (is_half(in.dtype)) {
        widen(in.dtype, from, out, n);
    }
}

// A program on its way through one thread's blocks: at[r] is where register r is.
template <i64 bytes> struct Runner {
    const cymx_args *args;
    const Program &p;
    char *at[max_registers];
    alignas(64) char slots[bytes];

    // longest: no block of this runner has more elements.
    Runner(const cymx_args *args, const Program &p, i64 longest) : args(args), p(p) {
        const i64 slot_size = (p.block * p.widest + 63) & ~63ll;
        for (i64 r = 0; r < p.n_regs; ++r) {
            at[r] = slots + p.slot[r] * slot_size;
        }
        for (i64 i = 0; i < p.n_in; ++i) {
            if (p.inputs[i].kind >= FILLED) {
                load(p.inputs[i], 0, at[i], longest, p.block);
            }
        }
        for (i64 c = 0; c < p.n_const; ++c) {
            i64 r = p.n_in + c;
            fill(type_sizes[p.dtype[r]], p.consts[c], at[r], longest);
        }
    }

    // Computes the registers of [start, start + n), n <= p.block.
    void compute(i64 start, i64 n) {
        for (i64 k = 0; k < p.n_moving; ++k) {
            i64 r = p.moving[k];
            at[r] = p.base[r] + start * type_sizes[p.dtype[r]];
        }
        for (i64 i = 0; i < p.n_in; ++i) {
            if (p.inputs[i].kind == COPIED || p.inputs[i].kind == GATHERED) {
                load(p.inputs[i], start, at[i], n, p.block);
            }
        }
        for (i64 s = 0; s < p.n_steps; ++s) {
            const Step &step = p.steps[s];
            step.fn(at[step.src[0]], at[step.src[1]], at[step.src[2]], at[step.dst], n);
        }
    }

    // Writes what the instructions have not written themselves.
    void store(i64 start, i64 n) {
        for (i64 c = 0; c < p.n_copies; ++c) {
            const char *from = at[p.copies[c].reg];
            const cymx_tensor &out = args->out[p.copies[c].output];
            if (is_half(out.dtype)) {
                narrow(out.dtype, from, (float16 *)out.data + start, n);
            } else if (char *to = (char *)out.data + start * type_sizes[out.dtype]; to != from) {
                __builtin_memcpy(to, from, n * type_sizes[out.dtype]);
            }
        }
    }
};

// A parameter block taken apart; strides: a row an input.
struct Words {
    i64 ndim;
    const i64 *shape, *strides, *consts, *instrs, *stores, *mask, *kinds;
};

// Finds the parts of a parameter block.  with_tails: a mask and the kinds of the stores follow.
int split_words(const cymx_args *args, bool with_tails, Program *p, Words *w) {
    const i64 *words = (const i64 *)args->params, n_words = args->params_bytes / 8;
    if (n_words < 4) {
        return fail(args, CYMX_BAD_ARGUMENT, "the program has %lld words and no header", n_words);
    }
    const map_header h = {words[0], words[1], words[2], words[3]};
    p->n_in = args->n_in;
    p->n_const = h.n_const;
    p->n_steps = h.n_instr;
    p->n_regs = p->n_in + h.n_const + h.n_instr;
    p->n_slots = p->n_copies = p->n_moving = p->work = 0;
    p->widest = p->period = 1;
    if (h.ndim < 0 || h.ndim > CYMX_MAX_NDIM || h.n_const < 0 || h.n_instr < 0 || p->n_in > max_inputs || args->n_out > max_outputs ||
        p->n_regs > max_registers) {
        return fail(args, CYMX_BAD_ARGUMENT, "a program of %lld inputs, %lld outputs and %lld registers is beyond 32, 16 and 64", p->n_in,
                    args->n_out, p->n_regs);
    }
    const i64 tail = with_tails ? 1 + h.n_store : 0;
    if (h.n_store != args->n_out || n_words != 4 + h.ndim * (1 + p->n_in) + 2 * h.n_const + 5 * h.n_instr + h.n_store + tail) {
        return fail(args, CYMX_BAD_ARGUMENT, "the program has %lld words and %lld stores for %lld outputs, which do not fit its header", n_words,
                    h.n_store, args->n_out);
    }
    w->ndim = h.ndim;
    w->shape = words + 4;
    w->strides = w->shape + h.ndim;
    w->consts = w->strides + h.ndim * p->n_in;
    w->instrs = w->consts + 2 * h.n_const;
    w->stores = w->instrs + 5 * h.n_instr;
    w->mask = with_tails ? w->stores + h.n_store : nullptr;
    w->kinds = with_tails ? w->mask + 1 : nullptr;
    p->n = 1;
    for (i64 d = 0; d < h.ndim; ++d) {
        p->n *= w->shape[d];
    }
    return CYMX_OK;
}

// Checks a program and lays it out.  only_period: the one row length that blocks may repeat; 0: any.
int read_program(const cymx_args *args, const Words &w, i64 only_period, Program *p) {
    if (int code = read_inputs(args, w.ndim, w.shape, w.strides, only_period, p)) {
        return code;
    }
    for (i64 c = 0; c < p->n_const; ++c) {
        i64 dtype = w.consts[2 * c];
        if (dtype < 0 || dtype >= n_types || dtype == CYMX_FLOAT16) {
            return fail(args, CYMX_UNSUPPORTED, "constant %lld has dtype %lld, which no register holds", c, dtype);
        }
        p->dtype[p->n_in + c] = (u8)dtype;
        p->consts[c] = constant_bits((i32)dtype, w.consts[2 * c + 1]);
    }
    if (int code = read_instructions(args, w.instrs, p->n_steps, p)) {
        return code;
    }
    if (int code = place_registers(args, w.stores, w.kinds, p)) {
        return code;
    }
    const i64 slots = p->n_slots > 0 ? p->n_slots : 1, fits = slot_bytes / (slots * p->widest) & ~63ll;
    p->block = fits < block_elements ? fits : block_elements;
    p->block -= p->block % p->period;
    return CYMX_OK;
}

} // namespace
