// map: runs a program of elementwise functors over blocks that stay in the first-level cache.  The program's layout is in include/cymx/params.h.
// map_reduce: the same, where some outputs are reductions of registers (map_reduce.h).
// map_flat: one functor on whole arrays of one dtype; for a call that comes alone, which a program would only slow down (map_flat.h).
//
// Inputs are arrays of any dtype, broadcast or transposed by strides; outputs are contiguous over the iteration space.  An output may be the same
// memory as an input that is contiguous over the space and has the output's element size.  Refuses more than 32 inputs, 16 outputs or 64 registers.
// The rows are one room, as the functors' tables are large.  Called by: every elementwise operator and every fused group.
#include <omp.h>

#include "map_flat.h"
#include "map_reduce.h"
#include "program.h"

namespace {

// Runs the program on the elements [begin, end).
template <i64 bytes> void run_range(const cymx_args *args, const Program &p, i64 begin, i64 end) {
    Runner<bytes> runner(args, p, end - begin < p.block ? end - begin : p.block);
    for (i64 start = begin; start < end; start += p.block) {
        i64 n = end - start < p.block ? end - start : p.block;
        runner.compute(start, n);
        runner.store(start, n);
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
    Program p;
    Words words;
    if (int code = split_words(args, false, &p, &words)) {
        return code;
    }
    if (int code = read_program(args, words, 0, &p)) {
        return code;
    }
    if (p.n == 0) {
        return CYMX_OK;
    }
    const i64 slots = p.n_slots > 0 ? p.n_slots : 1;
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

CYMX_ROWS(map, {"map", map}, {"map_reduce", map_reduce}, {"map_flat", map_flat})
