// Kernel rows: how a room of kernels is compiled once per instruction set and found by name.
//
// Every .cpp in this folder is compiled with -DCYMX_ISA=<v2|v3|v4|base> and the matching -march.  All its code sits in anonymous namespaces and uses
// no standard library, so that no symbol of one instruction set can be linked into another; the one thing it exports is its table:
//     CYMX_ROWS(softmax, {"softmax", softmax}, {"log_softmax", log_softmax})
// A row may have a third field, the scratch that its kernel likes to have.  Rooms are listed once, below.  Read by: csrc/kernels/*.cpp, csrc/dispatch.cpp.
#pragma once
#include "cymx.h"

#define CYMX_CAT_(a, b) a##b
#define CYMX_CAT(a, b) CYMX_CAT_(a, b)

#define CYMX_ROWS(room, ...)                                                                                      \
    extern "C" {                                                                                                  \
    extern const cymx_kernel_row CYMX_CAT(cymx_rows_##room##_, CYMX_ISA)[];                                       \
    const cymx_kernel_row CYMX_CAT(cymx_rows_##room##_, CYMX_ISA)[] = {__VA_ARGS__, {nullptr, nullptr, nullptr}}; \
    }

#define CYMX_ROOMS(X) X(map) X(reduce) X(copy) X(index) X(random) X(matmul) X(conv) X(winograd) X(pool) X(softmax) X(norm) X(rnn) X(sort)
