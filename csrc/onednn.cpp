// oneDNN primitives behind the same kernel rows: matrix products and convolutions of float32, bfloat16 and float16.
//
// The library is opened at run time, so nothing links to it; without its headers at build time this file says so when asked to load.  A row hands
// over to the portable kernel of its name whatever oneDNN refuses or would do by its reference loops: other types, empty arrays, shapes that do not
// fit.  Pooling and softmax stay portable: oneDNN's pooling wants a workspace from forward to backward and its softmax hides NaN; both are bound by
// memory.  Convolutions run in the layouts that oneDNN picks, between reorders.  The one piece of state is a pure cache, primitives by their shapes.
// Refuses nothing itself.  Called by: csrc/dispatch.cpp, cymx/_ops.pyx.
#include "onednn.h"

#include <omp.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cymx/params.h"
#include "dispatch.h"

#if defined(__has_include)
#if __has_include(<oneapi/dnnl/dnnl.h>)
#define CYMX_HAS_ONEDNN 1
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#endif
#endif

#ifdef CYMX_HAS_ONEDNN

namespace {

#define CYMX_ONEDNN_FUNCTIONS(X)                                                                                                             \
    X(version)                                                                                                                               \
    X(engine_create)                                                                                                                         \
    X(stream_create) X(stream_wait) X(stream_destroy) X(memory_desc_create_with_strides) X(memory_desc_create_with_tag) X(memory_desc_clone) \
        X(memory_desc_destroy) X(memory_desc_equal) X(memory_desc_get_size) X(memory_create) X(memory_destroy) X(primitive_attr_create)      \
            X(primitive_attr_destroy) X(primitive_attr_set_scratchpad_mode) X(primitive_attr_set_fpmath_mode) X(primitive_desc_query)        \
                X(primitive_desc_query_md) X(primitive_desc_destroy) X(primitive_create) X(primitive_destroy) X(primitive_execute)           \
                    X(reorder_primitive_desc_create) X(matmul_primitive_desc_create) X(convolution_forward_primitive_desc_create)            \
                        X(convolution_backward_data_primitive_desc_create) X(convolution_backward_weights_primitive_desc_create)

#define CYMX_MEMBER(name) decltype(&dnnl_##name) name;
struct Library {
    CYMX_ONEDNN_FUNCTIONS(CYMX_MEMBER)
};
#undef CYMX_MEMBER

Library lib;
dnnl_engine_t engine = nullptr;
dnnl_primitive_attr_t strict = nullptr; // scratchpad from the caller, no lowering of precision
std::mutex loading;
std::atomic<bool> loaded{false}, enabled{false};

struct Destroy {
    void operator()(dnnl_memory_desc *p) const { lib.memory_desc_destroy(p); }
    void operator()(dnnl_memory *p) const { lib.memory_destroy(p); }
    void operator()(dnnl_primitive_desc *p) const { lib.primitive_desc_destroy(p); }
    void operator()(dnnl_primitive *p) const { lib.primitive_destroy(p); }
    void operator()(dnnl_stream *p) const { lib.stream_destroy(p); }
    void operator()(void *p) const { std::free(p); }
};
template <class T> using Owned = std::unique_ptr<T, Destroy>;
using Desc = Owned<dnnl_memory_desc>;
using PrimitiveDesc = Owned<dnnl_primitive_desc>;

// Takes what a creating function f(&handle, args...) made; null where it refused.
template <class T, class F, class... Args> Owned<T> make(F f, Args... args) {
    T *made = nullptr;
    return Owned<T>(f(&made, args...) == dnnl_success ? made : nullptr);
}

size_t round_up(size_t bytes) { return (bytes + 127) / 128 * 128; }

// ---- a primitive with the reorders around it ---------------------------------------------------------------------------------------------------

// An array of ours as the primitive takes it; reorder is null where its layout is ours.
struct Operand {
    int arg;
    bool is_output;
    Desc ours, theirs;
    Owned<dnnl_primitive> reorder;
    size_t theirs_bytes;
};

struct Step {
    Owned<dnnl_primitive> primitive;
    std::vector<Operand> operands;
    size_t scratch_bytes = 0, theirs_bytes = 0;
    Desc scratch_desc;
};

struct Shape {
    int n = 0;
    dnnl_dims_t dims, strides;

    explicit Shape(std::initializer_list<int64_t> extents = {}) {
        for (int64_t extent : extents) {
            add(extent);
        }
        pack();
    }
    void add(int64_t extent) { dims[n++] = extent; }
    void pack() {
        int64_t step = 1;
        for (int i = n; i-- > 0; step *= dims[i]) {
            strides[i] = step;
        }
    }
    void transpose_last() {
        strides[n - 2] = 1;
        strides[n - 1] = dims[n - 2];
    }
    Desc desc(dnnl_data_type_t type) const { return make<dnnl_memory_desc>(lib.memory_desc_create_with_strides, n, dims, type, strides); }
    Desc any(dnnl_data_type_t type) const { return make<dnnl_memory_desc>(lib.memory_desc_create_with_tag, n, dims, type, dnnl_format_tag_any); }
};

bool by_reference_loops(const PrimitiveDesc &desc) {
    const char *name = "";
    return lib.primitive_desc_query(desc.get(), dnnl_query_impl_info_str, 0, &name) != dnnl_success || std::strncmp(name, "ref", 3) == 0 ||
           std::strstr(name, ":ref") != nullptr;
}

void reserve_scratch(Step &step, dnnl_primitive_desc *desc) {
    const size_t bytes = lib.memory_desc_get_size(lib.primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
    step.scratch_bytes = bytes > step.scratch_bytes ? bytes : step.scratch_bytes;
}

// Where an array of the primitive differs in layout from ours, adds the reorder between them.
bool connect(Step &step, dnnl_primitive_desc *desc, Operand &o) {
    o.theirs = make<dnnl_memory_desc>(lib.memory_desc_clone, lib.primitive_desc_query_md(desc, dnnl_query_exec_arg_md, o.arg));
    if (!o.theirs || !o.ours) {
        return false;
    }
    if (lib.memory_desc_equal(o.theirs.get(), o.ours.get())) {
        return true;
    }
    const_dnnl_memory_desc_t from = (o.is_output ? o.theirs : o.ours).get(), to = (o.is_output ? o.ours : o.theirs).get();
    const PrimitiveDesc reorder = make<dnnl_primitive_desc>(lib.reorder_primitive_desc_create, from, engine, to, engine, strict);
    if (!reorder) {
        return false;
    }
    reserve_scratch(step, reorder.get());
    o.reorder = make<dnnl_primitive>(lib.primitive_create, reorder.get());
    o.theirs_bytes = round_up(lib.memory_desc_get_size(o.theirs.get()));
    step.theirs_bytes += o.theirs_bytes;
    return o.reorder != nullptr;
}

using StepPtr = std::shared_ptr<const Step>;

Operand operand(int arg, bool is_output, Desc ours) { return {arg, is_output, std::move(ours), nullptr, nullptr, 0}; }

// A step from a primitive's description and our arrays, inputs first, as the kernel has them; null where oneDNN has nothing fast.
template <class... Operands> StepPtr build(const PrimitiveDesc &desc, Operands... operands) {
    if (!desc || by_reference_loops(desc)) {
        return nullptr;
    }
    auto step = std::make_shared<Step>();
    (step->operands.push_back(std::move(operands)), ...);
    reserve_scratch(*step, desc.get());
    for (Operand &o : step->operands) {
        if (!connect(*step, desc.get(), o)) {
            return nullptr;
        }
    }
    const dnnl_dims_t bytes = {int64_t(step->scratch_bytes)}, packed = {1};
    step->scratch_desc = make<dnnl_memory_desc>(lib.memory_desc_create_with_strides, 1, bytes, dnnl_u8, packed);
    step->primitive = make<dnnl_primitive>(lib.primitive_create, desc.get());
    return step->primitive && step->scratch_desc ? step : nullptr;
}

bool execute(const Owned<dnnl_primitive> &primitive, dnnl_stream *stream, const std::vector<dnnl_exec_arg_t> &args) {
    return lib.primitive_execute(primitive.get(), stream, int(args.size()), args.data()) == dnnl_success;
}

// Runs a step on the kernel's arrays: reorders in, the primitive, reorders out.  Memory is of this call only, so steps run in any number of threads.
int run(const Step &step, const cymx_args *args) {
    Owned<void> room(std::aligned_alloc(128, round_up(step.scratch_bytes) + step.theirs_bytes + 128));
    Owned<dnnl_stream> stream = make<dnnl_stream>(lib.stream_create, engine, unsigned(dnnl_stream_default_flags));
    bool done = room && stream;
    char *free_room = static_cast<char *>(room.get());
    Owned<dnnl_memory> scratch = make<dnnl_memory>(lib.memory_create, step.scratch_desc.get(), engine, static_cast<void *>(free_room));
    free_room += round_up(step.scratch_bytes);
    std::vector<Owned<dnnl_memory>> memories;
    std::vector<dnnl_exec_arg_t> bound = {{DNNL_ARG_SCRATCHPAD, scratch.get()}};
    std::vector<std::pair<const Operand *, std::vector<dnnl_exec_arg_t>>> after;
    int32_t n_seen = 0;
    for (const Operand &o : step.operands) {
        const cymx_tensor &tensor = o.is_output ? args->out[0] : args->in[n_seen++];
        memories.push_back(make<dnnl_memory>(lib.memory_create, o.ours.get(), engine, tensor.data));
        dnnl_memory *ours = memories.back().get(), *theirs = ours;
        if (o.reorder) {
            memories.push_back(make<dnnl_memory>(lib.memory_create, o.theirs.get(), engine, static_cast<void *>(free_room)));
            theirs = memories.back().get();
            free_room += o.theirs_bytes;
            dnnl_memory *from = o.is_output ? theirs : ours, *to = o.is_output ? ours : theirs;
            std::vector<dnnl_exec_arg_t> moved = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, scratch.get()}};
            if (o.is_output) {
                after.emplace_back(&o, std::move(moved));
            } else {
                done = done && execute(o.reorder, stream.get(), moved);
            }
        }
        done = done && ours && theirs;
        bound.push_back({o.arg, theirs});
    }
    done = done && execute(step.primitive, stream.get(), bound);
    for (const auto &[o, moved] : after) {
        done = done && execute(o->reorder, stream.get(), moved);
    }
    if (!done || lib.stream_wait(stream.get()) != dnnl_success) {
        args->err->code = room ? CYMX_FAILED : CYMX_OUT_OF_MEMORY;
        std::snprintf(args->err->message, sizeof args->err->message, room ? "oneDNN could not run" : "no memory for oneDNN's own layouts");
        return args->err->code;
    }
    return CYMX_OK;
}

// ---- the cache: everything that a step was built from, to the step -----------------------------------------------------------------------------

// Kernel and threads, then parameters, then the type and shape of every array.
struct Key {
    enum { WORDS = 64 };
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

enum { MOST_STEPS = 1024 };
std::mutex cache_mutex;
std::unordered_map<Key, StepPtr, Hash> &cache() {
    // Never destroyed: at exit the library's own statics may go first.
    static auto *steps = new std::unordered_map<Key, StepPtr, Hash>();
    return *steps;
}

// The step of these arguments, built at most once unless the cache overflowed; null says that the portable kernel must do it.
template <class F> StepPtr find_or_build(int64_t kernel, const cymx_args *args, F &&builder) {
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

// ---- the rows ----------------------------------------------------------------------------------------------------------------------------------

// oneDNN's name of the one type of all arrays; undef where they differ, are empty, or oneDNN lacks it.
dnnl_data_type_t common_type(const cymx_args *args) {
    const int32_t dtype = args->out[0].dtype;
    for (int32_t i = 0; i < args->n_in + args->n_out; ++i) {
        const cymx_tensor &t = i < args->n_in ? args->in[i] : args->out[i - args->n_in];
        bool empty = t.dtype != dtype;
        for (int32_t d = 0; d < t.ndim; ++d) {
            empty = empty || t.shape[d] == 0;
        }
        if (empty) {
            return dnnl_data_type_undef;
        }
    }
    return dtype == CYMX_FLOAT32 ? dnnl_f32 : dtype == CYMX_FLOAT16 ? dnnl_f16 : dtype == CYMX_BFLOAT16 ? dnnl_bf16 : dnnl_data_type_undef;
}

Shape shape_of(const cymx_tensor &t) {
    Shape s;
    for (int32_t d = 0; d < t.ndim; ++d) {
        s.add(t.shape[d]);
    }
    s.pack();
    return s;
}

StepPtr build_matmul(const cymx_args *args) {
    const dnnl_data_type_t type = common_type(args);
    const cymx_tensor *tensors[] = {&args->in[0], &args->in[1], &args->out[0]};
    const auto &p = *static_cast<const cymx::matmul_params *>(args->params);
    const bool turned[] = {p.transpose_a != 0, p.transpose_b != 0, false};
    if (type == dnnl_data_type_undef || args->n_in != 2) {
        return nullptr;
    }
    Shape shapes[3];
    for (int i = 0; i < 3; ++i) {
        const cymx_tensor &t = *tensors[i];
        if (t.ndim < 2) {
            return nullptr;
        }
        int64_t batch = 1;
        for (int32_t d = 0; d < t.ndim - 2; ++d) {
            batch *= t.shape[d];
        }
        const int64_t rows = t.shape[t.ndim - 2], columns = t.shape[t.ndim - 1];
        shapes[i] = Shape{batch, turned[i] ? columns : rows, turned[i] ? rows : columns};
        if (turned[i]) {
            shapes[i].transpose_last();
        }
    }
    const auto desc = make<dnnl_primitive_desc>(lib.matmul_primitive_desc_create, engine, shapes[0].desc(type).get(), shapes[1].desc(type).get(),
                                                const_dnnl_memory_desc_t(nullptr), shapes[2].desc(type).get(), strict);
    return build(desc, operand(DNNL_ARG_SRC, false, shapes[0].desc(type)), operand(DNNL_ARG_WEIGHTS, false, shapes[1].desc(type)),
                 operand(DNNL_ARG_DST, true, shapes[2].desc(type)));
}

enum Direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT };

template <Direction DIRECTION> StepPtr build_conv(const cymx_args *args) {
    const dnnl_data_type_t type = common_type(args);
    const auto &p = *static_cast<const cymx::conv_params *>(args->params);
    const cymx_tensor &a = args->in[0], &b = args->in[1], &c = args->out[0];
    const cymx_tensor &x_tensor = DIRECTION == FORWARD ? a : DIRECTION == BACKWARD_DATA ? c : b;
    const cymx_tensor &w_tensor = DIRECTION == BACKWARD_WEIGHT ? c : b, &y_tensor = DIRECTION == FORWARD ? c : a;
    if (type == dnnl_data_type_undef || p.n < 1 || p.n > 3 || x_tensor.ndim != p.n + 2 || w_tensor.ndim != p.n + 2 || y_tensor.ndim != p.n + 2 ||
        p.groups < 1 || w_tensor.shape[0] % p.groups != 0) {
        return nullptr;
    }
    const Shape x = shape_of(x_tensor), y = shape_of(y_tensor);
    Shape w;
    if (p.groups > 1) {
        w.add(p.groups);
    }
    w.add(w_tensor.shape[0] / p.groups);
    for (int32_t d = 1; d < w_tensor.ndim; ++d) {
        w.add(w_tensor.shape[d]);
    }
    w.pack();
    dnnl_dims_t stride, dilate, lo, hi;
    for (int64_t d = 0; d < p.n; ++d) {
        stride[d] = p.stride[d], dilate[d] = p.dilate[d] - 1, lo[d] = p.pad_lo[d];
        // What the output uses, not what was given: oneDNN checks that they agree, and a remainder of the stride is no error.
        hi[d] = (y_tensor.shape[2 + d] - 1) * p.stride[d] + (w_tensor.shape[2 + d] - 1) * p.dilate[d] + 1 - x_tensor.shape[2 + d] - p.pad_lo[d];
        const int64_t unused = p.pad_hi[d] - hi[d];
        if (unused < 0 || unused >= p.stride[d]) {
            return nullptr;
        }
    }
    const bool has_bias = DIRECTION == FORWARD && args->n_in == 3;
    const Shape bias = has_bias ? shape_of(args->in[2]) : Shape();
    const Desc bias_desc = has_bias ? bias.desc(type) : nullptr;
    const Desc x_any = x.any(type), w_any = w.any(type), y_any = y.any(type);
    const auto forward =
        make<dnnl_primitive_desc>(lib.convolution_forward_primitive_desc_create, engine, dnnl_forward_training, dnnl_convolution_direct, x_any.get(),
                                  w_any.get(), bias_desc.get(), y_any.get(), stride, dilate, lo, hi, strict);
    if (!forward) {
        return nullptr;
    }
    if (DIRECTION == FORWARD) {
        Operand image = operand(DNNL_ARG_SRC, false, x.desc(type)), weight = operand(DNNL_ARG_WEIGHTS, false, w.desc(type));
        Operand result = operand(DNNL_ARG_DST, true, y.desc(type));
        return has_bias ? build(forward, std::move(image), std::move(weight), operand(DNNL_ARG_BIAS, false, bias.desc(type)), std::move(result))
                        : build(forward, std::move(image), std::move(weight), std::move(result));
    }
    if (DIRECTION == BACKWARD_DATA) {
        const auto desc = make<dnnl_primitive_desc>(lib.convolution_backward_data_primitive_desc_create, engine, dnnl_convolution_direct, x_any.get(),
                                                    w_any.get(), y_any.get(), stride, dilate, lo, hi, forward.get(), strict);
        return build(desc, operand(DNNL_ARG_DIFF_DST, false, y.desc(type)), operand(DNNL_ARG_WEIGHTS, false, w.desc(type)),
                     operand(DNNL_ARG_DIFF_SRC, true, x.desc(type)));
    }
    const auto desc =
        make<dnnl_primitive_desc>(lib.convolution_backward_weights_primitive_desc_create, engine, dnnl_convolution_direct, x_any.get(), w_any.get(),
                                  const_dnnl_memory_desc_t(nullptr), y_any.get(), stride, dilate, lo, hi, forward.get(), strict);
    return build(desc, operand(DNNL_ARG_DIFF_DST, false, y.desc(type)), operand(DNNL_ARG_SRC, false, x.desc(type)),
                 operand(DNNL_ARG_DIFF_WEIGHTS, true, w.desc(type)));
}

int64_t count(const cymx_tensor &t) {
    int64_t n = 1;
    for (int32_t d = 0; d < t.ndim; ++d) {
        n *= t.shape[d];
    }
    return n;
}

// Multiplications of one call.
int64_t work_of_matmul(const cymx_args *args) {
    const cymx_tensor &a = args->in[0];
    const int32_t inner = a.ndim - (static_cast<const cymx::matmul_params *>(args->params)->transpose_a ? 2 : 1);
    return inner < 0 ? 0 : count(args->out[0]) * a.shape[inner];
}

template <Direction DIRECTION> int64_t work_of_conv(const cymx_args *args) {
    const cymx_tensor &w = DIRECTION == BACKWARD_WEIGHT ? args->out[0] : args->in[1], &y = DIRECTION == FORWARD ? args->out[0] : args->in[0];
    return w.ndim == 0 || w.shape[0] == 0 ? 0 : count(y) * (count(w) / w.shape[0]);
}

// Keeps small work in the calling thread: to wake others costs more, and milliseconds where their cores are busy.
class Threads {
  public:
    explicit Threads(int64_t work) : before_(omp_get_max_threads()) {
        if (work < 1000000) {
            omp_set_num_threads(1);
        }
    }
    Threads(const Threads &) = delete;
    ~Threads() { omp_set_num_threads(before_); }

  private:
    int before_;
};

struct Row {
    const char *name;
    StepPtr (*builder)(const cymx_args *);
    int64_t (*work)(const cymx_args *);
    cymx_kernel run;
};
extern const Row rows[];

template <int I> int row(const cymx_args *args) {
    const int64_t params_bytes = I == 0 ? sizeof(cymx::matmul_params) : sizeof(cymx::conv_params);
    if (args->n_in < 2 || args->n_out < 1 || args->params_bytes < params_bytes) {
        return cymx_kernel_find_portable(rows[I].name)(args); // which says what is missing
    }
    const Threads threads(rows[I].work(args));
    const StepPtr step = find_or_build(I, args, rows[I].builder);
    return step ? run(*step, args) : cymx_kernel_find_portable(rows[I].name)(args);
}

const Row rows[] = {{"matmul", build_matmul, work_of_matmul, row<0>},
                    {"conv_fwd", build_conv<FORWARD>, work_of_conv<FORWARD>, row<1>},
                    {"conv_bwd_data", build_conv<BACKWARD_DATA>, work_of_conv<BACKWARD_DATA>, row<2>},
                    {"conv_bwd_weight", build_conv<BACKWARD_WEIGHT>, work_of_conv<BACKWARD_WEIGHT>, row<3>}};

int refuse(cymx_error *err, const char *format, const char *detail) {
    err->code = CYMX_UNSUPPORTED;
    std::snprintf(err->message, sizeof err->message, format, detail);
    return err->code;
}

} // namespace

extern "C" int cymx_onednn_load(const char *path, cymx_error *err) {
    const std::lock_guard<std::mutex> lock(loading);
    if (loaded) {
        return CYMX_OK;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return refuse(err, "oneDNN could not be opened: %s", dlerror());
    }
#define CYMX_LOOK_UP(name)                                                          \
    lib.name = reinterpret_cast<decltype(lib.name)>(dlsym(library, "dnnl_" #name)); \
    if (!lib.name) {                                                                \
        return refuse(err, "%s is not in this oneDNN", "dnnl_" #name);              \
    }
    CYMX_ONEDNN_FUNCTIONS(CYMX_LOOK_UP)
#undef CYMX_LOOK_UP
    const dnnl_version_t *version = lib.version();
    if (version->major != DNNL_VERSION_MAJOR || version->minor < DNNL_VERSION_MINOR || version->cpu_runtime != DNNL_RUNTIME_OMP) {
        return refuse(err, "%s is older than the headers built with, or not made for OpenMP", path);
    }
    if (lib.engine_create(&engine, dnnl_cpu, 0) != dnnl_success || lib.primitive_attr_create(&strict) != dnnl_success ||
        lib.primitive_attr_set_scratchpad_mode(strict, dnnl_scratchpad_mode_user) != dnnl_success ||
        lib.primitive_attr_set_fpmath_mode(strict, dnnl_fpmath_mode_strict) != dnnl_success) {
        return refuse(err, "%s makes no engine for the CPU", path);
    }
    loaded = true;
    return CYMX_OK;
}

extern "C" void cymx_onednn_enable(int on) { enabled = on != 0; }

extern "C" int cymx_onednn_enabled(void) { return loaded && enabled; }

extern "C" cymx_kernel cymx_onednn_find(const char *name) {
    if (cymx_onednn_enabled()) {
        for (const Row &row : rows) {
            if (std::strcmp(row.name, name) == 0) {
                return row.run;
            }
        }
    }
    return nullptr;
}

#else

extern "C" int cymx_onednn_load(const char *, cymx_error *err) {
    err->code = CYMX_UNSUPPORTED;
    std::snprintf(err->message, sizeof err->message, "built without oneDNN's headers");
    return err->code;
}

extern "C" void cymx_onednn_enable(int) {}

extern "C" int cymx_onednn_enabled(void) { return 0; }

extern "C" cymx_kernel cymx_onednn_find(const char *) { return nullptr; }

#endif
