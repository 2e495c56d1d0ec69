// E = A * B + C * D over n floats in one pass, as one would write it by hand; and a copy with all threads.
#include <cstddef>
#include <cstring>
#include <omp.h>

extern "C" void multiply_add(const float *a, const float *b, const float *c, const float *d, float *e, std::ptrdiff_t n) {
#pragma omp parallel for simd schedule(static) if (n > 16384)
    for (std::ptrdiff_t i = 0; i < n; ++i)
        e[i] = a[i] * b[i] + c[i] * d[i];
}

extern "C" void copy(const char *from, char *to, std::ptrdiff_t n_bytes) {
#pragma omp parallel
    {
        const std::ptrdiff_t threads = omp_get_num_threads(), share = (n_bytes + threads - 1) / threads;
        const std::ptrdiff_t begin = share * omp_get_thread_num();
        if (begin < n_bytes)
            std::memcpy(to + begin, from + begin, begin + share < n_bytes ? share : n_bytes - begin);
    }
}
