"""Tables and drawings of symbols: the table is MXNet 1.9.1's, character for character."""

import sys

import pytest

import cymx.symbol as sym
from cymx.base import MXNetError
from cymx.visualization import plot_network, print_summary


def network():
    x = sym.Convolution(sym.Variable("data"), name="conv1", kernel=(3, 3), num_filter=8)
    x = sym.BatchNorm(x, name="bn1")
    x = sym.Activation(x, act_type="relu", name="relu1")
    x = sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool1")
    x = sym.Flatten(x, name="flat")
    x = sym.FullyConnected(x, num_hidden=10, name="fc1") + 1
    return sym.SoftmaxOutput(x, name="softmax")


def test_print_summary(capsys):
    print_summary(network(), shape={"data": (1, 3, 8, 8)}, line_length=80, positions=[0.3, 0.6, 0.8, 1.0])
    rows = [
        ("Layer (type)", "Output Shape", "Param #", "Previous Layer"),
        ("data(null)", "3x8x8", "0", ""),
        ("conv1(Convolution)", "8x6x6", "224", "data"),
        ("bn1(BatchNorm)", "8x6x6", "16", "conv1"),
        ("relu1(Activation)", "8x6x6", "0", "bn1"),
        ("pool1(Pooling)", "8x3x3", "0", "relu1"),
        ("flat(Flatten)", "72", "0", "pool1"),
        ("fc1(FullyConnected)", "10", "730", "flat"),
        ("_plusscalar0(_plus_scala", "10", "0", "fc1"),
        ("softmax(SoftmaxOutput)", "10", "0", "_plusscalar0"),
    ]
    head, *layers = [f"{a:24}{b:24}{c:16}{d:16}" for a, b, c, d in rows]
    body = ("\n" + "_" * 80 + "\n").join(layers)
    line, double = "_" * 80, "=" * 80
    assert capsys.readouterr().out == f"{line}\n{head}\n{double}\n{body}\n{double}\nTotal params: 970\n{line}\n"


def test_print_summary_of_several_inputs(capsys):
    data = sym.Variable("data")
    left = sym.Convolution(data, name="c1", kernel=(3, 3), pad=(1, 1), num_filter=3)
    print_summary(left + data, shape={"data": (2, 3, 4, 4)})
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("_plus0"))
    assert lines[at].split() == ["_plus0(elemwise_add)", "3x4x4", "0", "c1"]
    assert lines[at + 1] == " " * 88 + "data".ljust(32)


def test_print_summary_without_shapes(capsys):
    print_summary(network())
    assert "conv1(Convolution)" in capsys.readouterr().out


def test_plot_network():
    pytest.importorskip("graphviz")
    dot = plot_network(network(), shape={"data": (1, 3, 8, 8)}, node_attrs={"fixedsize": "false"})
    assert 'conv1 -> data [label="3x8x8" arrowtail=open dir=back]' in dot.source
    assert 'label="Convolution\n3x3/1, 8" fillcolor="#fb8072" fixedsize=false' in dot.source
    assert 'label="Pooling\nmax, 2x2/2x2"' in dot.source
    assert "conv1_weight" not in dot.source
    assert "softmax -> softmax_label" in dot.source
    assert "conv1 -> conv1_weight" in plot_network(network(), hide_weights=False).source


def test_refused(monkeypatch):
    for function in (print_summary, plot_network):
        with pytest.raises(TypeError, match="3 came, expected a Symbol"):
            function(3)
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(MXNetError, match="pip install graphviz"):
        plot_network(network())
