"""Symbols as text: debug_str and JSON equal MXNet 1.9.1's, which wrote the files beside this one."""

import json
import os
from pathlib import Path

import pytest

import cymx.symbol as sym
from cymx.attribute import AttrScope
from cymx.base import MXNetError

HERE = Path(__file__).parent
A, B = sym.Variable("A"), sym.Variable("B")


def network():
    """Return the network that MXNet 1.9.1 wrote, built in the same order."""
    data = sym.Variable("data", shape=(0, 20), lr_mult=2)
    with AttrScope(ctx_group="dev1"):
        x = sym.FullyConnected(data, num_hidden=8, name="fc1", attr={"__wd_mult__": "0.5"})
        x = sym.Activation(x, act_type="relu", name="relu1")
    y = sym.FullyConnected(x, weight=sym.Variable("shared"), num_hidden=4, no_bias=True)
    z = sym.Concat(x, y * 2, 1 - y, dim=1, name="cat")
    s = sym.SliceChannel(z, num_outputs=2, name="halves")
    out = sym.SoftmaxOutput(s[0] + s[1], name="softmax")
    return sym.Group([out, sym.BlockGrad(y, name="features")])


def read(name):
    return (HERE / name).read_text(encoding="utf-8")


def test_json_is_byte_for_byte_what_1_9_1_writes():
    assert network().tojson() == read("network-symbol.json")


def test_debug_str_is_what_1_9_1_prints():
    assert network().debug_str() == read("network-debug.txt")


def test_a_file_of_1_9_1_loads():
    loaded = sym.load(HERE / "network-symbol.json")
    assert loaded.tojson() == read("network-symbol.json")
    assert loaded.debug_str() == read("network-debug.txt")
    assert loaded.attr_dict() == network().attr_dict()
    assert loaded.list_arguments() == ["data", "fc1_weight", "fc1_bias", "shared", "softmax_label"]
    assert loaded.infer_shape(data=(5, 20)) == (
        [(5, 20), (8, 20), (8,), (4, 8), (5,)],
        [(5, 8), (5, 4)],
        [],
    )


def test_auxiliary_states_count_their_changes():
    x = sym.BatchNorm(A, moving_mean=B, name="bn")
    y = sym.BatchNorm(x, moving_mean=B, name="bn2") + B
    inputs = {node["name"]: node["inputs"] for node in json.loads(y.tojson())["nodes"]}
    assert [entry[2] for entry in inputs["bn"]] == [0, 0, 0, 1, 1]
    assert [entry[2] for entry in inputs["bn2"]] == [0, 0, 0, 2, 1]
    assert inputs["_plus0"][1] == [3, 0, 2]
    assert "\targ[3]=B(0) version=1\n" in x.debug_str()
    loaded = sym.load_json(y.tojson())
    assert loaded.tojson() == y.tojson()
    assert loaded.list_auxiliary_states() == ["B", "bn_moving_var", "bn2_moving_var"]


def test_debug_str_of_a_variable():
    assert sym.Variable("A", shape=(2,)).debug_str() == "Variable:A\n"


def test_debug_str_of_an_operator_without_inputs():
    assert (sym.zeros((2,)) + 1).debug_str() == (
        "Symbol Outputs:\n\toutput[0]=_plusscalar0(0)\n"
        "--------------------\nOp:_zeros, Name=_zeros0\nInputs:\nAttrs:\n\tdtype=float32\n\tshape=(2,)\n"
        "--------------------\nOp:_plus_scalar, Name=_plusscalar0\nInputs:\n\targ[0]=_zeros0(0)\nAttrs:\n\tscalar=1\n"
    )


def test_save_and_load(tmp_path):
    path = tmp_path / "net-symbol.json"
    path.write_text("old")
    network().save(str(path))
    assert path.read_text(encoding="utf-8") == read("network-symbol.json")
    assert sym.load(str(path)).list_outputs() == ["softmax_output", "features_output"]
    assert os.listdir(tmp_path) == [path.name], "no other file is left"
    if os.name == "posix":
        other = tmp_path / "other"
        other.touch()
        assert path.stat().st_mode == other.stat().st_mode


def test_a_failed_save_leaves_nothing(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(MXNetError, match="cannot write .*folder"):
        A.save(target)
    assert os.listdir(tmp_path) == ["folder"]
    with pytest.raises(MXNetError, match="cannot write"):
        A.save(tmp_path / "missing" / "net.json")
    with pytest.raises(TypeError, match="save: 3 came"):
        A.save(3)


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(MXNetError, match="cannot read .*nothing.json"):
        sym.load(tmp_path / "nothing.json")
    for text in (3, None):
        with pytest.raises(TypeError, match="expected text"):
            sym.load_json(text)
    net = sym.FullyConnected(A, num_hidden=3, name="f").tojson()
    for before, after, message in [
        ('"FullyConnected"', '"Foo"', "there is no operator 'Foo'"),
        ('"num_hidden": "3"', '"num_hidden": "x"', "FullyConnected 'f': num_hidden is 'x'"),
        ('"num_hidden": "3"', '"num_hidden": "3", "foo": "3"', "FullyConnected 'f': there is no setting 'foo'"),
        ("[0, 0, 0], [1, 0, 0], [2, 0, 0]", "[0, 0, 0], [1, 0, 0]", "FullyConnected 'f': 2 inputs came, expected 3"),
        ('"nodes"', '"knots"', "symbol file"),
    ]:
        with pytest.raises(MXNetError, match=message):
            sym.load_json(net.replace(before, after))
