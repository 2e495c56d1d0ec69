"""The networks, each written once, and what builds them: weights, symbols (cymx and MXNet alike), PyTorch and ONNX.

A network is a function of a builder and an input.  Builders share names of layers, so all libraries compute the same
network with the same weights.
Sources: LeNet (LeCun et al. 1998); ResNet (He et al. 2015), with the stride in the 3x3 convolution as PyTorch's and
NVIDIA's have it.
"""

from __future__ import annotations

import numpy as np

EPS, MOMENTUM = 1e-5, 0.9


def mlp(net, x):
    """784-128-64-10 with relu."""
    x = net.relu(net.dense(x, "fc1", 128))
    x = net.relu(net.dense(x, "fc2", 64))
    return net.dense(x, "fc3", 10)


def lenet(net, x):
    """20 and 50 filters of 5x5, 500 hidden units, tanh."""
    for name, filters in (("conv1", 20), ("conv2", 50)):
        x = net.max_pool(net.tanh(net.conv(x, name, filters, 5, bias=True)), 2, 2)
    x = net.tanh(net.dense(net.flatten(x), "fc1", 500))
    return net.dense(x, "fc2", 10)


def resnet(depth, classes=1000, width=64):
    """Return the network of 18 or 50 layers."""
    blocks, block = {18: ((2, 2, 2, 2), _basic), 50: ((3, 4, 6, 3), _bottleneck)}[depth]

    def build(net, x):
        x = net.relu(net.batch_norm(net.conv(x, "conv0", width, 7, 2, 3), "bn0"))
        x = net.max_pool(x, 3, 2, 1)
        for stage, count in enumerate(blocks):
            for i in range(count):
                x = block(net, x, f"stage{stage + 1}_block{i + 1}", width << stage, 2 if stage and not i else 1, i == 0)
        return net.dense(net.mean_pool(x), "fc", classes)

    return build


def _conv_bn(net, x, name, filters, kernel, stride=1):
    return net.batch_norm(net.conv(x, name + "_conv", filters, kernel, stride, kernel // 2), name + "_bn")


def _basic(net, x, name, filters, stride, first):
    y = net.relu(_conv_bn(net, x, name + "_a", filters, 3, stride))
    y = _conv_bn(net, y, name + "_b", filters, 3)
    return net.relu(net.add(y, _conv_bn(net, x, name + "_skip", filters, 1, stride) if stride > 1 else x))


def _bottleneck(net, x, name, filters, stride, first):
    y = net.relu(_conv_bn(net, x, name + "_a", filters, 1))
    y = net.relu(_conv_bn(net, y, name + "_b", filters, 3, stride))
    y = _conv_bn(net, y, name + "_c", 4 * filters, 1)
    return net.relu(net.add(y, _conv_bn(net, x, name + "_skip", 4 * filters, 1, stride) if first else x))


class Weights:
    """Builds nothing but the weights: its values are the shapes of the layers' outputs.

    params: name -> float32 array.   aux: the same for the statistics of batch norms.
    """

    def __init__(self, seed=3):
        self.params, self.aux, self._rng = {}, {}, np.random.default_rng(seed)

    def _draw(self, name, *shape):
        fan_in = int(np.prod(shape[1:]))
        self.params[name] = (self._rng.standard_normal(shape) * (2 / fan_in) ** 0.5).astype("float32")

    def conv(self, x, name, filters, kernel, stride=1, pad=0, bias=False):
        self._draw(name + "_weight", filters, x[1], kernel, kernel)
        if bias:
            self.params[name + "_bias"] = np.zeros(filters, "float32")
        return (x[0], filters, *((n + 2 * pad - kernel) // stride + 1 for n in x[2:]))

    def dense(self, x, name, units):
        self._draw(name + "_weight", units, int(np.prod(x[1:])))
        self.params[name + "_bias"] = np.zeros(units, "float32")
        return (x[0], units)

    def batch_norm(self, x, name):
        draw = lambda low, high: self._rng.uniform(low, high, x[1]).astype("float32")
        self.params[name + "_gamma"], self.params[name + "_beta"] = draw(0.4, 0.8), draw(-0.1, 0.1)
        self.aux[name + "_moving_mean"], self.aux[name + "_moving_var"] = draw(-0.1, 0.1), draw(0.8, 1.2)
        return x

    def max_pool(self, x, kernel, stride, pad=0):
        return (*x[:2], *((n + 2 * pad - kernel) // stride + 1 for n in x[2:]))

    def mean_pool(self, x):
        return x[:2]

    def relu(self, x):
        return x

    tanh = flatten = relu

    def add(self, x, y):
        return x


def weights_of(network, shape):
    """Return (params, aux) of a network for inputs of a shape."""
    net = Weights()
    network(net, shape)
    return net.params, net.aux


class Symbols:
    """Builds a symbol.

    mx: cymx or MXNet.   dtype: what products and convolutions are computed in; weights stay float32, as with PyTorch's
    autocast.  The network's input is to be cast by who gives it.
    """

    def __init__(self, mx, dtype=None):
        self.sym, self.dtype = mx.sym, dtype

    def _cast(self, name, *parts):
        if self.dtype is None:
            return {}
        return {part: self.sym.cast(self.sym.var(name + "_" + part), dtype=self.dtype) for part in parts}

    def conv(self, x, name, filters, kernel, stride=1, pad=0, bias=False):
        settings = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "pad": (pad,) * 2, "no_bias": not bias}
        settings.update(self._cast(name, *(["weight", "bias"] if bias else ["weight"])))
        return self.sym.Convolution(x, num_filter=filters, name=name, **settings)

    def dense(self, x, name, units):
        return self.sym.FullyConnected(x, num_hidden=units, name=name, **self._cast(name, "weight", "bias"))

    def batch_norm(self, x, name):
        return self.sym.BatchNorm(x, fix_gamma=False, eps=EPS, momentum=MOMENTUM, name=name)

    def max_pool(self, x, kernel, stride, pad=0):
        return self.sym.Pooling(x, kernel=(kernel,) * 2, stride=(stride,) * 2, pad=(pad,) * 2, pool_type="max")

    def mean_pool(self, x):
        return self.sym.Flatten(self.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))

    def relu(self, x):
        return self.sym.Activation(x, act_type="relu")

    def tanh(self, x):
        return self.sym.Activation(x, act_type="tanh")

    def flatten(self, x):
        return self.sym.Flatten(x)

    def add(self, x, y):
        return x + y


class Eager:
    """Runs a network in PyTorch.

    tensors: name -> tensor, of weights and statistics.   train: whether batch norms use the batch's statistics.
    """

    def __init__(self, torch, tensors, train):
        self.torch, self.f, self.w, self.train = torch, torch.nn.functional, tensors, train

    def conv(self, x, name, filters, kernel, stride=1, pad=0, bias=False):
        return self.f.conv2d(x, self.w[name + "_weight"], self.w[name + "_bias"] if bias else None, stride, pad)

    def dense(self, x, name, units):
        return self.f.linear(x, self.w[name + "_weight"], self.w[name + "_bias"])

    def batch_norm(self, x, name):
        mean, var, gamma, beta = (self.w[name + part] for part in ("_moving_mean", "_moving_var", "_gamma", "_beta"))
        return self.f.batch_norm(x, mean, var, gamma, beta, self.train, 1 - MOMENTUM, EPS)

    def max_pool(self, x, kernel, stride, pad=0):
        return self.f.max_pool2d(x, kernel, stride, pad)

    def mean_pool(self, x):
        return x.mean((2, 3))

    def relu(self, x):
        return self.torch.relu(x)

    def tanh(self, x):
        return self.torch.tanh(x)

    def flatten(self, x):
        return x.flatten(1)

    def add(self, x, y):
        return x + y


class Onnx:
    """Builds an ONNX model, for inference.   weights: name -> array, of weights and statistics."""

    def __init__(self, weights):
        import onnx

        self.onnx, self.weights, self.nodes = onnx, weights, []

    def _node(self, kind, *inputs, **attributes):
        name = f"value{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x, name, filters, kernel, stride=1, pad=0, bias=False):
        inputs = [x, name + "_weight", *([name + "_bias"] if bias else [])]
        return self._node("Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def dense(self, x, name, units):
        return self._node("Gemm", x, name + "_weight", name + "_bias", transB=1)

    def batch_norm(self, x, name):
        return self._node(
            "BatchNormalization",
            x,
            *(name + p for p in ("_gamma", "_beta", "_moving_mean", "_moving_var")),
            epsilon=EPS,
        )

    def max_pool(self, x, kernel, stride, pad=0):
        return self._node("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def mean_pool(self, x):
        return self._node("Flatten", self._node("GlobalAveragePool", x))

    def relu(self, x):
        return self._node("Relu", x)

    def tanh(self, x):
        return self._node("Tanh", x)

    def flatten(self, x):
        return self._node("Flatten", x)

    def add(self, x, y):
        return self._node("Add", x, y)

    def model(self, output, shape):
        """Return the serialized model with input "data" of a shape."""
        helper, numpy_helper, float32 = self.onnx.helper, self.onnx.numpy_helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("data", float32, shape)],
            [helper.make_tensor_value_info(output, float32, None)],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
