// Runs a plan's steps.  Knows nothing of operators: it resolves operands to addresses and calls kernels.  Called by: cymx/_ops.pyx.
#include "plan.h"

#include "kept.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int max_operands = 64;

struct Step {
    cymx_kernel kernel;
    std::string label;
    std::vector<cymx_operand> operands;
    int32_t n_in, n_out;
    std::vector<uint64_t> params; // 8-byte fields, so that the block is aligned for them
    int64_t params_bytes;
    int64_t scratch_offset, scratch_bytes;
    uint64_t n_random;
    cymx::Sources sources; // of a step whose outputs are kept
};

void *address(void *const *slots, int32_t slot, int64_t offset) { return static_cast<char *>(slots[slot]) + offset; }

int run_step(const Step &step, void *const *slots, int32_t last_slot, uint64_t seed, uint64_t counter, cymx_error *err) {
    const int n = step.n_in + step.n_out;
    cymx_tensor few[max_operands];
    std::vector<cymx_tensor> many;
    cymx_tensor *tensors = few;
    if (n > max_operands) {
        many.resize(n);
        tensors = many.data();
    }
    for (int i = 0; i < n; ++i) {
        const cymx_operand &operand = step.operands[i];
        tensors[i] = operand.tensor;
        tensors[i].data = address(slots, operand.slot, operand.offset);
    }
    cymx_args args = {};
    args.in = tensors;
    args.out = tensors + step.n_in;
    args.n_in = step.n_in;
    args.n_out = step.n_out;
    args.params = step.params.data();
    args.params_bytes = step.params_bytes;
    args.scratch = step.scratch_bytes ? address(slots, last_slot, step.scratch_offset) : nullptr;
    args.scratch_bytes = step.scratch_bytes;
    args.seed = seed;
    args.counter = counter;
    args.err = err;
    const int code = step.kernel(&args);
    if (code != CYMX_OK) {
        char message[sizeof err->message];
        std::snprintf(message, sizeof message, "%.500s: %.500s", step.label.c_str(), err->message);
        std::memcpy(err->message, message, sizeof message);
        err->code = code;
    }
    return code;
}

} // namespace

struct cymx_plan {
    std::atomic<int64_t> references{1};
    int32_t n_slots = 0;
    std::vector<Step> steps;
};

extern "C" cymx_plan *cymx_plan_new(int32_t n_slots) {
    cymx_plan *plan = new cymx_plan;
    plan->n_slots = n_slots;
    return plan;
}

extern "C" void cymx_plan_retain(cymx_plan *plan) { plan->references.fetch_add(1, std::memory_order_relaxed); }

extern "C" void cymx_plan_release(cymx_plan *plan) {
    if (plan->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete plan;
    }
}

extern "C" void cymx_plan_add(cymx_plan *plan, cymx_kernel kernel, const char *label, const cymx_operand *operands, int32_t n_in, int32_t n_out,
                              const void *params, int64_t params_bytes, int64_t scratch_offset, int64_t scratch_bytes, uint64_t n_random) {
    Step step{kernel, label, {operands, operands + n_in + n_out}, n_in, n_out, {}, params_bytes, scratch_offset, scratch_bytes, n_random, {}};
    step.params.resize((params_bytes + 7) / 8 + 1);
    if (params_bytes) {
        std::memcpy(step.params.data(), params, params_bytes);
    }
    plan->steps.push_back(std::move(step));
}

extern "C" void cymx_plan_keep(cymx_plan *plan, const int32_t *sources, int32_t n_sources) {
    plan->steps.back().sources = cymx::Sources(sources, n_sources);
}

extern "C" uint64_t cymx_plan_n_random(const cymx_plan *plan, int32_t start, int32_t stop) {
    uint64_t n = 0;
    for (int32_t i = start; i < stop; ++i) {
        n += plan->steps[i].n_random;
    }
    return n;
}

extern "C" int cymx_plan_run(cymx_plan *plan, int32_t start, int32_t stop, void *const *slots, const cymx_buffer *const *buffers, uint64_t seed,
                             uint64_t counter, cymx_error *err) {
    for (int32_t i = start; i < stop; ++i) {
        Step &step = plan->steps[i];
        if (step.sources && step.sources.unchanged(buffers)) {
            continue;
        }
        if (const int code = run_step(step, slots, plan->n_slots - 1, seed, counter, err)) {
            return code;
        }
        step.sources.note(buffers);
        counter += step.n_random;
    }
    return CYMX_OK;
}
