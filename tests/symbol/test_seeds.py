"""Two introductions to MXNet's symbols, line by line in Python, with the answers of MXNet 1.9.1."""

import numpy as np

import cymx.ndarray as nd
import cymx.symbol as sym
from cymx.base import cpu


def test_expression_session():
    a, b, c, d = (sym.Variable(name) for name in "ABCD")
    e = (a * b) + (c * d)
    assert repr((a, b, c, d)) == "(<Symbol A>, <Symbol B>, <Symbol C>, <Symbol D>)"
    assert repr(e) == "<Symbol _plus0>"
    assert type(e) is sym.Symbol
    assert e.list_arguments() == ["A", "B", "C", "D"]
    assert e.list_outputs() == ["_plus0_output"]
    assert e.get_internals().list_outputs() == ["A", "B", "_mul0_output", "C", "D", "_mul1_output", "_plus0_output"]
    data = {name: nd.array([value], dtype=np.int32) for name, value in zip("ABCD", (1, 2, 3, 4))}
    executor = e.bind(cpu(), data)
    e_data = executor.forward()
    assert repr(e_data) == "[\n[14]\n<NDArray 1 @cpu(0)>]"
    assert (e_data[0].asnumpy().dtype, e_data[0].asnumpy().tolist()) == (np.int32, [14])
    data = {name: nd.uniform(low=0, high=1, shape=(1000, 1000)) for name in "ABCD"}
    a, b, c, d = (array.asnumpy() for array in data.values())
    out = e.bind(cpu(), data).forward()[0].asnumpy()
    assert (out.shape, out.dtype) == ((1000, 1000), np.float32)
    np.testing.assert_allclose(out, a * b + c * d, rtol=1e-6)


def test_two_symbols_added():
    a, b = sym.Variable("A"), sym.Variable("B")
    assert (a + b).debug_str() == (
        "Symbol Outputs:\n"
        "\toutput[0]=_plus0(0)\n"
        "Variable:A\n"
        "Variable:B\n"
        "--------------------\n"
        "Op:elemwise_add, Name=_plus0\n"
        "Inputs:\n"
        "\targ[0]=A(0) version=0\n"
        "\targ[1]=B(0) version=0\n"
    )


def mlp():
    net = sym.Variable("data")
    net = sym.FullyConnected(net, name="fc1", num_hidden=128)
    net = sym.Activation(net, name="relu1", act_type="relu")
    net = sym.FullyConnected(net, name="fc2", num_hidden=64)
    return sym.SoftmaxOutput(net, name="out")


def test_multilayer_perceptron():
    net = mlp()
    assert net.debug_str() == (
        "Symbol Outputs:\n"
        "\toutput[0]=out(0)\n"
        "Variable:data\n"
        "Variable:fc1_weight\n"
        "Variable:fc1_bias\n"
        "--------------------\n"
        "Op:FullyConnected, Name=fc1\n"
        "Inputs:\n"
        "\targ[0]=data(0) version=0\n"
        "\targ[1]=fc1_weight(0) version=0\n"
        "\targ[2]=fc1_bias(0) version=0\n"
        "Attrs:\n"
        "\tnum_hidden=128\n"
        "--------------------\n"
        "Op:Activation, Name=relu1\n"
        "Inputs:\n"
        "\targ[0]=fc1(0)\n"
        "Attrs:\n"
        "\tact_type=relu\n"
        "Variable:fc2_weight\n"
        "Variable:fc2_bias\n"
        "--------------------\n"
        "Op:FullyConnected, Name=fc2\n"
        "Inputs:\n"
        "\targ[0]=relu1(0)\n"
        "\targ[1]=fc2_weight(0) version=0\n"
        "\targ[2]=fc2_bias(0) version=0\n"
        "Attrs:\n"
        "\tnum_hidden=64\n"
        "Variable:out_label\n"
        "--------------------\n"
        "Op:SoftmaxOutput, Name=out\n"
        "Inputs:\n"
        "\targ[0]=fc2(0)\n"
        "\targ[1]=out_label(0) version=0\n"
    )
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]


def test_a_weight_of_ones_own():
    net = sym.Variable("data")
    assert repr(net) == "<Symbol data>"
    w = sym.Variable("myweight")
    net = sym.FullyConnected(net, weight=w, name="fc1", num_hidden=128)
    assert repr(net) == "<Symbol fc1>"
    assert net.list_arguments() == ["data", "myweight", "fc1_bias"]


def test_composition_session():
    net = sym.Variable("data")
    net = sym.FullyConnected(net, name="fc1", num_hidden=128)
    net2 = sym.Variable("data2")
    net2 = sym.FullyConnected(net2, name="net2", num_hidden=128)
    assert net2.list_arguments() == ["data2", "net2_weight", "net2_bias"]
    composed = net2(data2=net, name="composed")
    assert repr(composed) == "<Symbol composed>"
    assert composed.list_arguments() == ["data", "fc1_weight", "fc1_bias", "net2_weight", "net2_bias"]


def test_shape_inference_session():
    net = sym.FullyConnected(sym.Variable("data"), name="fc1", num_hidden=10)
    arg_shapes, out_shapes, aux_shapes = net.infer_shape(data=(64, 10))
    assert list(zip(net.list_arguments(), arg_shapes)) == [
        ("data", (64, 10)),
        ("fc1_weight", (10, 10)),
        ("fc1_bias", (10,)),
    ]
    assert list(zip(net.list_outputs(), out_shapes)) == [("fc1_output", (64, 10))]
    assert aux_shapes == []


def test_product_session():
    a, b = sym.Variable("A"), sym.Variable("B")
    c = a * b
    assert repr(c) == "<Symbol _mul0>"
    executor = c.bind(ctx=cpu(), args={"A": nd.ones(3) * 4, "B": nd.ones(3) * 2})
    assert executor.forward()[0].asnumpy().tolist() == [8, 8, 8]
    assert executor.outputs[0].asnumpy().tolist() == [8, 8, 8]
    assert c.eval(A=nd.ones(3) * 4, B=nd.ones(3) * 2)[0].asnumpy().tolist() == [8, 8, 8]
