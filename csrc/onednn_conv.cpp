// Convolutions by oneDNN: images channels last as they are, others between reorders; bias, residual and relu in the one primitive.
//
// conv_weights reorders a weight once into the layout that oneDNN likes best for one image of that size.  The layout is chosen once a process and
// remembered, whatever the number of threads that later runs have, and convolutions of more images read it too: bytes made by one plan fit every step.
// Called by: csrc/onednn.cpp.
#if defined(__has_include)
#if __has_include(<oneapi/dnnl/dnnl.h>)
#include <limits>
#include <mutex>
#include <unordered_map>

#include "cymx/params.h"
#include "onednn.h"
#include "onednn_step.h"

namespace cymx_onednn {

namespace {

struct Conv {
    Shape x, w, y;
    dnnl_dims_t stride, dilate, lo, hi;
    dnnl_data_type_t type;
    bool channels_last;

    // What the primitive is given: our own layout where channels are last, else its choice.
    Desc image(const Shape &s) const { return channels_last ? s.desc(type) : s.any(type); }
};

// Fills c; false where the shapes do not fit or oneDNN lacks the type.
bool read(const cymx::conv_params &p, const cymx_tensor &x, const cymx_tensor &w, const cymx_tensor &y, dnnl_data_type_t type, Conv &c) {
    if (type == dnnl_data_type_undef || p.n < 1 || p.n > 3 || p.channels_last > 1 || x.ndim != p.n + 2 || w.ndim != p.n + 2 || y.ndim != p.n + 2 ||
        p.groups < 1 || w.shape[0] % p.groups != 0) {
        return false;
    }
    c.type = type, c.channels_last = p.channels_last != 0;
    c.x = shape_of(x), c.y = shape_of(y);
    if (c.channels_last) {
        c.x.channels_to_front();
        c.y.channels_to_front();
    }
    if (p.groups > 1) {
        c.w.add(p.groups);
    }
    c.w.add(w.shape[0] / p.groups);
    for (int32_t d = 1; d < w.ndim; ++d) {
        c.w.add(w.shape[d]);
    }
    c.w.pack();
    for (int64_t d = 0; d < p.n; ++d) {
        c.stride[d] = p.stride[d], c.dilate[d] = p.dilate[d] - 1, c.lo[d] = p.pad_lo[d];
        // What the output uses, not what was given: oneDNN checks that they agree, and a remainder of the stride is no error.
        c.hi[d] = (c.y.dims[2 + d] - 1) * p.stride[d] + (w.shape[2 + d] - 1) * p.dilate[d] + 1 - c.x.dims[2 + d] - p.pad_lo[d];
        const int64_t unused = p.pad_hi[d] - c.hi[d];
        if (unused < 0 || unused >= p.stride[d]) {
            return false;
        }
    }
    return true;
}

// weight: its layout, or null where oneDNN may choose it.
PrimitiveDesc describe_forward(const Conv &c, const Desc &bias, const Attributes &attributes, const Desc &weight = nullptr) {
    const Desc any = c.w.any(c.type);
    return make<dnnl_primitive_desc>(lib.convolution_forward_primitive_desc_create, engine, dnnl_forward_training, dnnl_convolution_direct,
                                     c.image(c.x).get(), (weight ? weight : any).get(), bias.get(), c.image(c.y).get(), c.stride, c.dilate, c.lo,
                                     c.hi, attributes.get());
}

// The weight of a convolution whose weight was packed, from the shapes of x and y.
cymx_tensor unpacked(const cymx::conv_params &p, const cymx_tensor &x, const cymx_tensor &y) {
    cymx_tensor w = {};
    w.dtype = x.dtype, w.ndim = int32_t(p.n) + 2;
    w.shape[0] = y.shape[p.channels_last ? y.ndim - 1 : 1];
    w.shape[1] = x.shape[p.channels_last ? x.ndim - 1 : 1] / (p.groups > 0 ? p.groups : 1);
    for (int64_t d = 0; d < p.n && d < 3; ++d) {
        w.shape[2 + d] = p.kernel[d];
    }
    return w;
}

// The layout of packed weights, by the convolution; null where they stay as they are.
Desc packed_layout(const cymx::conv_params &p, cymx_tensor x, const cymx_tensor &w, cymx_tensor y) {
    static std::mutex mutex;
    static auto *layouts = new std::unordered_map<Key, Desc, Hash>();
    cymx::conv_params plain = p;
    plain.residual = plain.relu = 0;
    x.shape[0] = y.shape[0] = 1;
    const cymx_tensor shapes[] = {x, w, y};
    cymx_args args = {};
    args.in = shapes, args.n_in = 2, args.out = shapes + 2, args.n_out = 1, args.params = &plain, args.params_bytes = sizeof plain;
    Key key(0, &args);
    key.words[1] = 0; // threads do not matter
    const std::lock_guard<std::mutex> lock(mutex);
    auto found = layouts->find(key);
    if (found == layouts->end()) {
        Conv c;
        Desc layout;
        if (read(p, x, w, y, common_type(&args), c)) {
            const PrimitiveDesc forward = describe_forward(c, nullptr, strict());
            layout = forward ? copy_of(lib.primitive_desc_query_md(forward.get(), dnnl_query_exec_arg_md, DNNL_ARG_WEIGHTS)) : nullptr;
        }
        found = layouts->emplace(key, std::move(layout)).first;
    }
    return found->second ? copy_of(found->second.get()) : nullptr;
}

// The convolution whose weight a conv_weights launch packs: image and output shapes follow the common parameters.
struct WeightsCall {
    const cymx::conv_params *p;
    cymx_tensor x = {}, y = {};

    explicit WeightsCall(const cymx_args *args) : p(static_cast<const cymx::conv_params *>(args->params)) {
        const int32_t ndim = args->in[0].ndim;
        const int64_t *shapes = reinterpret_cast<const int64_t *>(p + 1);
        x.dtype = y.dtype = args->in[0].dtype, x.ndim = y.ndim = ndim;
        for (int32_t d = 0; d < ndim; ++d) {
            x.shape[d] = shapes[d], y.shape[d] = shapes[ndim + d];
        }
    }
    static bool fits(const cymx_args *args) {
        const int64_t ndim = args->n_in > 0 ? args->in[0].ndim : 0;
        return ndim >= 3 && ndim <= 5 && args->params_bytes >= int64_t(sizeof(cymx::conv_params)) + 16 * ndim;
    }
};

// x min(1, max(0, FLT_MAX x)): the maximum with 0 that lets NaN through, which oneDNN's own turns into 0.
bool append_relu(dnnl_post_ops_t after) {
    return lib.post_ops_append_eltwise(after, dnnl_eltwise_hardswish, std::numeric_limits<float>::max(), 0) == dnnl_success;
}

// What a forward convolution does to its sums on the way out; null where oneDNN refuses.
Attributes on_the_way_out(const cymx::conv_params &p, const Conv &c) {
    Attributes attributes = strict();
    const Owned<dnnl_post_ops> after = make<dnnl_post_ops>(lib.post_ops_create);
    if (!attributes || !after || (p.residual && lib.post_ops_append_binary(after.get(), dnnl_binary_add, c.y.desc(c.type).get()) != dnnl_success) ||
        (p.relu && !append_relu(after.get())) || lib.primitive_attr_set_post_ops(attributes.get(), after.get()) != dnnl_success) {
        return nullptr;
    }
    return attributes;
}

StepPtr build_forward(const cymx_args *args) {
    const auto &p = *static_cast<const cymx::conv_params *>(args->params);
    const cymx_tensor &x = args->in[0], &y = args->out[0];
    const bool packed = args->in[1].dtype == CYMX_UINT8, has_residual = p.residual != 0, has_bias = args->n_in == (has_residual ? 4 : 3);
    const cymx_tensor w = packed ? unpacked(p, x, y) : args->in[1];
    Conv c;
    if (args->n_in < 2 + has_residual || !read(p, x, w, y, common_type(args, packed ? 1 : -1), c)) {
        return nullptr;
    }
    const Attributes attributes = on_the_way_out(p, c);
    if (!attributes) {
        return nullptr;
    }
    const Shape bias = has_bias ? shape_of(args->in[2]) : Shape();
    std::vector<Operand> operands;
    operands.push_back(operand(DNNL_ARG_SRC, false, c.x.desc(c.type)));
    const Desc layout = packed ? packed_layout(p, x, w, y) : nullptr;
    if (packed && !layout) {
        return nullptr;
    }
    operands.push_back(operand(DNNL_ARG_WEIGHTS, false, packed ? copy_of(layout.get()) : c.w.desc(c.type)));
    if (has_bias) {
        operands.push_back(operand(DNNL_ARG_BIAS, false, bias.desc(c.type)));
    }
    if (has_residual) {
        operands.push_back(operand(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, false, c.y.desc(c.type)));
    }
    operands.push_back(operand(DNNL_ARG_DST, true, c.y.desc(c.type)));
    const Desc bias_desc = has_bias ? bias.desc(c.type) : nullptr;
    PrimitiveDesc desc = describe_forward(c, bias_desc, attributes, layout);
    if (!desc || by_reference_loops(desc)) {
        desc = describe_forward(c, bias_desc, attributes);
    }
    return build(std::move(desc), std::move(operands));
}

} // namespace

template <Direction DIRECTION> StepPtr build_conv(const cymx_args *args) {
    if (DIRECTION == FORWARD) {
        return build_forward(args);
    }
    const cymx_tensor &dy = args->in[0], &b = args->in[1], &result = args->out[0];
    Conv c;
    if (!read(*static_cast<const cymx::conv_params *>(args->params), DIRECTION == BACKWARD_DATA ? result : b, DIRECTION == BACKWARD_DATA ? b : result,
              dy, common_type(args), c)) {
        return nullptr;
    }
    const Attributes attributes = strict();
    const PrimitiveDesc forward = describe_forward(c, nullptr, attributes);
    const Desc x = c.image(c.x), w = c.w.any(c.type), y = c.image(c.y);
    if (!forward) {
        return nullptr;
    }
    if (DIRECTION == BACKWARD_DATA) {
        const auto desc = make<dnnl_primitive_desc>(lib.convolution_backward_data_primitive_desc_create, engine, dnnl_convolution_direct, x.get(),
                                                    w.get(), y.get(), c.stride, c.dilate, c.lo, c.hi, forward.get(), attributes.get());
        return build(desc, operand(DNNL_ARG_DIFF_DST, false, c.y.desc(c.type)), operand(DNNL_ARG_WEIGHTS, false, c.w.desc(c.type)),
                     operand(DNNL_ARG_DIFF_SRC, true, c.x.desc(c.type)));
    }
    const auto desc =
        make<dnnl_primitive_desc>(lib.convolution_backward_weights_primitive_desc_create, engine, dnnl_convolution_direct, x.get(), w.get(),
                                  const_dnnl_memory_desc_t(nullptr), y.get(), c.stride, c.dilate, c.lo, c.hi, forward.get(), attributes.get());
    return build(desc, operand(DNNL_ARG_DIFF_DST, false, c.y.desc(c.type)), operand(DNNL_ARG_SRC, false, c.x.desc(c.type)),
                 operand(DNNL_ARG_DIFF_WEIGHTS, true, c.w.desc(c.type)));
}
template StepPtr build_conv<FORWARD>(const cymx_args *args);
template StepPtr build_conv<BACKWARD_DATA>(const cymx_args *args);
template StepPtr build_conv<BACKWARD_WEIGHT>(const cymx_args *args);

template <Direction DIRECTION> int64_t work_of_conv(const cymx_args *args) {
    const auto &p = *static_cast<const cymx::conv_params *>(args->params);
    const cymx_tensor &y = DIRECTION == FORWARD ? args->out[0] : args->in[0];
    const cymx_tensor w = DIRECTION == BACKWARD_WEIGHT                 ? args->out[0]
                          : args->in[1].dtype == CYMX_UINT8 && p.n > 0 ? unpacked(p, args->in[0], y)
                                                                       : args->in[1];
    return w.ndim == 0 || w.shape[0] == 0 ? 0 : count(y) * (count(w) / w.shape[0]);
}
template int64_t work_of_conv<FORWARD>(const cymx_args *args);
template int64_t work_of_conv<BACKWARD_DATA>(const cymx_args *args);
template int64_t work_of_conv<BACKWARD_WEIGHT>(const cymx_args *args);

StepPtr build_conv_weights(const cymx_args *args) {
    if (!WeightsCall::fits(args)) {
        return nullptr;
    }
    const WeightsCall call(args);
    Conv c;
    return read(*call.p, call.x, args->in[0], call.y, type_of(call.x.dtype), c)
               ? build_reorder(c.w.desc(c.type), packed_layout(*call.p, call.x, args->in[0], call.y))
               : nullptr;
}

static int64_t packed_bytes(const cymx_args *args) {
    const WeightsCall call(args);
    Conv c;
    if (!read(*call.p, call.x, args->in[0], call.y, type_of(call.x.dtype), c)) {
        return 0;
    }
    // A residual may be what oneDNN has no kernel for, and the portable one knows no packed weights.
    const Attributes attributes = on_the_way_out(*call.p, c);
    const PrimitiveDesc forward = attributes ? describe_forward(c, nullptr, attributes) : nullptr;
    if (!forward || by_reference_loops(forward)) {
        return 0;
    }
    const Desc layout = packed_layout(*call.p, call.x, args->in[0], call.y);
    return layout ? int64_t(lib.memory_desc_get_size(layout.get())) : 0;
}

} // namespace cymx_onednn

extern "C" int64_t cymx_onednn_conv_weight_bytes(const cymx_args *args) {
    using namespace cymx_onednn;
    static std::mutex mutex;
    static auto *known = new std::unordered_map<Key, int64_t, Hash>();
    if (!cymx_onednn_enabled() || !WeightsCall::fits(args)) {
        return 0;
    }
    const Key key(0, args);
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = known->find(key);
    return found != known->end() ? found->second : known->emplace(key, packed_bytes(args)).first->second;
}

#endif
#endif
