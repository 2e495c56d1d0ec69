// What every kernel stands on: indices of threads, vectors of 16 bytes, joins across a warp and a block, dynamic shared memory.
// Read by NVRTC, and by g++ together with the emulator's header, which brings the words of CUDA itself.
#pragma once
#include "half.h"
#include "prelude.h"

#ifdef __CUDACC_RTC__
// Dynamic shared memory as an array of T; one a kernel.
#define CYMX_DYNAMIC_SHARED(T, name)                               \
    extern __shared__ __align__(16) unsigned char cymx_dynamic_[]; \
    T *name = reinterpret_cast<T *>(cymx_dynamic_)
#endif

// The largest block of a kernel.  ptxas may spill a register or two so that more blocks fit; a kernel that spills is compiled again (gpu/compiler.py)
// with one block as all that must fit.
// CYMX_SHARES: blocks of so many threads, of which 1,024 must fit a multiprocessor together, so that some load while others compute.
#ifdef CYMX_ONE_BLOCK
#define CYMX_BOUNDS(...) __launch_bounds__((__VA_ARGS__), 1)
#define CYMX_SHARES(...) __launch_bounds__((__VA_ARGS__), 1)
#else
#define CYMX_BOUNDS(...) __launch_bounds__((__VA_ARGS__))
#define CYMX_SHARES(...) __launch_bounds__((__VA_ARGS__), 1024 / (__VA_ARGS__))
#endif

namespace cymx {

// n elements side by side: one access, or several of 16 bytes.
template <class T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) Pack {
    T v[n];
};

constexpr u32 full_warp = 0xffffffffu;

// The number of this thread in a one-dimensional grid, and that of all threads: a grid-stride loop's start and step.
__device__ __forceinline__ i64 first_index() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ i64 index_step() { return (i64)gridDim.x * blockDim.x; }

} // namespace cymx
