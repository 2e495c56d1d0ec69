// Convolutions by cuDNN's descriptors: forward with bias, residual and relu, and both gradients.  See library.h.
#include "gpu/library.h"

#include <initializer_list>
#include <memory>

namespace {

// cuDNN's own numbers.
enum { DATA_FLOAT = 0, DATA_DOUBLE = 1, DATA_HALF = 2, DATA_BFLOAT16 = 9 };
enum { FORMAT_NCHW = 0, FORMAT_NHWC = 1, CROSS_CORRELATION = 1, FMA_MATH = 3, TENSOR_OP_MATH = 1, ACTIVATION_RELU = 1, ACTIVATION_IDENTITY = 5 };
enum { IMPLICIT_PRECOMP_GEMM = 1, PROPAGATE_NAN = 1, NOT_SUPPORTED = 3000, MAX_CHOICES = 8 };

struct Choice { // cudnnConvolution*AlgoPerf_t
    int algorithm, status;
    float time_ms;
    size_t workspace_bytes;
    int determinism, math, reserved[3];
};
static_assert(sizeof(Choice) == 48, "as cuDNN lays it out");

struct Convolution {
    const cymx_cudnn *library;
    void *handle;
    cymx_conv_settings s;
    void *x = nullptr, *w = nullptr, *y = nullptr, *bias = nullptr, *convolution = nullptr, *activation = nullptr;
    int algorithm = 0;
    size_t workspace_bytes = 0;

    ~Convolution() {
        for (void *tensor : {x, y, bias}) {
            if (tensor) library->cudnnDestroyTensorDescriptor(tensor);
        }
        if (w) library->cudnnDestroyFilterDescriptor(w);
        if (convolution) library->cudnnDestroyConvolutionDescriptor(convolution);
        if (activation) library->cudnnDestroyActivationDescriptor(activation);
    }
    bool wide() const { return s.type == 1; }
    int math() const { return s.type == 2 || s.type == 12 || (s.type == 0 && s.tf32) ? TENSOR_OP_MATH : FMA_MATH; }
    int type() const { return s.type == 0 ? DATA_FLOAT : s.type == 1 ? DATA_DOUBLE : s.type == 2 ? DATA_HALF : DATA_BFLOAT16; }
};

// Factors of a call; cuDNN wants them in float64 for float64.
struct Factors {
    float one = 1, zero = 0;
    double wide_one = 1, wide_zero = 0;
    bool wide;
    const void *a() const { return wide ? static_cast<const void *>(&wide_one) : &one; }
    const void *b() const { return wide ? static_cast<const void *>(&wide_zero) : &zero; }
};

void *at(uint64_t address) { return reinterpret_cast<void *>(address); }

int run_forward(void *self, const uint64_t *addresses, void *stream) {
    const Convolution &c = *static_cast<Convolution *>(self);
    Factors f;
    f.wide = c.wide();
    if (const int code = c.library->cudnnSetStream(c.handle, stream)) return -code;
    int next = 2;
    const uint64_t bias = c.s.bias ? addresses[next++] : 0, residual = c.s.residual ? addresses[next++] : 0;
    void *y = at(addresses[next]), *workspace = at(addresses[next + 1]);
    if (!c.bias) {
        return -c.library->cudnnConvolutionForward(c.handle, f.a(), c.x, at(addresses[0]), c.w, at(addresses[1]), c.convolution, c.algorithm,
                                                   workspace, c.workspace_bytes, f.b(), c.y, y);
    }
    const void *z = residual ? at(residual) : y;
    return -c.library->cudnnConvolutionBiasActivationForward(c.handle, f.a(), c.x, at(addresses[0]), c.w, at(addresses[1]), c.convolution,
                                                             c.algorithm, workspace, c.workspace_bytes, residual ? f.a() : f.b(), c.y, z, c.bias,
                                                             at(bias), c.activation, c.y, y);
}

int run_backward_data(void *self, const uint64_t *addresses, void *stream) {
    const Convolution &c = *static_cast<Convolution *>(self);
    Factors f;
    f.wide = c.wide();
    if (const int code = c.library->cudnnSetStream(c.handle, stream)) return -code;
    return -c.library->cudnnConvolutionBackwardData(c.handle, f.a(), c.w, at(addresses[1]), c.y, at(addresses[0]), c.convolution, c.algorithm,
                                                    at(addresses[3]), c.workspace_bytes, f.b(), c.x, at(addresses[2]));
}

int run_backward_weight(void *self, const uint64_t *addresses, void *stream) {
    const Convolution &c = *static_cast<Convolution *>(self);
    Factors f;
    f.wide = c.wide();
    if (const int code = c.library->cudnnSetStream(c.handle, stream)) return -code;
    return -c.library->cudnnConvolutionBackwardFilter(c.handle, f.a(), c.x, at(addresses[0]), c.y, at(addresses[1]), c.convolution, c.algorithm,
                                                      at(addresses[3]), c.workspace_bytes, f.b(), c.w, at(addresses[2]));
}

void drop(void *self) { delete static_cast<Convolution *>(self); }

// A contiguous tensor of dims (N, C, *S), in memory (N, *S, C) where channels are last.
int make_tensor(const Convolution &c, const int64_t *shape, void **tensor) {
    const int n = static_cast<int>(c.s.rank) + 2;
    int dims[5], strides[5], stride = c.s.channels_last ? static_cast<int>(shape[1]) : 1;
    for (int i = n - 1; i >= 0; --i) {
        dims[i] = static_cast<int>(shape[i]);
        if (c.s.channels_last && i == 1) {
            strides[i] = 1;
            continue;
        }
        strides[i] = stride;
        stride *= dims[i];
    }
    if (const int code = c.library->cudnnCreateTensorDescriptor(tensor)) return code;
    return c.library->cudnnSetTensorNdDescriptor(*tensor, c.type(), n, dims, strides);
}

int describe(Convolution &c) {
    const cymx_cudnn *library = c.library;
    const int n = static_cast<int>(c.s.rank);
    const int format = c.s.channels_last ? FORMAT_NHWC : FORMAT_NCHW; // dims are (K, C, *R) either way
    int dims[5], pads[3], strides[3], dilations[3];
    if (const int code = make_tensor(c, c.s.x, &c.x)) return code;
    if (const int code = make_tensor(c, c.s.y, &c.y)) return code;
    for (int i = 0; i < n + 2; ++i) dims[i] = static_cast<int>(c.s.w[i]);
    if (const int code = library->cudnnCreateFilterDescriptor(&c.w)) return code;
    if (const int code = library->cudnnSetFilterNdDescriptor(c.w, c.type(), format, n + 2, dims)) return code;
    for (int i = 0; i < n; ++i) {
        pads[i] = static_cast<int>(c.s.pad[i]);
        strides[i] = static_cast<int>(c.s.stride[i]);
        dilations[i] = static_cast<int>(c.s.dilation[i]);
    }
    if (const int code = library->cudnnCreateConvolutionDescriptor(&c.convolution)) return code;
    const int compute = c.wide() ? DATA_DOUBLE : DATA_FLOAT;
    if (const int code = library->cudnnSetConvolutionNdDescriptor(c.convolution, n, pads, strides, dilations, CROSS_CORRELATION, compute))
        return code;
    if (const int code = library->cudnnSetConvolutionGroupCount(c.convolution, static_cast<int>(c.s.groups))) return code;
    if (const int code = library->cudnnSetConvolutionMathType(c.convolution, c.math())) return code;
    if (c.s.which != CYMX_CONV_FORWARD || !c.s.bias) return 0;
    int64_t bias[5] = {1, c.s.y[1], 1, 1, 1};
    if (const int code = make_tensor(c, bias, &c.bias)) return code;
    if (const int code = library->cudnnCreateActivationDescriptor(&c.activation)) return code;
    return library->cudnnSetActivationDescriptor(c.activation, c.s.relu ? ACTIVATION_RELU : ACTIVATION_IDENTITY, PROPAGATE_NAN, 0);
}

// The quickest algorithm by cuDNN's own guess whose workspace is within bounds and, for gradients, whose sums come out the same every time.
int choose(Convolution &c) {
    Choice choices[MAX_CHOICES];
    int found = 0, code = 0;
    switch (c.s.which) {
    case CYMX_CONV_FORWARD:
        code = c.library->cudnnGetConvolutionForwardAlgorithm_v7(c.handle, c.x, c.w, c.convolution, c.y, MAX_CHOICES, &found, choices);
        break;
    case CYMX_CONV_BACKWARD_DATA:
        code = c.library->cudnnGetConvolutionBackwardDataAlgorithm_v7(c.handle, c.w, c.y, c.convolution, c.x, MAX_CHOICES, &found, choices);
        break;
    default: code = c.library->cudnnGetConvolutionBackwardFilterAlgorithm_v7(c.handle, c.x, c.y, c.convolution, c.w, MAX_CHOICES, &found, choices);
    }
    if (code) return code;
    const bool only_implicit = c.bias && !c.s.relu; // all that cuDNN offers with an identity
    for (int i = 0; i < found; ++i) {
        const Choice &choice = choices[i];
        if (choice.status || choice.workspace_bytes > CYMX_WORKSPACE_LIMIT || !choice.determinism) continue;
        if (only_implicit && choice.algorithm != IMPLICIT_PRECOMP_GEMM) continue;
        c.algorithm = choice.algorithm;
        c.workspace_bytes = choice.workspace_bytes;
        // The guess holds with the choice's own arithmetic; its default allows TF32, so plain float32 stays as it is.
        return c.math() == FMA_MATH ? 0 : c.library->cudnnSetConvolutionMathType(c.convolution, choice.math);
    }
    return NOT_SUPPORTED;
}

} // namespace

extern "C" int cymx_conv_make(const cymx_cudnn *library, void *handle, const cymx_conv_settings *settings, cymx_gpu_call *call) {
    std::unique_ptr<Convolution> c(new Convolution{library, handle, *settings});
    if (const int code = describe(*c)) return -code;
    if (const int code = choose(*c)) return -code;
    int (*const runs[])(void *, const uint64_t *, void *) = {run_forward, run_backward_data, run_backward_weight};
    const int64_t bytes = static_cast<int64_t>(c->workspace_bytes);
    *call = cymx_gpu_call{runs[settings->which], drop, c.release(), bytes};
    return 0;
}
