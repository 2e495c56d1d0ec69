"""The text of -symbol.json files: every old version is read, and written, as MXNet 1.9.1 reads and writes it."""

import json
import logging
from pathlib import Path

import pytest

from cymx.base import MXNetError
from cymx.symbol.json_format import JsonGraph, JsonNode, dumps, loads, order, parse

HERE = Path(__file__).parent
VERSIONS = ["v0800", "v0900", "v0903", "v0904", "v0905", "v10000", "v10900"]
WRITTEN = ["mxnet191-symbol", "written", "written-subgraph", *(f"{v}-upgraded" for v in VERSIONS)]


def read(name):
    return (HERE / f"{name}.json").read_text(encoding="utf-8")


def op_inputs(op, attrs):
    """What the operators of these files take (the registry's part, here in small)."""
    layer = ["data", "weight"] if attrs.get("no_bias") == "True" else ["data", "weight", "bias"]
    return {
        "Convolution": layer,
        "FullyConnected": layer,
        "BatchNorm": ["data", "gamma", "beta", "moving_mean", "moving_var"],
        "LeakyReLU": ["data", "gamma"] if attrs.get("act_type") == "prelu" else ["data"],
        "argmax": ["data"],
    }[op]


def op_outputs(op, attrs):
    # Max pooling keeps a workspace as a hidden output in 1.9.1's builds with oneDNN.
    max_pooling = op == "Pooling" and attrs["pool_type"] == "max"
    return {"BatchNorm": 3, "_foreach": 2, "SliceChannel": 12, "Pooling": 1 + max_pooling}.get(op, 1)


def input_init(op, attrs, index):
    known = {
        ("BatchNorm", 3): '["zero", {}]',
        ("BatchNorm", 4): '["one", {}]',
        ("LeakyReLU", 1): '["Constant", {"value": 0.25}]',
    }
    return known.get((op, index))


def no_questions(op, attrs, index=0):
    raise AssertionError(f"asked about {op}")


@pytest.mark.parametrize("name", VERSIONS)
def test_old_versions_become_what_1_9_1_makes_of_them(name):
    assert dumps(loads(read(name), op_inputs, input_init), op_outputs) == read(f"{name}-upgraded")


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_1_9_1_come_back_byte_for_byte(name):
    assert dumps(loads(read(name), no_questions, no_questions), op_outputs) == read(name)


def test_numpy_shapes_are_noted():
    graph = loads(read("written-np_shape"), no_questions)
    assert graph.attrs["is_np_shape"] == ["int", 1]
    assert dumps(graph, op_outputs, np_shape=True) == read("written-np_shape")


def test_fields():
    graph = loads(read("v0800"), op_inputs, input_init)
    assert graph.version == 800
    assert [graph.nodes[i].name for i in graph.arg_nodes] == [
        "data",
        "w",
        "bn_gamma",
        "bn_beta",
        "bn_moving_mean",
        "bn_moving_var",
        "slope",
    ]
    conv = next(n for n in graph.nodes if n.name == "c")
    assert conv.inputs == ((0, 0, 0), (1, 0, 0)) and conv.attrs["__ctx_group__"] == "g"
    assert "unused" not in [n.name for n in graph.nodes]


def test_attribute_fields_join_and_the_users_win():
    node = {
        "op": "null",
        "name": "x",
        "inputs": [],
        "param": {"a": "1", "b": "1"},
        "attr": {"b": "2", "c": "2"},
        "attrs": {"c": "3"},
    }
    graph = parse(json.dumps({"nodes": [node], "heads": [[0, 0]]}))
    assert graph.nodes[0].attrs == {"a": "1", "b": "2", "c": "3"}


def test_hidden_keys_that_name_no_variable_stay():
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "argmax", "name": "a", "attrs": {"nothing_lr_mult": "1", "x_lr_mult_y": "2"}, "inputs": [[0, 0]]},
        {"op": "Convolution", "name": "c", "attrs": {"data_lr_mult": "3", "weight_lr_mult": "4"}, "inputs": [[1, 0]]},
    ]
    graph = {"nodes": nodes, "heads": [[2, 0]], "attrs": {"mxnet_version": ["int", 10000]}}
    read_back = loads(json.dumps(graph), op_inputs)
    assert [n.attrs for n in read_back.nodes] == [n.get("attrs", {}) for n in nodes]


def test_order_is_depth_first_and_keeps_control_dependencies():
    nodes = (
        JsonNode("add", "sum", {}, ((3, 0, 0), (2, 0, 0)), (1,)),
        JsonNode("null", "after"),
        JsonNode("null", "b"),
        JsonNode("null", "a"),
        JsonNode("null", "unused"),
    )
    graph = order(JsonGraph(nodes, ((0, 0, 0), (2, 0, 0))))
    assert [n.name for n in graph.nodes] == ["a", "b", "after", "sum"]
    assert graph.nodes[3].inputs == ((0, 0, 0), (1, 0, 0)) and graph.nodes[3].control_deps == (2,)
    assert graph.heads == ((3, 0, 0), (1, 0, 0))
    assert '"control_deps": [2]' in dumps(graph, op_outputs)


def test_a_deep_graph_needs_no_recursion():
    nodes = [JsonNode("null", "x"), *(JsonNode("exp", f"e{i}", {}, ((i, 0, 0),)) for i in range(20_000))]
    text = dumps(JsonGraph(tuple(nodes), ((20_000, 0, 0),)), op_outputs)
    assert len(loads(text, no_questions).nodes) == 20_001


def test_a_newer_version_is_told(caplog):
    text = json.dumps(
        {
            "nodes": [{"op": "null", "name": "x", "inputs": []}],
            "heads": [[0, 0]],
            "attrs": {"mxnet_version": ["int", 20000]},
        }
    )
    with caplog.at_level(logging.WARNING):
        loads(text, no_questions)
    assert "saved by version 2.0.0, newer than 1.9.1" in caplog.text


X = {"op": "null", "name": "x", "inputs": []}


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        ([], "symbol file: \\[\\] came, expected an object"),
        ({"nodes": []}, "field 'heads' is missing"),
        ({"nodes": {}, "heads": []}, "'nodes' is {}, expected list"),
        ({"nodes": [X], "heads": [[1, 0]]}, "heads refers to node 1, but there are 1"),
        ({"nodes": [X], "heads": [[0]]}, "expected \\[node, output\\]"),
        ({"nodes": [X], "heads": [[0, -1]]}, "expected \\[node, output\\]"),
        ({"nodes": [X], "heads": [[0, 0]], "arg_nodes": [3]}, "arg_nodes has 3"),
        ({"nodes": [X], "heads": [[0, 0]], "attrs": {"mxnet_version": "1.9"}}, "mxnet_version is '1.9'"),
        ({"nodes": [{**X, "speed": 1}], "heads": []}, "node 0: unknown field 'speed'"),
        ({"nodes": [{**X, "attrs": {"a": 1}}], "heads": []}, "node 0 'x': attribute 'a' is 1, expected text"),
        ({"nodes": [{"op": "exp", "name": "e", "inputs": [[7, 0, 0]]}], "heads": []}, "node 'e' refers to node 7"),
        (
            {"nodes": [{"op": "exp", "name": "e", "inputs": [[0, 0, 0]]}], "heads": [[0, 0]]},
            "node 'e' needs its own output",
        ),
        (
            {"nodes": [{**X, "subgraphs": [{"nodes": []}]}], "heads": []},
            "node 0 'x': subgraph 0: field 'heads' is missing",
        ),
    ],
)
def test_damage_is_told(graph, problem):
    with pytest.raises(MXNetError, match=problem):
        loads(json.dumps(graph), no_questions)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_no_json_is_told(text):
    with pytest.raises(MXNetError, match="not JSON"):
        parse(text)
