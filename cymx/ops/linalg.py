"""Linear algebra and the products of attention.

The factorizations (potrf, syevd, ...) need kernels of their own and are not here.
"""

import math

from ..base import ArgumentError
from ._build import F, reshape
from ._def import Composed, op
from ._params import Param
from ._shapes import FLOATS, all_same, normalize_axis, same


def _to_last(x, axis):
    """Return x with its matrices' rows at the last axis but one, and whether it moved."""
    axis = normalize_axis(axis, x.ndim)
    if axis == x.ndim - 2:
        return x, None
    order = (*(i for i in range(x.ndim) if i not in (axis, x.ndim - 1)), axis, x.ndim - 1)
    return F.transpose(x, axes=order), tuple(order.index(i) for i in range(x.ndim))


class MatrixProduct(Composed):
    """The base of products of batches of matrices; `axis` holds the rows, the last axis the columns."""

    dtype = same(FLOATS)
    transpose_a: bool = Param(False)
    transpose_b: bool = Param(False)
    alpha: float = Param(1.0)

    def shape(p, ins, outs):
        a, b = ins[:2]
        if a is None or b is None:
            return ins, outs
        if len(a) != len(b) or len(a) < 2:
            raise ArgumentError(f"A is {a} and B {b}, expected as many dimensions, at least 2")
        axis = normalize_axis(p.axis, len(a))
        m, k = (a[-1], a[axis]) if p.transpose_a else (a[axis], a[-1])
        k2, n = (b[-1], b[axis]) if p.transpose_b else (b[axis], b[-1])
        if k != k2:
            raise ArgumentError(f"A {a} and B {b}: inner dimensions {k} and {k2} differ")
        made = (*(m if i == axis else size for i, size in enumerate(a[:-1])), n)
        return [a, b, *[made] * (len(ins) - 2)], [made]


def _product(p, a, b):
    (a, back), (b, _) = _to_last(a, p.axis), _to_last(b, p.axis)
    y = F.matmul(a, b, transpose_a=p.transpose_a, transpose_b=p.transpose_b)
    y = y if back is None else F.transpose(y, axes=back)
    return y if p.alpha == 1 else y * p.alpha


@op("_linalg_gemm2", "linalg_gemm2")
class LinalgGemm2(MatrixProduct):
    """out = alpha A B, each transposed where asked.   A (..., M, K), B (..., K, N) -> output (..., M, N)."""

    inputs = ("A", "B")
    axis: int = Param(-2)

    def compose(p, a, b):
        return _product(p, a, b)


@op("_linalg_gemm", "linalg_gemm")
class LinalgGemm(MatrixProduct):
    """out = alpha A B + beta C, A and B transposed where asked.   A (..., M, K), B (..., K, N), C -> output (..., M,
    N)."""

    inputs = ("A", "B", "C")
    beta: float = Param(1.0)
    axis: int = Param(-2)

    def compose(p, a, b, c):
        return _product(p, a, b) + (c if p.beta == 1 else c * p.beta)


@op("_linalg_syrk", "linalg_syrk")
class LinalgSyrk(Composed):
    """out = alpha A A^T, or alpha A^T A where transpose.   A (..., M, K) -> output (..., M, M), or (..., K, K)."""

    inputs, dtype = ("A",), same(FLOATS)
    transpose: bool = Param(False)
    alpha: float = Param(1.0)

    def shape(p, ins, outs):
        a = ins[0]
        if a is None:
            return ins, outs
        if len(a) < 2:
            raise ArgumentError(f"A is {a}, expected at least 2 dimensions")
        return ins, [(*a[:-2], *[a[-1] if p.transpose else a[-2]] * 2)]

    def compose(p, a):
        return F.matmul(a, a, transpose_a=p.transpose, transpose_b=not p.transpose) * p.alpha


@op("_linalg_trmm", "linalg_trmm")
class LinalgTrmm(Composed):
    """out = alpha L B, or alpha B L where rightside; L is the lower (upper) triangle of A, transposed where asked.

    A (..., N, N), B (..., N, M), or (..., M, N) where rightside -> output (B's).
    """

    inputs, dtype = ("A", "B"), same(FLOATS)
    transpose: bool = Param(False)
    rightside: bool = Param(False)
    lower: bool = Param(True)
    alpha: float = Param(1.0)

    def shape(p, ins, outs):
        a, b = ins
        if a is None or b is None:
            return ins, outs
        n = b[-1] if p.rightside else b[-2]
        return [(*b[:-2], n, n), b], [b]

    def compose(p, a, b):
        n = a.shape[-1]
        rows = reshape(F.arange(start=0.0, stop=float(n), dtype=a.dtype), (n, 1))
        columns = reshape(rows, (1, n))
        a = a * (F.greater_equal(rows, columns) if p.lower else F.lesser_equal(rows, columns))
        if p.rightside:
            return F.matmul(b, a, transpose_b=p.transpose) * p.alpha
        return F.matmul(a, b, transpose_a=p.transpose) * p.alpha


@op("multi_sum_sq")
class MultiSumSq(Composed):
    """The sum of squares of each input.   data (any shapes) -> output (num_arrays,) float32."""

    variadic, grad = "num_arrays", None
    num_arrays: int = Param(ge=1)

    def shape(p, ins, outs):
        return ins, [(p.num_arrays,)]

    def dtype(p, ins, outs):
        (*xs,), _ = same(FLOATS)(p, ins, [])
        return xs, ["float32"]

    def compose(p, *xs):
        return F.concat(*(F.sum(F.square(F.Cast(x, dtype="float32"))) for x in xs), num_args=len(xs), dim=0)


@op("khatri_rao")
class KhatriRao(Composed):
    """The products of matching columns' elements: a (M0, K), (M1, K), ... -> output (M0 M1 ..., K), the first rows
    slowest."""

    inputs, variadic, dtype, grad = ("arg",), "num_args", same(FLOATS), None
    num_args: int = Param(ge=1)

    def shape(p, ins, outs):
        if any(s is None for s in ins):
            return ins, outs
        for i, s in enumerate(ins):
            if len(s) != 2 or s[1] != ins[0][1]:
                raise ArgumentError(f"arg{i} is {s}, expected a matrix with the {ins[0][-1]} columns of arg0")
        return ins, [(math.prod(s[0] for s in ins), ins[0][1])]

    def compose(p, *xs):
        y, k = xs[0], xs[0].shape[1]
        for x in xs[1:]:
            n, m = y.shape[0], x.shape[0]
            y = reshape(reshape(y, (n, 1, k)) * reshape(x, (1, m, k)), (n * m, k))
        return F.identity(y) if len(xs) == 1 else y


# ---- attention: steps first, heads side by side in the last axis ----


@op("_contrib_div_sqrt_dim")
class DivSqrtDim(Composed):
    """y = x / sqrt(D), D the last dimension.   data (..., D) -> output (same)."""

    shape, dtype = all_same, same(FLOATS)

    def compose(p, x):
        return x * (1 / math.sqrt(x.shape[-1]))


class Attention(Composed):
    """The base of the products of attention with `heads` heads."""

    dtype = same(FLOATS)
    heads: int = Param(ge=1)


def _head(x, heads, parts, which):
    """Return part `which` of x (T, B, heads * parts * D) as (B * heads, T, D)."""
    t, b, wide = x.shape
    d = wide // (heads * parts)
    x = F.slice_axis(reshape(x, (t, b * heads, parts, d)), axis=2, begin=which, end=which + 1)
    return F.transpose(reshape(x, (t, b * heads, d)), axes=(1, 0, 2))


def _joined(y, heads):
    """Return (B * heads, T, D) as (T, B, heads * D)."""
    n, t, d = y.shape
    return reshape(F.transpose(y, axes=(1, 0, 2)), (t, n // heads, heads * d))


def _divides(name, shape, n):
    if shape is not None and (len(shape) != 3 or shape[2] % n):
        raise ArgumentError(f"{name} is {shape}, expected (steps, batch, width) with a width in multiples of {n}")
    return shape is not None


@op("_contrib_interleaved_matmul_selfatt_qk")
class SelfAttentionQK(Attention):
    """Scores Q K^T / sqrt(D).   queries_keys_values (T, B, heads 3 D) -> output (B heads, T, T)."""

    inputs = ("queries_keys_values",)

    def shape(p, ins, outs):
        if not _divides("queries_keys_values", ins[0], 3 * p.heads):
            return ins, outs
        t, b, _ = ins[0]
        return ins, [(b * p.heads, t, t)]

    def compose(p, qkv):
        q, k = (_head(qkv, p.heads, 3, i) for i in range(2))
        return F.matmul(q * (1 / math.sqrt(q.shape[-1])), k, transpose_b=True)


@op("_contrib_interleaved_matmul_selfatt_valatt")
class SelfAttentionValue(Attention):
    """attention V.   queries_keys_values (T, B, heads 3 D), attention (B heads, T, T) -> output (T, B, heads D)."""

    inputs = ("queries_keys_values", "attention")

    def shape(p, ins, outs):
        if not _divides("queries_keys_values", ins[0], 3 * p.heads):
            return ins, outs
        t, b, wide = ins[0]
        return [ins[0], (b * p.heads, t, t)], [(t, b, wide // 3)]

    def compose(p, qkv, attention):
        return _joined(F.matmul(attention, _head(qkv, p.heads, 3, 2)), p.heads)


@op("_contrib_interleaved_matmul_encdec_qk")
class CrossAttentionQK(Attention):
    """Scores Q K^T / sqrt(D).   queries (T, B, heads D), keys_values (S, B, heads 2 D) -> output (B heads, T, S)."""

    inputs = ("queries", "keys_values")

    def shape(p, ins, outs):
        if not _divides("queries", ins[0], p.heads) or not _divides("keys_values", ins[1], 2 * p.heads):
            return ins, outs
        return ins, [(ins[0][1] * p.heads, ins[0][0], ins[1][0])]

    def compose(p, queries, keys_values):
        q, k = _head(queries, p.heads, 1, 0), _head(keys_values, p.heads, 2, 0)
        return F.matmul(q * (1 / math.sqrt(q.shape[-1])), k, transpose_b=True)


@op("_contrib_interleaved_matmul_encdec_valatt")
class CrossAttentionValue(Attention):
    """attention V.   keys_values (S, B, heads 2 D), attention (B heads, T, S) -> output (T, B, heads D)."""

    inputs = ("keys_values", "attention")

    def shape(p, ins, outs):
        kv, attention = ins
        if not _divides("keys_values", kv, 2 * p.heads) or attention is None:
            return ins, outs
        return [kv, (kv[1] * p.heads, attention[1], kv[0])], [(attention[1], kv[1], kv[2] // 2)]

    def compose(p, keys_values, attention):
        return _joined(F.matmul(attention, _head(keys_values, p.heads, 2, 1)), p.heads)
