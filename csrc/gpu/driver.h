/* The driver's hot functions, by pointer: a table that is filled from cuGetProcAddress, so that nothing of CUDA is needed
 * to build, and one build serves every driver since 12.0.
 *
 * Members are named as the driver's functions and typed as their forms of CUDA 12.0: handles are void *, device
 * addresses uint64_t, results int (0 is success).  CYMX_DRIVER_FUNCTIONS lists them once; gpu/driver.py asks for the same
 * names in the same order.  It refuses cold calls: opening devices and loading modules is gpu/driver.py's.
 * Called by: csrc/gpu, cymx/gpu/_device.pyx, cymx/gpu/_plan.pyx. */
#ifndef CYMX_GPU_DRIVER_H_
#define CYMX_GPU_DRIVER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CYMX_CUDA_OUT_OF_MEMORY = 2, CYMX_CUDA_NOT_READY = 600 };

/* X(name, parameters) */
#define CYMX_DRIVER_FUNCTIONS(X)                                                                                                                \
    X(cuCtxPushCurrent, (void *context))                                                                                                        \
    X(cuCtxPopCurrent, (void **context))                                                                                                        \
    X(cuStreamCreate, (void **stream, unsigned flags))                                                                                          \
    X(cuStreamDestroy, (void *stream))                                                                                                          \
    X(cuStreamSynchronize, (void *stream))                                                                                                      \
    X(cuStreamWaitEvent, (void *stream, void *event, unsigned flags))                                                                           \
    X(cuStreamBeginCapture, (void *stream, int mode))                                                                                           \
    X(cuStreamEndCapture, (void *stream, void **graph))                                                                                         \
    X(cuStreamIsCapturing, (void *stream, int *status))                                                                                         \
    X(cuEventCreate, (void **event, unsigned flags))                                                                                            \
    X(cuEventDestroy, (void *event))                                                                                                            \
    X(cuEventRecord, (void *event, void *stream))                                                                                               \
    X(cuEventQuery, (void *event))                                                                                                              \
    X(cuEventSynchronize, (void *event))                                                                                                        \
    X(cuMemAllocFromPoolAsync, (uint64_t *address, size_t n, void *pool, void *stream))                                                         \
    X(cuMemFreeAsync, (uint64_t address, void *stream))                                                                                         \
    X(cuMemPoolTrimTo, (void *pool, size_t keep))                                                                                               \
    X(cuMemAlloc, (uint64_t *address, size_t n))                                                                                                \
    X(cuMemFree, (uint64_t address))                                                                                                            \
    X(cuMemGetInfo, (size_t *free, size_t *total))                                                                                              \
    X(cuMemHostAlloc, (void **memory, size_t n, unsigned flags))                                                                                \
    X(cuMemcpyHtoDAsync, (uint64_t target, const void *source, size_t n, void *stream))                                                         \
    X(cuMemcpyDtoHAsync, (void *target, uint64_t source, size_t n, void *stream))                                                               \
    X(cuMemcpyDtoDAsync, (uint64_t target, uint64_t source, size_t n, void *stream))                                                            \
    X(cuMemcpyPeerAsync, (uint64_t target, void *target_context, uint64_t source, void *source_context, size_t n, void *stream))                \
    X(cuMemsetD8Async, (uint64_t target, unsigned char value, size_t n, void *stream))                                                          \
    X(cuMemsetD32Async, (uint64_t target, unsigned value, size_t n, void *stream))                                                              \
    X(cuLaunchKernel, (void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, \
                       unsigned shared_bytes, void *stream, void **params, void **extra))                                                       \
    X(cuGraphInstantiateWithFlags, (void **executable, void *graph, unsigned long long flags))                                                  \
    X(cuGraphLaunch, (void *executable, void *stream))                                                                                          \
    X(cuGraphUpload, (void *executable, void *stream))                                                                                          \
    X(cuGraphExecDestroy, (void *executable))                                                                                                   \
    X(cuGraphDestroy, (void *graph))                                                                                                            \
    X(cuGetErrorName, (int result, const char **text))                                                                                          \
    X(cuGetErrorString, (int result, const char **text))

#define CYMX_DRIVER_MEMBER(name, parameters) int(*name) parameters;
typedef struct cymx_driver {
    CYMX_DRIVER_FUNCTIONS(CYMX_DRIVER_MEMBER)
} cymx_driver;
#undef CYMX_DRIVER_MEMBER

#ifdef __cplusplus
}
#endif
#endif
