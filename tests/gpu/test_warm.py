"""`python -m cymx.gpu.warm` fills the kernel cache on a machine without a GPU."""

import pytest

import cymx as mx
from cymx.gpu import compiler, warm
from cymx.gpu.recipe import Device


@pytest.fixture
def folder(tmp_path, monkeypatch, nvrtc):
    compiler._images.clear()
    monkeypatch.setenv("CYMX_KERNEL_CACHE", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def test_a_symbol_finds_its_kernels(folder, tmp_path, capsys):
    x = mx.sym.Variable("data")
    net = mx.sym.tanh(x * 2 + mx.sym.Variable("bias"))
    net.save(str(tmp_path / "net.json"))
    arguments = [
        "--arch",
        "sm_90",
        "--symbol",
        str(tmp_path / "net.json"),
        "--shape",
        "data=4,8",
        "--shape",
        "bias=4,8",
    ]
    assert warm.main([*arguments, "--inference"]) == 0
    assert capsys.readouterr().out.startswith("sm_90: 1 kernels in ")
    assert len(list(folder.rglob("*.bin"))) == 1
    notes = warm.Notes(Device(90))
    warm.note_symbol(notes, net, {"data": (4, 8), "bias": (4, 8)}, {}, False)
    (kernel,) = notes.kernels
    compiler._images.clear()
    path = next(iter(folder.rglob("*.bin")))
    assert path.parts[-2] + path.stem == compiler.key_of(kernel, 90)
    used = path.stat().st_mtime_ns
    compiler.build(kernel, 90)
    assert path.stat().st_mtime_ns >= used and len(list(folder.rglob("*.bin"))) == 1


def test_eager_calls_need_these():
    notes = warm.Notes(Device(80))
    warm.note_operators(notes)
    needed = " ".join(notes.kernels.values())
    assert all(f"map of {name} {dtype}" in needed for name in ("exp", "tanh") for dtype in warm.EAGER_DTYPES)


def test_no_cache_is_an_error(folder, monkeypatch, capsys):
    monkeypatch.setenv("CYMX_KERNEL_CACHE", "off")
    with pytest.raises(SystemExit):
        warm.main(["--arch", "90"])
    assert "there is no cache to fill" in capsys.readouterr().err


def test_a_symbol_is_warm_with_and_without_epilogues():
    x = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=16, name="fc")
    net = mx.sym.LinearRegressionOutput(mx.sym.Activation(x, act_type="tanh"), mx.sym.var("label"))
    notes = warm.Notes(Device(90))
    warm.note_symbol(notes, net, {"data": (4, 8), "label": (4, 16)}, {}, True)
    maps = [kernel.source for kernel in notes.kernels if "Group" in kernel.source]
    adds = [source for source in maps if "add" in source and "tanh" in source]
    assert len(adds) == 1 and sum("tanh" in source for source in maps) == 2
