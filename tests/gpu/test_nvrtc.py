"""Every kernel that the operators' rows need is compiled with NVRTC, on any machine: for sm_90 all of them, for sm_75,
sm_80 and sm_120 as many as hold every word (type, functor, template) that occurs in any.  --all-kernels takes all for
each.  No kernel may spill registers.
"""

import re

import pytest
from gpu.kernel_list import kernels_of_rows

from cymx.base import MXNetError, NotBuiltError
from cymx.gpu import compiler
from cymx.gpu.recipe import Kernel

ARCHS, WHOLE_ARCH = (75, 80, 90, 120), 90
N_PARTS = 12  # so that test processes share the work
SOURCE = """
#include "device.cuh"
#include "math.h"
namespace cymx {
template <class T> __global__ void add(T *x) { x[first_index()] += T(1); }
template <int N> __global__ void __launch_bounds__(1024) spill(float *x, const int *order) {
    float held[N];
    for (int i = 0; i < N; ++i) held[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; ++i) held[i] = m::exp(held[i] * held[(i * 7) % N]);
    __syncthreads();
    for (int i = 0; i < N; ++i) x[i * 1024 + order[threadIdx.x]] = held[i];
}
}
"""


@pytest.fixture(autouse=True)
def with_nvrtc(nvrtc, monkeypatch):
    """Compile with NVRTC, and anew."""
    try:
        nvrtc.archs()
    except NotBuiltError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("CYMX_KERNEL_CACHE", "off")


def sample(kernels):
    """Return kernels that together hold every word of all."""
    seen, chosen = set(), []
    for kernel in sorted(kernels, key=lambda k: -len(k.source + k.name)):
        words = set(re.findall(r"[A-Za-z_]\w*", kernel.source + kernel.name))
        if not words <= seen:
            seen |= words
            chosen.append(kernel)
    return chosen


@pytest.mark.parametrize("part", range(N_PARTS))
@pytest.mark.parametrize("arch", ARCHS)
def test_kernels_compile_without_spills(arch, part, request):
    every = kernels_of_rows().kernels
    kernels = list(every) if arch == WHOLE_ARCH or request.config.getoption("--all-kernels") else sample(every)
    kernels = kernels[part::N_PARTS]
    images = compiler.build_all(kernels, arch)
    assert all(image.registers for image in images)
    spilling = [f"{k.name} ({every[k]}): {i.spill_bytes} bytes" for k, i in zip(kernels, images) if i.spill_bytes]
    assert not spilling, "kernels that spill registers:\n" + "\n".join(spilling)


def test_every_row_has_a_recipe():
    assert not kernels_of_rows().missing


def test_images_are_for_the_exact_architecture():
    images = [compiler.build(Kernel(SOURCE, "cymx::add<float>"), arch) for arch in ARCHS]
    assert all(image.code.startswith(b"\x7fELF") and image.symbol.startswith("_ZN4cymx3addIfE") for image in images)
    assert len({image.code for image in images}) == len(ARCHS)


def test_newer_architectures_get_text():
    newest = compiler.toolchain().archs()[-1]
    image = compiler.build(Kernel(SOURCE, "cymx::add<float>"), newest + 1)
    assert f".target sm_{newest}".encode() in image.code and image.registers is None


def test_16_bit_floats_are_converted_by_instructions():
    twice = "template <class T> __global__ void twice(T *x) { *x = from_float<T>(2 * to_float(*x)); }"
    kernels = [
        Kernel(f'#include "half.h"\nnamespace cymx {{ {twice} }}', f"cymx::twice<cymx::{t}>")
        for t in ("float16", "bfloat16")
    ]
    newest = compiler.toolchain().archs()[-1]
    half, brain = (compiler.build(kernel, newest + 1).code for kernel in kernels)  # a text
    assert b"cvt.f32.f16" in half and b"cvt.rn.f16.f32" in half and b"cvt.rn.bf16.f32" in brain
    # By integers where there is no instruction.
    assert all(compiler.build(kernel, arch).code.startswith(b"\x7fELF") for kernel in kernels for arch in ARCHS)


def test_older_architectures_are_refused():
    with pytest.raises(MXNetError, match="starts at sm_75, the GPU is sm_70: install cymx.cuda12"):
        compiler.build(Kernel(SOURCE, "cymx::add<float>"), 70)


def test_spills_are_seen():
    assert compiler.build(Kernel(SOURCE, "cymx::spill<96>"), 90).spill_bytes


def test_an_error_names_kernel_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CYMX_DUMP_KERNELS", str(tmp_path))
    with pytest.raises(
        compiler.CompileError, match=r"GPU kernel f<int> for sm_80 is refused by nvrtc-.*\n*kernel.cu\(1\): error"
    ):
        compiler.build(Kernel("template <class T> __global__ void f() { T x = nothing; }", "f<int>"), 80)
    (path,) = tmp_path.glob("*.cu")
    assert "nothing" in path.read_text() and path.name.startswith("f_int-")


def test_a_missing_nvrtc_says_what_to_install(monkeypatch):
    import builtins

    from cymx.gpu import nvrtc

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("cuda"):
            raise ImportError("No module named 'cuda'")
        return real(name, *args, **kwargs)

    nvrtc._library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotBuiltError, match=r"no NVRTC.*cymx\[cuda13\].*No module named 'cuda'"):
        nvrtc.Nvrtc().archs()
    monkeypatch.undo()
    nvrtc._library.cache_clear()
