"""mx.rtc: a user's own kernels."""

import numpy as np
import pytest

import cymx as mx

GPU = mx.gpu(0)
AXPY = r"""
extern "C" __global__ void axpy(const float *x, float *y, float alpha) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    y[i] += alpha * x[i];
}
"""
SCALE = r"""
template <class T> __global__ void scale(const T *x, T *y, int n) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    if (i < n) y[i] = x[i] * FACTOR;
}
"""


def arrays(n=64, dtype="float32"):
    values = np.arange(n).astype(dtype)
    return mx.nd.array(values, ctx=GPU, dtype=dtype), mx.nd.ones((n,), ctx=GPU, dtype=dtype), values


def test_a_kernel_reads_and_writes_its_arrays(driver):
    x, y, values = arrays()
    kernel = mx.rtc.CudaModule(AXPY).get_kernel("axpy", "const float *x, float *y, float alpha")
    for _ in range(2):
        kernel.launch([x, y, 3.0], GPU, (2, 1, 1), (32, 1, 1))
    assert np.array_equal(y.asnumpy(), 1 + 6 * values)


@pytest.mark.parametrize(
    "dtype, word", [("float32", "float"), ("float64", "double"), ("int32", "int"), ("int64", "int64_t")]
)
def test_templates_are_exported_by_name(driver, dtype, word):
    x, y, values = arrays(50, dtype)
    module = mx.rtc.CudaModule(SCALE, options=["-DFACTOR=4"], exports=[f"scale<{word}>"])
    module.get_kernel(f"scale<{word}>", f"const {word} *x, {word} *y, int n").launch(
        [x, y, 50], GPU, (2, 1, 1), (32, 1, 1)
    )
    assert np.array_equal(y.asnumpy(), 4 * values)


def test_a_launch_takes_its_turn_among_operators(driver):
    x, y, values = arrays()
    kernel = mx.rtc.CudaModule(AXPY).get_kernel("axpy", "const float *x, float *y, float alpha")
    x *= 2
    kernel.launch([x, y, 1.0], GPU, (2, 1, 1), (32, 1, 1))
    assert np.array_equal((y + 1).asnumpy(), 2 + 2 * values)


def test_bad_source_and_bad_calls_are_named(driver):
    x, y, _ = arrays()
    module = mx.rtc.CudaModule(AXPY)
    kernel = module.get_kernel("axpy", "const float *x, float *y, float alpha")
    launch = lambda args, ctx=GPU, grid=(2, 1, 1), block=(32, 1, 1): kernel.launch(args, ctx, grid, block)
    with pytest.raises(ValueError, match="parameter 'const half2 x'"):
        module.get_kernel("axpy", "const half2 x")
    with pytest.raises(ValueError, match="2 arguments came, expected 3"):
        launch([x, y])
    with pytest.raises(ValueError, match=r"ctx is cpu\(0\)"):
        launch([x, y, 1.0], mx.cpu())
    with pytest.raises(mx.MXNetError, match=r"x is on cpu\(0\), expected gpu\(0\)"):
        launch([x.as_in_context(mx.cpu()), y, 1.0])
    with pytest.raises(TypeError, match="y is float64, expected float32"):
        launch([x, y.astype("float64"), 1.0])
    with pytest.raises(TypeError, match="alpha is str"):
        launch([x, y, "much"])
    with pytest.raises(ValueError, match="grid_dims"):
        launch([x, y, 1.0], grid=(0, 1, 1))
    broken = mx.rtc.CudaModule('extern "C" __global__ void f(float *x) { x[0] = nothing; }').get_kernel("f", "float *x")
    with pytest.raises(mx.MXNetError, match="nothing"):
        broken.launch([x], GPU, (1, 1, 1), (32, 1, 1))
