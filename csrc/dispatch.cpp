// Picks the instruction set once and finds kernels in its tables.  No state beyond that choice.  Called by: cymx/_ops.pyx.
#include "dispatch.h"

#include <cstdio>
#include <cstring>

#include "kernels/table.h"
#include "onednn.h"

#define DECLARE_V2(room) extern "C" const cymx_kernel_row cymx_rows_##room##_v2[];
#define DECLARE_V3(room) extern "C" const cymx_kernel_row cymx_rows_##room##_v3[];
#define DECLARE_V4(room) extern "C" const cymx_kernel_row cymx_rows_##room##_v4[];
#define DECLARE_BASE(room) extern "C" const cymx_kernel_row cymx_rows_##room##_base[];
#define ROWS_V2(room) cymx_rows_##room##_v2,
#define ROWS_V3(room) cymx_rows_##room##_v3,
#define ROWS_V4(room) cymx_rows_##room##_v4,
#define ROWS_BASE(room) cymx_rows_##room##_base,

#if defined(__x86_64__)
CYMX_ROOMS(DECLARE_V2)
CYMX_ROOMS(DECLARE_V3)
CYMX_ROOMS(DECLARE_V4)
#else
CYMX_ROOMS(DECLARE_BASE)
#endif

namespace {

struct Isa {
    const char *name;
    const cymx_kernel_row *const *rooms;
    bool (*supported)();
};

#if defined(__x86_64__)
const cymx_kernel_row *const rooms_v2[] = {CYMX_ROOMS(ROWS_V2) nullptr};
const cymx_kernel_row *const rooms_v3[] = {CYMX_ROOMS(ROWS_V3) nullptr};
const cymx_kernel_row *const rooms_v4[] = {CYMX_ROOMS(ROWS_V4) nullptr};
const Isa isas[] = {
    {"x86-64-v2", rooms_v2, [] { return bool(__builtin_cpu_supports("sse4.2")); }},
    {"x86-64-v3", rooms_v3, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); }},
    {"x86-64-v4", rooms_v4,
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
     }},
};
#else
const cymx_kernel_row *const rooms_base[] = {CYMX_ROOMS(ROWS_BASE) nullptr};
const Isa isas[] = {{"baseline", rooms_base, [] { return true; }}};
#endif

const Isa *selected = nullptr;

const cymx_kernel_row *find_row(const char *name) {
    for (const cymx_kernel_row *const *room = selected ? selected->rooms : nullptr; room && *room; ++room) {
        for (const cymx_kernel_row *row = *room; row->name; ++row) {
            if (std::strcmp(row->name, name) == 0) return row;
        }
    }
    return nullptr;
}

} // namespace

extern "C" int cymx_isa_select(const char *name, cymx_error *err) {
    const Isa *found = nullptr;
    for (const Isa &isa : isas) {
        if (isa.supported() && (*name == 0 || std::strcmp(name, isa.name) == 0)) {
            found = &isa;
        }
    }
    if (!found) {
        err->code = CYMX_BAD_ARGUMENT;
        std::snprintf(err->message, sizeof err->message, "instruction set '%s' is not one that this machine runs (%s)", name, cymx_isa_supported());
        return err->code;
    }
    selected = found;
    return CYMX_OK;
}

extern "C" const char *cymx_isa_name(void) { return selected ? selected->name : ""; }

extern "C" const char *cymx_isa_supported(void) {
    static const struct Names {
        char text[64] = "";
        Names() {
            for (const Isa &isa : isas) {
                if (isa.supported()) {
                    std::strcat(text, *text ? " " : "");
                    std::strcat(text, isa.name);
                }
            }
        }
    } names;
    return names.text;
}

extern "C" cymx_kernel cymx_kernel_find(const char *name) {
    cymx_kernel fast = cymx_onednn_find(name);
    return fast ? fast : cymx_kernel_find_portable(name);
}

extern "C" cymx_kernel cymx_kernel_find_portable(const char *name) {
    const cymx_kernel_row *row = find_row(name);
    return row ? row->run : nullptr;
}

extern "C" int cymx_kernel_takes_scratch(const char *name) {
    const cymx_kernel_row *row = find_row(name);
    return cymx_onednn_find(name) || (row && row->scratch);
}

extern "C" int64_t cymx_kernel_scratch_bytes(const char *name, const cymx_args *args) {
    return cymx_onednn_find(name) ? cymx_onednn_scratch_bytes(name, args) : find_row(name)->scratch(args);
}
