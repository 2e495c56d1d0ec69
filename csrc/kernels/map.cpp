// map: runs a program of elementwise functors over blocks that stay in the first-level cache.  The program's layout is in include/cymx/params.h.
//
// Inputs are arrays of any dtype, broadcast or transposed by strides; outputs are contiguous over the iteration space.  An output may be the same
// memory as an input that is contiguous over the space and has the output's element size: every block is read before it is overwritten.  Registers
// hold float32, float64, the integers or bool; float16 and bfloat16 are converted to float32 on load and from it on store.  Refuses more than 32
// inputs, 16 outputs or 64 registers.  Called by: every elementwise operator and every fused group.
#include <omp.h>

#include "cymx/map.h"
#include "cymx/params.h"
#include "errors.h"
#include "table.h"

namespace {

using namespace cymx;

// ---- block functions: one functor, one type, n elements -------------------------------------------------------------------------------------------

typedef void (*BlockFn)(const void *x, const void *y, const void *z, void *out, i64 n);

template <class F, class T> struct Unary {
    static void run(const void *xv, const void *, const void *, void *ov, i64 n) {
        const T *x = (const T *)xv;
        T *out = (T *)ov;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            out[i] = F::f(x[i]);
        }
    }
};

// sin and cos of float32: a block with an argument too large for the vectorized reduction goes to the C library as a whole.
template <class F> struct Circular {
    static CYMX_FN float f(float x, const fn::sin *) { return m::sin_any(x); }
    static CYMX_FN float f(float x, const fn::cos *) { return m::cos_any(x); }
    static void run(const void *xv, const void *, const void *, void *ov, i64 n) {
        const float *x = (const float *)xv;
        float *out = (float *)ov;
        int small = 1;
        for (i64 i = 0; i < n; ++i) {
            small &= m::magnitude(x[i]) < m::sin_limit;
        }
        if (small) {
#pragma GCC ivdep
            for (i64 i = 0; i < n; ++i) {
                out[i] = F::f(x[i]);
            }
        } else {
            for (i64 i = 0; i < n; ++i) {
                out[i] = f(x[i], (const F *)nullptr);
            }
        }
    }
};
template <> struct Unary<fn::sin, float> : Circular<fn::sin> {};
template <> struct Unary<fn::cos, float> : Circular<fn::cos> {};

template <class F, class T> struct Binary {
    static void run(const void *xv, const void *yv, const void *, void *ov, i64 n) {
        const T *x = (const T *)xv, *y = (const T *)yv;
        T *out = (T *)ov;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            out[i] = F::f(x[i], y[i]);
        }
    }
};

template <class F, class T> struct Ternary {
    static void run(const void *xv, const void *yv, const void *zv, void *ov, i64 n) {
        const T *x = (const T *)xv, *y = (const T *)yv, *z = (const T *)zv;
        T *out = (T *)ov;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) {
            out[i] = F::f(x[i], y[i], z[i]);
        }
    }
};

template <class To, class From> void cast_block(const void *xv, const void *, const void *, void *ov, i64 n) {
    const From *x = (const From *)xv;
    To *out = (To *)ov;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        out[i] = cast<To>(x[i]);
    }
}

template <class T> void load_half(const void *xv, void *ov, i64 n) {
    const T *x = (const T *)xv;
    float *out = (float *)ov;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        out[i] = to_float(x[i]);
    }
}

template <class T> void store_half(const void *xv, void *ov, i64 n) {
    const float *x = (const float *)xv;
    T *out = (T *)ov;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        out[i] = from_float<T>(x[i]);
    }
}

// ---- their tables, indexed by functor number and dtype flag ---------------------------------------------------------------------------------------

constexpr int n_types = 8;

template <template <class, class> class Block, class F, class T, int flag> constexpr BlockFn block_of() {
    if constexpr ((F::types >> flag & 1) != 0) {
        return Block<F, T>::run;
    } else {
        return nullptr;
    }
}

#define CYMX_TYPES(X, kind, name)                                                                                                  \
    X(kind, name, float, 0), X(kind, name, double, 1), nullptr, X(kind, name, u8, 3), X(kind, name, i32, 4), X(kind, name, i8, 5), \
        X(kind, name, i64, 6), X(kind, name, bool, 7)
#define CYMX_BLOCK(kind, name, type, flag) block_of<kind, fn::name, type, flag>()
#define CYMX_UNARY(name, ...) {1, {CYMX_TYPES(CYMX_BLOCK, Unary, name)}},
#define CYMX_BINARY(name, ...) {2, {CYMX_TYPES(CYMX_BLOCK, Binary, name)}},
#define CYMX_TERNARY(name, ...) {3, {CYMX_TYPES(CYMX_BLOCK, Ternary, name)}},

const struct {
    i64 arity;
    BlockFn blocks[n_types];
} functors[] = {CYMX_UNARY_LIST(CYMX_UNARY) CYMX_BINARY_LIST(CYMX_BINARY) CYMX_TERNARY_LIST(CYMX_TERNARY)};

constexpr i64 functor_cast = sizeof functors / sizeof functors[0];

#define CYMX_CAST(kind, to, from, flag) cast_block<to, from>
#define CYMX_CASTS(to) {CYMX_TYPES(CYMX_CAST, , to)}
const BlockFn casts[n_types][n_types] = {CYMX_CASTS(float), CYMX_CASTS(double), {}, CYMX_CASTS(u8), CYMX_CASTS(i32), CYMX_CASTS(i8),
                                         CYMX_CASTS(i64),   CYMX_CASTS(bool)};

const i64 type_sizes[n_types] = {4, 8, 2, 1, 4, 1, 8, 1};

// ---- gathering inputs that are not contiguous over the space --------------------------------------------------------------------------------------

struct Gather { // the space as this input sees it: neighbouring dimensions merged where its strides allow
    int ndim;
    i64 shape[CYMX_MAX_NDIM], stride[CYMX_MAX_NDIM]; // strides in elements
};

void merge_dims(i64 ndim, const i64 *shape, const i64 *stride, Gather *g) {
    g->ndim = 0;
    for (i64 d = 0; d < ndim; ++d) {
        int last = g->ndim - 1;
        if (shape[d] == 1) {
            continue;
        }
        if (last >= 0 && g->stride[last] == stride[d] * shape[d]) {
            g->shape[last] *= shape[d];
            g->stride[last] = stride[d];
        } else {
            g->shape[g->ndim] = shape[d];
            g->stride[g->ndim++] = stride[d];
        }
    }
}

template <class T> void gather_run(const T *x, i64 stride, T *out, i64 n) {
    if (stride == 1) {
        __builtin_memcpy(out, x, n * sizeof(T));
    } else if (stride == 0) {
        T v = *x;
        for (i64 i = 0; i < n; ++i) {
            out[i] = v;
        }
    } else {
        for (i64 i = 0; i < n; ++i) {
            out[i] = x[i * stride];
        }
    }
}

template <class T> void gather_block(const Gather &g, const T *data, i64 start, T *out, i64 n) {
    i64 at[CYMX_MAX_NDIM];
    const T *row = data;
    const int last = g.ndim - 1;
    for (int d = last; d >= 0; --d) {
        at[d] = start % g.shape[d];
        start /= g.shape[d];
        row += d == last ? 0 : at[d] * g.stride[d];
    }
    const i64 inner = g.shape[last], stride = g.stride[last];
    if (last == 1 && g.stride[0] == 0 && at[1] == 0 && n > inner) { // one short row, again and again
        gather_run(row, stride, out, inner);
        for (i64 done = inner, count; done < n; done += count) {
            count = done < n - done ? done : n - done;
            __builtin_memcpy(out + done, out, count * sizeof(T));
        }
        return;
    }
    for (i64 from = at[last]; n > 0; from = 0) {
        i64 run = inner - from < n ? inner - from : n;
        gather_run(row + from * stride, stride, out, run);
        out += run;
        n -= run;
        for (int d = last - 1; d >= 0; --d) {
            row += g.stride[d];
            if (++at[d] < g.shape[d]) {
                break;
            }
            row -= g.stride[d] * at[d];
            at[d] = 0;
        }
    }
}

void gather(const Gather &g, i64 size, const void *data, i64 start, void *out, i64 n) {
    switch (size) {
    case 1: gather_block(g, (const u8 *)data, start, (u8 *)out, n); break;
    case 2: gather_block(g, (const u16 *)data, start, (u16 *)out, n); break;
    case 4: gather_block(g, (const u32 *)data, start, (u32 *)out, n); break;
    default: gather_block(g, (const u64 *)data, start, (u64 *)out, n);
    }
}

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

int read_inputs(const cymx_args *args, i64 ndim, const i64 *shape, const i64 *strides, Program *p) {
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
            if (in.gather.ndim == 2 && in.gather.stride[0] == 0 && (p->period == row || p->period == 1) && p->n_regs * 8 * row <= slot_bytes / 2) {
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
int place_registers(const cymx_args *args, const i64 *stores, Program *p) {
    i64 last_use[max_registers], n_steps = p->n_steps, first_step = p->n_in + p->n_const;
    i8 direct[max_registers]; // the output that the register is computed in, or -1
    for (i64 r = 0; r < p->n_regs; ++r) {
        last_use[r] = -1;
        direct[r] = -1;
    }
    for (i64 i = 0; i < n_steps; ++i) {
        last_use[p->steps[i].src[0]] = last_use[p->steps[i].src[1]] = last_use[p->steps[i].src[2]] = i;
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
    if (in.dtype == CYMX_FLOAT16) {
        load_half<float16>(from, out, n);
    } else if (in.dtype == CYMX_BFLOAT16) {
        load_half<bfloat16>(from, out, n);
    }
}

// Runs the program on the elements [begin, end).
template <i64 bytes> void run_range(const cymx_args *args, const Program &p, i64 begin, i64 end) {
    alignas(64) char slots[bytes];
    char *at[max_registers];
    const i64 slot_size = (p.block * p.widest + 63) & ~63ll, longest = end - begin < p.block ? end - begin : p.block;
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
    for (i64 start = begin; start < end; start += p.block) {
        i64 n = end - start < p.block ? end - start : p.block;
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
        for (i64 c = 0; c < p.n_copies; ++c) {
            const char *from = at[p.copies[c].reg];
            const cymx_tensor &out = args->out[p.copies[c].output];
            if (out.dtype == CYMX_FLOAT16) {
                store_half<float16>(from, (float16 *)out.data + start, n);
            } else if (out.dtype == CYMX_BFLOAT16) {
                store_half<bfloat16>(from, (bfloat16 *)out.data + start, n);
            } else if (char *to = (char *)out.data + start * type_sizes[out.dtype]; to != from) {
                __builtin_memcpy(to, from, n * type_sizes[out.dtype]);
            }
        }
    }
}

void run_parallel(const cymx_args *args, const Program &p) {
    const i64 n_blocks = (p.n + p.block - 1) / p.block;
#pragma omp parallel
    {
        i64 n_threads = omp_get_num_threads(), me = omp_get_thread_num();
        i64 begin = n_blocks * me / n_threads * p.block, end = n_blocks * (me + 1) / n_threads * p.block;
        run_range<slot_bytes>(args, p, begin, end < p.n ? end : p.n);
    }
}

int map(const cymx_args *args) {
    const i64 *words = (const i64 *)args->params, n_words = args->params_bytes / 8;
    if (n_words < 4) {
        return fail(args, CYMX_BAD_ARGUMENT, "the program has %lld words and no header", n_words);
    }
    const map_header h = {words[0], words[1], words[2], words[3]};
    Program p;
    p.n_in = args->n_in;
    p.n_const = h.n_const;
    p.n_steps = h.n_instr;
    p.n_regs = p.n_in + h.n_const + h.n_instr;
    p.n_slots = p.n_copies = p.n_moving = p.work = 0;
    p.widest = p.period = 1;
    if (h.ndim < 0 || h.ndim > CYMX_MAX_NDIM || h.n_const < 0 || h.n_instr < 0 || p.n_in > max_inputs || args->n_out > max_outputs ||
        p.n_regs > max_registers) {
        return fail(args, CYMX_BAD_ARGUMENT, "a program of %lld inputs, %lld outputs and %lld registers is beyond 32, 16 and 64", p.n_in, args->n_out,
                    p.n_regs);
    }
    if (h.n_store != args->n_out || n_words != 4 + h.ndim * (1 + p.n_in) + 2 * h.n_const + 5 * h.n_instr + h.n_store) {
        return fail(args, CYMX_BAD_ARGUMENT, "the program has %lld words and %lld stores for %lld outputs, which do not fit its header", n_words,
                    h.n_store, args->n_out);
    }
    const i64 *shape = words + 4, *strides = shape + h.ndim, *consts = strides + h.ndim * p.n_in, *instrs = consts + 2 * h.n_const;
    p.n = 1;
    for (i64 d = 0; d < h.ndim; ++d) {
        p.n *= shape[d];
    }
    if (int code = read_inputs(args, h.ndim, shape, strides, &p)) {
        return code;
    }
    for (i64 c = 0; c < h.n_const; ++c) {
        i64 dtype = consts[2 * c];
        if (dtype < 0 || dtype >= n_types || dtype == CYMX_FLOAT16) {
            return fail(args, CYMX_UNSUPPORTED, "constant %lld has dtype %lld, which no register holds", c, dtype);
        }
        p.dtype[p.n_in + c] = (u8)dtype;
        p.consts[c] = constant_bits((i32)dtype, consts[2 * c + 1]);
    }
    if (int code = read_instructions(args, instrs, h.n_instr, &p)) {
        return code;
    }
    if (int code = place_registers(args, instrs + 5 * h.n_instr, &p)) {
        return code;
    }
    if (p.n == 0) {
        return CYMX_OK;
    }
    const i64 slots = p.n_slots > 0 ? p.n_slots : 1, fits = slot_bytes / (slots * p.widest) & ~63ll;
    p.block = fits < block_elements ? fits : block_elements;
    p.block -= p.block % p.period;
    if (p.n <= p.block && slots * p.widest * ((p.n + 63) & ~63ll) <= small_bytes) {
        p.block = (p.n + 63) & ~63ll;
        run_range<small_bytes>(args, p, 0, p.n);
    } else if (p.n * (p.work + p.n_copies) < parallel_work || p.n <= p.block) {
        run_range<slot_bytes>(args, p, 0, p.n);
    } else {
        run_parallel(args, p);
    }
    return CYMX_OK;
}

} // namespace

CYMX_ROWS(map, {"map", map})
