// take, pick, pick_grad, one_hot, gather_nd, scatter_nd: elements found by the values of an index array.
//
// T is an unsigned integer of the element's size, Index the type of the indices.  Layout: contiguous arrays; `table` is (outer, length, inner) around the
// indexed axis.  Reads each index once a pack, rows in packs of up to 16 bytes where addresses allow it; every element of the output is written once, and
// nothing aliases.  Nothing adds: results are exact.  *_nd kernels count negative indices from the end; what is still out of range reads as 0 and writes
// nothing.  Launch shape: blocks of 256 threads that stride over the grid.
#pragma once
#include "copy.cuh"

namespace cymx {

// The lengths that the n coordinates of an *_nd index run over.
struct Coordinates {
    i64 n, length[8];
};

// The run that column j of indices (m.n, n) names, or -1.
template <class Index> __device__ __forceinline__ i64 find_run(const Index *indices, const Coordinates &m, i64 n, i64 j) {
    i64 run = 0;
    bool inside = true;
    for (int d = 0; d < (int)m.n; ++d) {
        const i64 index = to_index(indices[d * n + j]), length = m.length[d];
        inside &= index >= -length && index < length;
        run = run * length + (index < 0 ? index + length : index);
    }
    return inside ? run : -1;
}

// y = table's runs at indices.  m: y's packs (outer, n, packs a run); `from` is where a run lies but for its row, `to` the index's number.
template <class T, int vector, class Index, class I>
__global__ void CYMX_BOUNDS(copy_threads) take(const T *table, const Index *indices, T *y, Move m, i64 length, i64 inner, i64 mode, i64 n_packs) {
    const bool aligned = both_aligned<T, vector>(table, y);
    const I step = (I)index_step(), end = (I)n_packs;
    for (I first = (I)first_index(); first < end; first += step * copy_unroll) {
        Pack<T, vector> packs[copy_unroll];
#pragma unroll
        for (int u = 0; u < copy_unroll; ++u) {
            const I i = first + u * step;
            i64 from, at;
            locate(m, i < end ? i : first, from, at);
            packs[u] = read_pack<T, vector>(table + from + bring_in_range(to_index(indices[at]), length, mode) * inner, aligned);
        }
#pragma unroll
        for (int u = 0; u < copy_unroll; ++u) {
            const I i = first + u * step;
            if (i < end) {
                write_pack<T, vector>(y + (i64)i * vector, packs[u], aligned);
            }
        }
    }
}

// y = table's runs at coordinates.  m: y's packs (n, packs a run); `from` is the place in the run, `to` the column of indices.
template <class T, int vector, class Index, class I>
__global__ void CYMX_BOUNDS(copy_threads)
    gather_nd(const T *table, const Index *indices, T *y, Move m, Coordinates coordinates, i64 n, i64 inner, i64 n_packs) {
    const bool aligned = both_aligned<T, vector>(table, y);
    const I step = (I)index_step(), end = (I)n_packs;
    for (I i = (I)first_index(); i < end; i += step) {
        i64 from, at;
        locate(m, i, from, at);
        const i64 run = find_run(indices, coordinates, n, at);
        Pack<T, vector> pack = {};
        if (run >= 0) {
            pack = read_pack<T, vector>(table + run * inner + from, aligned);
        }
        write_pack<T, vector>(y + (i64)i * vector, pack, aligned);
    }
}

// last[run] = 1 + the last column that names the run; it holds zeros before.
template <class Index>
__global__ void CYMX_BOUNDS(copy_threads) find_last(const Index *indices, i32 *last, Coordinates coordinates, i64 n) {
    for (i64 j = first_index(); j < n; j += index_step()) {
        const i64 run = find_run(indices, coordinates, n, j);
        if (run >= 0) {
            atomicMax(last + run, (i32)j + 1);
        }
    }
}

// y's runs at coordinates = x, where repeated ones keep the last.  m: as in gather_nd, of x.
template <class T, int vector, class Index, class I>
__global__ void CYMX_BOUNDS(copy_threads)
    scatter_nd(const T *x, const Index *indices, const i32 *last, T *y, Move m, Coordinates coordinates, i64 n, i64 inner, i64 n_packs) {
    const bool aligned = both_aligned<T, vector>(x, y);
    const I step = (I)index_step(), end = (I)n_packs;
    for (I i = (I)first_index(); i < end; i += step) {
        i64 to, at;
        locate(m, i, to, at);
        const i64 run = find_run(indices, coordinates, n, at);
        if (run >= 0 && last[run] == (i32)at + 1) {
            write_pack<T, vector>(y + run * inner + to, read_pack<T, vector>(x + (i64)i * vector, aligned), aligned);
        }
    }
}

// y[o, i] = table[o, index[o, i], i].  m: y's sizes; `from` is where an element lies but for its row.
template <class T, class Index, class I>
__global__ void CYMX_BOUNDS(copy_threads) pick(const T *table, const Index *indices, T *y, Move m, i64 length, i64 inner, i64 mode, i64 n) {
    const I step = (I)index_step(), end = (I)n;
    for (I i = (I)first_index(); i < end; i += step) {
        i64 from, unused;
        locate(m, i, from, unused);
        y[i] = table[from + bring_in_range(to_index(indices[i]), length, mode) * inner];
    }
}

// dx[o, l, i] = dy[o, i] where index[o, i] is l, else 0.  m: dx's sizes; `from` is the index's number, `to` is l.
template <class T, class Index, class I>
__global__ void CYMX_BOUNDS(copy_threads) pick_grad(const T *dy, const Index *indices, T *dx, Move m, i64 length, i64 mode, i64 n) {
    const I step = (I)index_step(), end = (I)n;
    for (I i = (I)first_index(); i < end; i += step) {
        i64 at, l;
        locate(m, i, at, l);
        dx[i] = bring_in_range(to_index(indices[at]), length, mode) == l ? dy[at] : T(0);
    }
}

// y[j, l] = on where index j is l, else off.  m: y's sizes; `from` is j, `to` is l.
template <class T, class Index, class I>
__global__ void CYMX_BOUNDS(copy_threads) one_hot(const Index *indices, T *y, Move m, i64 on, i64 off, i64 n) {
    const I step = (I)index_step(), end = (I)n;
    for (I i = (I)first_index(); i < end; i += step) {
        i64 at, l;
        locate(m, i, at, l);
        y[i] = (T)(to_index(indices[at]) == l ? on : off);
    }
}

} // namespace cymx
