"""What the tests of matmul, convolution, pooling and softmax share: the roads to run on, dtypes and tolerances."""

import contextlib
import ctypes

import ml_dtypes
import numpy as np

from cymx import _ops

ROADS = [*_ops.supported_isas(), "onednn"]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), BFLOAT16]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}


class Road:
    """Runs kernels on one road: the portable ones of one instruction set, or oneDNN."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        if self.name == "onednn":
            on = _ops.onednn(True)
            assert on, "oneDNN is installed for the tests, but could not be switched on"
        else:
            _ops.onednn(False)
            _ops.select_isa(self.name)
        return self

    def __exit__(self, *exc):
        _ops.select_isa(_ops.supported_isas()[-1])
        _ops.onednn(True)

    def __call__(self, name, inputs, shape, params):
        """Return the one output of a kernel, of the first input's dtype; it starts as garbage."""
        out = np.full(shape, 77, inputs[0].dtype)
        _ops.launch(name, list(inputs), [out], tuple(params))
        return out


def random(rng, shape, dtype):
    """Return normal numbers, rounded to dtype."""
    return rng.standard_normal(shape).astype(dtype)


def assert_close(got, want, scale=1.0, what=""):
    """Compare with a float64 reference, within the dtype's tolerance times the size of what was summed."""
    assert got.shape == want.shape, (got.shape, want.shape, what)
    tolerance = TOLERANCE[got.dtype.name] * max(1.0, scale)
    error = np.abs(got.astype(np.float64) - want).max(initial=0.0)
    assert error <= tolerance * max(1.0, np.abs(want).max(initial=0.0)), f"{what}: {error} > {tolerance}"


@contextlib.contextmanager
def threads(n):
    """Run this thread's kernels on n OpenMP threads."""
    gomp = ctypes.CDLL("libgomp.so.1")
    before = gomp.omp_get_max_threads()
    gomp.omp_set_num_threads(n)
    try:
        yield
    finally:
        gomp.omp_set_num_threads(before)
