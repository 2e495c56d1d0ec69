/* NVIDIA's libraries where they are made for it: matrix products by cuBLASLt, convolutions by cuDNN.  A call is made once for its shapes - descriptors,
 * algorithm, workspace - and then queued on any stream, also inside a capture, where it allocates nothing.
 *
 * Functions come by pointer, in the order of the lists below, from gpu/library.py, which finds the libraries at run time.  Constants are cuBLASLt's and
 * cuDNN's own.  Making a call needs the device's context to be current (see cymx_gpu_begin); errors are the libraries' status numbers, negative.
 * Called by: cymx/gpu/_library.pyx; calls are run by csrc/gpu/plan.cpp. */
#ifndef CYMX_GPU_LIBRARY_H_
#define CYMX_GPU_LIBRARY_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, parameters) */
#define CYMX_CUBLASLT_FUNCTIONS(X)                                                                                                         \
    X(cublasLtCreate, (void **handle))                                                                                                     \
    X(cublasLtMatmulDescCreate, (void **description, int compute, int scale))                                                              \
    X(cublasLtMatmulDescSetAttribute, (void *description, int attribute, const void *value, size_t bytes))                                 \
    X(cublasLtMatmulDescDestroy, (void *description))                                                                                      \
    X(cublasLtMatrixLayoutCreate, (void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading))                             \
    X(cublasLtMatrixLayoutSetAttribute, (void *layout, int attribute, const void *value, size_t bytes))                                    \
    X(cublasLtMatrixLayoutDestroy, (void *layout))                                                                                         \
    X(cublasLtMatmulPreferenceCreate, (void **preference))                                                                                 \
    X(cublasLtMatmulPreferenceSetAttribute, (void *preference, int attribute, const void *value, size_t bytes))                            \
    X(cublasLtMatmulPreferenceDestroy, (void *preference))                                                                                 \
    X(cublasLtMatmulAlgoGetHeuristic,                                                                                                      \
      (void *handle, void *description, void *a, void *b, void *c, void *d, void *preference, int wanted, void *results, int *found))      \
    X(cublasLtMatmul,                                                                                                                      \
      (void *handle, void *description, const void *alpha, const void *a, void *a_layout, const void *b, void *b_layout, const void *beta, \
       const void *c, void *c_layout, void *d, void *d_layout, const void *algorithm, void *workspace, size_t workspace_bytes, void *stream))

#define CYMX_CUDNN_FUNCTIONS(X)                                                                                                                      \
    X(cudnnCreate, (void **handle))                                                                                                                  \
    X(cudnnSetStream, (void *handle, void *stream))                                                                                                  \
    X(cudnnCreateTensorDescriptor, (void **tensor))                                                                                                  \
    X(cudnnSetTensorNdDescriptor, (void *tensor, int type, int n, const int *dims, const int *strides))                                              \
    X(cudnnDestroyTensorDescriptor, (void *tensor))                                                                                                  \
    X(cudnnCreateFilterDescriptor, (void **filter))                                                                                                  \
    X(cudnnSetFilterNdDescriptor, (void *filter, int type, int format, int n, const int *dims))                                                      \
    X(cudnnDestroyFilterDescriptor, (void *filter))                                                                                                  \
    X(cudnnCreateConvolutionDescriptor, (void **convolution))                                                                                        \
    X(cudnnSetConvolutionNdDescriptor, (void *convolution, int n, const int *pads, const int *strides, const int *dilations, int mode, int compute)) \
    X(cudnnSetConvolutionGroupCount, (void *convolution, int groups))                                                                                \
    X(cudnnSetConvolutionMathType, (void *convolution, int math))                                                                                    \
    X(cudnnDestroyConvolutionDescriptor, (void *convolution))                                                                                        \
    X(cudnnCreateActivationDescriptor, (void **activation))                                                                                          \
    X(cudnnSetActivationDescriptor, (void *activation, int mode, int propagate_nan, double ceiling))                                                 \
    X(cudnnDestroyActivationDescriptor, (void *activation))                                                                                          \
    X(cudnnGetConvolutionForwardAlgorithm_v7, (void *handle, void *x, void *w, void *convolution, void *y, int wanted, int *found, void *results))   \
    X(cudnnGetConvolutionBackwardDataAlgorithm_v7,                                                                                                   \
      (void *handle, void *w, void *dy, void *convolution, void *dx, int wanted, int *found, void *results))                                         \
    X(cudnnGetConvolutionBackwardFilterAlgorithm_v7,                                                                                                 \
      (void *handle, void *x, void *dy, void *convolution, void *dw, int wanted, int *found, void *results))                                         \
    X(cudnnConvolutionForward, (void *handle, const void *alpha, void *x, const void *x_at, void *w, const void *w_at, void *convolution,            \
                                int algorithm, void *workspace, size_t workspace_bytes, const void *beta, void *y, void *y_at))                      \
    X(cudnnConvolutionBiasActivationForward, (void *handle, const void *alpha, void *x, const void *x_at, void *w, const void *w_at,                 \
                                              void *convolution, int algorithm, void *workspace, size_t workspace_bytes, const void *alpha_z,        \
                                              void *z, const void *z_at, void *bias, const void *bias_at, void *activation, void *y, void *y_at))    \
    X(cudnnConvolutionBackwardData, (void *handle, const void *alpha, void *w, const void *w_at, void *dy, const void *dy_at, void *convolution,     \
                                     int algorithm, void *workspace, size_t workspace_bytes, const void *beta, void *dx, void *dx_at))               \
    X(cudnnConvolutionBackwardFilter, (void *handle, const void *alpha, void *x, const void *x_at, void *dy, const void *dy_at, void *convolution,   \
                                       int algorithm, void *workspace, size_t workspace_bytes, const void *beta, void *dw, void *dw_at))

#define CYMX_LIBRARY_MEMBER(name, parameters) int(*name) parameters;
typedef struct cymx_cublaslt {
    CYMX_CUBLASLT_FUNCTIONS(CYMX_LIBRARY_MEMBER)
} cymx_cublaslt;
typedef struct cymx_cudnn {
    CYMX_CUDNN_FUNCTIONS(CYMX_LIBRARY_MEMBER)
} cymx_cudnn;
#undef CYMX_LIBRARY_MEMBER

/* A call made ready.  addresses: its operands, then its workspace (256-byte aligned; 0 where it needs none).  run returns 0 or a negative status. */
typedef struct cymx_gpu_call {
    int (*run)(void *self, const uint64_t *addresses, void *stream);
    void (*drop)(void *self);
    void *self;
    int64_t workspace_bytes;
} cymx_gpu_call;

enum { CYMX_WORKSPACE_LIMIT = 64 << 20 };

/* D (batch, m, n) = A (batch, m, k) B (batch, k, n), row-major, either operand transposed in memory.
 * type: 0 float32, 1 float64, 2 float16, 12 bfloat16.   epilogue: cublasLtEpilogue_t; of one product, not of a batch.  As cuBLASLt swaps the operands
 * its BGRADB sums A over k, and BGRADA B.   Operands: a, b, d[, bias or sums][, mask of relu: a bit an element, rows begin at every 128th]. */
typedef struct cymx_gemm_settings {
    int64_t type, batch, m, n, k, transpose_a, transpose_b, batched_a, batched_b, tf32, epilogue;
} cymx_gemm_settings;

enum { CYMX_CONV_FORWARD, CYMX_CONV_BACKWARD_DATA, CYMX_CONV_BACKWARD_WEIGHT };

/* A convolution of images (N, C, *S) with filters (K, C / groups, *R); rank: 2 or 3 spatial dimensions.  channels_last: in memory all of them are
 * (N, *S, C) and (K, *R, C / groups).  Residual and relu come with a bias.
 * Operands: forward x, w[, bias][, residual], y; data's gradient dy, w, dx; weights' gradient x, dy, dw. */
typedef struct cymx_conv_settings {
    int64_t which, type, rank, x[5], w[5], y[5], pad[3], stride[3], dilation[3], groups, bias, residual, relu, tf32, channels_last;
} cymx_conv_settings;

int cymx_gemm_make(const cymx_cublaslt *library, void *handle, const cymx_gemm_settings *settings, cymx_gpu_call *call);
int cymx_conv_make(const cymx_cudnn *library, void *handle, const cymx_conv_settings *settings, cymx_gpu_call *call);

#ifdef __cplusplus
}
#endif
#endif
