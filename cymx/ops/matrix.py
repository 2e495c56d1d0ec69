"""Operators that multiply matrices."""

from ..base import ArgumentError
from ._build import F, reshape, sum_to
from ._def import Composed, Kernel, Launch, op
from ._params import Param
from ._shapes import FLOATS, NUMBERS, known, merge, n_elements, same


@op("_matmul")
class Matmul(Kernel):
    """out = a b, each transposed where asked.

    a (..., M, K), b (..., K, N), leading dims equal or those of one missing -> output (..., M, N).
    """

    inputs, dtype = ("lhs", "rhs"), same(NUMBERS)
    transpose_a: bool = Param(False)
    transpose_b: bool = Param(False)

    def per_example(p, ins):
        return not p.transpose_a

    def shape(p, ins, outs):
        a, b = ins
        if a is None or b is None:
            return ins, outs
        m, k = a[-2:][::-1] if p.transpose_a else a[-2:]
        k2, n = b[-2:][::-1] if p.transpose_b else b[-2:]
        if k != k2:
            raise ArgumentError(f"lhs {a} and rhs {b}: inner dimensions {k} and {k2} differ")
        return ins, [(*(a[:-2] or b[:-2]), m, n)]

    def launch(p, ins, outs):
        return Launch("matmul", (int(p.transpose_a), int(p.transpose_b)))

    def flops(p, ins, outs):
        return 2 * n_elements(outs[0]) * ins[0][-2 if p.transpose_a else -1]

    def grad(p, dy, a, b, y):
        ta, tb = p.transpose_a, p.transpose_b
        da = _product(b, dy, tb, True) if ta else _product(dy, b, False, not tb)
        db = _product(dy, a, True, ta) if tb else _product(a, dy, not ta, False)
        return sum_to(da, a.shape), sum_to(db, b.shape)


def _product(a, b, ta, tb):
    return F.matmul(a, b, transpose_a=ta, transpose_b=tb)


@op("_matmul_epilogue")
class MatmulEpilogue(Kernel):
    """out = a b, and what a GPU's library does on the way (compiler/epilogue.py makes these nodes, asking it first).

    a (M, K), b (K, N), transposed where asked [, bias (N,)] [, mask (M, B)] -> output (M, N) [, mask (M, B)] [, sums].
    epilogue: bias is added, relu cuts at 0 (relu_mask says where it did not, a bit an element, in rows of B bytes);
    masked puts 0 where a mask has none.   sums: of masked's rows (N,), or over k of a (M,) or of b (N,).
    """

    inputs, grad = ("lhs", "rhs", "bias", "mask"), None
    transpose_a: bool = Param(False)
    transpose_b: bool = Param(False)
    epilogue: str = Param(
        choices=(
            "bias", "relu", "bias_relu", "relu_mask", "bias_relu_mask",
            "masked", "masked_sums", "lhs_sums", "rhs_sums",
        )
    )  # fmt: skip

    def live(p):
        bias = ("bias",) * p.epilogue.startswith("bias")
        return ("lhs", "rhs", *bias, *("mask",) * p.epilogue.startswith("masked"))

    def visible(p):
        return ("output", *("mask",) * p.epilogue.endswith("mask"), *("sums",) * p.epilogue.endswith("sums"))

    def shape(p, ins, outs):
        if any(s is None or len(s) != 2 for s in ins[:2]):
            raise ArgumentError(f"lhs is {ins[0]} and rhs {ins[1]}, expected two matrices")
        (lhs, rhs), ((m, n),) = Matmul.shape(p, ins[:2], outs)
        rows = m if p.epilogue == "lhs_sums" else n
        of = {"lhs": lhs, "rhs": rhs, "bias": (n,), "mask": (m, mask_bytes(n)), "output": (m, n), "sums": (rows,)}
        return [of[name] for name in MatmulEpilogue.live(p)], [of[name] for name in MatmulEpilogue.visible(p)]

    def dtype(p, ins, outs):
        of = lambda name: "uint8" if name == "mask" else ins[0]
        return list(map(of, MatmulEpilogue.live(p))), list(map(of, MatmulEpilogue.visible(p)))

    def launch(p, ins, outs):
        return Launch(f"matmul_{p.epilogue}", (int(p.transpose_a), int(p.transpose_b)))

    flops = Matmul.flops


def mask_bytes(n):
    """Return the bytes of a row of n bits, which begin at every 128th."""
    return -(-n // 128) * 16


@op("dot", "_sparse_dot")
class Dot(Composed):
    """out = the product over lhs's last and rhs's first axis (with transpose_a: first, transpose_b: last).

    lhs (..., K), rhs (K, ...) -> output (lhs's other dims, rhs's other dims); (1,) for two vectors.
    """

    inputs, dtype = ("lhs", "rhs"), same(FLOATS)
    transpose_a: bool = Param(False)
    transpose_b: bool = Param(False)
    forward_stype: str | None = Param(None)

    def shape(p, ins, outs):
        a, b = ins
        if a is None or b is None:
            return ins, outs
        ka, rest_a = (a[0], a[1:]) if p.transpose_a else (a[-1], a[:-1])
        kb, rest_b = (b[-1], b[:-1]) if p.transpose_b else (b[0], b[1:])
        if ka != kb and -1 not in (ka, kb):
            raise ArgumentError(f"lhs {a} and rhs {b}: the dimensions to sum over are {ka} and {kb}")
        return ins, [rest_a + rest_b or (1,)]

    def compose(p, a, b):
        ta, tb = p.transpose_a and a.ndim > 1, p.transpose_b and b.ndim > 1
        k = a.shape[0] if p.transpose_a else a.shape[-1]
        flat_a = reshape(a, (k, n_elements(a.shape) // k) if ta else (n_elements(a.shape) // k, k))
        flat_b = reshape(b, (n_elements(b.shape) // k, k) if tb else (k, n_elements(b.shape) // k))
        y = _product(flat_a, flat_b, ta, tb)
        return reshape(y, Dot.shape(p, [a.shape, b.shape], [None])[1][0])


@op("batch_dot")
class BatchDot(Composed):
    """out[i] = lhs[i] rhs[i], each transposed where asked.

    lhs (N, M, K), rhs (N, K, L) -> output (N, M, L); more leading dims are allowed.
    """

    inputs, dtype = ("lhs", "rhs"), same(FLOATS)
    transpose_a: bool = Param(False)
    transpose_b: bool = Param(False)
    forward_stype: str | None = Param(None)

    def shape(p, ins, outs):
        if ins[0] is None or ins[1] is None:
            return ins, outs
        if min(len(s) for s in ins) < 3:
            raise ArgumentError(f"lhs is {ins[0]} and rhs {ins[1]}, expected at least 3 dimensions")
        try:
            batch = merge(ins[0][:-2], ins[1][:-2])
        except ValueError:
            raise ArgumentError(f"lhs {ins[0]} and rhs {ins[1]}: the leading dimensions differ") from None
        if not known(ins[0][-2:]) or not known(ins[1][-2:]):
            return ins, outs
        _, ((*_, m, n),) = Matmul.shape(p, ins, outs)
        return [(*batch, *s[-2:]) for s in ins], [(*batch, m, n)]

    def compose(p, a, b):
        return _product(a, b, p.transpose_a, p.transpose_b)


@op("FullyConnected", "_sparse_FullyConnected")
class FullyConnected(Composed):
    """y = x W^T + b.

    data (N, ...)   weight (num_hidden, K)   bias (num_hidden,)   -> output (N, num_hidden), K = the product of data's
    trailing dims; without flatten data (..., K) -> output (..., num_hidden).
    """

    inputs, dtype = ("data", "weight", "bias"), same(FLOATS)
    num_hidden: int = Param(ge=1)
    no_bias: bool = Param(False)
    flatten: bool = Param(True)

    def per_example(p, ins):
        return p.flatten

    def live(p):
        return ("data", "weight") if p.no_bias else ("data", "weight", "bias")

    def shape(p, ins, outs):
        data, out = ins[0], outs[0]
        if data is None:
            return ins, outs
        if out is not None and data[0] == -1:
            data = (out[0], *data[1:])
        k = (n_elements(data[1:]) if known(data[1:]) else -1) if p.flatten else data[-1]
        made = (data[0], p.num_hidden) if p.flatten else (*data[:-1], p.num_hidden)
        return [data, (p.num_hidden, k), (p.num_hidden,)][: len(ins)], [made]

    def compose(p, data, weight, bias=None):
        k = weight.shape[1]
        y = F.matmul(reshape(data, (n_elements(data.shape) // k, k)), weight, transpose_b=True)
        if bias is not None:
            y = y + bias
        return reshape(y, (data.shape[0], p.num_hidden) if p.flatten else (*data.shape[:-1], p.num_hidden))
