"""A network that MXNet 1.9.1 trained and saved loads here, predicts the same, and is saved again as it was."""

import json
from pathlib import Path

import numpy as np
import pytest

import cymx as mx

HERE = Path(__file__).parent
PREFIX = str(HERE / "mxnet191")


@pytest.fixture(scope="module")
def io():
    with np.load(HERE / "mxnet191-io.npz") as f:
        return f["x"], f["y"]


def test_module_load_predicts_the_same(io):
    x, y = io
    module = mx.mod.Module.load(PREFIX, 1)
    module.bind(data_shapes=[("data", x.shape)], label_shapes=None, for_training=False)
    module.forward(mx.io.DataBatch([mx.nd.array(x)], None), is_train=False)
    np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), y, rtol=1e-4, atol=1e-6)


def test_load_checkpoint_predicts_the_same(io):
    x, y = io
    symbol, args, auxs = mx.model.load_checkpoint(PREFIX, 1)
    assert sorted(args) == ["bn_beta", "bn_gamma", "conv_bias", "conv_weight", "fc_bias", "fc_weight"]
    assert sorted(auxs) == ["bn_moving_mean", "bn_moving_var"]
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=x.shape)
    executor.copy_params_from(args, auxs)
    out = executor.forward(is_train=False, data=mx.nd.array(x))[0].asnumpy()
    np.testing.assert_allclose(out, y, rtol=1e-4, atol=1e-6)


def test_checkpoint_saved_again_is_the_same_file(tmp_path):
    symbol, args, auxs = mx.model.load_checkpoint(PREFIX, 1)
    mx.model.save_checkpoint(str(tmp_path / "again"), 1, symbol, args, auxs)
    graphs = [json.loads(Path(f"{p}-symbol.json").read_text(encoding="utf-8")) for p in (tmp_path / "again", PREFIX)]
    for graph in graphs:
        del graph["node_row_ptr"]  # counts hidden outputs, which differ from build to build of 1.9.1 itself
    assert graphs[0] == graphs[1]
    saved, wanted = (mx.nd.load(str(p)) for p in (tmp_path / "again-0001.params", f"{PREFIX}-0001.params"))
    assert sorted(saved) == sorted(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(saved[name].asnumpy(), array.asnumpy())


def test_one_file_saved_again_is_the_same_bytes(tmp_path):
    arrays = mx.nd.load(f"{PREFIX}-0001.params")
    mx.nd.save(str(tmp_path / "again.params"), arrays)
    assert (tmp_path / "again.params").read_bytes() == Path(f"{PREFIX}-0001.params").read_bytes()
