"""What mx.gpu says where it cannot work: each situation with a loader, a driver or cuda-python made up for it."""

import builtins
import ctypes
import sys
import types

import pytest

import cymx as mx
from cymx.base import MXNetError, NotBuiltError
from cymx.gpu import driver


class FakeDriver:
    """A libcuda of which only the first three calls are made."""

    def __init__(self, init=0, version=13000, n_devices=1):
        self.init, self.version, self.n_devices = init, version, n_devices

    def cuInit(self, flags):
        return self.init

    def cuDriverGetVersion(self, number):
        number._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, number):
        number._obj.value = self.n_devices
        return 0


@pytest.fixture
def fresh(monkeypatch):
    """Have the driver room start anew within a test."""
    monkeypatch.setattr(driver, "_driver", None)
    monkeypatch.setattr(driver, "_opened", {})


@pytest.fixture
def load(fresh, monkeypatch):
    """Return a function that puts a fake in the place of libcuda."""
    return lambda fake: monkeypatch.setattr(ctypes, "CDLL", lambda name, *args, **kwargs: fake)


def words(function, *args):
    """Return what a call says as it fails."""
    with pytest.raises(NotBuiltError) as caught:
        function(*args)
    return str(caught.value)


def test_no_driver(fresh, monkeypatch):
    def missing(name, *args, **kwargs):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert mx.num_gpus() == 0
    said = words(driver.open, 0)
    assert "no NVIDIA driver" in said and "mx.cpu()" in said and "container" in said and "libcuda.so.1" in said


@pytest.mark.parametrize("visible", [None, "", "7"])
def test_no_gpu_is_shown(load, monkeypatch, visible):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for fake in (FakeDriver(init=100), FakeDriver(n_devices=0)):
        load(fake)
        assert mx.num_gpus() == 0
        said = words(driver.open, 0)
        assert "shows no GPU" in said and (f"is {visible!r}" if visible is not None else "is not set") in said


@pytest.mark.parametrize(
    "result, advice",
    [(803, "restart the machine"), (804, "compatibility package"), (802, "fabric manager"), (999, "nvidia-smi")],
)
def test_a_driver_that_does_not_start(load, result, advice):
    load(FakeDriver(init=result))
    assert mx.num_gpus() == 0
    said = words(driver.open, 0)
    assert advice in said and str(result) in said and "mx.cpu()" in said


def test_a_driver_before_cuda_12(load):
    load(FakeDriver(version=11080))
    assert mx.num_gpus() == 0
    said = words(driver.open, 0)
    assert "supports CUDA 11.8" in said and "R525" in said


@pytest.mark.parametrize("version, extra", [(12040, "cymx[cuda12]"), (13000, "cymx[cuda13]")])
def test_no_cuda_python(load, monkeypatch, version, extra):
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("cuda"):
            raise ModuleNotFoundError("No module named 'cuda'")
        return imported(name, *args, **kwargs)

    load(FakeDriver(version=version))
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert mx.num_gpus() == 1
    said = words(driver.open, 0)
    assert "cuda-python" in said and extra in said


def test_cuda_python_newer_than_the_driver(load, monkeypatch):
    bindings = types.ModuleType("cuda.bindings")
    bindings.driver = types.SimpleNamespace(CUDA_VERSION=13000)
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    load(FakeDriver(version=12080))
    said = words(driver.open, 0)
    assert "CUDA 13" in said and "supports CUDA 12.8" in said and "cymx[cuda12]" in said and "R580" in said


def test_an_id_that_is_not_there(load):
    load(FakeDriver(n_devices=2))
    for device_id in (2, -1):
        said = words(driver.open, device_id)
        assert f"gpu({device_id}) is not there" in said and "gpu(0) to gpu(1)" in said


def test_a_compiler_newer_than_the_driver(load):
    load(FakeDriver(version=12040))
    said = words(driver.check_compiler, (13, 0), [75, 80, 90], 80)
    assert "NVRTC is of CUDA 13.0" in said and "12.4" in said and "cymx[cuda12]" in said


def test_a_device_older_than_the_compiler_knows(load):
    load(FakeDriver(version=13000))
    said = words(driver.check_compiler, (13, 0), [75, 80, 90], 70)
    assert "sm_70" in said and "from sm_75 on" in said and "cymx[cuda12]" in said
    assert driver.check_compiler((12, 9), [50, 70, 90], 120) is None


def test_a_context_needs_no_driver(fresh, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert repr(mx.gpu(3)) == "gpu(3)" and mx.Context("gpu", 1) == mx.gpu(1)
    with mx.gpu(2):
        assert mx.current_context() == mx.gpu(2)


def test_the_first_array_says_what_is_missing(load):
    load(FakeDriver(init=100))
    with pytest.raises(MXNetError, match=r"shows no GPU"):
        mx.nd.empty((2,), ctx=mx.gpu(60))  # one that no test opens


def test_images_that_do_not_load(driver_room):
    with pytest.raises(driver.RefusedImage, match="gpu.0. does not load an image of 7 bytes"):
        driver.load(0, b"no cubin"[:7])


@pytest.fixture
def driver_room(real):
    """Ask for the driver that the tests of this folder run on."""
    return driver.open(0)
