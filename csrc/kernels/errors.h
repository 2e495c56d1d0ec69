// How a kernel reports what is wrong: a complete English sentence with its numbers.  Read by: rooms in this folder whose messages hold numbers.
#pragma once
#include <stdio.h>

#include "cymx.h"

namespace {

// Every number in format is a %lld.
template <class... Numbers> inline int fail(const cymx_args *args, int code, const char *format, Numbers... numbers) {
    args->err->code = code;
    snprintf(args->err->message, sizeof args->err->message, format, (long long)numbers..., 0ll);
    return code;
}

// Every kernel's first look: the launch brings at least so many tensors and parameter bytes.
inline int expect(const cymx_args *args, int n_in, int n_out, long long params_bytes) {
    if (args->n_in < n_in || args->n_out < n_out || args->params_bytes < params_bytes) {
        return fail(args, CYMX_BAD_ARGUMENT, "the launch has %lld inputs, %lld outputs and %lld bytes of parameters, expected %lld, %lld and %lld",
                    args->n_in, args->n_out, args->params_bytes, n_in, n_out, params_bytes);
    }
    return CYMX_OK;
}

} // namespace
