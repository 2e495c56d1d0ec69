// Matrix products by cuBLASLt.  It thinks in columns: a row-major D = A B is its D' = B' A', so the operands change places.  See library.h.
#include "gpu/library.h"

#include <algorithm>
#include <initializer_list>
#include <memory>

namespace {

// cuBLASLt's own numbers.
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14 };
enum { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32F_FAST_TF32 = 77 };
enum { DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS = 8, DESC_AUX = 11, DESC_AUX_LEADING = 12 };
enum { LAYOUT_BATCH_COUNT = 5, LAYOUT_BATCH_STRIDE = 6, PREFERENCE_WORKSPACE = 1, PREFERENCE_ALIGNMENT_A = 5, PREFERENCE_ALIGNMENT_D = 8 };
constexpr int NOT_SUPPORTED = 15, vector_bytes = 16;
// The bits of an epilogue: what goes through the bias pointer, either way, and the mask.
constexpr int64_t uses_bias = 4 | 16 | 256 | 512, uses_aux = 128;

struct Algorithm {
    uint64_t data[8];
};
struct Heuristic {
    Algorithm algorithm;
    size_t workspace_bytes;
    int status;
    float waves;
    int reserved[4];
};

struct Gemm {
    const cymx_cublaslt *library;
    void *handle;
    void *description = nullptr, *a = nullptr, *b = nullptr, *d = nullptr;
    bool wide; // float64, whose factors are float64 too
    int64_t epilogue;
    Heuristic found[2] = {}; // for operands that are aligned to vector_bytes, and for those that are aligned to their elements

    ~Gemm() {
        if (description) library->cublasLtMatmulDescDestroy(description);
        for (void *layout : {a, b, d}) {
            if (layout) library->cublasLtMatrixLayoutDestroy(layout);
        }
    }
};

// Sets the addresses that an epilogue uses, and steps over them.  The library takes them when it is called, and a graph keeps them.
int point(const Gemm &gemm, const uint64_t *&at) {
    if (gemm.epilogue & uses_bias) {
        if (const int code = gemm.library->cublasLtMatmulDescSetAttribute(gemm.description, DESC_BIAS, at++, sizeof *at)) return code;
    }
    return gemm.epilogue & uses_aux ? gemm.library->cublasLtMatmulDescSetAttribute(gemm.description, DESC_AUX, at++, sizeof *at) : 0;
}

int run(void *self, const uint64_t *addresses, void *stream) {
    const Gemm &gemm = *static_cast<Gemm *>(self);
    const float one = 1, zero = 0;
    const double wide_one = 1, wide_zero = 0;
    const void *alpha = gemm.wide ? static_cast<const void *>(&wide_one) : &one, *beta = gemm.wide ? static_cast<const void *>(&wide_zero) : &zero;
    const void *a = reinterpret_cast<void *>(addresses[0]), *b = reinterpret_cast<void *>(addresses[1]);
    void *d = reinterpret_cast<void *>(addresses[2]);
    const uint64_t *at = addresses + 3;
    uint64_t all = 0;
    if (const int code = point(gemm, at)) return -code;
    for (const uint64_t *each = addresses; each < at; ++each) all |= *each;
    const Heuristic &found = gemm.found[all % vector_bytes != 0];
    if (found.status) return -found.status;
    void *workspace = reinterpret_cast<void *>(*at);
    return -gemm.library->cublasLtMatmul(gemm.handle, gemm.description, alpha, b, gemm.b, a, gemm.a, beta, d, gemm.d, d, gemm.d, &found.algorithm,
                                         workspace, found.workspace_bytes, stream);
}

void drop(void *self) { delete static_cast<Gemm *>(self); }

// A row-major (rows, columns) matrix, as cuBLASLt sees it: columns first.
int make_layout(const cymx_cublaslt *library, int type, int64_t rows, int64_t columns, int64_t batch, bool batched, void **layout) {
    if (const int code = library->cublasLtMatrixLayoutCreate(layout, type, columns, rows, columns)) return code;
    const int32_t count = static_cast<int32_t>(batch);
    const int64_t stride = batched ? rows * columns : 0;
    if (const int code = library->cublasLtMatrixLayoutSetAttribute(*layout, LAYOUT_BATCH_COUNT, &count, sizeof count)) return code;
    return library->cublasLtMatrixLayoutSetAttribute(*layout, LAYOUT_BATCH_STRIDE, &stride, sizeof stride);
}

int describe_epilogue(const Gemm &gemm, const cymx_gemm_settings &s) {
    const int32_t epilogue = static_cast<int32_t>(s.epilogue);
    if (const int code = gemm.library->cublasLtMatmulDescSetAttribute(gemm.description, DESC_EPILOGUE, &epilogue, sizeof epilogue)) return code;
    if (s.epilogue & uses_aux) {
        const int64_t leading = (s.n + 127) / 128 * 128;
        if (const int code = gemm.library->cublasLtMatmulDescSetAttribute(gemm.description, DESC_AUX_LEADING, &leading, sizeof leading)) return code;
    }
    return 0;
}

int describe(Gemm &gemm, const cymx_gemm_settings &s) {
    const cymx_cublaslt *library = gemm.library;
    const int type = s.type == 0 ? R_32F : s.type == 1 ? R_64F : s.type == 2 ? R_16F : R_16BF;
    const int compute = gemm.wide ? COMPUTE_64F : s.type == 0 && s.tf32 ? COMPUTE_32F_FAST_TF32 : COMPUTE_32F;
    if (const int code = library->cublasLtMatmulDescCreate(&gemm.description, compute, gemm.wide ? R_64F : R_32F)) return code;
    const int32_t first = s.transpose_b != 0, second = s.transpose_a != 0;
    if (const int code = library->cublasLtMatmulDescSetAttribute(gemm.description, DESC_TRANSA, &first, sizeof first)) return code;
    if (const int code = library->cublasLtMatmulDescSetAttribute(gemm.description, DESC_TRANSB, &second, sizeof second)) return code;
    if (const int code = describe_epilogue(gemm, s)) return code;
    const bool ta = s.transpose_a, tb = s.transpose_b;
    if (const int code = make_layout(library, type, ta ? s.k : s.m, ta ? s.m : s.k, s.batch, s.batched_a, &gemm.a)) return code;
    if (const int code = make_layout(library, type, tb ? s.n : s.k, tb ? s.k : s.n, s.batch, s.batched_b, &gemm.b)) return code;
    return make_layout(library, type, s.m, s.n, s.batch, true, &gemm.d);
}

// Heuristics know alignments from preferences, and those of an epilogue's operands from the values of their pointers.
int ask(const Gemm &gemm, void *preference, uint32_t alignment, Heuristic *result) {
    const cymx_cublaslt *library = gemm.library;
    for (int attribute = PREFERENCE_ALIGNMENT_A; attribute <= PREFERENCE_ALIGNMENT_D; ++attribute) {
        if (const int code = library->cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof alignment)) return code;
    }
    const uint64_t sample[] = {alignment, vector_bytes}, *at = sample + !(gemm.epilogue & uses_bias); // masks are the plan's own
    if (const int code = point(gemm, at)) return code;
    int n_found = 0;
    const int code =
        library->cublasLtMatmulAlgoGetHeuristic(gemm.handle, gemm.description, gemm.b, gemm.a, gemm.d, gemm.d, preference, 1, result, &n_found);
    return code ? code : n_found ? result->status : NOT_SUPPORTED;
}

int choose(Gemm &gemm, uint32_t item_bytes) {
    const cymx_cublaslt *library = gemm.library;
    void *preference = nullptr;
    if (const int code = library->cublasLtMatmulPreferenceCreate(&preference)) return code;
    const uint64_t limit = CYMX_WORKSPACE_LIMIT;
    int code = library->cublasLtMatmulPreferenceSetAttribute(preference, PREFERENCE_WORKSPACE, &limit, sizeof limit);
    if (!code) code = ask(gemm, preference, vector_bytes, &gemm.found[0]);
    if (!code) gemm.found[1].status = ask(gemm, preference, item_bytes, &gemm.found[1]);
    library->cublasLtMatmulPreferenceDestroy(preference);
    return code;
}

} // namespace

extern "C" int cymx_gemm_make(const cymx_cublaslt *library, void *handle, const cymx_gemm_settings *settings, cymx_gpu_call *call) {
    std::unique_ptr<Gemm> gemm(new Gemm{library, handle});
    gemm->wide = settings->type == 1;
    gemm->epilogue = settings->epilogue;
    if (const int code = describe(*gemm, *settings)) return -code;
    if (const int code = choose(*gemm, settings->type == 0 ? 4 : settings->type == 1 ? 8 : 2)) return -code;
    const int64_t bytes = static_cast<int64_t>(std::max(gemm->found[0].workspace_bytes, gemm->found[1].workspace_bytes));
    *call = cymx_gpu_call{run, drop, gemm.release(), bytes};
    return 0;
}
