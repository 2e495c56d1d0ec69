// A stand-in for libcudnn: the part that csrc/gpu/cudnn.cpp uses, with its rules checked, computing on the host in float64.
#include "standin.h"

#include <vector>

using namespace standin;

namespace {

struct Handle {
    static constexpr const char *name = "handle";
    void *stream;
};
struct Tensor {
    static constexpr const char *name = "tensor";
    int type, n, dims[5];
    bool last, either; // whether channels are last in memory; whether that makes no difference
};
struct Filter {
    static constexpr const char *name = "filter";
    int type, n, dims[5];
    bool last;
};
struct Convolution {
    static constexpr const char *name = "convolution";
    int n, pads[3], strides[3], dilations[3], compute, groups, math;
};
struct Activation {
    static constexpr const char *name = "activation";
    int mode;
};
struct Choice { // cudnnConvolution*AlgoPerf_t
    int algorithm, status;
    float time_ms;
    size_t workspace;
    int determinism, math, reserved[3];
};

constexpr size_t used_workspace = 512;
constexpr int algorithm_number = 1, first_choice = 3;
constexpr int chosen_math = 2, fma_math = 3; // what the choice says, and what may stay where the caller wants plain float32

// All that a convolution's loops need, in three dimensions.
struct Shape {
    int type;
    int64_t batch, channels, filters, groups, x[3], w[3], y[3], pad[3], stride[3], dilation[3];
    bool last;
    int math;
    // Where an element lies of an array of so many channels and pixels.
    int64_t place(int64_t n, int64_t channel, int64_t channels, int64_t pixel, const int64_t *size) const {
        const int64_t pixels = size[0] * size[1] * size[2];
        return last ? (n * pixels + pixel) * channels + channel : (n * channels + channel) * pixels + pixel;
    }
};

bool read(const Tensor *x, const Filter *w, const Convolution *c, const Tensor *y, Shape *s) {
    if (!x || !w || !c || !y || x->n != w->n || x->n != y->n || c->n != x->n - 2 || x->type != w->type || x->type != y->type) return false;
    if (c->compute != (x->type == 1 ? 1 : 0)) return false;
    for (const Tensor *t : {x, y})
        if (t->last != w->last && !t->either) return false; // images and filters must lie alike
    *s = {x->type, x->dims[0], x->dims[1], w->dims[0], c->groups, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {}, {1, 1, 1}, {1, 1, 1}, w->last, c->math};
    if (y->dims[0] != s->batch || y->dims[1] != s->filters || w->dims[1] * s->groups != s->channels || s->filters % s->groups) return false;
    for (int i = 0; i < c->n; ++i) {
        s->x[i] = x->dims[i + 2], s->w[i] = w->dims[i + 2], s->y[i] = y->dims[i + 2];
        s->pad[i] = c->pads[i], s->stride[i] = c->strides[i], s->dilation[i] = c->dilations[i];
        if (s->y[i] != (s->x[i] + 2 * s->pad[i] - s->dilation[i] * (s->w[i] - 1) - 1) / s->stride[i] + 1) return false;
    }
    return true;
}

// Calls f(place in x, place in w, place in y) for every product.
template <class F> void each(const Shape &s, F f) {
    const int64_t per_group = s.channels / s.groups, filters = s.filters / s.groups;
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t k = 0; k < s.filters; ++k)
            for (int64_t c = 0; c < per_group; ++c)
                for (int64_t o = 0; o < s.y[0] * s.y[1] * s.y[2]; ++o)
                    for (int64_t r = 0; r < s.w[0] * s.w[1] * s.w[2]; ++r) {
                        const int64_t at[3] = {o / (s.y[1] * s.y[2]), o / s.y[2] % s.y[1], o % s.y[2]};
                        const int64_t tap[3] = {r / (s.w[1] * s.w[2]), r / s.w[2] % s.w[1], r % s.w[2]};
                        int64_t place = 0;
                        bool inside = true;
                        for (int d = 0; d < 3; ++d) {
                            const int64_t i = at[d] * s.stride[d] - s.pad[d] + tap[d] * s.dilation[d];
                            inside &= i >= 0 && i < s.x[d];
                            place = place * s.x[d] + i;
                        }
                        if (!inside) continue;
                        const int64_t channel = k / filters * per_group + c;
                        f(s.place(n, channel, s.channels, place, s.x), s.place(k, c, per_group, r, s.w), s.place(n, k, s.filters, o, s.y));
                    }
}

int64_t count(const Tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->n; ++i) n *= t->dims[i];
    return n;
}

bool is_one(const void *factor, int type) { return (type == 1 ? *static_cast<const double *>(factor) : *static_cast<const float *>(factor)) == 1; }

bool workspace_fits(void *workspace, size_t bytes) { return bytes == used_workspace && workspace && (uintptr_t)workspace % 256 == 0; }

// The first choice is not deterministic, the second is what a caller should take.
int choose(const Shape &s, int wanted, int *found, void *results) {
    Choice *choices = static_cast<Choice *>(results);
    if (wanted < 2) return INVALID;
    // 13 filters stand for what the library has nothing for, dilation for what it has with channels first alone.
    *found = s.filters == 13 || (s.last && s.dilation[0] > 1) ? 0 : 2;
    choices[0] = {first_choice, SUCCESS, 1, 0, 0, 0, {}};
    choices[1] = {algorithm_number, SUCCESS, 2, used_workspace, 1, chosen_math, {}};
    return SUCCESS;
}

int run(const Shape &s, void *handle, void *workspace, size_t bytes, int algorithm, std::function<void()> work) {
    Handle *h = known<Handle>(handle);
    if (!h || algorithm != algorithm_number || !workspace_fits(workspace, bytes)) return INVALID;
    if (s.math != chosen_math && s.math != fma_math) return INVALID;
    return queue(h->stream, work);
}

} // namespace

EXPORT int cudnnCreate(void **handle) { return make<Handle>(handle); }
EXPORT int cudnnSetStream(void *handle, void *stream) {
    Handle *h = known<Handle>(handle);
    return h ? (h->stream = stream, SUCCESS) : INVALID;
}
EXPORT int cudnnCreateTensorDescriptor(void **tensor) { return make<Tensor>(tensor); }
EXPORT int cudnnSetTensorNdDescriptor(void *tensor, int type, int n, const int *dims, const int *strides) {
    Tensor *t = known<Tensor>(tensor);
    if (!t || n < 4 || n > 5) return INVALID;
    t->type = type, t->n = n;
    bool fits[2] = {true, true}; // channels first, channels last
    for (int last = 0; last < 2; ++last) {
        int stride = last ? dims[1] : 1;
        for (int i = n - 1; i >= 0; --i) {
            t->dims[i] = dims[i];
            const bool channel = last && i == 1;
            fits[last] &= strides[i] == (channel ? 1 : stride) || dims[i] == 1;
            stride *= channel ? 1 : dims[i];
        }
    }
    t->last = !fits[0], t->either = fits[0] && fits[1];
    return fits[0] || fits[1] ? SUCCESS : INVALID;
}
EXPORT int cudnnDestroyTensorDescriptor(void *tensor) { return destroy<Tensor>(tensor); }
EXPORT int cudnnCreateFilterDescriptor(void **filter) { return make<Filter>(filter); }
EXPORT int cudnnSetFilterNdDescriptor(void *filter, int type, int format, int n, const int *dims) {
    Filter *f = known<Filter>(filter);
    if (!f || (format != 0 && format != 1) || n < 4 || n > 5) return INVALID;
    f->type = type, f->n = n, f->last = format == 1;
    for (int i = 0; i < n; ++i) f->dims[i] = dims[i];
    return SUCCESS;
}
EXPORT int cudnnDestroyFilterDescriptor(void *filter) { return destroy<Filter>(filter); }
EXPORT int cudnnCreateConvolutionDescriptor(void **convolution) { return make<Convolution>(convolution); }
EXPORT int cudnnSetConvolutionNdDescriptor(void *convolution, int n, const int *pads, const int *strides, const int *dilations, int mode,
                                           int compute) {
    Convolution *c = known<Convolution>(convolution);
    if (!c || n < 2 || n > 3 || mode != 1) return INVALID; // 1: cross-correlation
    *c = {n, {}, {}, {}, compute, 1, 0};
    for (int i = 0; i < n; ++i) c->pads[i] = pads[i], c->strides[i] = strides[i], c->dilations[i] = dilations[i];
    return SUCCESS;
}
EXPORT int cudnnSetConvolutionGroupCount(void *convolution, int groups) {
    Convolution *c = known<Convolution>(convolution);
    return c ? (c->groups = groups, SUCCESS) : INVALID;
}
EXPORT int cudnnSetConvolutionMathType(void *convolution, int math) {
    Convolution *c = known<Convolution>(convolution);
    return c ? (c->math = math, SUCCESS) : INVALID;
}
EXPORT int cudnnDestroyConvolutionDescriptor(void *convolution) { return destroy<Convolution>(convolution); }
EXPORT int cudnnCreateActivationDescriptor(void **activation) { return make<Activation>(activation); }
EXPORT int cudnnSetActivationDescriptor(void *activation, int mode, int propagate_nan, double) {
    Activation *a = known<Activation>(activation);
    return a && propagate_nan == 1 && (mode == 1 || mode == 5) ? (a->mode = mode, SUCCESS) : INVALID;
}
EXPORT int cudnnDestroyActivationDescriptor(void *activation) { return destroy<Activation>(activation); }

EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(void *handle, void *x, void *w, void *c, void *y, int wanted, int *found, void *results) {
    Shape s;
    if (!known<Handle>(handle) || !read(known<Tensor>(x), known<Filter>(w), known<Convolution>(c), known<Tensor>(y), &s)) return INVALID;
    return choose(s, wanted, found, results);
}
EXPORT int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *handle, void *w, void *dy, void *c, void *dx, int wanted, int *found, void *results) {
    Shape s;
    if (!known<Handle>(handle) || !read(known<Tensor>(dx), known<Filter>(w), known<Convolution>(c), known<Tensor>(dy), &s)) return INVALID;
    return choose(s, wanted, found, results);
}
EXPORT int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *handle, void *x, void *dy, void *c, void *dw, int wanted, int *found, void *results) {
    Shape s;
    if (!known<Handle>(handle) || !read(known<Tensor>(x), known<Filter>(dw), known<Convolution>(c), known<Tensor>(dy), &s)) return INVALID;
    return choose(s, wanted, found, results);
}

EXPORT int cudnnConvolutionBiasActivationForward(void *handle, const void *alpha, void *x, const void *x_at, void *w, const void *w_at, void *c,
                                                 int algorithm, void *workspace, size_t bytes, const void *alpha_z, void *z, const void *z_at,
                                                 void *bias, const void *bias_at, void *activation, void *y, void *y_at) {
    Shape s;
    Tensor *out = known<Tensor>(y), *b = known<Tensor>(bias);
    Activation *a = known<Activation>(activation);
    if (!read(known<Tensor>(x), known<Filter>(w), known<Convolution>(c), out, &s) || !known<Tensor>(z) || !a || !b) return INVALID;
    const Tensor *other = known<Tensor>(z);
    if (!is_one(alpha, s.type) || b->dims[1] != s.filters || count(b) != s.filters || (other->last != s.last && !other->either)) return INVALID;
    const bool adds = is_one(alpha_z, s.type), relu = a->mode == 1;
    const int64_t n = count(out), inner = s.last ? 1 : n / (s.batch * s.filters);
    return run(s, handle, workspace, bytes, algorithm, [=] {
        std::vector<double> sums(n);
        each(s, [&](int64_t i, int64_t j, int64_t k) { sums[k] += load(x_at, s.type, i) * load(w_at, s.type, j); });
        for (int64_t i = 0; i < n; ++i) {
            const double value = sums[i] + (adds ? load(z_at, s.type, i) : 0) + load(bias_at, s.type, i / inner % s.filters);
            store(y_at, s.type, i, relu && value < 0 ? 0 : value);
        }
    });
}
EXPORT int cudnnConvolutionForward(void *handle, const void *alpha, void *x, const void *x_at, void *w, const void *w_at, void *c, int algorithm,
                                   void *workspace, size_t bytes, const void *, void *y, void *y_at) {
    Shape s;
    if (!read(known<Tensor>(x), known<Filter>(w), known<Convolution>(c), known<Tensor>(y), &s) || !is_one(alpha, s.type)) return INVALID;
    const int64_t n = count(known<Tensor>(y));
    return run(s, handle, workspace, bytes, algorithm, [=] {
        std::vector<double> sums(n);
        each(s, [&](int64_t i, int64_t j, int64_t k) { sums[k] += load(x_at, s.type, i) * load(w_at, s.type, j); });
        for (int64_t i = 0; i < n; ++i) store(y_at, s.type, i, sums[i]);
    });
}
EXPORT int cudnnConvolutionBackwardData(void *handle, const void *alpha, void *w, const void *w_at, void *dy, const void *dy_at, void *c,
                                        int algorithm, void *workspace, size_t bytes, const void *, void *dx, void *dx_at) {
    Shape s;
    if (!read(known<Tensor>(dx), known<Filter>(w), known<Convolution>(c), known<Tensor>(dy), &s) || !is_one(alpha, s.type)) return INVALID;
    const int64_t n = count(known<Tensor>(dx));
    return run(s, handle, workspace, bytes, algorithm, [=] {
        std::vector<double> sums(n);
        each(s, [&](int64_t i, int64_t j, int64_t k) { sums[i] += load(dy_at, s.type, k) * load(w_at, s.type, j); });
        for (int64_t i = 0; i < n; ++i) store(dx_at, s.type, i, sums[i]);
    });
}
EXPORT int cudnnConvolutionBackwardFilter(void *handle, const void *alpha, void *x, const void *x_at, void *dy, const void *dy_at, void *c,
                                          int algorithm, void *workspace, size_t bytes, const void *, void *dw, void *dw_at) {
    Shape s;
    Filter *out = known<Filter>(dw);
    if (!read(known<Tensor>(x), out, known<Convolution>(c), known<Tensor>(dy), &s) || !is_one(alpha, s.type)) return INVALID;
    int64_t n = 1;
    for (int i = 0; i < out->n; ++i) n *= out->dims[i];
    return run(s, handle, workspace, bytes, algorithm, [=] {
        std::vector<double> sums(n);
        each(s, [&](int64_t i, int64_t j, int64_t k) { sums[j] += load(x_at, s.type, i) * load(dy_at, s.type, k); });
        for (int64_t i = 0; i < n; ++i) store(dw_at, s.type, i, sums[i]);
    });
}
