// Stores that leave the caches alone, for outputs that are larger than those: no line is read before it is written.
//
// Read by: copy.cpp, index.cpp, rows.h.
#pragma once
#include "cymx.h"
#include "cymx/prelude.h"
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace {

constexpr int64_t streamed_bytes = 32 << 20, line_bytes = 64;

inline bool on_lines(const void *p) { return (uintptr_t)p % line_bytes == 0; }

// Writes one line, to 64-byte aligned memory.
inline void stream_line(void *to, const void *from) {
#if defined(__x86_64__)
    for (int k = 0; k < 4; ++k) {
        _mm_stream_si128((__m128i *)to + k, _mm_loadu_si128((const __m128i *)from + k));
    }
#else
    __builtin_memcpy(to, from, line_bytes);
#endif
}

// Makes a thread's streamed lines visible to others, before it tells them that they are there.
inline void end_stream() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

} // namespace
