// sort: the first k of each row in order, and where they were; stable, -0 equal to 0, nan above all numbers.
//
// Layout: data (..., N) -> values (..., k) of data's dtype, indices (..., k) of any number's.  Every element becomes an
// unsigned key of its own size
// whose order is the wanted one; keys and indices are radix-sorted together, a byte a pass, lowest first; passes that
// would move nothing are skipped.
// Short rows are sorted by insertion.  Rows run in parallel.  Reads data, writes both outputs, which alias nothing.
// Refuses a k beyond N.
// Called by: sort, argsort, topk, _shuffle.
#include <stdlib.h>

#include "cymx/order.h"
#include "cymx/params.h"
#include "table.h"
#include "types.h"

namespace {

constexpr i64 short_row = 48, parallel_elements = 1 << 14;

template <int BYTES> struct Key;
template <> struct Key<1> {
    typedef u8 type;
};
template <> struct Key<2> {
    typedef u16 type;
};
template <> struct Key<4> {
    typedef u32 type;
};
template <> struct Key<8> {
    typedef u64 type;
};

template <class K> struct Item {
    K key;
    u32 at;
};

template <class K> void insertion_sort(Item<K> *items, i64 n) {
    for (i64 i = 1; i < n; ++i) {
        const Item<K> moved = items[i];
        i64 j = i;
        for (; j > 0 && items[j - 1].key > moved.key; --j) {
            items[j] = items[j - 1];
        }
        items[j] = moved;
    }
}

// Sorts n items with the help of as many spare ones; returns where the result is.
template <class K> Item<K> *radix_sort(Item<K> *items, Item<K> *spare, i64 n) {
    if (n <= short_row) {
        insertion_sort(items, n);
        return items;
    }
    u32 counts[sizeof(K)][256] = {};
    for (i64 i = 0; i < n; ++i) {
        for (u32 b = 0; b < sizeof(K); ++b) {
            ++counts[b][u8(items[i].key >> (8 * b))];
        }
    }
    for (u32 b = 0; b < sizeof(K); ++b) {
        if (counts[b][u8(items[0].key >> (8 * b))] == u32(n)) {
            continue;
        }
        u32 before = 0;
        for (u32 &count : counts[b]) {
            const u32 own = count;
            count = before;
            before += own;
        }
        for (i64 i = 0; i < n; ++i) {
            spare[counts[b][u8(items[i].key >> (8 * b))]++] = items[i];
        }
        Item<K> *filled = spare;
        spare = items;
        items = filled;
    }
    return items;
}

template <class I> void write_indices(void *to, i64 at, const void *from, i64 n, i64 item_bytes, i64 offset) {
    for (i64 i = 0; i < n; ++i) {
        u32 index;
        __builtin_memcpy(&index, (const char *)from + i * item_bytes + offset, sizeof index);
        ((I *)to)[at + i] = convert<I>(i64(index));
    }
}

template <class T> bool sort_rows(const T *x, i64 n_rows, i64 n, i64 k, bool ascending, T *values, const cymx_tensor &indices) {
    typedef typename Key<sizeof(T)>::type K;
    void (*write)(void *, i64, const void *, i64, i64, i64) = nullptr;
    switch (indices.dtype) {
    case CYMX_FLOAT32: write = write_indices<float>; break;
    case CYMX_FLOAT64: write = write_indices<double>; break;
    case CYMX_FLOAT16: write = write_indices<float16>; break;
    case CYMX_BFLOAT16: write = write_indices<bfloat16>; break;
    case CYMX_UINT8: write = write_indices<u8>; break;
    case CYMX_INT8: write = write_indices<i8>; break;
    case CYMX_INT32: write = write_indices<i32>; break;
    default: write = write_indices<i64>; break;
    }
    bool done = true;
#pragma omp parallel if (n_rows > 1 && n_rows * n > parallel_elements) reduction(&& : done)
    {
        Item<K> *items = (Item<K> *)malloc(sizeof(Item<K>) * 2 * (n + 1));
        done = items != nullptr;
#pragma omp for schedule(static)
        for (i64 row = 0; row < n_rows; ++row) {
            if (!items) {
                continue;
            }
            const T *from = x + row * n;
            for (i64 i = 0; i < n; ++i) {
                const K key = order_key(from[i]);
                items[i] = {ascending ? key : K(~key), u32(i)};
            }
            const Item<K> *sorted = radix_sort(items, items + n, n);
            for (i64 i = 0; i < k; ++i) {
                values[row * k + i] = from[sorted[i].at];
            }
            write(indices.data, row * k, sorted, k, sizeof(Item<K>), (const char *)&sorted->at - (const char *)sorted);
        }
        free(items);
    }
    return done;
}

int sort(const cymx_args *args) {
    if (int code = expect(args, 1, 2, sizeof(sort_params))) {
        return code;
    }
    const cymx_tensor &x = args->in[0], &values = args->out[0], &indices = args->out[1];
    const auto &p = *static_cast<const sort_params *>(args->params);
    const i64 n = x.ndim ? x.shape[x.ndim - 1] : 1;
    if (p.k < 0 || p.k > n || n > 0xffffffffll) {
        return fail(args, CYMX_BAD_ARGUMENT, "k is %lld, expected 0 to %lld, the length of the axis (below 2**32)", p.k, n);
    }
    const i64 n_rows = n ? element_count(x) / n : 0;
    if (values.dtype != x.dtype || element_count(values) != n_rows * p.k || element_count(indices) != n_rows * p.k || indices.dtype == CYMX_BOOL) {
        return fail(args, CYMX_BAD_ARGUMENT, "the outputs have %lld and %lld elements, expected %lld values of data's dtype and as many indices",
                    element_count(values), element_count(indices), n_rows * p.k);
    }
    return for_dtype(args, x.dtype, [&](auto zero) {
        using T = decltype(zero);
        const bool done = sort_rows((const T *)x.data, n_rows, n, p.k, p.ascending != 0, (T *)values.data, indices);
        return done ? int(CYMX_OK) : fail(args, CYMX_OUT_OF_MEMORY, "no memory to sort %lld elements", n);
    });
}

} // namespace

CYMX_ROWS(sort, {"sort", sort})
