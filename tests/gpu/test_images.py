"""Images channels last in plans on a GPU: where cuDNN multiplies on tensor cores, and by the plain kernels it leaves.

The stand-in of cuDNN takes its place on the emulated driver.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import cymx as mx
from cymx.compiler import compile_graph
from cymx.compiler.infer import infer
from cymx.gpu import library
from cymx.gpu.recipe import Device
from cymx.gpu.warm import Notes
from cymx.ir import Entry

sys.path.append(str(Path(__file__).resolve().parents[2]))  # at the end: the cymx under test stays the installed one

from benchmarks import nets

GPU = mx.gpu(0)
TF32 = "MXNET_CUDA_TENSOR_OP_MATH_ALLOW_CONVERSION"

# Of the largest number: 16-bit images between the layers are rounded, where sums in another order differ, another way.
TOLERANCE = {"float16": 2e-2, "bfloat16": 1.5e-1, "float32": 1e-4}


def small_net():
    """Images that meet all that follows convolutions: strides, groups, norms, pooling, a sum, a join, a cut, a mean."""

    def conv(x, name, n, kernel=3, **settings):
        pad = (kernel // 2,) * 2
        return mx.sym.Convolution(x, name=name, kernel=(kernel,) * 2, num_filter=n, pad=pad, **settings)

    x = mx.sym.BatchNorm(conv(mx.sym.var("data"), "c0", 8, 5, no_bias=True), fix_gamma=False, name="b0")
    x = mx.sym.Pooling(mx.sym.Activation(x, act_type="relu"), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    y = mx.sym.Activation(conv(x, "c1", 8, num_group=2) + x, act_type="relu")
    y = mx.sym.slice_axis(mx.sym.concat(y, conv(x, "c2", 4, 1), dim=1), axis=1, begin=2, end=10)
    y = mx.sym.Deconvolution(conv(y, "c3", 6, stride=(2, 2)), kernel=(2, 2), stride=(2, 2), num_filter=4, name="d0")
    y = mx.sym.Flatten(mx.sym.Pooling(mx.sym.tanh(y), kernel=(1, 1), global_pool=True, pool_type="avg"))
    return mx.sym.FullyConnected(y, num_hidden=5, name="fc")


def uniform(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype("float32")


def trained(symbol, context, dtype, **shapes):
    """Return outputs and gradients of a step, run three times, and the executor."""
    executor = symbol.simple_bind(context, type_dict=dict.fromkeys(shapes, dtype), **shapes)
    for name, array in (*executor.arg_dict.items(), *executor.aux_dict.items()):
        array[:] = uniform(*array.shape) * (0.5 if name.endswith("weight") else 1) + name.endswith(("gamma", "var"))
    for turn in range(3):
        executor.forward(is_train=True)
        executor.backward(mx.nd.array(uniform(*executor.outputs[0].shape, seed=turn), ctx=context, dtype=dtype))
    found = {"output": executor.outputs[0], **executor.grad_dict}
    return {name: value.astype("float32").asnumpy() for name, value in found.items()}, executor


def assert_alike(found, wanted, tolerance):
    for name, want in wanted.items():
        assert np.abs(found[name] - want).max() <= tolerance * max(1, np.abs(want).max()), name


def counted(text):
    """Return how many forward and backward steps of each kernel a plan's text has."""
    return Counter(tuple(line.split()[2:4]) for line in text.splitlines() if line.startswith("step"))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_training_and_inference_as_on_the_cpu(made, dtype, monkeypatch):
    monkeypatch.setenv(TF32, "1")
    wanted, on_cpu = trained(small_net(), mx.cpu(), dtype, data=(2, 3, 13, 12))
    found, executor = trained(small_net(), GPU, dtype, data=(2, 3, 13, 12))
    assert_alike(found, wanted, TOLERANCE[dtype])
    assert ("cudnn", True) in made and ("cudnn", False) not in made
    # The image and the filters that are larger than 1 x 1, and their gradients.
    steps = counted(executor._runs[True, True].plan.dump())
    assert (steps["forward", "transpose"], steps["backward", "transpose"]) == (5, 5)
    found, wanted = ({"output": e.forward(is_train=False)[0].astype("float32").asnumpy()} for e in (executor, on_cpu))
    assert_alike(found, wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("promised", [False, True])
def test_plain_kernels_take_what_cudnn_refuses(libraries, dtype, promised, monkeypatch):
    monkeypatch.setenv(TF32, "1")
    monkeypatch.setattr(library, "make", lambda *_: None)
    if promised:  # as for a plan that is resized for other images
        monkeypatch.setattr(library, "has", lambda *_: True)
    wanted, _ = trained(small_net(), mx.cpu(), dtype, data=(2, 3, 13, 12))
    found, executor = trained(small_net(), GPU, dtype, data=(2, 3, 13, 12))
    assert_alike(found, wanted, TOLERANCE[dtype])
    assert counted(executor._runs[True, True].plan.dump())["forward", "transpose"] == 5 * promised


def test_a_convolution_that_cudnn_has_with_channels_first_alone(made):
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=6, name="c0")
    x = mx.sym.Convolution(mx.sym.tanh(x), kernel=(3, 3), num_filter=5, dilate=(2, 2), name="c1")
    x = mx.sym.Convolution(mx.sym.tanh(x), kernel=(3, 3), num_filter=4, name="c2")
    wanted, _ = trained(x, mx.cpu(), "float16", data=(2, 3, 12, 11))
    found, executor = trained(x, GPU, "float16", data=(2, 3, 12, 11))
    assert_alike(found, wanted, TOLERANCE["float16"])
    # Three had nothing with channels last; nothing was left for the plain kernels.
    assert made.count(("cudnn", False)) == 3 and made.count(("cudnn", True)) == 6 + 9
    steps = counted(executor._runs[True, True].plan.dump())
    # The image, two filters, to the dilated one and on from there, the output.  Back: the gradients of all these.
    assert (steps["forward", "transpose"], steps["backward", "transpose"]) == (6, 6)


@pytest.mark.parametrize(
    "n, n_spatial, dtype, tf32, library, last",
    [
        (2, 2, "float16", False, "cudnn", True),
        (2, 2, "bfloat16", False, "cudnn", True),
        (2, 2, "float32", True, "cudnn", True),
        (2, 2, "float32", False, "cudnn", False),
        (2, 2, "float64", True, "cudnn", False),
        (2, 2, "float16", True, "cublaslt", False),
        (1, 2, "float16", True, "cudnn", False),
        (2, 1, "float16", True, "cudnn", False),
        (2, 3, "float16", True, "cudnn", False),
    ],
)
def test_only_where_it_pays(n, n_spatial, dtype, tf32, library, last):
    x = mx.sym.var("data")
    for i in range(n):
        x = mx.sym.Convolution(x, kernel=(3,) * n_spatial, num_filter=4, name=f"c{i}")
    text = planned(x, dtype, False, Device(90, 132, (library,), tf32), (2, 3, *(9,) * n_spatial))
    assert (" transpose " in text) == last


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("train", [False, True])
def test_a_resnet_is_transposed_at_its_borders_alone(dtype, train):
    symbol = nets.resnet(18)(nets.Symbols(mx, None if dtype == "float32" else dtype), mx.sym.var("data"))
    text = planned(symbol, dtype, train, Device(90, 132, ("cudnn",), True), (2, 3, 64, 64))
    steps = counted(text)
    filters = 17  # one of 7 x 7 and 16 of 3 x 3; those of 1 x 1 lie alike either way
    assert steps["forward", "transpose"] == 1 + filters
    assert steps["backward", "transpose"] == train * filters
    assert steps["forward", "conv_fwd"] == 20
    # What follows the convolutions takes as many steps as with channels first.
    plain = counted(planned(symbol, dtype, train, Device(90, 132), (2, 3, 64, 64)))
    assert {k: n for k, n in steps.items() if k[1] != "transpose"} == plain


def planned(symbol, dtype, train, device, shape):
    """Return the plan of a symbol as text, made for a device that is not there."""
    found = infer(symbol.graph, {"data": shape}, {"data": dtype})
    types = {node.name: found.type_of(Entry(node)) for node in symbol.graph.nodes() if node.op is None}
    wanted = {name: "write" for name in symbol.list_arguments() if name != "data"} if train else None
    return compile_graph(symbol.graph, types, train, wanted, own_arena=True, backend=Notes(device)).dump()


def test_a_plan_made_under_other_rules_is_not_taken_over(libraries, monkeypatch):
    symbol = small_net()
    for allowed, transposes in (("0", 0), ("1", 5), ("0", 0)):
        monkeypatch.setenv(TF32, allowed)
        executor = symbol.simple_bind(GPU, grad_req="null", data=(2, 3, 13, 12))
        assert counted(executor.debug_str())["forward", "transpose"] == transposes


def test_another_number_of_images(made):
    symbol = small_net()
    weights = trained(symbol, mx.cpu(), "float16", data=(4, 3, 13, 12))[1]
    values = {name: v.asnumpy() for name, v in {**weights.arg_dict, **weights.aux_dict}.items()}
    for n in (4, 2, 3):
        found = []
        for context in (mx.cpu(), GPU):
            executor = symbol.simple_bind(context, grad_req="null", type_dict={"data": "float16"}, data=(n, 3, 13, 12))
            for name, array in {**executor.arg_dict, **executor.aux_dict}.items():
                array[:] = values[name][: len(array)]
            found.append({"output": executor.forward()[0].astype("float32").asnumpy()})
        assert_alike(found[1], found[0], TOLERANCE["float16"])
        assert counted(executor.debug_str())["forward", "transpose"] == 5
