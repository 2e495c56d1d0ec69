"""Write this folder's files with MXNet 1.9.1 itself: ``python write_fixtures.py``, in an environment that has it. The
tests only read them.
"""

import json
import struct
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).parent


def write_checkpoint():
    """A small trained network: data -> convolution -> batch norm -> relu -> pooling -> fully connected -> softmax."""
    mx.random.seed(7)
    rng = np.random.RandomState(7)
    net = mx.sym.Variable("data")
    net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=4, name="conv")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.Activation(net, act_type="relu", name="relu")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    x = rng.uniform(-1, 1, (24, 1, 8, 8)).astype("float32")
    y = rng.randint(0, 3, 24).astype("float32")
    it = mx.io.NDArrayIter(x, y, batch_size=8)
    module = mx.mod.Module(net)
    module.fit(it, num_epoch=1, optimizer_params={"learning_rate": 0.1}, initializer=mx.init.Xavier())
    module.save_checkpoint(str(HERE / "mxnet191"), 1)
    out = module.predict(mx.io.NDArrayIter(x[:8], None, batch_size=8)).asnumpy()
    np.savez_compressed(HERE / "mxnet191-io.npz", x=x[:8], y=out)


def write_params():
    """Every dtype and storage type, with and without names, and the two layouts before V2."""
    arrays = {
        name: mx.nd.array([[1, 0, 2], [3, 4, 5]]).astype(name)
        for name in "float32 float64 float16 uint8 int8 int32 int64 bool".split()
    }
    mx.nd.save(str(HERE / "dtypes.params"), arrays)
    mx.nd.save(str(HERE / "list.params"), [mx.nd.arange(3), mx.nd.ones((1, 2))])
    mx.nd.save(str(HERE / "single.params"), mx.nd.arange(3))
    sparse = {
        "row_sparse": mx.nd.sparse.row_sparse_array(([[1, 2], [3, 4]], [0, 3]), shape=(5, 2)),
        "csr": mx.nd.sparse.csr_matrix(([1, 2, 3], [0, 2, 1], [0, 1, 1, 3]), shape=(3, 4)),
        "no_rows": mx.nd.sparse.zeros("row_sparse", (3, 2)),
    }
    mx.nd.save(str(HERE / "sparse.params"), sparse)
    with mx.util.np_shape(True):
        mx.nd.save(str(HERE / "np_shape.params"), [mx.nd.array(3.0).reshape(()), mx.nd.zeros((0, 3)), mx.nd.arange(2)])

    data = struct.pack("<4f", 1, 2, 3, 4)
    v1 = struct.pack("<Ii2q3i", 0xF993FAC8, 2, 2, 2, 1, 0, 0) + data
    v0 = struct.pack("<3I3i", 2, 4, 1, 2, 3, 0) + data
    for name, array in (("v1", v1), ("v0", v0)):
        file = HERE / f"{name}.params"
        file.write_bytes(struct.pack("<3Q", 0x112, 0, 1) + array + struct.pack("<2Q", 1, 1) + b"w")
        assert (mx.nd.load(str(file))["w"].asnumpy().ravel() == [1, 2, 3, 4]).all()


def old_graphs():
    """Graphs as old versions wrote them: {name: graph}."""

    def var(name, **more):
        return {"op": "null", "param": {}, "name": name, "inputs": [], "backward_source_id": -1, **more}

    conv = {"num_filter": "2", "kernel": "(3,3)", "no_bias": "True"}
    nodes = [
        var("data", attr={"lr_mult": "5"}),
        var("w"),
        {
            "op": "Convolution",
            "param": conv,
            "attr": {"ctx_group": "g", "weight_lr_mult": "3"},
            "name": "c",
            "inputs": [[0, 0], [1, 0]],
        },
        var("bn_gamma", attr={"__wd_mult__": "0"}),
        var("bn_beta"),
        {
            "op": "BatchNorm",
            "param": {"eps": "0.001"},
            "attr": {"mirror_stage": "True"},
            "name": "bn",
            "inputs": [[2, 0], [3, 0], [4, 0]],
        },
        {"op": "argmax", "param": {"axis": "-1"}, "name": "am", "inputs": [[5, 0]]},
        var("slope"),
        {"op": "LeakyReLU", "param": {"act_type": "prelu"}, "name": "act", "inputs": [[5, 0], [7, 0]]},
        var("unused"),
    ]
    v08 = {"nodes": nodes, "arg_nodes": [0, 1, 3, 4, 7, 9], "heads": [[8, 0], [6, 0]]}
    graphs = {"v0800": v08}
    mean, var_ = var("mean"), var("var", attr={"__init__": '["zero", {}]'})
    full = [*nodes, mean, var_]
    full[5] = {**nodes[5], "inputs": [[2, 0], [3, 0], [4, 0], [10, 0], [11, 0]]}
    full = [{k: v for k, v in node.items() if k != "backward_source_id"} for node in full]
    for version in (900, 903, 904, 905, 10000, 10900):
        attrs = {"mxnet_version": ["int", version]}
        graphs[f"v{version:04}"] = {
            "nodes": full,
            "arg_nodes": [0, 1, 3, 4, 7, 9, 10, 11],
            "heads": [[8, 0], [6, 0]],
            "attrs": attrs,
        }
    return graphs


def write_symbols():
    for name, graph in old_graphs().items():
        text = json.dumps(graph)
        (HERE / f"{name}.json").write_text(json.dumps(graph, indent=1) + "\n")
        (HERE / f"{name}-upgraded.json").write_text(mx.sym.load_json(text).tojson())
    many = mx.sym.Concat(*[mx.sym.Variable(f"v{i}") for i in range(11)], dim=1, name="cat")
    odd = mx.sym.Variable("odd", attr={"text": 'a"b\\c\td\né', "Z": "1", "a": "2"})
    parts = mx.sym.split(mx.sym.BatchNorm(many, name="bn"), num_outputs=12, axis=1, name="split")
    (HERE / "written.json").write_text(mx.sym.Group([*parts, odd]).tojson())
    out, states = mx.sym.contrib.foreach(
        lambda x, s: (x + s[0], [x * 2]), mx.sym.Variable("x"), [mx.sym.Variable("state")]
    )
    (HERE / "written-subgraph.json").write_text(mx.sym.Group([out, *states]).tojson())
    with mx.util.np_shape(True):
        (HERE / "written-np_shape.json").write_text(mx.sym.Variable("x").tojson())


if __name__ == "__main__":
    write_checkpoint()
    write_params()
    write_symbols()
