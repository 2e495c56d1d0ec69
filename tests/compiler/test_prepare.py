"""Weights are prepared where it pays, once where plans keep."""

import numpy as np
import pytest
from compiler.support import compiled

import cymx as mx
from cymx.compiler import Options


def kernels(symbol, train=False, grad_req=None, way=None, **shapes):
    """Return the kernels of a plan over images with their channels last."""
    arguments, _, _ = symbol.infer_shape(**shapes)
    shapes = dict(zip(symbol.list_arguments(), arguments, strict=True))
    text = compiled(symbol, train, grad_req, Options(channels_last=True, convolution=way), **shapes).dump()
    return [line.split()[3] for line in text.splitlines() if line.startswith("step")]


def net(filters=64, kernel=3, **settings):
    settings = {"pad": (1, 1), **settings}
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(kernel,) * 2, num_filter=filters, name="c0", **settings)
    return mx.sym.Activation(x, act_type="relu")


def test_large_layers_are_winograds():
    assert "winograd_fwd" in kernels(net(), data=(1, 64, 56, 56))
    assert "winograd_fwd" not in kernels(net(), way="direct", data=(1, 64, 56, 56))


def test_small_layers_are_not_unless_asked():
    assert "winograd_fwd" not in kernels(net(4), data=(1, 3, 56, 56))
    assert "winograd_fwd" in kernels(net(4), way="winograd", data=(1, 3, 56, 56))


@pytest.mark.parametrize(
    "settings", [{"stride": (2, 2)}, {"dilate": (2, 2)}, {"num_group": 2}, {"kernel": 5}, {"pad": (3, 3)}]
)
def test_other_convolutions_never_are(settings):
    assert "winograd_fwd" not in kernels(net(**settings), way="winograd", data=(1, 64, 56, 56))


def test_the_gradient_by_the_input_is_too():
    wanted = {"c0_weight": "write", "data": "write"}
    found = kernels(net(), True, wanted, data=(8, 64, 32, 32))
    assert found.count("winograd_fwd") == found.count("winograd_weights") == 2
    assert "conv_bwd_data" not in found
    assert "conv_bwd_weight" in found


def test_few_positions_and_many_channels_are_products():
    wanted = {"c0_weight": "write", "data": "write"}
    found = kernels(net(512), True, wanted, data=(16, 512, 2, 2))
    assert found.count("matmul") == 3
    assert found.count("conv_windows") == found.count("conv_windows_sum") == 1
    assert not any(name.startswith(("winograd", "conv_fwd", "conv_bwd")) for name in found)


def test_transformed_weights_are_kept_and_follow_the_weight():
    x = net(64)
    symbol = mx.sym.Convolution(x, kernel=(1, 1), num_filter=4, name="c1")
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=(1, 64, 28, 28))
    rng = np.random.default_rng(0)
    for name, array in executor.arg_dict.items():
        array[:] = rng.standard_normal(array.shape).astype("float32") * (1 if name == "data" else 0.05)
    lines = [line for line in executor.debug_str().splitlines() if "winograd_weights" in line]
    if not lines:
        pytest.skip("images stay channels first without oneDNN")
    assert lines[0].endswith(" kept")
    first = executor.forward()[0].asnumpy()
    executor.arg_dict["c0_weight"][:] *= -1
    assert not np.allclose(executor.forward()[0].asnumpy(), first)
    executor.arg_dict["c0_weight"][:] *= -1
    np.testing.assert_array_equal(executor.forward()[0].asnumpy(), first)
