// A stand-in for libcublasLt: the part that csrc/gpu/cublaslt.cpp uses, with its rules checked, computing on the host in float64.
#include "standin.h"

#include <algorithm>
#include <set>

using namespace standin;

namespace {

struct Handle {
    static constexpr const char *name = "handle";
};
struct Description {
    static constexpr const char *name = "description";
    int compute, scale;
    int32_t transpose[2], epilogue;
    void *bias, *aux;
    int64_t aux_leading;
};
struct Layout {
    static constexpr const char *name = "layout";
    int type;
    uint64_t rows, columns;
    int64_t leading;
    int32_t batch;
    int64_t stride;
};
struct Preference {
    static constexpr const char *name = "preference";
    uint64_t workspace;
    uint32_t alignment[4]; // of A to D
};
struct Result { // cublasLtMatmulHeuristicResult_t
    uint64_t algorithm[8];
    size_t workspace;
    int status;
    float waves;
    int reserved[4];
};

constexpr size_t used_workspace = 1000;
constexpr uint64_t magic = 0x6c74;

enum { RELU = 2, BIAS = 4, DRELU = 8, BGRAD = 16, AUX = 128, BGRADA = 256, BGRADB = 512, USES_BIAS = BIAS | BGRAD | BGRADA | BGRADB };
const std::set<int> epilogues = {1, RELU, RELU | AUX, BIAS, RELU | BIAS, RELU | AUX | BIAS, DRELU | AUX, DRELU | AUX | BGRAD, BGRADA, BGRADB};
std::set<int> refused; // what a test says that the library has nothing for

uint64_t item_bytes(int type) { return type == 1 ? 8 : type == 0 ? 4 : 2; }

// Whether an epilogue's own rules hold: one product of no float64; a mask whose columns begin at every 128th bit.
bool fit(const Description &d, const Layout &out) {
    if (d.epilogue != 1 && (d.scale == 1 || out.batch != 1)) return false;
    if ((d.epilogue & USES_BIAS) && (!d.bias || (uintptr_t)d.bias % item_bytes(out.type))) return false;
    return !(d.epilogue & AUX) || (d.aux && (uintptr_t)d.aux % 16 == 0 && d.aux_leading % 128 == 0 && d.aux_leading >= (int64_t)out.rows);
}

// One matrix of a layout, transposed or not.
struct View {
    const void *data;
    Layout l;
    bool transposed;
    double operator()(int64_t i, int64_t j) const { return load(data, l.type, transposed ? i * l.leading + j : j * l.leading + i); }
};

void finish(const Description &x, const View &a, const View &b, void *d, const Layout &r, int64_t k) {
    // Which bit of a mask is whose is the library's own affair.
    const auto bit = [&](int64_t i, int64_t j, uint8_t *&byte) {
        byte = static_cast<uint8_t *>(x.aux) + (j * x.aux_leading + i) / 8;
        return uint8_t(0x80 >> i % 8);
    };
    for (int64_t i = 0; i < (int64_t)r.rows; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < (int64_t)r.columns; ++j) {
            const int64_t at = j * r.leading + i;
            double value = load(d, r.type, at);
            uint8_t *byte;
            if (x.epilogue & BIAS) value += load(x.bias, r.type, i);
            if (x.epilogue & RELU) {
                if (x.epilogue & AUX) {
                    const uint8_t mask = bit(i, j, byte);
                    *byte = value > 0 ? *byte | mask : *byte & ~mask;
                }
                value = std::max(value, 0.0);
            }
            if (x.epilogue & DRELU) value = bit(i, j, byte) & *byte ? value : 0;
            sum += value;
            store(d, r.type, at, value);
        }
        if (x.epilogue & BGRAD) store(x.bias, r.type, i, sum);
    }
    const bool of_a = x.epilogue & BGRADA;
    for (int64_t i = 0; of_a || x.epilogue & BGRADB ? i < (int64_t)(of_a ? r.rows : r.columns) : false; ++i) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += of_a ? a(i, l) : b(l, i);
        store(x.bias, r.type, i, sum);
    }
}

// Whether op(A) (m, k) and op(B) (k, n) make D (m, n) in columns.
bool fit(const Description &d, const Layout &a, const Layout &b, const Layout &c) {
    const uint64_t m = d.transpose[0] ? a.columns : a.rows, k = d.transpose[0] ? a.rows : a.columns;
    const uint64_t n = d.transpose[1] ? b.rows : b.columns, other = d.transpose[1] ? b.columns : b.rows;
    const bool scales = d.scale == (a.type == 1 ? 1 : 0) && (d.compute == 70) == (a.type == 1) && (d.compute != 77 || a.type == 0);
    return scales && a.type == b.type && a.type == c.type && k == other && c.rows == m && c.columns == n && a.batch == b.batch && a.batch == c.batch;
}

} // namespace

EXPORT void standin_refuse(int epilogue) {
    if (epilogue)
        refused.insert(epilogue);
    else
        refused.clear();
}

EXPORT int cublasLtCreate(void **handle) { return make<Handle>(handle); }

EXPORT int cublasLtMatmulDescCreate(void **description, int compute, int scale) {
    make<Description>(description);
    *known<Description>(*description) = {compute, scale, {0, 0}, 1, nullptr, nullptr, 0};
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescSetAttribute(void *description, int attribute, const void *value, size_t bytes) {
    Description *d = known<Description>(description);
    if (!d) return INVALID;
    const int32_t *number = static_cast<const int32_t *>(value);
    if ((attribute == 3 || attribute == 4) && bytes == 4) return d->transpose[attribute - 3] = *number, SUCCESS;
    if (attribute == 7 && bytes == 4 && epilogues.count(*number)) return d->epilogue = *number, SUCCESS;
    if ((attribute == 8 || attribute == 11) && bytes == 8) return (attribute == 8 ? d->bias : d->aux) = *static_cast<void *const *>(value), SUCCESS;
    if (attribute == 12 && bytes == 8) return d->aux_leading = *static_cast<const int64_t *>(value), SUCCESS;
    return INVALID;
}
EXPORT int cublasLtMatmulDescDestroy(void *description) { return destroy<Description>(description); }

EXPORT int cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (leading < (int64_t)rows) return INVALID;
    make<Layout>(layout);
    *known<Layout>(*layout) = {type, rows, columns, leading, 1, 0};
    return SUCCESS;
}
EXPORT int cublasLtMatrixLayoutSetAttribute(void *layout, int attribute, const void *value, size_t bytes) {
    Layout *l = known<Layout>(layout);
    if (!l) return INVALID;
    if (attribute == 5 && bytes == 4) return l->batch = *static_cast<const int32_t *>(value), SUCCESS;
    if (attribute == 6 && bytes == 8) return l->stride = *static_cast<const int64_t *>(value), SUCCESS;
    return INVALID;
}
EXPORT int cublasLtMatrixLayoutDestroy(void *layout) { return destroy<Layout>(layout); }

EXPORT int cublasLtMatmulPreferenceCreate(void **preference) { return make<Preference>(preference); }
EXPORT int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value, size_t bytes) {
    Preference *p = known<Preference>(preference);
    if (!p) return INVALID;
    if (attribute == 1 && bytes == 8) return p->workspace = *static_cast<const uint64_t *>(value), SUCCESS;
    if (attribute < 5 || attribute > 8 || bytes != 4) return INVALID;
    return p->alignment[attribute - 5] = *static_cast<const uint32_t *>(value), SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceDestroy(void *preference) { return destroy<Preference>(preference); }

EXPORT int cublasLtMatmulAlgoGetHeuristic(void *handle, void *description, void *a, void *b, void *c, void *d, void *preference, int wanted,
                                          void *results, int *found) {
    Description *desc = known<Description>(description);
    Layout *la = known<Layout>(a), *lb = known<Layout>(b), *lc = known<Layout>(c), *ld = known<Layout>(d);
    Preference *p = known<Preference>(preference);
    if (!known<Handle>(handle) || !desc || !la || !lb || !lc || !ld || !p || wanted < 1) return INVALID;
    *found = 0;
    // 13 columns stand for what the library has nothing for.
    if (!fit(*desc, *la, *lb, *ld) || p->workspace < used_workspace || ld->columns == 13) return NOT_SUPPORTED;
    if (!fit(*desc, *ld) || refused.count(desc->epilogue)) return NOT_SUPPORTED;
    const uint32_t alignment = *std::min_element(p->alignment, p->alignment + 4);
    if (alignment < item_bytes(ld->type) || alignment > 16) return NOT_SUPPORTED;
    *static_cast<Result *>(results) = {{magic, alignment}, used_workspace, SUCCESS, 1, {}};
    *found = 1;
    return SUCCESS;
}

EXPORT int cublasLtMatmul(void *handle, void *description, const void *alpha, const void *a, void *a_layout, const void *b, void *b_layout,
                          const void *beta, const void *, void *, void *d, void *d_layout, const void *algorithm, void *workspace,
                          size_t workspace_bytes, void *stream) {
    Description *desc = known<Description>(description);
    Layout *la = known<Layout>(a_layout), *lb = known<Layout>(b_layout), *ld = known<Layout>(d_layout);
    if (!known<Handle>(handle) || !desc || !la || !lb || !ld || *static_cast<const uint64_t *>(algorithm) != magic) return INVALID;
    if (workspace_bytes != used_workspace || (uintptr_t)workspace % 256 || !workspace) return INVALID;
    const double one = desc->scale ? *static_cast<const double *>(alpha) : *static_cast<const float *>(alpha);
    const double zero = desc->scale ? *static_cast<const double *>(beta) : *static_cast<const float *>(beta);
    if (one != 1 || zero != 0) return INVALID;
    // What was found for aligned operands works on such alone, and what was found for others is slower.
    const uint64_t alignment = static_cast<const uint64_t *>(algorithm)[1];
    const uintptr_t all = (uintptr_t)a | (uintptr_t)b | (uintptr_t)d | (desc->epilogue & USES_BIAS ? (uintptr_t)desc->bias : 0);
    if (!fit(*desc, *ld) || all % alignment || (all % 16 == 0 && alignment != 16)) return INVALID;
    const Description x = *desc;
    const Layout p = *la, q = *lb, r = *ld;
    return queue(stream, [=] {
        __builtin_memset(workspace, 0xEE, used_workspace);
        const int64_t k = x.transpose[0] ? p.rows : p.columns;
        for (int64_t batch = 0; batch < r.batch; ++batch) {
            const auto part = [=](const void *data, const Layout &l) {
                return static_cast<const char *>(data) + batch * l.stride * item_bytes(l.type);
            };
            const View left{part(a, p), p, x.transpose[0] != 0}, right{part(b, q), q, x.transpose[1] != 0};
            for (int64_t j = 0; j < (int64_t)r.columns; ++j)
                for (int64_t i = 0; i < (int64_t)r.rows; ++i) {
                    double sum = 0;
                    for (int64_t l = 0; l < k; ++l) sum += left(i, l) * right(l, j);
                    store(d, r.type, batch * r.stride + j * r.leading + i, sum);
                }
            finish(x, left, right, d, r, k);
        }
    });
}
