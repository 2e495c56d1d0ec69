// A stand-in for libcublasLt: the part that csrc/gpu/cublaslt.cpp uses, with its rules checked, computing on the host in float64.
#include "standin.h"

#include <map>

using namespace standin;

namespace {

struct Handle {
    static constexpr const char *name = "handle";
};
struct Description {
    static constexpr const char *name = "description";
    int compute, scale;
    int32_t transpose[2];
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

// Whether op(A) (m, k) and op(B) (k, n) make D (m, n) in columns.
bool fit(const Description &d, const Layout &a, const Layout &b, const Layout &c) {
    const uint64_t m = d.transpose[0] ? a.columns : a.rows, k = d.transpose[0] ? a.rows : a.columns;
    const uint64_t n = d.transpose[1] ? b.rows : b.columns, other = d.transpose[1] ? b.columns : b.rows;
    const bool scales = d.scale == (a.type == 1 ? 1 : 0) && (d.compute == 70) == (a.type == 1) && (d.compute != 77 || a.type == 0);
    return scales && a.type == b.type && a.type == c.type && k == other && c.rows == m && c.columns == n && a.batch == b.batch && a.batch == c.batch;
}

} // namespace

EXPORT int cublasLtCreate(void **handle) { return make<Handle>(handle); }

EXPORT int cublasLtMatmulDescCreate(void **description, int compute, int scale) {
    make<Description>(description);
    *known<Description>(*description) = {compute, scale, {0, 0}};
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescSetAttribute(void *description, int attribute, const void *value, size_t bytes) {
    Description *d = known<Description>(description);
    if (!d || (attribute != 3 && attribute != 4) || bytes != 4) return INVALID;
    d->transpose[attribute - 3] = *static_cast<const int32_t *>(value);
    return SUCCESS;
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
    if (!p || attribute != 1 || bytes != 8) return INVALID;
    p->workspace = *static_cast<const uint64_t *>(value);
    return SUCCESS;
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
    *static_cast<Result *>(results) = {{magic}, used_workspace, SUCCESS, 1, {}};
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
    const Description x = *desc;
    const Layout p = *la, q = *lb, r = *ld;
    return queue(stream, [=] {
        __builtin_memset(workspace, 0xEE, used_workspace);
        const int64_t k = x.transpose[0] ? p.rows : p.columns;
        for (int64_t batch = 0; batch < r.batch; ++batch)
            for (int64_t j = 0; j < (int64_t)r.columns; ++j)
                for (int64_t i = 0; i < (int64_t)r.rows; ++i) {
                    double sum = 0;
                    for (int64_t l = 0; l < k; ++l)
                        sum += load(a, p.type, batch * p.stride + (x.transpose[0] ? i * p.leading + l : l * p.leading + i)) *
                               load(b, q.type, batch * q.stride + (x.transpose[1] ? l * q.leading + j : j * q.leading + l));
                    store(d, r.type, batch * r.stride + j * r.leading + i, sum);
                }
    });
}
