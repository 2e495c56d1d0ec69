// What the stand-ins of NVIDIA's libraries share: handles that are known by their kind, and work that a stream does when its turn comes.
// Read by: the files of this folder, which run on the emulated driver.
#pragma once
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#include <functional>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace standin {

enum Status { SUCCESS = 0, INVALID = 7, NOT_SUPPORTED = 15 };

// An object whose handle is taken for another kind's is refused.
template <class T> struct Tagged {
    const char *tag = T::name;
    T value = {};
};
template <class T> int make(void **handle) { return *handle = new Tagged<T>, SUCCESS; }
template <class T> T *known(void *handle) {
    Tagged<T> *object = static_cast<Tagged<T> *>(handle);
    return object && object->tag == T::name ? &object->value : nullptr;
}
template <class T> int destroy(void *handle) {
    if (!known<T>(handle)) return INVALID;
    static_cast<Tagged<T> *>(handle)->tag = "destroyed"; // never freed, so that a late use is known as one
    return SUCCESS;
}

// Has a stream call a function; a captured one is called at each replay.
inline int queue(void *stream, std::function<void()> run) {
    using Launch = int (*)(void *, void (*)(void *), void *);
    static const Launch launch = reinterpret_cast<Launch>(dlsym(RTLD_DEFAULT, "cuLaunchHostFunc"));
    return launch(stream, [](void *data) { (*static_cast<std::function<void()> *>(data))(); }, new std::function<void()>(run)) ? INVALID : SUCCESS;
}

inline float from_half(uint16_t h, bool bfloat) {
    uint32_t bits = bfloat ? (uint32_t)h << 16 : 0;
    float value;
    if (bfloat) return __builtin_memcpy(&value, &bits, 4), value;
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    value = exponent ? __builtin_ldexpf((float)(1024 + mantissa), exponent - 25) : __builtin_ldexpf((float)mantissa, -24);
    return h >> 15 ? -value : value;
}

// One element of an array of float32 (0), float64 (1), 16 bits (2, 9 or 14).
inline double load(const void *data, int type, int64_t i) {
    if (type == 0) return static_cast<const float *>(data)[i];
    if (type == 1) return static_cast<const double *>(data)[i];
    return from_half(static_cast<const uint16_t *>(data)[i], type != 2);
}
inline void store(void *data, int type, int64_t i, double value) {
    if (type == 1) {
        static_cast<double *>(data)[i] = value;
        return;
    }
    float narrow = (float)value;
    if (type == 0) {
        static_cast<float *>(data)[i] = narrow;
        return;
    }
    uint32_t bits;
    __builtin_memcpy(&bits, &narrow, 4);
    if (type == 2) {
        _Float16 half = (_Float16)narrow;
        __builtin_memcpy(static_cast<uint16_t *>(data) + i, &half, 2);
    } else {
        static_cast<uint16_t *>(data)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

} // namespace standin
