"""What NVIDIA's libraries take over from the plain kernels, where they are here: cuBLASLt products, cuDNN convolutions.

Work of plain kernels stays as the way out, but for epilogues, of which the library was asked before.  Called by:
recipes/matmul.py, recipes/conv.py.
"""

from collections.abc import Sequence
from typing import Any

from ...base import DTYPE_FLAGS
from ..recipe import Call, Device, Fill, In, Out, Scratch, Tensor, Work
from .common import FLOATING, ITEM_BYTES, channels_first, count, rounded

# What cuBLASLt does to a product on its way out, by its own numbers; float64 has none but the first.
PLAIN = 1
EPILOGUES = {
    "bias": 4, "relu": 2, "bias_relu": 6, "relu_mask": 130, "bias_relu_mask": 134,
    "masked": 136, "masked_sums": 152, "lhs_sums": 512, "rhs_sums": 256,
}  # fmt: skip
EPILOGUE_DTYPES = ("float32", "float16", "bfloat16")


def by_cublaslt(
    plain: Work,
    operands: tuple[Any, Any, Any],
    sizes: tuple[int, int, int, int, int, int],
    transposes: tuple[bool, bool],
    dtype: str,
    device: Device,
) -> Work:
    """Return a product as cuBLASLt's; arguments as matmul.product takes them."""
    if dtype not in FLOATING or sizes[-1] == 0 or "cublaslt" not in device.libraries:
        return plain
    return Work(
        (Call("cublaslt", operands, _gemm(sizes, transposes, dtype, device, PLAIN), plain),), plain.scratch_bytes
    )


def with_epilogue(
    epilogue: str,
    operands: tuple[Any, ...],
    sizes: tuple[int, int, int, int, int, int],
    transposes: tuple[bool, bool],
    dtype: str,
    device: Device,
) -> Work:
    """Return a product as cuBLASLt's, with one of EPILOGUES.

    operands: a, b, c, then the bias or the sums and the mask, where there are some.
    """
    return Work((Call("cublaslt", operands, _gemm(sizes, transposes, dtype, device, EPILOGUES[epilogue]), None),))


def _gemm(
    sizes: tuple[int, ...], transposes: tuple[bool, bool], dtype: str, device: Device, epilogue: int
) -> tuple[int, ...]:
    """Return the fields of cymx_gemm_settings."""
    batch, a_batch, b_batch, m, n, k = sizes
    flags = (*transposes, a_batch > 1, b_batch > 1, device.tf32)
    return (DTYPE_FLAGS[dtype], batch, m, n, k, *map(int, flags), epilogue)


def likes_channels_last(image: Tensor, device: Device) -> bool:
    """Return whether convolutions of an image are faster with channels last: where cuDNN has tensor cores multiply."""
    on_tensor_cores = image.dtype in ("float16", "bfloat16") or (image.dtype == "float32" and device.tf32)
    return len(image.shape) == 4 and on_tensor_cores and "cudnn" in device.libraries


def by_cudnn(
    plain: Work, row: str, ins: Sequence[Tensor], outs: Sequence[Tensor], s: Any, dtype: str, device: Device
) -> Work:
    """Return a convolution as cuDNN's.

    row: conv_fwd, conv_bwd_data or conv_bwd_weight.   s: conv.Settings.   Paddings that differ, and images that lie
    otherwise than filters, stay with the plain kernels.
    """
    has_bias = row == "conv_fwd" and len(ins) == 3 + s.has_residual
    fits = s.pad_lo == s.pad_hi and s.channels_last == s.filters_last
    if not fits or min(count(t.shape) for t in ins) == 0 or "cudnn" not in device.libraries:
        return plain
    x, w, y, args = {
        "conv_fwd": lambda: (ins[0], ins[1], outs[0], (*map(In, range(len(ins))), Out(0))),
        "conv_bwd_data": lambda: (outs[0], ins[1], ins[0], (In(0), In(1), Out(0))),
        "conv_bwd_weight": lambda: (ins[1], outs[0], ins[0], (In(1), In(0), Out(0))),
    }[row]()
    first: tuple[Fill, ...] = ()
    scratch_bytes = plain.scratch_bytes
    if (s.has_residual or s.relu) and not has_bias:  # cuDNN adds and cuts only beside a bias
        bias, n_bytes = Scratch(rounded(scratch_bytes)), w.shape[0] * ITEM_BYTES[dtype]
        args = (*args[:2], bias, *args[2:])
        first, scratch_bytes, has_bias = (Fill(bias, n_bytes),), bias.offset + n_bytes, True
    n = len(s.stride)
    missing = (1,) * (2 - n)  # cuDNN knows two and three dimensions
    dims = [channels_first(t.shape) if s.channels_last else t.shape for t in (x, w, y)]
    shapes = [(*d[:2], *missing, *d[2:]) for d in dims]
    arrays = [(*(0,) * (2 - n), *s.pad_lo), (*missing, *s.stride), (*missing, *s.dilate)]
    flags = map(int, (has_bias, s.has_residual, s.relu, device.tf32, s.channels_last))
    settings = (row, DTYPE_FLAGS[dtype], max(n, 2), *shapes, *arrays, s.groups, *flags)
    return Work((*first, Call("cudnn", args, settings, plain)), scratch_bytes)
