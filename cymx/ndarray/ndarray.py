"""NDArray: the array of users, on the EagerArray of `_eager`.

Holds what an array is and how its memory moves; arithmetic comes from arithmetic.py, indexing from indexing.py, and
every method that is just an operator (`x.sum()`, `x.clip(...)`) from the registry.  Arrays are contiguous; reshapes and
contiguous slices share memory.  Called by: everybody.
"""

import warnings
from typing import Any

import numpy as np

from .._eager import EagerArray, general
from ..base import NUMPY_DTYPES, ArgumentError, ArgumentTypeError, Context, IndexRangeError, cpu, dtype_name
from ..gpu import _exchange
from ..ops import REGISTRY, find
from ..ops.shape import reshape_target
from . import arithmetic as _arithmetic  # noqa: F401  fills what EagerArray's operators fall back on
from . import indexing
from ._context import context_of
from ._host import host
from ._invoke import copy_into, invoke
from .register import function

_CAST = find("Cast")

# Operators that are methods as well: x.name(...) is nd.name(x, ...).
METHODS = """
    reshape_like zeros_like ones_like broadcast_axes repeat pad swapaxes split slice slice_axis slice_like take one_hot
    pick sort topk argsort argmax argmax_channel argmin clip abs sign shape_array size_array tile transpose flip
    depth_to_space space_to_depth diag sum nansum prod nanprod mean max min norm round rint fix floor ceil trunc
    sin cos tan arcsin arccos arctan degrees radians sinh cosh tanh arcsinh arccosh arctanh exp expm1 log log10 log2
    log1p sqrt rsqrt cbrt rcbrt square reciprocal relu sigmoid softmax log_softmax softmin
""".split()


class NDArray(EagerArray):
    """A contiguous array of one dtype on one context.  Large ones are computed in the background; reading waits for it.

    Made by the functions of `nd` (`array`, `zeros`, ...), never by calling the class.
    """

    __slots__ = ()
    # NumPy's numbers and arrays leave `number * x` to NDArray.
    __array_priority__ = 1000.0

    def __init__(self, *args, **kwargs):
        raise ArgumentTypeError("NDArray: make arrays with nd.array, nd.zeros, nd.empty, ...")

    # ---- what it is ----

    @property
    def dtype(self) -> type:
        """The elements' NumPy type, e.g. numpy.float32."""
        return NUMPY_DTYPES[self.dtype_name].type

    @property
    def context(self) -> Context:
        """The device that holds the elements."""
        return context_of(self.device_type, self.device_id)

    ctx = context

    @property
    def stype(self) -> str:
        """The storage type: 'default', dense."""
        return "default"

    @property
    def grad(self) -> None:
        """The gradient attached to this array: none."""
        return None

    @property
    def T(self) -> "NDArray":
        """A copy with the axes in reverse order."""
        return self.transpose()  # type: ignore[attr-defined]

    def __len__(self):
        if not self.shape:
            raise IndexRangeError("len() of an NDArray without dimensions")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"\n{self.asnumpy()}\n<NDArray {'x'.join(map(str, self.shape))} @{self.context}>"

    # ---- its elements ----

    def asnumpy(self) -> np.ndarray:
        """Return the elements as a new NumPy array.  Waits; raises the error that stopped their computation."""
        return self.read()

    def asscalar(self) -> Any:
        """Return the only element as a NumPy number.  Raises ArgumentError (a ValueError) where there is not one."""
        if self.size != 1:
            raise ArgumentError(f"the current array is not a scalar: its shape is {self.shape}")
        return self.read().reshape(-1)[0]

    def __bool__(self):
        if self.size > 1:
            raise ArgumentError("The truth value of an NDArray with multiple elements is ambiguous.")
        return self.size == 1 and bool(self.asscalar())

    def __int__(self):
        return int(self.asscalar())

    def __float__(self):
        return float(self.asscalar())

    def __index__(self):
        if NUMPY_DTYPES[self.dtype_name].kind not in "iu":
            raise ArgumentTypeError(f"an NDArray of {self.dtype_name} is no index, expected an integer dtype")
        return int(self.asscalar())

    def __array__(self, dtype=None, copy=None):
        """Return the elements as a NumPy array that shares memory where neither dtype nor `copy` forbids it."""
        if copy:
            return self.read().astype(dtype or NUMPY_DTYPES[self.dtype_name], copy=False)
        self.wait_to_write()
        values = host(self)
        if dtype is None or np.dtype(dtype) == values.dtype:
            return values
        if copy is not None:
            raise ArgumentError(f"an array of {np.dtype(dtype)} cannot share the memory of {self.dtype_name}")
        return values.astype(dtype)

    # ---- copies ----

    def copy(self) -> "NDArray":
        """Return a copy on the same context."""
        return self.copyto(self.context)

    __copy__ = copy

    def __deepcopy__(self, memo):
        return self.copy()

    def __reduce__(self):
        return _rebuilt, (self.asnumpy(),)

    def astype(self, dtype, copy: bool = True) -> "NDArray":
        """Return a copy of another dtype; with copy=False, the array itself where it has that dtype."""
        name = dtype_name(dtype)
        if not copy and name == self.dtype_name:
            return self
        if name == self.dtype_name:
            return self.copy()
        return invoke(_CAST, (self,), {"dtype": name}, cls=NDArray)

    def as_in_context(self, context: Context) -> "NDArray":
        """Return the array itself where it is on that context, else a copy there."""
        return self if self.context == context else self.copyto(context)

    def as_nd_ndarray(self) -> "NDArray":
        """Return the array itself."""
        return self

    def tostype(self, stype: str) -> "NDArray":
        """Return the array itself for 'default'; there is no sparse storage."""
        if stype != "default":
            raise ArgumentError(f"tostype: stype is {stype!r}, expected 'default'")
        return self

    # ---- shapes ----

    def reshape(self, *shape, **kwargs) -> "NDArray":
        """Return the same memory under another shape.

        0 keeps a dimension, -1 takes what is left, -2 the remaining ones, -3 joins two, -4 splits one into the two that
        follow; reverse=True reads the codes from the right.   Raises ArgumentError (a ValueError).
        """
        wanted: Any = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if not shape:
            if "shape" not in kwargs:
                raise ArgumentTypeError("reshape: shape must be provided")
            wanted = kwargs["shape"]
        unknown = kwargs.keys() - {"shape", "reverse"}
        if unknown:
            raise ArgumentTypeError(f"reshape: {', '.join(sorted(unknown))} came, expected 'shape' or 'reverse'")
        try:
            codes = tuple(n.__index__() for n in (wanted if hasattr(wanted, "__iter__") else (wanted,)))
        except AttributeError:
            raise ArgumentTypeError(f"reshape: shape is {wanted!r}, expected integers") from None
        return self.view(reshape_target(self.shape, codes, kwargs.get("reverse", False)))

    def expand_dims(self, axis: int, inplace: bool = False) -> "NDArray":
        """Return the elements with a new axis of size 1 at `axis`: a copy, or with inplace=True the same memory."""
        return self._shaped("expand_dims", {"axis": axis}, inplace)

    def flatten(self, inplace: bool = False) -> "NDArray":
        """Return the elements as (d0, d1 * d2 * ...): a copy, or with inplace=True the same memory."""
        return self._shaped("Flatten", {}, inplace)

    def squeeze(self, axis: Any = None, inplace: bool = False) -> "NDArray":
        """Return the elements without axes of size 1 (or those given): a copy, or with inplace=True the same memory."""
        return self._shaped("squeeze", {"axis": axis}, inplace)

    def _shaped(self, word: str, settings: dict[str, Any], inplace: bool) -> "NDArray":
        copy = invoke(find(word), (self,), settings, cls=NDArray)
        return self.view(copy.shape) if inplace else copy

    def broadcast_to(self, shape) -> "NDArray":
        """Return a copy stretched to `shape`, new axes first.  Raises ArgumentError (a ValueError)."""
        return indexing.broadcast(self, (shape,) if isinstance(shape, int) else tuple(shape))

    def broadcast_like(self, other: "NDArray") -> "NDArray":
        """Return a copy stretched to the shape of `other`."""
        return self.broadcast_to(other.shape)

    # ---- memory shared with others ----

    def __dlpack__(self, *, stream: int | None = None, dl_device: Any = None, copy: bool | None = None, **kwargs):
        """Return a DLPack capsule on the same memory, after waiting for its users.

        On a GPU it is `stream` that waits: a handle, 1 (or None) the legacy default stream, 2 the thread's, -1 none.
        Raises BufferError for another device than the array's.
        """
        if dl_device is not None and tuple(map(int, dl_device)) != self.__dlpack_device__():
            raise BufferError(f"the array is on {self.context}; copy it to where it is wanted first")
        source = self.copy() if copy else self
        if self.device_type == _exchange.GPU:
            return _exchange.to_dlpack(source, _exchange.LEGACY_STREAM if stream is None else stream)
        source.wait_to_write()
        return host(source).__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's device numbers: (1, 0) for the CPU, (2, id) for a GPU."""
        return (2, self.device_id) if self.device_type == _exchange.GPU else (1, 0)

    def to_dlpack_for_read(self):
        """Return a DLPack capsule on the same memory, for reading, after waiting for its writers."""
        if self.device_type == _exchange.GPU:
            return self.__dlpack__()
        self.wait_to_read()
        return host(self).__dlpack__()

    def to_dlpack_for_write(self):
        """Return a DLPack capsule on the same memory, for writing, after waiting for its readers and writers."""
        return self.__dlpack__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The same GPU memory by version 3 of that protocol; only arrays on a GPU have it.

        Its stream is the one that we compute on, after waiting for all other users of the memory.
        """
        if self.device_type != _exchange.GPU or self.dtype_name == "bfloat16":
            raise AttributeError(f"an array of {self.dtype_name} on {self.context} has no __cuda_array_interface__")
        return {
            "shape": self.shape,
            "typestr": NUMPY_DTYPES[self.dtype_name].str,
            "data": (self.address, not self.writable),
            "version": 3,
            "strides": None,
            "stream": _exchange.lend(self),
        }

    # ---- operators ----

    def __neg__(self):
        return self * -1.0

    def __abs__(self):
        return self.abs()  # type: ignore[attr-defined]


def _copyto(self: NDArray, other: Any) -> Any:
    """Do what EagerArray.copyto leaves: new arrays, other dtypes, and errors."""
    if isinstance(other, Context):
        new = type(self).empty(self.shape, self.dtype_name, other.device_typeid, other.device_id)
        return self.copyto(new)
    if not isinstance(other, NDArray):
        raise ArgumentTypeError(f"copyto does not support type {type(other)}, expected an NDArray or a Context")
    if other is self:
        warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
        return False
    if other.shape != self.shape:
        raise ArgumentError(f"copyto: the target has shape {other.shape}, expected {self.shape}")
    if other.context == self.context:
        copy_into(self, other)
    else:
        other.copy_from(self.astype(other.dtype_name, copy=False))
    return other


general["copyto"] = _copyto
general["get"] = indexing.get
general["put"] = indexing.put


def _rebuilt(values: np.ndarray) -> NDArray:
    """Return what was pickled as `values`, on cpu(0)."""
    return NDArray.wrap(values, cpu().device_typeid)


class _Method:
    """Stand for an operator's function in NDArray until it is first asked for, so that import makes no signatures."""

    def __init__(self, word: str):
        self.word = word

    def __get__(self, instance, owner=None):
        made = function(self.word, self.word, f"{__name__}.NDArray", NDArray)
        setattr(NDArray, self.word, made)
        return made.__get__(instance, owner)  # type: ignore[attr-defined]


for _word in METHODS:
    if _word in REGISTRY:
        setattr(NDArray, _word, _Method(_word))
