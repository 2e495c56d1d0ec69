// The number of each functor in a map program: its place in the lists of include/cymx/map.h; "cast" comes after the last of them.
// Called by: cymx/_ops.pyx.  Not compiled per instruction set: it holds names only.
#include <cstring>

#include "cymx/map.h"
#include "dispatch.h"

extern "C" int cymx_functor_find(const char *name) {
#define CYMX_NAME(name, ...) #name,
    static const char *const names[] = {CYMX_FUNCTOR_LIST(CYMX_NAME) "cast"};
#undef CYMX_NAME
    int number = 0;
    for (const char *known : names) {
        if (std::strcmp(known, name) == 0) {
            return number;
        }
        ++number;
    }
    return -1;
}
