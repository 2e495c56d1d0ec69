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

} // namespace
