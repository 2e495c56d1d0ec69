"""What the tests of matmul, convolution, pooling and softmax share: the roads to run on, dtypes and tolerances."""

import contextlib
import ctypes

import ml_dtypes
import numpy as np

from cymx import _ops

WITH_ONEDNN = _ops.onednn(True)
ROADS = [*_ops.supported_isas(), *["onednn"] * WITH_ONEDNN]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), BFLOAT16]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}


class Road:
    """Runs kernels on one road: the portable ones of one instruction set, or oneDNN."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = _ops.isa(), _ops.onednn()
        _ops.onednn(self.name == "onednn")
        if self.name != "onednn":
            _ops.select_isa(self.name)
        return self

    def __exit__(self, *exc):
        _ops.select_isa(self.before[0])
        _ops.onednn(self.before[1])

    def __call__(self, name, inputs, shape, params):
        """Return the one output of a kernel, of the first input's dtype; it starts as garbage."""
        out = np.full(shape, 77, inputs[0].dtype)
        _ops.launch(name, list(inputs), [out], tuple(params))
        return out


def random(rng, shape, dtype):
    """Return normal numbers, rounded to dtype."""
    return rng.standard_normal(shape).astype(dtype)


def to_last(image):
    """Return an image (N, C, *S) with its channels last."""
    return np.ascontiguousarray(np.moveaxis(image, 1, -1))


def assert_close(got, want, what=""):
    """Compare with a float64 reference, within the dtype's tolerance of the largest element."""
    assert got.shape == want.shape, (got.shape, want.shape, what)
    allowed = TOLERANCE[got.dtype.name] * max(1.0, np.abs(want).max(initial=0.0))
    error = np.abs(got.astype(np.float64) - want).max(initial=0.0)
    assert error <= allowed, f"{what}: {error} > {allowed}"


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


# spatial extent, channels, filters, kernel, stride, dilate, pad_lo, pad_hi, groups
CONVOLUTIONS = {
    "1d": ((9,), 3, 4, (3,), (1,), (1,), (1,), (1,), 1),
    "1d strided": ((31,), 2, 5, (4,), (3,), (2,), (2,), (1,), 1),
    "2d": ((7, 9), 3, 13, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    "2d pointwise": ((5, 6), 9, 8, (1, 1), (1, 1), (1, 1), (0, 0), (0, 0), 1),
    "2d strided pointwise": ((8, 7), 4, 6, (1, 1), (2, 2), (1, 1), (0, 0), (0, 0), 1),
    "2d uneven": ((11, 8), 5, 7, (3, 2), (2, 3), (1, 2), (2, 0), (1, 3), 1),
    "2d groups": ((6, 6), 6, 9, (3, 3), (2, 1), (1, 1), (1, 1), (1, 1), 3),
    "2d depthwise": ((9, 7), 8, 8, (3, 3), (1, 1), (2, 2), (2, 2), (2, 2), 8),
    "2d deep": ((5, 5), 40, 17, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    "2d stride skips rows": ((10, 10), 2, 3, (2, 2), (4, 3), (1, 1), (0, 0), (0, 0), 1),
    "3d": ((4, 5, 6), 2, 3, (3, 2, 3), (1, 2, 1), (1, 1, 2), (1, 0, 2), (0, 1, 2), 1),
    "3d groups": ((3, 4, 5), 4, 4, (2, 2, 2), (1, 1, 1), (1, 1, 1), (0, 1, 1), (1, 0, 1), 2),
}


def _padded(values, fill, n=3):
    return (*values, *[fill] * (n - len(values)))


def convolution(case, batch=2):
    """Return the shapes of x (N, C, *S), w (O, C/G, *K), y (N, O, *P) and the kernel's parameters."""
    size, c, o, kernel, stride, dilate, lo, hi, groups = case
    per_dimension = zip(size, lo, hi, dilate, kernel, stride, strict=True)
    out = [(s + a + b - d * (k - 1) - 1) // t + 1 for s, a, b, d, k, t in per_dimension]
    lists = (*_padded(stride, 1), *_padded(dilate, 1), *_padded(lo, 0), *_padded(hi, 0))
    params = (len(size), *lists, groups, 0, *_padded(kernel, 1), 0, 0)
    return (batch, c, *size), (o, c // groups, *kernel), (batch, o, *out), params
