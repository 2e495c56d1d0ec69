"""Shapes inferred from little, as in MXNet 1.9.1: 0 stands for an unknown dimension, () for an unknown shape."""

import pytest

import cymx as mx


def _net(op, n_inputs=1, **params):
    inputs = [mx.sym.Variable(name) for name in "abc"[:n_inputs]]
    return getattr(mx.sym, op)(*inputs, name="n", **params)


FC = _net("FullyConnected", num_hidden=4)
FLAT = _net("FullyConnected", num_hidden=4, flatten=False)
CONV = _net("Convolution", kernel=(3, 3), num_filter=4, num_group=2)
NORM = _net("BatchNorm")
CONCAT = _net("Concat", 3, dim=1)
SOFTMAX = _net("SoftmaxOutput")
MULTI = _net("SoftmaxOutput", multi_output=True)
EMBED = _net("Embedding", input_dim=5, output_dim=3)
ADD = _net("elemwise_add", 2)

# network, what is given, then the shapes of arguments, outputs and auxiliary states.
RECORDED = [
    (FC, {"a": (0, 3)}, [(0, 3), (4, 3), (4,)], [(0, 4)], []),
    (FC, {"a": (2, 3, 4)}, [(2, 3, 4), (4, 12), (4,)], [(2, 4)], []),
    (FC, {"n_weight": (4, 3)}, [(), (4, 3), ()], [()], []),
    (FLAT, {"a": (2, 0)}, [(2, 0), (4, 0), (4,)], [(2, 4)], []),
    (FLAT, {"a": (2, 0, 3)}, [(2, 0, 3), (4, 3), (4,)], [(2, 0, 4)], []),
    (CONV, {"a": (0, 6, 5, 5)}, [(0, 6, 5, 5), (4, 3, 3, 3), (4,)], [(0, 4, 3, 3)], []),
    (CONV, {"a": (2, 0, 5, 5)}, [(2, 0, 5, 5), (4, 0, 3, 3), (4,)], [(2, 4, 3, 3)], []),
    (CONV, {"a": (2, 6, 0, 5)}, [(2, 6, 0, 5), (4, 3, 3, 3), (4,)], [(2, 4, 0, 3)], []),
    (CONV, {"n_weight": (4, 3, 3, 3)}, [(), (4, 3, 3, 3), ()], [()], []),
    (CONV, {"a": (2, 6, 5, 5), "n_weight": (4, 3, 0, 3)}, [(2, 6, 5, 5), (4, 3, 3, 3), (4,)], [(2, 4, 3, 3)], []),
    (NORM, {"a": (2, 0, 4)}, [(2, 0, 4), (0,), (0,)], [(2, 0, 4)], [(0,), (0,)]),
    (NORM, {"n_gamma": (3,)}, [(), (3,), ()], [()], [(), ()]),
    (NORM, {"a": (2, 3), "n_gamma": (0,)}, [(2, 3), (3,), (3,)], [(2, 3)], [(3,), (3,)]),
    (CONCAT, {"a": (2, 3), "b": (0, 4), "c": (0, 5)}, [(2, 3), (2, 4), (2, 5)], [(2, 12)], []),
    (CONCAT, {"a": (0, 3), "b": (2, 0)}, [(2, 3), (2, 0), (2, 0)], [(2, 0)], []),
    (SOFTMAX, {"a": (3, 4)}, [(3, 4), (3,)], [(3, 4)], []),
    (SOFTMAX, {"a": (0, 4)}, [(0, 4), (0,)], [(0, 4)], []),
    (SOFTMAX, {"a": (2, 3, 4)}, [(2, 3, 4), (2, 3)], [(2, 3, 4)], []),
    (SOFTMAX, {"n_label": (3,)}, [(), (3,)], [()], []),
    (MULTI, {"a": (3, 4)}, [(3, 4), (3, 1)], [(3, 4)], []),
    (MULTI, {"a": (2, 3, 4)}, [(2, 3, 4), (2, 4)], [(2, 3, 4)], []),
    (EMBED, {"a": (2, 0)}, [(2, 0), (5, 3)], [(2, 0, 3)], []),
    (EMBED, {}, [(), ()], [()], []),
    (ADD, {"a": (2, 0), "b": (0, 3)}, [(2, 3), (2, 3)], [(2, 3)], []),
    (ADD, {"a": (2, 3)}, [(2, 3), (2, 3)], [(2, 3)], []),
    (_net("Reshape", shape=(-1, 4)), {"a": (0, 4)}, [(0, 4)], [(0, 4)], []),
    (_net("Reshape", shape=(0, -1)), {"a": (2, 0)}, [(2, 0)], [(2, 0)], []),
    (_net("Reshape", shape=(2, 3)), {"a": (2, 0)}, [(2, 3)], [(2, 3)], []),
    (_net("Pooling", kernel=(2, 2)), {"a": (0, 3, 4, 4)}, [(0, 3, 4, 4)], [(0, 3, 3, 3)], []),
    (_net("Deconvolution", kernel=(2, 2), num_filter=4), {"a": (0, 4, 3, 3)}, [(0, 4, 3, 3), (4, 4, 2, 2)],
     [(0, 4, 4, 4)], []),
    (_net("SwapAxis", dim1=0, dim2=1), {"a": (0, 4)}, [(0, 4)], [(4, 0)], []),
    (_net("slice_axis", axis=1, begin=0, end=2), {"a": (0, 4)}, [(0, 4)], [(0, 2)], []),
    (_net("SliceChannel", num_outputs=2, axis=1), {"a": (0, 4)}, [(0, 4)], [(0, 2), (0, 2)], []),
    (_net("expand_dims", axis=1), {"a": (0, 4)}, [(0, 4)], [(0, 1, 4)], []),
    (_net("LeakyReLU", act_type="prelu"), {"a": (0, 4)}, [(0, 4), (4,)], [(0, 4)], []),
    (_net("dot", 2), {"a": (0, 3), "b": (3, 4)}, [(0, 3), (3, 4)], [(0, 4)], []),
    (_net("LinearRegressionOutput"), {"a": (3, 1)}, [(3, 1), (3,)], [(3, 1)], []),
    (_net("LinearRegressionOutput"), {"a": (3, 4)}, [(3, 4), (3, 4)], [(3, 4)], []),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("net, given, arguments, outputs, states", RECORDED)
def test_what_follows_is_what_mxnet_says(net, given, arguments, outputs, states):
    assert net.infer_shape_partial(**given) == (arguments, outputs, states)


def test_a_sum_tells_the_shape_of_what_was_not_given():
    net = mx.sym.Activation(mx.sym.Variable("a"), act_type="relu") + mx.sym.Variable("b")
    net = mx.sym.FullyConnected(net, num_hidden=4, name="n")
    assert net.infer_shape(b=(2, 3)) == ([(2, 3), (2, 3), (4, 3), (4,)], [(2, 4)], [])


# network, what is given, then the dtypes of arguments, outputs and auxiliary states.
RECORDED_DTYPES = [
    (FC, {"a": "float16"}, ["float16"] * 3, ["float16"], []),
    (FC, {"n_weight": "float64"}, ["float64"] * 3, ["float64"], []),
    (CONV, {"a": "float16"}, ["float16"] * 3, ["float16"], []),
    (NORM, {"a": "float16"}, ["float16", "float32", "float32"], ["float16"], ["float32"] * 2),
    (NORM, {"a": "float64"}, ["float64"] * 3, ["float64"], ["float64"] * 2),
    (EMBED, {"a": "int32"}, ["int32", "float32"], ["float32"], []),
    (SOFTMAX, {"a": "float16"}, ["float16"] * 2, ["float16"], []),
    (CONCAT, {"b": "float16"}, ["float16"] * 3, ["float16"], []),
    (_net("one_hot", depth=3), {"a": "int32"}, ["int32"], ["float32"], []),
    (_net("softmax", dtype="float64"), {"a": "float16"}, ["float16"], ["float64"], []),
]


@pytest.mark.parametrize("net, given, arguments, outputs, states", RECORDED_DTYPES)
def test_dtypes_follow_as_in_mxnet(net, given, arguments, outputs, states):
    found = net.infer_type(**given)
    assert [[mx.base.dtype_name(d) for d in group] for group in found] == [arguments, outputs, states]
