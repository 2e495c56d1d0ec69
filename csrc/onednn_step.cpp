// Builds, keeps and runs oneDNN's primitives between reorders.  Memory of a run is that of its thread; the one piece of state is a pure cache, steps
// by their shapes.  Called by: csrc/onednn.cpp, csrc/onednn_conv.cpp.
#if defined(__has_include)
#if __has_include(<oneapi/dnnl/dnnl.h>)
#include "onednn_step.h"

#include <cstdio>
#include <mutex>
#include <unordered_map>

namespace cymx_onednn {

namespace {

size_t round_up(size_t bytes) { return (bytes + 127) / 128 * 128; }

void reserve_scratch(Step &step, dnnl_primitive_desc *desc) {
    const size_t bytes = lib.memory_desc_get_size(lib.primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
    step.scratch_bytes = bytes > step.scratch_bytes ? bytes : step.scratch_bytes;
}

Owned<dnnl_primitive> make_reorder(Step &step, const Desc &from, const Desc &to) {
    const PrimitiveDesc desc = make<dnnl_primitive_desc>(lib.reorder_primitive_desc_create, from.get(), engine, to.get(), engine, strict().get());
    if (!desc) {
        return nullptr;
    }
    reserve_scratch(step, desc.get());
    return make<dnnl_primitive>(lib.primitive_create, desc.get());
}

// Where an array of the primitive differs in layout from ours, adds the reorder between them.
bool connect(Step &step, dnnl_primitive_desc *desc, Operand &o) {
    // What post-operations read lies as it is given.
    if (o.arg >= DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE) {
        return o.ours != nullptr;
    }
    o.theirs = copy_of(lib.primitive_desc_query_md(desc, dnnl_query_exec_arg_md, o.arg));
    if (!o.theirs || !o.ours) {
        return false;
    }
    if (lib.memory_desc_equal(o.theirs.get(), o.ours.get())) {
        return true;
    }
    o.reorder = make_reorder(step, o.is_output ? o.theirs : o.ours, o.is_output ? o.ours : o.theirs);
    o.theirs_bytes = round_up(lib.memory_desc_get_size(o.theirs.get()));
    step.theirs_bytes += o.theirs_bytes;
    return o.reorder != nullptr;
}

bool describe_scratch(Step &step) {
    const dnnl_dims_t bytes = {int64_t(step.scratch_bytes)}, packed = {1};
    step.scratch_desc = make<dnnl_memory_desc>(lib.memory_desc_create_with_strides, 1, bytes, dnnl_u8, packed);
    return step.scratch_desc != nullptr;
}

// ---- running -----------------------------------------------------------------------------------------------------------------------------------

// A thread's memory for runs whose scratch does not suffice; what one run made very large is not kept.
class Room {
  public:
    char *take(size_t bytes) {
        if (bytes > bytes_) {
            bytes_ = 0;
            memory_.reset(); // first, or both would be held at once
            memory_.reset(std::aligned_alloc(128, round_up(bytes)));
            bytes_ = memory_ ? bytes : 0;
        }
        return static_cast<char *>(memory_.get());
    }
    void trim() {
        if (bytes_ > MOST_KEPT) {
            memory_.reset();
            bytes_ = 0;
        }
    }

  private:
    static constexpr size_t MOST_KEPT = size_t(32) << 20;
    Owned<void> memory_;
    size_t bytes_ = 0;
};

thread_local Room room;

Owned<dnnl_memory> memory_of(const Desc &desc) { return make<dnnl_memory>(lib.memory_create, desc.get(), engine, static_cast<void *>(nullptr)); }

std::unique_ptr<Bound> bind(const Step &step) {
    auto bound = std::make_unique<Bound>();
    bound->stream = make<dnnl_stream>(lib.stream_create, engine, unsigned(dnnl_stream_default_flags));
    bound->scratch = memory_of(step.scratch_desc);
    bool made = bound->stream && bound->scratch;
    bound->args.push_back({DNNL_ARG_SCRATCHPAD, bound->scratch.get()});
    for (const Operand &o : step.operands) {
        bound->ours.push_back(memory_of(o.ours));
        bound->theirs.push_back(o.reorder && step.primitive ? memory_of(o.theirs) : nullptr);
        dnnl_memory *used = (bound->theirs.back() ? bound->theirs : bound->ours).back().get();
        made = made && bound->ours.back() && used;
        bound->args.push_back({o.arg, used});
    }
    return made ? std::move(bound) : nullptr;
}

bool move(const Owned<dnnl_primitive> &reorder, const Bound &bound, dnnl_memory *from, dnnl_memory *to) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, bound.scratch.get()}};
    return lib.primitive_execute(reorder.get(), bound.stream.get(), 3, args) == dnnl_success;
}

// Reorders in, the primitive, reorders out.
bool execute(const Step &step, const Bound &bound, const cymx_args *args, char *free_room) {
    bool done = lib.memory_set_data_handle(bound.scratch.get(), free_room) == dnnl_success;
    free_room += round_up(step.scratch_bytes);
    const size_t n = step.operands.size();
    for (size_t i = 0; i < n; ++i) {
        const Operand &o = step.operands[i];
        done = done && lib.memory_set_data_handle(bound.ours[i].get(), (o.is_output ? args->out[0] : args->in[i]).data) == dnnl_success;
        if (bound.theirs[i]) {
            done = done && lib.memory_set_data_handle(bound.theirs[i].get(), free_room) == dnnl_success;
            free_room += o.theirs_bytes;
            done = done && (o.is_output || move(o.reorder, bound, bound.ours[i].get(), bound.theirs[i].get()));
        }
    }
    if (!step.primitive) {
        return done && move(step.operands[0].reorder, bound, bound.ours[0].get(), bound.ours[1].get());
    }
    done = done && lib.primitive_execute(step.primitive.get(), bound.stream.get(), int(bound.args.size()), bound.args.data()) == dnnl_success;
    for (size_t i = 0; i < n && done; ++i) {
        done = !step.operands[i].is_output || !bound.theirs[i] || move(step.operands[i].reorder, bound, bound.theirs[i].get(), bound.ours[i].get());
    }
    return done && lib.stream_wait(bound.stream.get()) == dnnl_success;
}

// Never destroyed: at exit the library's own statics may go first.
enum { MOST_STEPS = 1024 };
std::mutex cache_mutex;
std::unordered_map<Key, StepPtr, Hash> &cache() {
    static auto *steps = new std::unordered_map<Key, StepPtr, Hash>();
    return *steps;
}

} // namespace

bool by_reference_loops(const PrimitiveDesc &desc) {
    const char *name = "";
    return lib.primitive_desc_query(desc.get(), dnnl_query_impl_info_str, 0, &name) != dnnl_success || std::strncmp(name, "ref", 3) == 0 ||
           std::strstr(name, ":ref") != nullptr;
}

StepPtr build(const PrimitiveDesc &desc, std::vector<Operand> operands) {
    if (!desc || by_reference_loops(desc)) {
        return nullptr;
    }
    auto step = std::make_shared<Step>();
    step->operands = std::move(operands);
    reserve_scratch(*step, desc.get());
    for (Operand &o : step->operands) {
        if (!connect(*step, desc.get(), o)) {
            return nullptr;
        }
    }
    step->primitive = make<dnnl_primitive>(lib.primitive_create, desc.get());
    return step->primitive && describe_scratch(*step) ? step : nullptr;
}

StepPtr build_reorder(Desc from, Desc to) {
    auto step = std::make_shared<Step>();
    if (!from || !to) {
        return nullptr;
    }
    Owned<dnnl_primitive> reorder = make_reorder(*step, from, to);
    step->operands.push_back(operand(DNNL_ARG_FROM, false, std::move(from)));
    step->operands.push_back(operand(DNNL_ARG_TO, true, std::move(to)));
    step->operands[0].reorder = std::move(reorder);
    return step->operands[0].reorder && describe_scratch(*step) ? step : nullptr;
}

size_t room_bytes(const Step &step) {
    const size_t bytes = round_up(step.scratch_bytes) + step.theirs_bytes;
    return bytes ? bytes + 64 : 0; // up to the next multiple of 128
}

int run(const Step &step, const cymx_args *args) {
    const size_t bytes = room_bytes(step);
    char *memory = bytes <= size_t(args->scratch_bytes) ? static_cast<char *>(args->scratch) : room.take(bytes);
    std::unique_ptr<Bound> bound(step.idle.exchange(nullptr, std::memory_order_acquire));
    if (!bound) {
        bound = bind(step);
    }
    const bool done = (memory || !bytes) && bound && execute(step, *bound, args, memory + -uintptr_t(memory) % 128);
    Bound *nobody = nullptr;
    if (done && step.idle.compare_exchange_strong(nobody, bound.get(), std::memory_order_release)) {
        bound.release();
    }
    room.trim();
    if (!done) {
        args->err->code = memory ? CYMX_FAILED : CYMX_OUT_OF_MEMORY;
        std::snprintf(args->err->message, sizeof args->err->message, memory ? "oneDNN could not run" : "no memory for oneDNN's own layouts");
        return args->err->code;
    }
    return CYMX_OK;
}

StepPtr find_or_build(int64_t kernel, const cymx_args *args, Builder builder) {
    const Key key(kernel, args);
    if (key.n > Key::WORDS) {
        return nullptr;
    }
    const std::lock_guard<std::mutex> lock(cache_mutex);
    const auto found = cache().find(key);
    if (found != cache().end()) {
        return found->second;
    }
    if (cache().size() >= MOST_STEPS) {
        cache().clear();
    }
    return cache().emplace(key, builder(args)).first->second;
}

// ---- arrays ------------------------------------------------------------------------------------------------------------------------------------

dnnl_data_type_t type_of(int32_t dtype) {
    return dtype == CYMX_FLOAT32 ? dnnl_f32 : dtype == CYMX_FLOAT16 ? dnnl_f16 : dtype == CYMX_BFLOAT16 ? dnnl_bf16 : dnnl_data_type_undef;
}

dnnl_data_type_t common_type(const cymx_args *args, int32_t except) {
    const int32_t dtype = args->out[0].dtype;
    for (int32_t i = 0; i < args->n_in + args->n_out; ++i) {
        const cymx_tensor &t = i < args->n_in ? args->in[i] : args->out[i - args->n_in];
        if ((t.dtype != dtype && i != except) || count(t) == 0) {
            return dnnl_data_type_undef;
        }
    }
    return type_of(dtype);
}

Shape shape_of(const cymx_tensor &t) {
    Shape s;
    for (int32_t d = 0; d < t.ndim; ++d) {
        s.add(t.shape[d]);
    }
    s.pack();
    return s;
}

int64_t count(const cymx_tensor &t) {
    int64_t n = 1;
    for (int32_t d = 0; d < t.ndim; ++d) {
        n *= t.shape[d];
    }
    return n;
}

} // namespace cymx_onednn

#endif
#endif
