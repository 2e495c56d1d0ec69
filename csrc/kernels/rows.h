// What kernels of rows share: a row is joined in many lanes while what comes next is fetched, and stored past the caches where those have no use for it.
//
// Read by: norm.cpp, softmax.cpp.
#pragma once
#include "stream.h"
#include "types.h"

namespace {

// How many elements further on memory is fetched while a row of n is read, several times: about a row.
template <class T> i64 fetch_distance(i64 n) {
    constexpr i64 near = 4096 / sizeof(T), far = 16384 / sizeof(T);
    return n < near ? near : least(n, far);
}

// What values are joined by: `few` joins f(0) .. f(n - 1) where joining many lanes would take most of the time.
template <class A> struct Adding {
    static A start() { return 0; }
    static A join(A v, A w) { return v + w; }
    template <class F> static A few(i64 n, F f) {
        A total = 0;
#pragma omp simd reduction(+ : total)
        for (i64 i = 0; i < n; ++i) {
            total += f(i);
        }
        return total;
    }
};
template <class A> struct Greatest { // nan never is
    static A start() { return -limits<A>::infinity(); }
    static A join(A v, A w) { return w > v ? w : v; }
    template <class F> static A few(i64 n, F f) {
        A most = start();
#pragma omp simd reduction(max : most)
        for (i64 i = 0; i < n; ++i) {
            const A v = f(i);
            most = v > most ? v : most;
        }
        return most;
    }
};

// Joins f(x[i], i) for i in [begin, end).  Of the lines `ahead` elements further on, part PART of PARTS is fetched meanwhile; of 0 parts none.
template <template <class> class Joining, int PART, int PARTS, class T, class F> wide_t<T> join_run(const T *x, i64 begin, i64 end, i64 ahead, F f) {
    using A = wide_t<T>;
    constexpr i64 n_lanes = 64, part_bytes = PARTS ? n_lanes * sizeof(T) / PARTS : 0;
    if (end - begin < 4 * n_lanes) {
        return Joining<A>::few(end - begin, [&](i64 i) { return f(widen(x[begin + i]), begin + i); });
    }
    A lanes[n_lanes];
    for (i64 k = 0; k < n_lanes; ++k) {
        lanes[k] = Joining<A>::start();
    }
    i64 i = begin;
    for (; i + n_lanes <= end; i += n_lanes) {
        for (i64 b = 0; b < part_bytes; b += line_bytes) {
            __builtin_prefetch((const char *)(x + i + ahead) + PART * part_bytes + b);
        }
#pragma GCC ivdep
        for (i64 k = 0; k < n_lanes; ++k) {
            lanes[k] = Joining<A>::join(lanes[k], f(widen(x[i + k]), i + k));
        }
    }
#pragma GCC ivdep
    for (i64 k = 0; k < end - i; ++k) {
        lanes[k] = Joining<A>::join(lanes[k], f(widen(x[i + k]), i + k));
    }
    for (i64 width = n_lanes / 2; width; width /= 2) {
        for (i64 k = 0; k < width; ++k) {
            lanes[k] = Joining<A>::join(lanes[k], lanes[k + width]);
        }
    }
    return lanes[0];
}

// Whether n_rows rows of n at y lie on lines and are more than the caches should hold.
template <class T> bool are_streamed(const T *y, i64 n_rows, i64 n) {
    return n_rows * n * (i64)sizeof(T) > streamed_bytes && n * sizeof(T) % line_bytes == 0 && on_lines(y);
}

// Stores f(i) for i in [0, n).
template <class T, class F> void store_row(T *y, i64 n, bool streamed, F f) {
    constexpr i64 line = line_bytes / sizeof(T);
    i64 i = 0;
    for (; streamed && i + line <= n; i += line) {
        T whole[line];
        for (i64 k = 0; k < line; ++k) {
            whole[k] = convert<T>(f(i + k));
        }
        stream_line(y + i, whole);
    }
    // Where y is x, element i is read before it is written.
#pragma GCC ivdep
    for (; i < n; ++i) {
        y[i] = convert<T>(f(i));
    }
}

} // namespace
