"""Run a user's own CUDA source: compiled at run time by NVRTC, launched on NDArrays in the engine's order.

Refuses anything but GPU contexts, and arguments that do not fit the kernel's signature, naming them.  Called by: users.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .base import NUMPY_DTYPES, ArgumentError, ArgumentTypeError, Context, MXNetError
from .compiler.backend import backend_of
from .gpu.recipe import In, Kernel, Launch, Work
from .ndarray import NDArray

__all__ = ["CudaKernel", "CudaModule"]

# C++'s names of dtypes, as signatures spell them.
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "__half": "float16",
    "uint8_t": "uint8",
    "int": "int32",
    "int32_t": "int32",
    "int8_t": "int8",
    "char": "int8",
    "int64_t": "int64",
}
_PARAMETER = re.compile(r"^\s*(const)?\s*([\w_]+)\s*(\*)?\s*([\w_]+)?\s*$")
# NVRTC has no <stdint.h>; MXNet's signatures spell these types.
_PRELUDE = """using uint8_t = unsigned char;
using int8_t = signed char;
using int32_t = int;
using int64_t = long long;
"""


class _Parameter(NamedTuple):
    name: str
    dtype: str
    is_pointer: bool
    is_const: bool


class CudaModule:
    """Hold CUDA C++ source whose kernels run on NDArrays.

    source: the text.   options: NVRTC's options, such as "--use_fast_math" or "-DN=4".   exports: names of kernels,
    also of template instances such as "axpy<float>"; a kernel marked extern "C" needs no export.

    >>> module = mx.rtc.CudaModule(source, exports=["axpy<float>"])
    >>> axpy = module.get_kernel("axpy<float>", "const float *x, float *y, float alpha")
    >>> axpy.launch([x, y, 3.0], mx.gpu(0), (1, 1, 1), (10, 1, 1))
    """

    def __init__(self, source: str, options: Sequence[str] | str = (), exports: Sequence[str] | str = ()):
        self._source = _PRELUDE + source
        self._options = (options,) if isinstance(options, str) else tuple(options)
        self._exports = (exports,) if isinstance(exports, str) else tuple(exports)

    def get_kernel(self, name: str, signature: str) -> "CudaKernel":
        """Return a kernel of this module.

        name: as exported, or that of an extern "C" function.   signature: its parameters, such as
        "const float *x, float *y, float alpha"; a pointer that is not const is written.
        Raises ValueError for a signature that cannot be read.
        """
        parameters = tuple(_parameter(name, text) for text in signature.split(",")) if signature.strip() else ()
        return CudaKernel(Kernel(self._source, name, self._options), parameters)


class CudaKernel:
    """Launch one kernel of a CudaModule; made by CudaModule.get_kernel."""

    def __init__(self, kernel: Kernel, parameters: Sequence[_Parameter]):
        self._kernel, self._parameters = kernel, tuple(parameters)

    def launch(
        self,
        args: Sequence[Any],
        ctx: Context,
        grid_dims: Sequence[int],
        block_dims: Sequence[int],
        shared_mem: int = 0,
    ) -> None:
        """Launch the kernel once.

        args: an NDArray on `ctx` for each pointer, a number for each other parameter.   grid_dims, block_dims: (x, y,
        z).   shared_mem: bytes of dynamic shared memory.   Raises ValueError or TypeError naming the argument,
        MXNetError with NVRTC's log.
        """
        context = Context(ctx)
        if context.device_type != "gpu":
            raise ArgumentError(f"{self._kernel.name}: ctx is {context}, expected mx.gpu(i)")
        dims = [_dims(self._kernel.name, word, d) for word, d in (("grid", grid_dims), ("block", block_dims))]
        if len(args) != len(self._parameters):
            raise ArgumentError(f"{self._kernel.name}: {len(args)} arguments came, expected {len(self._parameters)}")
        arrays: list[NDArray] = []
        reads, writes = [], []
        values: list[Any] = []
        for parameter, given in zip(self._parameters, args):
            if not parameter.is_pointer:
                values.append(_number(self._kernel.name, parameter, given))
                continue
            _check_array(self._kernel.name, parameter, given, context)
            operand = (len(arrays), 0, given.shape, given.dtype_name)
            # What is written may be read as well: an error in it travels on.
            values.append(In(len(arrays)))
            reads.append(operand)
            if not parameter.is_const:
                writes.append(operand)
            arrays.append(given)
        work = Work((Launch(self._kernel, dims[0], dims[1], tuple(values), int(shared_mem)),))
        backend = backend_of(context)
        row = ("rtc", self._kernel.name, reads, writes, (), (0, 0), 0, 0)
        backend.runner([row], [work], len(arrays), 1, {}, False).run(arrays, None)


def _parameter(kernel: str, text: str) -> _Parameter:
    match = _PARAMETER.match(text)
    if not match or match.group(2) not in _DTYPES:
        raise ArgumentError(
            f"{kernel}: parameter {text.strip()!r} of the signature is not understood; expected "
            f"'[const] TYPE [*] [name]' with one of {', '.join(_DTYPES)}"
        )
    const, dtype, star, name = match.groups()
    return _Parameter(name or text.strip(), _DTYPES[dtype], bool(star), bool(const))


def _dims(kernel: str, word: str, dims: Sequence[int]) -> tuple[int, int, int]:
    if len(dims) != 3 or any(int(n) < 1 for n in dims):
        raise ArgumentError(f"{kernel}: {word}_dims is {tuple(dims)}, expected three numbers from 1 up")
    return int(dims[0]), int(dims[1]), int(dims[2])


def _number(kernel: str, parameter: _Parameter, given: Any) -> bytes:
    try:
        return np.asarray(given).astype(NUMPY_DTYPES[parameter.dtype]).reshape(()).tobytes()
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"{kernel}: {parameter.name} is {type(given).__name__}, expected a number for {parameter.dtype}"
        ) from None


def _check_array(kernel: str, parameter: _Parameter, given: Any, context: Context) -> None:
    if not isinstance(given, NDArray):
        raise ArgumentTypeError(f"{kernel}: {parameter.name} is {type(given).__name__}, expected an NDArray")
    if given.context != context:
        raise MXNetError(f"{kernel}: {parameter.name} is on {given.context}, expected {context}")
    if given.dtype_name != parameter.dtype:
        raise ArgumentTypeError(f"{kernel}: {parameter.name} is {given.dtype_name}, expected {parameter.dtype}")
