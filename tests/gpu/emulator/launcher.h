// What the emulator offers to C++ that runs kernels.  Read by: emulator.cpp, the emulated driver.
#pragma once
#include <stddef.h>

#include "emulator.h"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

extern "C" {
// Loads an image; null, with the reason in `error`, where that fails.
EMULATOR_API void *emulator_load(const void *code, size_t n, char *error, size_t error_bytes);
// Finds a kernel in an image, or null.
EMULATOR_API const emulator::Kernel *emulator_find(void *image, const char *symbol);
// Whether a GPU would refuse this launch, and then why.
EMULATOR_API int emulator_refuses(const emulator::Kernel *kernel, const unsigned *grid, const unsigned *block, unsigned dynamic_bytes, char *error,
                                  size_t error_bytes);
// Runs a kernel: 0, or 1 where a GPU would refuse the launch, or 2 where it failed; then `error` says why.  order: forward, reverse, random.
EMULATOR_API int emulator_launch(const emulator::Kernel *kernel, const unsigned *grid, const unsigned *block, unsigned dynamic_bytes, void **params,
                                 int order, char *error, size_t error_bytes);
}
