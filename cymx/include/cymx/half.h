// float16 and bfloat16: storage types whose only arithmetic is conversion to and from float32, rounding to nearest even.
//
// On a CPU branch-free integer code, which g++ vectorizes on every instruction set; on a GPU the instructions for it, where the architecture has
// them.  Both give the same bits for all numbers and infinities, denormals among them.  A NaN stays one: on a CPU its sign, and in bfloat16 the high
// bits of its payload, are kept; the instructions that round make 0x7fff of it.  Read by: csrc/kernels, gpu kernels.
#pragma once
#include "prelude.h"

namespace cymx {

struct float16 {
    u16 bits;
};
struct bfloat16 {
    u16 bits;
};

CYMX_FN float to_float(bfloat16 h) { return float_of((u32)h.bits << 16); }

template <class T> CYMX_FN T from_float(float x); // float16 or bfloat16

#ifdef __CUDACC_RTC__
CYMX_FN float to_float(float16 h) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h.bits));
    return x;
}

template <> CYMX_FN float16 from_float<float16>(float x) {
    float16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
    return h;
}
#else
CYMX_FN float to_float(float16 h) {
    u32 sign = (u32)(h.bits & 0x8000) << 16, magnitude = h.bits & 0x7fff;
    u32 normal = (magnitude << 13) + 0x38000000u, special = (magnitude << 13) | 0x7f800000u;
    u32 denormal = bits_of(float_of((magnitude << 13) + 0x38800000u) - float_of(0x38800000u));
    u32 r = magnitude < 0x400 ? denormal : normal;
    r = magnitude >= 0x7c00 ? special : r;
    return float_of(r | sign);
}

template <> CYMX_FN float16 from_float<float16>(float x) {
    u32 u = bits_of(x), sign = (u >> 16) & 0x8000, magnitude = u & 0x7fffffff;
    u32 normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1)) >> 13;
    u32 denormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u; // the adder rounds
    u32 r = magnitude < 0x38800000u ? denormal : normal;
    r = magnitude >= 0x477ff000u ? 0x7c00u : r;
    r = magnitude > 0x7f800000u ? 0x7e00u : r;
    return float16{(u16)(r | sign)};
}
#endif

#if defined __CUDACC_RTC__ && __CUDA_ARCH__ >= 800
template <> CYMX_FN bfloat16 from_float<bfloat16>(float x) {
    bfloat16 h;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
    return h;
}
#else
template <> CYMX_FN bfloat16 from_float<bfloat16>(float x) {
    u32 u = bits_of(x), rounded = u + 0x7fffu + ((u >> 16) & 1);
    u32 r = (u & 0x7fffffffu) > 0x7f800000u ? u | 0x400000u : rounded;
    return bfloat16{(u16)(r >> 16)};
}
#endif

} // namespace cymx
