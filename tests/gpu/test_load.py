"""Images that a device takes or refuses: NVRTC is checked once a device, what is refused is made anew once."""

import pytest
from gpu import emulator

from cymx.base import NotBuiltError
from cymx.gpu import cache, compiler, driver, plan
from cymx.gpu.nvrtc import Nvrtc
from cymx.gpu.recipe import Kernel

ADD = Kernel('#include "device.cuh"\n__global__ void add(int *x) { x[0] += 1; }\n', "add")


class Chain(emulator.Gpp):
    """g++ whose first images are damaged."""

    def __init__(self, n_damaged=0):
        self.n_damaged, self.n_built = n_damaged, 0

    def build(self, *args):
        code, symbol, log = super().build(*args)
        self.n_built += 1
        return b"damaged" if self.n_built <= self.n_damaged else code, symbol, log


class Named(Nvrtc):
    """An NVRTC that has a version, and compiles with g++."""

    identity = "named"

    def __init__(self, version):
        self.version = version
        self.n_asked = 0

    def archs(self):
        self.n_asked += 1
        return [75, 80, 90, 120]

    def build(self, *args):
        return emulator.Gpp().build(*args)


@pytest.fixture
def load(driver, monkeypatch, tmp_path):
    """Return a function that loads ADD by a toolchain, with nothing kept from before."""
    before = compiler.toolchain()
    monkeypatch.setenv("CYMX_KERNEL_CACHE", str(tmp_path))
    monkeypatch.setattr(plan, "_functions", {})
    monkeypatch.setattr(compiler, "_images", {})

    def loaded(chain, device_id=0):
        compiler.use(chain)
        return plan.load(device_id, 80, [ADD])[ADD]

    yield loaded
    compiler.use(before)


def test_an_image_that_is_refused_is_made_anew(load, tmp_path):
    chain = Chain(n_damaged=1)
    assert load(chain) and chain.n_built == 2
    assert load(chain) and chain.n_built == 2  # from memory
    (kept,) = tmp_path.rglob("*.bin")
    assert cache._read(kept)[0].startswith(b"\x7fELF")


def test_a_refused_file_of_the_cache_is_replaced(load, monkeypatch, tmp_path):
    compiler.use(Chain(n_damaged=1))
    assert compiler.build(ADD, 80).code == b"damaged"
    monkeypatch.setattr(compiler, "_images", {})  # another process
    chain = Chain()
    assert load(chain) and chain.n_built == 1
    (kept,) = tmp_path.rglob("*.bin")
    assert cache._read(kept)[0].startswith(b"\x7fELF")


def test_an_image_is_made_anew_only_once(load):
    chain = Chain(n_damaged=9)
    with pytest.raises(driver.RefusedImage, match=r"gpu\(0\) does not load an image of 7 bytes"):
        load(chain)
    assert chain.n_built == 2


def test_nvrtc_is_checked_before_the_first_build_of_a_device(load):
    with pytest.raises(NotBuiltError, match=r"NVRTC is of CUDA 99.0, and the NVIDIA driver supports CUDA"):
        load(Named((99, 0)))
    chain = Named((12, 0))
    assert load(chain) and chain.n_asked == 1
    plan._functions.clear()
    assert load(chain) and chain.n_asked == 1
    assert load(chain, 1) and chain.n_asked == 2
