// A primitive with the reorders around it, run on a kernel's arrays, and the cache of them.  Read by csrc/onednn*.cpp.
#pragma once
#include <omp.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "onednn_library.h"

namespace cymx_onednn {

// An array of ours as the primitive takes it; reorder is null where its layout is ours.
struct Operand {
    int arg;
    bool is_output;
    Desc ours, theirs;
    Owned<dnnl_primitive> reorder;
    size_t theirs_bytes;
};

inline Operand operand(int arg, bool is_output, Desc ours) { return {arg, is_output, std::move(ours), nullptr, nullptr, 0}; }

// The library's objects of one run, kept for the next.
struct Bound {
    std::vector<Owned<dnnl_memory>> ours, theirs; // theirs: null where no reorder stands between
    Owned<dnnl_memory> scratch;
    Owned<dnnl_stream> stream;
    std::vector<dnnl_exec_arg_t> args;
};

struct Step {
    Owned<dnnl_primitive> primitive; // null: nothing but the reorder of the one operand
    std::vector<Operand> operands;   // the kernel's inputs in order, then its output
    size_t scratch_bytes = 0, theirs_bytes = 0;
    Desc scratch_desc;
    mutable std::atomic<Bound *> idle{nullptr};

    Step() = default;
    Step(const Step &) = delete;
    ~Step() { delete idle.load(); }
};
using StepPtr = std::shared_ptr<const Step>;

// Whether a primitive is oneDNN's reference code, which is slower than our own kernels.
bool by_reference_loops(const PrimitiveDesc &desc);
// A step from a primitive's description and its arrays, inputs first, as the kernel has them; null where oneDNN has nothing fast.
StepPtr build(const PrimitiveDesc &desc, std::vector<Operand> operands);
// A step that copies the one input to the output in another layout.
StepPtr build_reorder(Desc from, Desc to);
// The scratch that a run takes, from 64-byte aligned memory.
size_t room_bytes(const Step &step);
// Runs a step in any number of threads, in the scratch that came along if it is enough.
int run(const Step &step, const cymx_args *args);

template <class... Operands> StepPtr build(const PrimitiveDesc &desc, Operands... each) {
    std::vector<Operand> operands;
    (operands.push_back(std::move(each)), ...);
    return build(desc, std::move(operands));
}

// Everything that a step was built from: kernel and threads, then parameters, then the type and shape of every array.
struct Key {
    enum { WORDS = 80 };
    int n = 0;
    int64_t words[WORDS];

    Key(int64_t kernel, const cymx_args *args) {
        add(kernel);
        add(omp_get_max_threads()); // primitives keep the number that they were made for; a forked child must not meet the parent's
        for (int64_t i = 0; i < args->params_bytes / 8; ++i) {
            add(static_cast<const int64_t *>(args->params)[i]);
        }
        for (int32_t i = 0; i < args->n_in + args->n_out; ++i) {
            const cymx_tensor &t = i < args->n_in ? args->in[i] : args->out[i - args->n_in];
            add(int64_t(t.dtype) << 8 | t.ndim);
            for (int32_t d = 0; d < t.ndim; ++d) {
                add(t.shape[d]);
            }
        }
    }
    void add(int64_t word) {
        if (n < WORDS) {
            words[n] = word;
        }
        ++n;
    }
    bool operator==(const Key &other) const { return n == other.n && std::memcmp(words, other.words, size_t(n) * sizeof *words) == 0; }
};

struct Hash {
    size_t operator()(const Key &key) const {
        uint64_t h = 0x9e3779b97f4a7c15u;
        for (int i = 0; i < key.n; ++i) {
            h = (h ^ uint64_t(key.words[i])) * 0xff51afd7ed558ccdu;
            h ^= h >> 32;
        }
        return h;
    }
};

using Builder = StepPtr (*)(const cymx_args *);
// The step of these arguments, built at most once unless the cache overflowed; null says that the portable kernel must do it.
StepPtr find_or_build(int64_t kernel, const cymx_args *args, Builder builder);

// oneDNN's name of a type, or undef.
dnnl_data_type_t type_of(int32_t dtype);
// That of all arrays but input `except`; undef where they differ, are empty, or oneDNN lacks it.
dnnl_data_type_t common_type(const cymx_args *args, int32_t except = -1);
Shape shape_of(const cymx_tensor &t);
int64_t count(const cymx_tensor &t);

// csrc/onednn_conv.cpp
enum Direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT };
template <Direction DIRECTION> StepPtr build_conv(const cymx_args *args);
template <Direction DIRECTION> int64_t work_of_conv(const cymx_args *args);
StepPtr build_conv_weights(const cymx_args *args);

} // namespace cymx_onednn
