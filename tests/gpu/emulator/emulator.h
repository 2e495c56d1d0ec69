// The words of CUDA that cymx's kernels use, for g++: included before every kernel that runs on the CPU.
//
// One block runs at a time in the whole process, each of its threads a fiber, so shared memory is plain static memory and atomics are plain updates.  Threads change
// only at barriers and warp functions; which one comes next is the launch's order.  Refuses what would be undefined on a GPU: lanes outside a mask, lanes
// that have left, barriers that some threads never reach.  No standard header, as under NVRTC.  Read by: every image of gpp.py, emulator.cpp.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define CYMX_DYNAMIC_SHARED(T, name) T *name = reinterpret_cast<T *>(::emulator::block.dynamic_shared)

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
};
// clang-format off
#define EMULATOR_VECTORS(type, name)                                                                                                 \
    struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                                                          \
    struct alignas(sizeof(type) > 4 ? 16 : 4 * sizeof(type)) name##4 { type x, y, z, w; };                                            \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                                                  \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
EMULATOR_VECTORS(int, int)
EMULATOR_VECTORS(unsigned, uint)
EMULATOR_VECTORS(float, float)
EMULATOR_VECTORS(double, double)
EMULATOR_VECTORS(unsigned long long, ulonglong)
// clang-format on

namespace emulator {

using u32 = unsigned int;
using u64 = unsigned long long;

constexpr unsigned char no_lane = 255; // the source of a lane that votes instead of reading another's value

struct Warp { // a bit a lane
    u32 ready, at_barrier, at_exchange, gone;
    u32 mask[32];
    u64 value[32], result[32];
    unsigned char source[32];
};

struct Fiber {
    void *stack;
    uint3 index;
    u32 number;
};

struct Block { // the one that runs
    Fiber *current;
    uint3 index;
    dim3 size, grid;
    void *dynamic_shared;
    int any, all, count;                         // what the threads that wait at a barrier have voted,
    int barrier_any, barrier_all, barrier_count; // and what the last barrier found
    Warp warps[32];
};
#define EMULATOR_API __attribute__((visibility("default")))
extern EMULATOR_API Block block;

EMULATOR_API void barrier();
EMULATOR_API void exchange(u32 mask);                  // until every lane of the mask has come; the last one fills in all results
[[noreturn]] EMULATOR_API void fail(const char *what); // the launch ends with this error

inline u32 lane() { return block.current->number & 31; }
inline Warp &warp() { return block.warps[block.current->number >> 5]; }

template <class T> inline T shuffle(const char *name, u32 mask, T value, u32 source, bool in_range, int width) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "CUDA shuffles values of 4 or 8 bytes");
    static_assert(__is_trivially_copyable(T), "CUDA shuffles plain numbers");
    u32 here = lane();
    if (width <= 0 || width > 32 || (width & (width - 1))) fail(name);
    if (!in_range) source = here;
    if (!(mask >> here & 1) || !(mask >> source & 1)) fail(name);
    Warp &w = warp();
    w.value[here] = 0;
    __builtin_memcpy(&w.value[here], &value, sizeof(T));
    w.source[here] = (unsigned char)source;
    exchange(mask);
    T result;
    __builtin_memcpy(&result, &w.result[here], sizeof(T));
    return result;
}

template <class T, class... Among> struct one_of {
    static constexpr bool value = (__is_same(T, Among) || ...);
};
template <class T> struct same { // keeps an argument from taking part in deduction
    using type = T;
};

struct Kernel { // what an image exports beside its entry
    void (*entry)(void **);
    const char *name;
    u32 n_params, size[64], align[64];
    char *shared, *shared_end; // static shared memory
};

template <int... I> struct numbers {};
template <class... P, int... I> inline void call(void (*kernel)(P...), void **params, numbers<I...>) { kernel(*static_cast<P *>(params[I])...); }
template <class... P> inline void call(void (*kernel)(P...), void **params) { call(kernel, params, numbers<__integer_pack(sizeof...(P))...>{}); }
template <class... P> constexpr Kernel describe(void (*)(P...), void (*entry)(void **), const char *name, char *shared, char *shared_end) {
    return Kernel{entry, name, sizeof...(P), {sizeof(P)...}, {alignof(P)...}, shared, shared_end};
}

} // namespace emulator

#define threadIdx (::emulator::block.current->index)
#define blockIdx (::emulator::block.index)
#define blockDim (::emulator::block.size)
#define gridDim (::emulator::block.grid)
constexpr int warpSize = 32;

inline void __syncthreads() { ::emulator::barrier(); }
inline int __syncthreads_or(int x) {
    ::emulator::block.any |= x != 0;
    ::emulator::barrier();
    return ::emulator::block.barrier_any;
}
inline int __syncthreads_and(int x) {
    ::emulator::block.all &= x != 0;
    ::emulator::barrier();
    return ::emulator::block.barrier_all;
}
inline int __syncthreads_count(int x) {
    ::emulator::block.count += x != 0;
    ::emulator::barrier();
    return ::emulator::block.barrier_count;
}
inline void __threadfence() {}
inline void __threadfence_block() {}

inline unsigned __ballot_sync(unsigned mask, int x) {
    emulator::Warp &w = emulator::warp();
    unsigned here = emulator::lane();
    if (!(mask >> here & 1)) emulator::fail("__ballot_sync: the calling lane is not in the mask");
    w.value[here] = x != 0;
    w.source[here] = emulator::no_lane;
    emulator::exchange(mask);
    return (unsigned)w.result[here];
}
inline void __syncwarp(unsigned mask = 0xffffffffu) { __ballot_sync(mask, 0); }
inline int __any_sync(unsigned mask, int x) { return __ballot_sync(mask, x) != 0; }
inline int __all_sync(unsigned mask, int x) { return __ballot_sync(mask, x) == mask; }

template <class T> inline T __shfl_sync(unsigned mask, T x, int source, int width = 32) {
    unsigned first = emulator::lane() & ~(unsigned)(width - 1);
    return emulator::shuffle("__shfl_sync: a lane is not in the mask", mask, x, first | ((unsigned)source & (unsigned)(width - 1)), true, width);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T x, int bits, int width = 32) {
    unsigned here = emulator::lane(), source = here ^ (unsigned)bits;
    return emulator::shuffle("__shfl_xor_sync: a lane is not in the mask", mask, x, source,
                             source < (here & ~(unsigned)(width - 1)) + (unsigned)width, width);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T x, unsigned delta, int width = 32) {
    unsigned here = emulator::lane(), source = here + delta;
    return emulator::shuffle("__shfl_down_sync: a lane is not in the mask", mask, x, source,
                             source < (here & ~(unsigned)(width - 1)) + (unsigned)width, width);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T x, unsigned delta, int width = 32) {
    unsigned here = emulator::lane(), source = here - delta;
    return emulator::shuffle("__shfl_up_sync: a lane is not in the mask", mask, x, source, (here & (unsigned)(width - 1)) >= delta, width);
}

#define EMULATOR_ATOMIC(name, types, result)                                                            \
    template <class T> inline T name(T *p, typename emulator::same<T>::type x) {                        \
        static_assert(emulator::one_of<T, EMULATOR_##types>::value, #name " has no such type in CUDA"); \
        T old = *p;                                                                                     \
        *p = result;                                                                                    \
        return old;                                                                                     \
    }
#define EMULATOR_ADDED int, unsigned, unsigned long long, float, double
#define EMULATOR_TAKEN int, unsigned
#define EMULATOR_ORDERED int, unsigned, long long, unsigned long long
#define EMULATOR_BITS int, unsigned, unsigned long long
#define EMULATOR_WORDS int, unsigned, unsigned long long, float
EMULATOR_ATOMIC(atomicAdd, ADDED, old + x)
EMULATOR_ATOMIC(atomicSub, TAKEN, old - x)
EMULATOR_ATOMIC(atomicMax, ORDERED, x > old ? x : old)
EMULATOR_ATOMIC(atomicMin, ORDERED, x < old ? x : old)
EMULATOR_ATOMIC(atomicAnd, BITS, old &x)
EMULATOR_ATOMIC(atomicOr, BITS, old | x)
EMULATOR_ATOMIC(atomicXor, BITS, old ^ x)
EMULATOR_ATOMIC(atomicExch, WORDS, x)
template <class T> inline T atomicCAS(T *p, typename emulator::same<T>::type expected, typename emulator::same<T>::type x) {
    static_assert(emulator::one_of<T, EMULATOR_BITS>::value, "atomicCAS has no such type in CUDA");
    T old = *p;
    if (old == expected) *p = x;
    return old;
}

template <class T> inline T __ldg(const T *p) { return *p; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned long long)((unsigned __int128)a * b >> 64); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
inline int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
inline float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
inline long long __double_as_longlong(double x) { return __builtin_bit_cast(long long, x); }
inline double __longlong_as_double(long long x) { return __builtin_bit_cast(double, x); }
template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }

// The last line of an image: its entry, and what the launcher must know of the kernel.
#define EMULATOR_EXPORT(symbol, text, ...)                                                       \
    extern "C" __attribute__((visibility("hidden"))) char __bss_start[], _end[];                 \
    extern "C" EMULATOR_API void symbol(void **params) { emulator::call(&__VA_ARGS__, params); } \
    extern "C" EMULATOR_API const emulator::Kernel symbol##_kernel;                              \
    const emulator::Kernel symbol##_kernel = emulator::describe(&__VA_ARGS__, symbol, text, __bss_start, _end);
