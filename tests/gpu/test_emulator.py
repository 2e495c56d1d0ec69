"""The emulator runs kernels as a GPU would, and finds what a GPU would only sometimes show."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gpu import emulator
from gpu.kernel_support import _image, run_work

import cymx
from cymx.base import MXNetError
from cymx.gpu import compiler
from cymx.gpu.recipe import Fill, In, Kernel, Launch, Out, Tensor, Work, f32

# What the emulator refuses would hang a GPU, or write where it must not.
pytestmark = pytest.mark.usefixtures("driver")

SOURCE = """
#include "device.cuh"
namespace cymx {
template <class T> __global__ void scale(const T *x, T *y, i64 n, double a, float b) {
    for (i64 i = first_index(); i < n; i += index_step()) y[i] = (T)(a * x[i] + b);
}
template <int Barriers> __global__ void rotate(const float *x, float *y) {
    __shared__ float s[256];
    s[threadIdx.x] = x[threadIdx.x];
    if (Barriers) __syncthreads();
    y[threadIdx.x] = s[(threadIdx.x + 1) & 255] + s[(threadIdx.x + 255) & 255];
}
template <class T> __global__ void sum(const T *x, T *y, i64 n) {
    CYMX_DYNAMIC_SHARED(T, part);
    T v = 0;
    for (i64 i = first_index(); i < n; i += index_step()) v += x[i];
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(full_warp, v, o);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x) return;
    for (u32 i = 1; i < blockDim.x / 32; ++i) v += part[i];
    atomicAdd(y, v);
}
template <int What> __global__ void wrong(float *y) {
    u32 t = threadIdx.x;
    __shared__ float s[64];
    if (What == 0 && t == 0) __shfl_sync(full_warp, 1.0f, 0);
    if (What == 0 && t != 0) __syncthreads();
    if (What == 1) __shfl_sync(0xffffu, 1.0f, 0);
    if (What == 2) __shfl_sync(t < 8 ? 0xffu : 0xffffff00u, 1.0f, 3);
    if (What == 3 && t % 32 != 5) __shfl_sync(full_warp, 1.0f, 0);
    if (What == 4) t % 2 ? (void)__ballot_sync(full_warp, 1) : (void)__shfl_sync(full_warp, 1.0f, 0);
    if (What == 5) y[t] = s[t];
    if (What == 6) y[-1] = 0;
    if (What == 7) y[t] = s[t + 64];
    if (What == 10) y[t] = *(float *)((char *)s + 256 + 4 * t);
    if (What == 8) y[t] = (float)((i32)t + 0x7fffffff);
}
template <int N> __global__ void large(float *y) {
    __shared__ float s[N];
    s[threadIdx.x] = y[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x ^ 1];
}
template <class T> __global__ void votes(i32 *y) {
    i32 t = (i32)threadIdx.x;
    y[t] = __popc(__ballot_sync(full_warp, t % 3 == 0)) * 1000000 + __syncthreads_count(t < 40) * 1000 +
           __syncthreads_or(t == 63) * 100 + __syncthreads_and(t < 63) * 10 + __shfl_up_sync(full_warp, t, 1) % 10;
}
}
"""
FLOAT = Tensor((256,), "float32")


def kernel(name):
    return Kernel(SOURCE, f"cymx::{name}")


def run(name, x, out, args, grid=1, block=256, shared=0, order="forward", before=()):
    """Run one launch and return its output."""
    work = Work((*before, Launch(kernel(name), (grid, 1, 1), (block, 1, 1), args, shared)), 64)
    return run_work(work, x, [out], order=order)[0]


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(256).astype("float32")


@pytest.mark.parametrize("order", emulator.ORDERS)
def test_arguments_arrive(x, order):
    y = run("scale<float>", [x], FLOAT, (In(0), Out(0), 256, 3.0, f32(0.5)), grid=2, block=32, order=order)
    np.testing.assert_array_equal(y, (3.0 * x.astype("float64") + 0.5).astype("float32"))
    half = run("scale<float>", [x], FLOAT, (In(0, 512), Out(0, 512), 128, 1.0, f32(0)), order=order)
    np.testing.assert_array_equal(half[128:], x[128:])
    assert set(half[:128].tobytes()) == {0xCB}


@pytest.mark.parametrize("order", emulator.ORDERS)
def test_barriers_and_shuffles(x, order):
    args, zero = (In(0), Out(0), 256), [Fill(Out(0), 4)]
    total = run("sum<float>", [x], Tensor((1,), "float32"), args, grid=3, block=64, shared=8, order=order, before=zero)
    np.testing.assert_allclose(total[0], x.sum(dtype="float64"), rtol=1e-5)
    np.testing.assert_array_equal(
        run("rotate<1>", [x], FLOAT, (In(0), Out(0)), order=order), np.roll(x, -1) + np.roll(x, 1)
    )


@pytest.mark.parametrize("order", emulator.ORDERS)
def test_votes(order):
    t = np.arange(64)
    y = run("votes<float>", [], Tensor((64,), "int32"), (Out(0),), block=64, order=order)
    up = np.where(t % 32 == 0, t, t - 1)
    np.testing.assert_array_equal(y, np.where(t < 32, 11, 11) * 1000000 + 40 * 1000 + 100 + 0 + up % 10)


@pytest.mark.skipif(emulator.SANITIZE, reason="sanitized images keep what shared memory held")
def test_a_missing_barrier_is_found(x):
    right = np.roll(x, -1) + np.roll(x, 1)
    assert not any(
        np.array_equal(run("rotate<0>", [x], FLOAT, (In(0), Out(0)), order=order), right) for order in emulator.ORDERS
    )


@pytest.mark.parametrize(
    "what, message",
    [
        (0, "threads wait at barriers that the others of their block never reach"),
        (1, r"__shfl_sync: a lane is not in the mask, in block \(0, 0, 0\), thread \(16, 0, 0\)"),
        (2, "__shfl_sync: a lane is not in the mask"),
        (3, "a lane ends while others of its warp wait for it"),
        (4, "lanes of a warp meet in different warp functions"),
    ],
)
def test_wrong_synchronization_is_an_error(what, message):
    with pytest.raises(emulator.LaunchFailed, match=rf"cymx::wrong<{what}>: .*({message})"):
        run(f"wrong<{what}>", [], FLOAT, (Out(0),), block=64)


@pytest.mark.skipif(emulator.SANITIZE, reason="sanitized images keep what shared memory held")
def test_fresh_shared_memory_is_poisoned():
    y = run("wrong<5>", [], Tensor((64,), "float32"), (Out(0),), block=64)
    assert set(y.tobytes()) == {0xCB}


def test_a_write_outside_an_array_is_found():
    with pytest.raises(AssertionError, match="wrong<6> writes outside output 0"):
        run("wrong<6>", [], FLOAT, (Out(0),), block=64)


@pytest.mark.parametrize(
    "block, shared, message",
    [
        (48, 0, "a block of 48 threads; cymx launches whole warps"),
        (2048, 0, "a block of 2048 threads; 1 to 1024"),
        (64, 300000, "bytes of shared memory; 232448 can be"),
    ],
)
def test_launches_that_a_gpu_refuses(block, shared, message):
    with pytest.raises(emulator.LaunchRefused, match=f"cymx::wrong<9>: .*{message}"):
        run("wrong<9>", [], FLOAT, (Out(0),), block=block, shared=shared)


def test_arguments_must_fit():
    with pytest.raises(emulator.LaunchRefused, match=r"arguments of \[8, 8\] bytes, its parameters have \[8\]"):
        run("wrong<9>", [], FLOAT, (Out(0), 3), block=64)
    with pytest.raises(AssertionError, match="lies outside its 1024 bytes"):
        run("wrong<9>", [], FLOAT, (Out(0, 2000),), block=64)


@pytest.mark.skipif(emulator.SANITIZE, reason="redzones lie between sanitized arrays")
def test_static_shared_memory_has_a_limit():
    with pytest.raises(emulator.LaunchRefused, match="655.. bytes of static shared memory; 49152 can be"):
        emulator.launch(_image(kernel("large<16384>"), 80), (1, 1, 1), (32, 1, 1), 0, [struct.pack("=Q", 0)])


@pytest.mark.skipif(not emulator.SANITIZE, reason="needs tools/gpu_sanitize")
@pytest.mark.parametrize(
    "what, report",
    [(7, "index 64 out of bounds"), (8, "signed integer overflow"), (10, "insufficient space for an object")],
)
def test_sanitizers_name_file_and_line(what, report):
    code = f"""
import numpy as np
from gpu import test_emulator
test_emulator.run("wrong<{what}>", [], test_emulator.FLOAT, (test_emulator.Out(0),), block=64)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    root = Path(cymx.__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=root)
    assert ran.returncode and report in ran.stderr and "kernel.cpp:" in ran.stderr, ran.stderr[-2000:]


def test_the_emulator_refuses_what_cuda_has_not():
    bad = Kernel(SOURCE + "namespace cymx { template <class T> __global__ void add(T *y) { atomicAdd(y, (T)1); } }",
                 "cymx::add<cymx::i64>")  # fmt: skip
    before = compiler.toolchain()
    compiler.use(emulator.Gpp())
    try:
        with pytest.raises(MXNetError, match="atomicAdd has no such type in CUDA"):
            compiler.build(bad, 80)
    finally:
        compiler.use(before)
