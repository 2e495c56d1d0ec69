"""Arrays: `nd.NDArray`, the functions that make and save them, and every operator as a function (`nd.exp`, ...).

Operators' functions are made from the registry when they are first asked for.   Knows no symbols.
"""

from . import _internal, contrib, image, linalg, op, random, sparse
from .arithmetic import (
    add,
    divide,
    equal,
    greater,
    greater_equal,
    lesser,
    lesser_equal,
    logical_and,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    modulo,
    multiply,
    not_equal,
    power,
    subtract,
    true_divide,
)
from .creation import arange, array, concatenate, empty, eye, full, linspace, ones, zeros
from .files import load, load_frombuffer, save
from .functions import moveaxis, onehot_encode, split_v2, waitall
from .interop import from_dlpack, from_numpy, to_dlpack_for_read, to_dlpack_for_write
from .ndarray import NDArray
from .register import namespace

__getattr__, __dir__ = namespace(__name__, NDArray)
