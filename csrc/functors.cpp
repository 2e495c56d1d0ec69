// The number of each functor in a map program: its place in the lists of include/cymx/map.h; "cast" comes after the last of them.
// And back: what a functor is called, for generated kernels.  Called by: cymx/_ops.pyx.  Not compiled per instruction set: it holds names only.
#include <cstring>

#include "cymx/map.h"
#include "dispatch.h"

namespace {

struct Functor {
    const char *name;
    int32_t arity;
    uint32_t types;
};

#define CYMX_UNARY(name, ...) {#name, 1, cymx::fn::name::types},
#define CYMX_BINARY(name, ...) {#name, 2, cymx::fn::name::types},
#define CYMX_TERNARY(name, ...) {#name, 3, cymx::fn::name::types},
const Functor functors[] = {CYMX_UNARY_LIST(CYMX_UNARY) CYMX_BINARY_LIST(CYMX_BINARY) CYMX_TERNARY_LIST(CYMX_TERNARY){"cast", 1, cymx::ALL}};
const int n_functors = sizeof functors / sizeof functors[0];

} // namespace

extern "C" int cymx_functor_find(const char *name) {
    for (int number = 0; number < n_functors; ++number) {
        if (std::strcmp(functors[number].name, name) == 0) {
            return number;
        }
    }
    return -1;
}

extern "C" const char *cymx_functor_describe(int number, int32_t *arity, uint32_t *types) {
    if (number < 0 || number >= n_functors) {
        return nullptr;
    }
    *arity = functors[number].arity;
    *types = functors[number].types;
    return functors[number].name;
}
