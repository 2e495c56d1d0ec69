// What indices mean: how any number is read as one, how it is brought into range, and where padding comes from.
//
// Read by: csrc/kernels/index.cpp and copy.cpp, gpu kernels.
#pragma once
#include "map.h"
#include "params.h"

namespace cymx {

// Floats are cut to whole numbers; nan is 0.
template <class T> CYMX_FN i64 to_index(T x) { return cast<i64>(x); }
CYMX_FN i64 to_index(float16 x) { return cast<i64>(to_float(x)); }
CYMX_FN i64 to_index(bfloat16 x) { return cast<i64>(to_float(x)); }

CYMX_FN i64 bring_in_range(i64 index, i64 n, i64 mode) {
    if (mode == INDEX_WRAP) {
        return (index % n + n) % n;
    }
    return index < 0 ? 0 : index >= n ? n - 1 : index;
}

// Where position `at` of a padded axis comes from, which has n elements between what is added; -1: from the constant.
CYMX_FN i64 pad_source(i64 at, i64 n, i64 mode) {
    if (at >= 0 && at < n) {
        return at;
    }
    if (mode == PAD_CONSTANT) {
        return -1;
    }
    if (mode == PAD_EDGE || n == 1) {
        return at < 0 ? 0 : n - 1;
    }
    i64 period = 2 * (n - 1), folded = (at % period + period) % period;
    return folded < n ? folded : period - folded;
}

} // namespace cymx
