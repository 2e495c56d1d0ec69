// Keys that sort as their elements do: unsigned integers of the elements' own size; -0 equals 0, and nan lies above all numbers.
// Read by: csrc/kernels/sort.cpp, gpu kernels.
#pragma once
#include "half.h"

namespace cymx {

// The sign bit is flipped for positive floats, all bits for negative ones.
template <class K> CYMX_FN K float_key(K bits, K infinity) {
    constexpr K sign = K(K(1) << (8 * sizeof(K) - 1));
    const K magnitude = K(bits & K(~sign));
    if (magnitude > infinity) {
        return K(~K(0));
    }
    return bits & sign ? (magnitude ? K(~bits) : sign) : K(bits | sign);
}
CYMX_FN u32 order_key(float x) { return float_key<u32>(bits_of(x), 0x7f800000u); }
CYMX_FN u64 order_key(double x) { return float_key<u64>(bits_of(x), 0x7ff0000000000000ull); }
CYMX_FN u16 order_key(float16 x) { return float_key<u16>(x.bits, 0x7c00); }
CYMX_FN u16 order_key(bfloat16 x) { return float_key<u16>(x.bits, 0x7f80); }
CYMX_FN u8 order_key(u8 x) { return x; }
CYMX_FN u8 order_key(bool x) { return x; }
CYMX_FN u8 order_key(i8 x) { return u8(x) ^ 0x80u; }
CYMX_FN u32 order_key(i32 x) { return u32(x) ^ 0x80000000u; }
CYMX_FN u64 order_key(i64 x) { return u64(x) ^ (u64(1) << 63); }

} // namespace cymx
