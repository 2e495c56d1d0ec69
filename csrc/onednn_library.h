// oneDNN's functions, found at run time, and owners of what they make.  Read by csrc/onednn*.cpp, after a check that its headers are there.
#pragma once
#include <oneapi/dnnl/dnnl.h>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>

#include "cymx.h"

namespace cymx_onednn {

// clang-format off
#define CYMX_ONEDNN_FUNCTIONS(X)                     \
    X(version)                                       \
    X(engine_create)                                 \
    X(stream_create)                                 \
    X(stream_wait)                                   \
    X(stream_destroy)                                \
    X(memory_desc_create_with_strides)               \
    X(memory_desc_create_with_tag)                   \
    X(memory_desc_clone)                             \
    X(memory_desc_destroy)                           \
    X(memory_desc_equal)                             \
    X(memory_desc_get_size)                          \
    X(memory_create)                                 \
    X(memory_destroy)                                \
    X(memory_set_data_handle)                        \
    X(post_ops_create)                               \
    X(post_ops_destroy)                              \
    X(post_ops_append_binary)                        \
    X(post_ops_append_eltwise)                       \
    X(primitive_attr_create)                         \
    X(primitive_attr_destroy)                        \
    X(primitive_attr_set_scratchpad_mode)            \
    X(primitive_attr_set_fpmath_mode)                \
    X(primitive_attr_set_post_ops)                   \
    X(primitive_desc_query)                          \
    X(primitive_desc_query_md)                       \
    X(primitive_desc_destroy)                        \
    X(primitive_create)                              \
    X(primitive_destroy)                             \
    X(primitive_execute)                             \
    X(reorder_primitive_desc_create)                 \
    X(matmul_primitive_desc_create)                  \
    X(convolution_forward_primitive_desc_create)     \
    X(convolution_backward_data_primitive_desc_create) \
    X(convolution_backward_weights_primitive_desc_create)
// clang-format on

#define CYMX_MEMBER(name) decltype(&dnnl_##name) name;
struct Library {
    CYMX_ONEDNN_FUNCTIONS(CYMX_MEMBER)
};
#undef CYMX_MEMBER

extern Library lib;
extern dnnl_engine_t engine;

struct Destroy {
    void operator()(dnnl_memory_desc *p) const { lib.memory_desc_destroy(p); }
    void operator()(dnnl_memory *p) const { lib.memory_destroy(p); }
    void operator()(dnnl_post_ops *p) const { lib.post_ops_destroy(p); }
    void operator()(dnnl_primitive_attr *p) const { lib.primitive_attr_destroy(p); }
    void operator()(dnnl_primitive_desc *p) const { lib.primitive_desc_destroy(p); }
    void operator()(dnnl_primitive *p) const { lib.primitive_destroy(p); }
    void operator()(dnnl_stream *p) const { lib.stream_destroy(p); }
    void operator()(void *p) const { std::free(p); }
};
template <class T> using Owned = std::unique_ptr<T, Destroy>;
using Desc = Owned<dnnl_memory_desc>;
using PrimitiveDesc = Owned<dnnl_primitive_desc>;
using Attributes = Owned<dnnl_primitive_attr>;

// Takes what a creating function f(&handle, args...) made; null where it refused.
template <class T, class F, class... Args> Owned<T> make(F f, Args... args) {
    T *made = nullptr;
    return Owned<T>(f(&made, args...) == dnnl_success ? made : nullptr);
}

// An array's extents and strides, packed unless turned.
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
    // (N, *S, C) in memory becomes (N, C, *S), as oneDNN counts dimensions.
    void channels_to_front() {
        const int64_t extent = dims[n - 1], stride = strides[n - 1];
        for (int i = n - 1; i > 1; --i) {
            dims[i] = dims[i - 1], strides[i] = strides[i - 1];
        }
        dims[1] = extent, strides[1] = stride;
    }
    Desc desc(dnnl_data_type_t type) const { return make<dnnl_memory_desc>(lib.memory_desc_create_with_strides, n, dims, type, strides); }
    Desc any(dnnl_data_type_t type) const { return make<dnnl_memory_desc>(lib.memory_desc_create_with_tag, n, dims, type, dnnl_format_tag_any); }
};

inline Desc copy_of(const_dnnl_memory_desc_t desc) { return make<dnnl_memory_desc>(lib.memory_desc_clone, desc); }

// What every primitive asks for: scratchpad from the caller, no lowering of precision.
Attributes strict();

} // namespace cymx_onednn
