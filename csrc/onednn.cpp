// oneDNN primitives behind the same kernel rows.
#include "onednn.h"

#include <cstdio>

extern "C" int cymx_onednn_load(const char *, cymx_error *err) {
    err->code = CYMX_UNSUPPORTED;
    std::snprintf(err->message, sizeof err->message, "built without oneDNN's headers");
    return err->code;
}
extern "C" void cymx_onednn_enable(int) {}
extern "C" int cymx_onednn_enabled(void) { return 0; }
extern "C" cymx_kernel cymx_onednn_find(const char *) { return nullptr; }
