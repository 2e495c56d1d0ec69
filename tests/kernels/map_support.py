"""What the tests of the map kernel share: building programs and running them on NumPy arrays."""

import struct

import numpy as np

from cymx import _ops
from cymx.base import DTYPE_FLAGS

HALVES = ("float16", "bfloat16")


def register_dtype(dtype):
    """Return the name of the type that holds an array's elements in a program."""
    return "float32" if np.dtype(dtype).name in HALVES else np.dtype(dtype).name


def constant(value, dtype):
    """Return the two words of a constant."""
    bits = struct.unpack("q", struct.pack("d", value))[0] if dtype.startswith("float") else int(value)
    return [DTYPE_FLAGS[dtype], bits]


def program(shape, strides, constants, instructions, stores):
    """Return a parameter block.  instructions: (functor, dtype, sources...); strides: in elements, an input each."""
    words = [len(shape), len(constants), len(instructions), len(stores), *shape]
    for one in strides:
        words += one
    for value, dtype in constants:
        words += constant(value, dtype)
    for functor, dtype, *sources in instructions:
        words += [_ops.functor(functor), DTYPE_FLAGS[dtype], *sources, *[-1] * (3 - len(sources))]
    return tuple(int(w) for w in [*words, *stores])


def strides_of(view):
    """Return a view's strides in elements."""
    return [s // view.itemsize for s in view.strides]


def run(views, constants, instructions, stores, dtypes, outputs=None):
    """Run a program over views of one shape, each of an array that begins at its first element; return the outputs."""
    shape = views[0].shape
    arrays = [v if v.flags.c_contiguous else np.frombuffer(memoryview_of(v), v.dtype) for v in views]
    outputs = outputs or [np.full(shape, 77, d) for d in dtypes]
    _ops.launch("map", arrays, outputs, program(shape, [strides_of(v) for v in views], constants, instructions, stores))
    return outputs


def memoryview_of(view):
    """Return the bytes of the contiguous array that a view shows."""
    base = view
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert base.flags.c_contiguous and base.ctypes.data == view.ctypes.data
    return base.reshape(-1).view(np.uint8)


def apply(functor, *arrays):
    """Run one functor on contiguous arrays of one shape and dtype."""
    dtype = register_dtype(arrays[0].dtype)
    instructions = [(functor, dtype, *range(len(arrays)))]
    return run(list(arrays), [], instructions, [len(arrays)], [arrays[0].dtype])[0]
