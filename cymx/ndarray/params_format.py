"""The bytes of a ``.params`` file, read into and written from NumPy arrays.

Holds every layout that MXNet has written since 0.8: arrays of V1, V2 (with a storage type), V3 (NumPy shapes) and the
layout before V1.  Refuses files whose sizes disagree with their length, before anything is allocated.  Knows neither
NDArray nor devices.
Called by: ndarray (``mx.nd.save``, ``mx.nd.load``).

A file, little endian throughout::

    u64 0x112    u64 0    u64 N    N arrays    u64 M (0 or N)    M names, each a u64 length and its UTF-8 bytes

    array V2     u32 0xF993FAC9    i32 storage type    [shape of the values, if sparse]    shape
                 i32 device type    i32 device id    i32 dtype flag
                 [i32 dtype flag and shape of each index array, if sparse]    values    [index arrays]
    array V3     as V2; a shape of no dimensions is a scalar, in V2 it is an empty NDArray, which ends there
    array V1     u32 0xF993FAC8    shape    i32 device type    i32 device id    i32 dtype flag    values
    before V1    as V1, but for its magic number: u32 number of dimensions, and each of them a u32
    shape        i32 number of dimensions, and each of them an i64
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from ..base import DTYPE_FLAGS, DTYPE_NAMES, NUMPY_DTYPES, MXNetError, dtype_name

LIST_MAGIC = 0x112
V1_MAGIC, V2_MAGIC, V3_MAGIC = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
MAX_NDIM = 32  # what NumPy 1.26 can hold
CPU = (1, 0)  # device type and id, as files hold them

_STORAGE = ("default", "row_sparse", "csr")  # a type's place is its flag, and its number of index arrays too


@dataclass(frozen=True, eq=False)
class Tensor:
    """Hold one array of a file.

    values   dense: the array (any shape); row_sparse: the stored rows (R, ...); csr: the stored numbers (K,);
             None: an empty NDArray
    stype    "default", "row_sparse" or "csr"
    shape    the whole array's shape; None takes it from values
    aux      row_sparse: (row indices (R,),); csr: (row starts (rows + 1,), column indices (K,)); int64
    context  MXNet's device type (1 cpu, 2 gpu, 3 pinned, 5 shared) and device id of the array that was saved
    """

    values: np.ndarray | None
    stype: str = "default"
    shape: tuple[int, ...] | None = None
    aux: tuple[np.ndarray, ...] = ()
    context: tuple[int, int] = CPU

    def __post_init__(self) -> None:
        if self.shape is None and self.values is not None:
            object.__setattr__(self, "shape", self.values.shape)


class _Reader:
    """Walk a file's bytes: check each piece against the bytes that remain, and tell where one does not fit."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.bytes = memoryview(data).cast("B")
        self.at = 0
        self.where = "header"

    def fail(self, problem: str) -> NoReturn:
        raise MXNetError(f"Invalid NDArray file format: {self.where}, byte {self.at} of {len(self.bytes)}: {problem}")

    def take(self, n_bytes: int, what: str) -> memoryview:
        remain = len(self.bytes) - self.at
        if n_bytes > remain:
            self.fail(f"{what} needs {n_bytes} bytes, but {remain} remain")
        self.at += n_bytes
        return self.bytes[self.at - n_bytes : self.at]

    def number(self, code: str, what: str) -> int:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code), what))[0]

    def count(self, what: str, item_bytes: int) -> int:
        n = self.number("Q", what)
        remain = len(self.bytes) - self.at
        if n * item_bytes > remain:
            self.fail(f"{what} is {n}, but the {remain} bytes that remain hold {remain // item_bytes} at most")
        return n

    def dims(self, ndim: int, code: str, what: str) -> tuple[int, ...]:
        if not 0 <= ndim <= MAX_NDIM:
            self.fail(f"{what} has {ndim} dimensions, expected 0 to {MAX_NDIM}")
        dims = struct.unpack(f"<{ndim}{code}", self.take(ndim * struct.calcsize("<" + code), what))
        # A dimension of 0 must not hide others that no array can have.
        if any(n < 0 for n in dims) or math.prod(n for n in dims if n) >= 1 << 59:
            self.fail(f"{what} is {dims}, which no array can have")
        return dims

    def shape(self, what: str) -> tuple[int, ...]:
        return self.dims(self.number("i", f"number of dimensions of {what}"), "q", what)

    def dtype(self, what: str) -> np.dtype:
        flag = self.number("i", what)
        if flag not in DTYPE_NAMES:
            self.fail(f"{what} is {flag}, expected one of {DTYPE_FLAGS}")
        return NUMPY_DTYPES[DTYPE_NAMES[flag]]

    def array(self, dtype: np.dtype, shape: tuple[int, ...], what: str) -> np.ndarray:
        n = math.prod(shape)
        data = self.take(n * dtype.itemsize, f"{what} ({dtype.name}, shape {shape})")
        array = np.frombuffer(data, dtype).reshape(shape) if n else np.empty(shape, dtype)
        array.flags.writeable = False
        return array


def load_bytes(data: bytes | bytearray | memoryview) -> tuple[list[Tensor], list[str]]:
    """Read a file's bytes.  Returns its arrays and their names (none, or one for each array).

    The arrays are read-only views of data, little endian and not always aligned: copy what must outlive it.  Bytes
    after the last name are ignored, as MXNet does.  Raises MXNetError, with the array, the byte, what came and what was
    wanted, for anything else that does not fit.
    """
    r = _Reader(data)
    magic = r.number("Q", "magic number")
    if magic != LIST_MAGIC:
        r.fail(f"magic number is {magic:#x}, expected {LIST_MAGIC:#x}")
    r.number("Q", "reserved word")
    n = r.count("number of arrays", item_bytes=4)
    tensors = []
    for i in range(n):
        r.where = f"array {i} of {n}"
        tensors.append(_load_tensor(r))
    r.where = "names"
    n_names = r.count("number of names", item_bytes=8)
    if n_names not in (0, n):
        r.fail(f"number of names is {n_names}, expected 0 or {n}, the number of arrays")
    names = []
    for i in range(n_names):
        r.where = f"name {i} of {n_names}"
        raw = bytes(r.take(r.count("length", item_bytes=1), "name"))
        try:
            names.append(raw.decode())
        except UnicodeDecodeError:
            r.fail(f"name {raw!r} is not UTF-8")
    return tensors, names


def _load_tensor(r: _Reader) -> Tensor:
    magic = r.number("I", "magic number")
    n_aux, stored = 0, None
    if magic in (V2_MAGIC, V3_MAGIC):
        n_aux = r.number("i", "storage type")
        if not 0 <= n_aux < len(_STORAGE):
            r.fail(f"storage type is {n_aux}, expected 0 to {len(_STORAGE) - 1}")
        if n_aux:
            stored = r.shape("shape of the values")
        shape = r.shape("shape")
    elif magic == V1_MAGIC:
        shape = r.shape("shape")
    elif magic <= MAX_NDIM:
        shape = r.dims(magic, "I", "shape")
    else:
        r.fail(
            f"magic number is {magic:#x}, expected {V1_MAGIC:#x}, {V2_MAGIC:#x}, {V3_MAGIC:#x} or, before them, "
            f"a number of dimensions (0 to {MAX_NDIM})"
        )
    if not shape and magic != V3_MAGIC:
        return Tensor(None, _STORAGE[n_aux])
    context = (r.number("i", "device type"), r.number("i", "device id"))
    dtype = r.dtype("dtype flag")
    heads = [(r.dtype(f"dtype flag of index array {i}"), r.shape(f"shape of index array {i}")) for i in range(n_aux)]
    values = r.array(dtype, shape if stored is None else stored, "data")
    aux = tuple(r.array(*head, f"index array {i}") for i, head in enumerate(heads))
    return Tensor(values, _STORAGE[n_aux], shape, aux, context)


def dump_bytes(tensors: Sequence[Tensor], names: Sequence[str] = (), np_shape: bool = False) -> bytes:
    """Write arrays and their names (none, or one each) as MXNet 1.9.1 does: V2, or V3 where np_shape is on.

    Raises MXNetError for an array that the layout cannot hold: an empty one, a scalar without np_shape, a sparse one
    with it, an unknown dtype.
    """
    if len(names) not in (0, len(tensors)):
        raise MXNetError(f"save: {len(names)} names came for {len(tensors)} arrays, expected none or one for each")
    parts: list[bytes | memoryview] = [struct.pack("<3Q", LIST_MAGIC, 0, len(tensors))]
    for i, tensor in enumerate(tensors):
        label = f"save: array {i}" + (f" '{names[i]}'" if names else "")
        try:
            parts += _dump_tensor(tensor, np_shape)
        except MXNetError as error:
            raise type(error)(f"{label}: {error}") from None
    parts.append(struct.pack("<Q", len(names)))
    for name in names:
        raw = name.encode()
        parts += [struct.pack("<Q", len(raw)), raw]
    return b"".join(parts)


def _dump_tensor(t: Tensor, np_shape: bool) -> list[bytes | memoryview]:
    if t.values is None or t.shape is None:
        raise MXNetError("is an empty NDArray, which has nothing to save")
    if t.stype not in _STORAGE or len(t.aux) != _STORAGE.index(t.stype):
        wanted = ", ".join(f"{name} with {n}" for n, name in enumerate(_STORAGE))
        raise MXNetError(f"storage type is {t.stype!r} with {len(t.aux)} index arrays, expected {wanted}")
    if np_shape and t.aux:
        raise MXNetError(f"storage type is {t.stype!r}; with NumPy shapes on, a file holds dense arrays only")
    if not np_shape and not t.shape:
        raise MXNetError("shape is (), expected one dimension or more: a file holds scalars only with NumPy shapes on")
    head = [struct.pack("<Ii", V3_MAGIC if np_shape else V2_MAGIC, len(t.aux))]
    if t.aux:
        head.append(_shape_bytes(t.values.shape))
    head += [_shape_bytes(t.shape), struct.pack("<3i", *t.context, _flag(t.values))]
    for a in t.aux:
        head += [struct.pack("<i", _flag(a)), _shape_bytes(a.shape)]
    return [*head, *(_data_bytes(a) for a in (t.values, *t.aux))]


def _shape_bytes(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


def _flag(array: np.ndarray) -> int:
    return DTYPE_FLAGS[dtype_name(array.dtype)]


def _data_bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
