// sort: the first k of each row in order, and where they were: data (R, n) -> values (R, k), indices (R, k); stable, -0 equal to 0, nan above
// all numbers, in the order of csrc/kernels/sort.cpp.
//
// Every element becomes an item: an unsigned key whose order is the wanted one, and its place in the row, so that no two are equal.  Tiles are
// sorted in shared memory, a block each; runs of a row are then merged pairwise, and only their first k items are kept on the way.  Reads
// data, writes both outputs, which alias nothing.  Recipes: recipes/sort.py.
#pragma once
#include "device.cuh"
#include "order.h"
#include "vector.cuh"

namespace cymx {

// Keys of up to 32 bits share a word with the place.
struct NarrowItem {
    u64 word;
    static __device__ NarrowItem of(u64 key, u32 at) { return {key << 32 | at}; }
    __device__ bool before(const NarrowItem &other) const { return word < other.word; }
    __device__ u32 at() const { return (u32)word; }
};
struct WideItem {
    u64 key, place;
    static __device__ WideItem of(u64 key, u32 at) { return {key, at}; }
    __device__ bool before(const WideItem &other) const { return key < other.key || (key == other.key && place < other.place); }
    __device__ u32 at() const { return (u32)place; }
};
template <class T, int BYTES = sizeof(T)> struct Item {
    using type = NarrowItem;
};
template <class T> struct Item<T, 8> {
    using type = WideItem;
};

template <class T> __device__ __forceinline__ typename Item<T>::type item_of(T x, i64 at, bool ascending) {
    const auto key = order_key(x);
    return Item<T>::type::of(ascending ? key : decltype(key)(~key), (u32)at);
}

// Where the sorted items of rows of n elements go: to scratch as they are, or, from the last pass, out as values and indices.
template <class T, class I> struct Sorted {
    const T *x;
    T *values; // null but in the last pass
    I *indices;
    typename Item<T>::type *items;
    i64 n;
    __device__ void put(i64 row, i64 to, const typename Item<T>::type &item) const {
        if (values) {
            values[to] = x[row * n + item.at()];
            indices[to] = convert<I>((i64)item.at());
        } else {
            items[to] = item;
        }
    }
};

// Row lengths: n elements in runs of `run` (the last may be shorter), of which the first `keep` items each go on, at a distance of `keep`.
struct Runs {
    i64 n, run, keep;
};

// Sorts each run of elements, or of items where there are any; `size` is the power of two that holds one.
template <class T, class I>
__global__ void CYMX_BOUNDS(1024) sort_tiles(const T *x, T *values, I *indices, i64 n, const typename Item<T>::type *items,
                                             typename Item<T>::type *kept, i64 out_step, i64 n_rows, Runs runs, i64 size, i64 ascending) {
    using E = typename Item<T>::type;
    CYMX_DYNAMIC_SHARED(E, tile);
    const Sorted<T, I> out = {x, values, indices, kept, n};
    const i64 n_runs = (runs.n + runs.run - 1) / runs.run;
    for (i64 at = blockIdx.x; at < n_rows * n_runs; at += gridDim.x) {
        const i64 row = at / n_runs, first = at % n_runs * runs.run;
        const i64 length = runs.n - first < runs.run ? runs.n - first : runs.run;
        for (i64 i = threadIdx.x; i < size; i += blockDim.x) {
            const i64 from = row * runs.n + first + i;
            if (i >= length) {
                tile[i] = E::of(~u64(0), ~u32(0));
            } else if (items) {
                tile[i] = items[from];
            } else {
                tile[i] = item_of(x[from], first + i, ascending != 0);
            }
        }
        __syncthreads();
        for (i64 width = 2; width <= size; width *= 2) {
            for (i64 step = width / 2; step; step /= 2) {
                for (i64 i = threadIdx.x; i < size / 2; i += blockDim.x) {
                    const i64 low = i / step * 2 * step + i % step, high = low + step;
                    const E a = tile[low], b = tile[high];
                    if (b.before(a) == ((low & width) == 0)) {
                        tile[low] = b, tile[high] = a;
                    }
                }
                __syncthreads();
            }
        }
        for (i64 i = threadIdx.x; i < length && i < runs.keep; i += blockDim.x) {
            out.put(row, row * out_step + at % n_runs * runs.keep + i, tile[i]);
        }
        __syncthreads();
    }
}

// How many of the first `d` of two merged runs come from a.
template <class I> __device__ __forceinline__ i64 from_first(const I *a, i64 n_a, const I *b, i64 n_b, i64 d) {
    i64 low = d > n_b ? d - n_b : 0, high = d < n_a ? d : n_a;
    while (low < high) {
        const i64 middle = (low + high) / 2;
        if (b[d - 1 - middle].before(a[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// Merges runs two by two: runs.run and runs.keep are the lengths before and after.  A block makes `tile` items at a time in shared memory: where
// its items start and end in both runs is searched for, then each item's place is its own number plus that of its elders in the other run.
template <class T, class I>
__global__ void CYMX_BOUNDS(256) merge_runs(const T *x, T *values, I *indices, i64 n, const typename Item<T>::type *items,
                                            typename Item<T>::type *kept, i64 out_step, i64 n_rows, Runs runs, i64 tile) {
    using E = typename Item<T>::type;
    CYMX_DYNAMIC_SHARED(E, shared);
    __shared__ i64 cut[2];
    E *merged = shared + tile;
    const Sorted<T, I> out = {x, values, indices, kept, n};
    const i64 n_pairs = (runs.n + 2 * runs.run - 1) / (2 * runs.run), n_tiles = (runs.keep + tile - 1) / tile;
    for (i64 at = blockIdx.x; at < n_rows * n_pairs * n_tiles; at += gridDim.x) {
        const i64 row = at / (n_pairs * n_tiles), pair = at / n_tiles % n_pairs, first = at % n_tiles * tile;
        const i64 start = pair * 2 * runs.run, left = runs.n - start;
        const i64 n_a = left < runs.run ? left : runs.run, rest = left - n_a, n_b = rest < runs.run ? rest : runs.run;
        const i64 length = n_a + n_b < runs.keep ? n_a + n_b : runs.keep, end = first + tile < length ? first + tile : length;
        const E *a = items + row * runs.n + start, *b = a + n_a;
        if (first >= end) {
            continue;
        }
        if (threadIdx.x < 2) {
            cut[threadIdx.x] = from_first(a, n_a, b, n_b, threadIdx.x ? end : first);
        }
        __syncthreads();
        const i64 a0 = cut[0], b0 = first - a0, from_a = cut[1] - a0, made = end - first;
        for (i64 i = threadIdx.x; i < made; i += blockDim.x) {
            shared[i] = i < from_a ? a[a0 + i] : b[b0 + i - from_a];
        }
        __syncthreads();
        for (i64 i = threadIdx.x; i < made; i += blockDim.x) {
            const E mine = shared[i];
            const E *others = i < from_a ? shared + from_a : shared;
            i64 low = 0, high = i < from_a ? made - from_a : from_a;
            while (low < high) {
                const i64 middle = (low + high) / 2;
                if (others[middle].before(mine)) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            merged[(i < from_a ? i : i - from_a) + low] = mine;
        }
        __syncthreads();
        for (i64 i = threadIdx.x; i < made; i += blockDim.x) {
            out.put(row, row * out_step + pair * runs.keep + first + i, merged[i]);
        }
    }
}

} // namespace cymx
