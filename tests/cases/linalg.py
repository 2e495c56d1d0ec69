"""Rows of linear algebra and of the products of attention."""

import numpy as np

from ._row import Row


def _t(x, transpose):
    return x.swapaxes(-1, -2) if transpose else x


def _gemm2(a, b, alpha=1.0, transpose_a=False, transpose_b=False, axis=-2):
    a, b = (np.moveaxis(x, axis, -2) for x in (a, b))
    return np.moveaxis(alpha * _t(a, transpose_a) @ _t(b, transpose_b), -2, axis)


def _gemm(a, b, c, beta=1.0, **params):
    return _gemm2(a, b, **params) + beta * c


def _syrk(a, alpha=1.0, transpose=False):
    return alpha * _t(a, transpose) @ _t(a, not transpose)


def _trmm(a, b, alpha=1.0, transpose=False, rightside=False, lower=True):
    a = _t(np.tril(a) if lower else np.triu(a), transpose)
    return alpha * (b @ a if rightside else a @ b)


def _heads(x, heads, parts):
    t, b, wide = x.shape
    return [
        y.reshape(t, -1, y.shape[-1]).transpose(1, 0, 2)
        for y in np.split(x.reshape(t, b, heads, wide // heads), parts, -1)
    ]


def _scores(q, k):
    return q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])


def _joined(y, heads):
    n, t, d = y.shape
    return y.transpose(1, 0, 2).reshape(t, n // heads, heads * d)


ROWS = [
    Row("_linalg_gemm2", [(2, 3, 4), (2, 4, 5)], {}, _gemm2),
    Row("_linalg_gemm2", [(4, 3), (5, 4)], {"transpose_a": True, "transpose_b": True, "alpha": -2.0}, _gemm2),
    Row("_linalg_gemm2", [(3, 2, 4), (4, 2, 5)], {"axis": 0}, _gemm2),
    Row("_linalg_gemm", [(2, 3, 4), (2, 4, 5), (2, 3, 5)], {}, _gemm),
    Row("_linalg_gemm", [(3, 4), (5, 4), (3, 5)], {"transpose_b": True, "alpha": 2.0, "beta": 0.5}, _gemm),
    Row("_linalg_syrk", [(2, 3, 4)], {}, _syrk),
    Row("_linalg_syrk", [(3, 4)], {"transpose": True, "alpha": 0.5}, _syrk),
    Row("_linalg_trmm", [(2, 3, 3), (2, 3, 4)], {}, _trmm),
    Row("_linalg_trmm", [(3, 3), (4, 3)],
        {"rightside": True, "lower": False, "transpose": True, "alpha": 2.0}, _trmm),
    Row("multi_sum_sq", [(2, 3), (4,), (1, 1)], {}, lambda *xs: np.stack([(x**2).sum() for x in xs])),
    Row("khatri_rao", [(2, 3), (3, 3), (2, 3)], {},
        lambda a, b, c: np.einsum("ik,jk,lk->ijlk", a, b, c).reshape(12, 3)),
    Row("_contrib_div_sqrt_dim", [(2, 3, 5)], {}, lambda x: x / np.sqrt(5)),
    Row("_contrib_interleaved_matmul_selfatt_qk", [(3, 2, 24)], {"heads": 2},
        lambda x, heads: _scores(*_heads(x, heads, 3)[:2])),
    Row("_contrib_interleaved_matmul_selfatt_valatt", [(3, 2, 24), (4, 3, 3)], {"heads": 2},
        lambda x, a, heads: _joined(a @ _heads(x, heads, 3)[2], heads)),
    Row("_contrib_interleaved_matmul_encdec_qk", [(3, 2, 8), (5, 2, 16)], {"heads": 2},
        lambda q, kv, heads: _scores(_heads(q, heads, 1)[0], _heads(kv, heads, 2)[0])),
    Row("_contrib_interleaved_matmul_encdec_valatt", [(5, 2, 16), (4, 3, 5)], {"heads": 2},
        lambda kv, a, heads: _joined(a @ _heads(kv, heads, 2)[1], heads)),
]  # fmt: skip
