// oneDNN primitives behind the same kernel rows: matrix products and convolutions of float32, bfloat16 and float16.
//
// The library is opened at run time, so nothing links to it; without its headers at build time this file says so when asked to load.  A row hands
// over to the portable kernel of its name whatever oneDNN refuses or would do by its reference loops: other types, empty arrays, shapes that do not
// fit.  Pooling and softmax stay portable: oneDNN's pooling wants a workspace from forward to backward and its softmax hides NaN; both are bound by
// memory.  Refuses nothing itself.  Called by: csrc/dispatch.cpp, cymx/_ops.pyx.
#include "onednn.h"

#include <cstdio>
#include <cstring>

#include "dispatch.h"

#if defined(__has_include)
#if __has_include(<oneapi/dnnl/dnnl.h>)
#define CYMX_HAS_ONEDNN 1
#endif
#endif

#ifdef CYMX_HAS_ONEDNN

#include <dlfcn.h>

#include <mutex>

#include "cymx/params.h"
#include "onednn_step.h"

namespace cymx_onednn {

Library lib;
dnnl_engine_t engine = nullptr;

Attributes strict() {
    Attributes made = make<dnnl_primitive_attr>(lib.primitive_attr_create);
    const bool done = made && lib.primitive_attr_set_scratchpad_mode(made.get(), dnnl_scratchpad_mode_user) == dnnl_success &&
                      lib.primitive_attr_set_fpmath_mode(made.get(), dnnl_fpmath_mode_strict) == dnnl_success;
    return done ? std::move(made) : nullptr;
}

namespace {

std::mutex loading;
std::atomic<bool> loaded{false}, enabled{false};

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
                                                const_dnnl_memory_desc_t(nullptr), shapes[2].desc(type).get(), strict().get());
    return build(desc, operand(DNNL_ARG_SRC, false, shapes[0].desc(type)), operand(DNNL_ARG_WEIGHTS, false, shapes[1].desc(type)),
                 operand(DNNL_ARG_DST, true, shapes[2].desc(type)));
}

// Multiplications of one call.
int64_t work_of_matmul(const cymx_args *args) {
    const cymx_tensor &a = args->in[0];
    const int32_t inner = a.ndim - (static_cast<const cymx::matmul_params *>(args->params)->transpose_a ? 2 : 1);
    return inner < 0 ? 0 : count(args->out[0]) * a.shape[inner];
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
    Builder builder;
    int64_t (*work)(const cymx_args *);
    int32_t n_in;
    size_t params_bytes;
    cymx_kernel run;
};
extern const Row rows[];

int64_t work_of_conv_weights(const cymx_args *args) { return count(args->in[0]) * 16; }

bool complete(const Row &r, const cymx_args *args) {
    return args->n_in >= r.n_in && args->n_out >= 1 && args->params_bytes >= int64_t(r.params_bytes);
}

template <int I> int row(const cymx_args *args) {
    const Row &r = rows[I];
    if (!complete(r, args)) {
        return cymx_kernel_find_portable(r.name)(args); // which says what is missing
    }
    const Threads threads(r.work(args));
    const StepPtr step = find_or_build(I, args, r.builder);
    return step ? run(*step, args) : cymx_kernel_find_portable(r.name)(args);
}

const Row rows[] = {{"matmul", build_matmul, work_of_matmul, 2, sizeof(cymx::matmul_params), row<0>},
                    {"conv_fwd", build_conv<FORWARD>, work_of_conv<FORWARD>, 2, sizeof(cymx::conv_params), row<1>},
                    {"conv_bwd_data", build_conv<BACKWARD_DATA>, work_of_conv<BACKWARD_DATA>, 2, sizeof(cymx::conv_params), row<2>},
                    {"conv_bwd_weight", build_conv<BACKWARD_WEIGHT>, work_of_conv<BACKWARD_WEIGHT>, 2, sizeof(cymx::conv_params), row<3>},
                    {"conv_weights", build_conv_weights, work_of_conv_weights, 1, sizeof(cymx::conv_params), row<4>}};

int refuse(cymx_error *err, const char *format, const char *detail) {
    err->code = CYMX_UNSUPPORTED;
    std::snprintf(err->message, sizeof err->message, format, detail);
    return err->code;
}

} // namespace
} // namespace cymx_onednn

using namespace cymx_onednn;

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
    if (lib.engine_create(&engine, dnnl_cpu, 0) != dnnl_success || !strict()) {
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

extern "C" int64_t cymx_onednn_scratch_bytes(const char *name, const cymx_args *args) {
    constexpr size_t little = 64 << 10; // that much each thread keeps
    for (int i = 0; cymx_onednn_enabled() && i < int(sizeof rows / sizeof *rows); ++i) {
        const Row &r = rows[i];
        if (std::strcmp(r.name, name) == 0 && complete(r, args)) {
            const Threads threads(r.work(args));
            const StepPtr step = find_or_build(i, args, r.builder);
            const size_t bytes = step ? room_bytes(*step) : 0;
            return bytes > little ? int64_t(bytes) : 0;
        }
    }
    return 0;
}

#else

extern "C" int cymx_onednn_load(const char *, cymx_error *err) {
    err->code = CYMX_UNSUPPORTED;
    std::snprintf(err->message, sizeof err->message, "built without oneDNN's headers");
    return err->code;
}

extern "C" void cymx_onednn_enable(int) {}

extern "C" int cymx_onednn_enabled(void) { return 0; }

extern "C" int64_t cymx_onednn_conv_weight_bytes(const cymx_args *) { return 0; }

extern "C" int64_t cymx_onednn_scratch_bytes(const char *, const cymx_args *) { return 0; }

extern "C" cymx_kernel cymx_onednn_find(const char *) { return nullptr; }

#endif
