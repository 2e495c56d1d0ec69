"""Recurrent cells: names and values against MXNet 1.9.1's, fused against single cells, weights packed and unpacked."""

import json

import numpy as np
import pytest

import cymx as mx

pytestmark = pytest.mark.filterwarnings("ignore:layout NTC")
MODES = ("rnn_relu", "rnn_tanh", "lstm", "gru")


def _names(symbol):
    return [node["name"] for node in json.loads(symbol.tojson())["nodes"]]


def _unrolled(cell, merge=True, layout="NTC", length=3):
    with mx.name.NameManager():
        return cell.unroll(length, mx.sym.Variable("data"), layout=layout, merge_outputs=merge)


def _run(symbol, args, data):
    executor = symbol.simple_bind(mx.cpu(), data=data.shape, grad_req="null")
    for name, array in {**args, "data": data}.items():
        executor.arg_dict[name][:] = array
    return executor.forward(is_train=False)[0].asnumpy()


def _drawn(symbol, shape):
    rng = np.random.default_rng(3)
    shapes, _, _ = symbol.infer_shape(data=shape)
    made = zip(symbol.list_arguments(), shapes)
    return {name: mx.nd.array(rng.uniform(-0.5, 0.5, s)) for name, s in made if name != "data"}


def test_names_are_those_of_mxnet():
    first, _ = _unrolled(mx.rnn.RNNCell(4, prefix="a_"), merge=False, length=2)
    assert _names(first[1]) == [
        "data", "split0", "a_i2h_weight", "a_i2h_bias", "a_t1_i2h", "a_t0_i2h", "a_begin_state_0", "a_h2h_weight",
        "a_h2h_bias", "a_t0_h2h", "_plus0", "a_t0_out", "a_t1_h2h", "_plus1", "a_t1_out",
    ]  # fmt: skip
    (out,), states = _unrolled(mx.rnn.LSTMCell(4), merge=False, length=1)
    assert _names(out)[-9:] == [
        "lstm_t0_f", "lstm_begin_state_1", "_mul0", "lstm_t0_i", "lstm_t0_c", "_mul1", "lstm_t0_state", "activation0",
        "lstm_t0_out",
    ]  # fmt: skip
    assert [s.name for s in states] == ["lstm_t0_out", "lstm_t0_state"]
    (out,), _ = _unrolled(mx.rnn.GRUCell(4), merge=False, length=1)
    assert _names(out)[-12:] == [
        "gru_t0__h2h_slice", "_plus1", "gru_t0__z_act", "_rminusscalar0", "_plus0", "gru_t0__r_act", "_mul0", "_plus2",
        "gru_t0__h_act", "_mul1", "_mul2", "gru_t0_out",
    ]  # fmt: skip


def test_names_of_wrapped_cells_are_those_of_mxnet():
    out, _ = _unrolled(mx.rnn.FusedRNNCell(4, 2, "lstm", bidirectional=True, prefix="f_"))
    assert out.list_arguments() == ["data", "f_parameters"]
    assert _names(out) == [
        "data",
        "swapaxes0",
        "f_parameters",
        "f_begin_state_0",
        "f_begin_state_1",
        "f_rnn",
        "swapaxes1",
    ]
    zone = mx.rnn.ZoneoutCell(mx.rnn.RNNCell(4, prefix="z_"), 0.3, 0.4)
    outs, states = _unrolled(zone, merge=None)
    assert [o.name for o in (*outs, *states)] == ["where0", "where2", "where4", "where5"]
    residual, _ = _unrolled(mx.rnn.ResidualCell(mx.rnn.RNNCell(4, prefix="z_")), merge=None)
    assert [o.name for o in residual] == [f"z_t{i}_out_plus_residual" for i in range(3)]
    both = mx.rnn.BidirectionalCell(mx.rnn.RNNCell(4, prefix="l_"), mx.rnn.RNNCell(4, prefix="r_"), output_prefix="o_")
    assert [o.name for o in _unrolled(both, merge=False)[0]] == ["o_t0", "o_t1", "o_t2"]
    assert _unrolled(both)[0].name == "o_out"


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_single_cells_compute_what_the_fused_one_does(mode, both):
    fused = mx.rnn.FusedRNNCell(4, num_layers=2, mode=mode, bidirectional=both, dropout=0.5, prefix="f_")
    out, _ = _unrolled(fused)
    packed = _drawn(out, (2, 3, 5))
    data = np.random.default_rng(4).uniform(-1, 1, (2, 3, 5))
    unfused = fused.unfuse()
    single, _ = _unrolled(unfused)
    weights = unfused.pack_weights(fused.unpack_weights(packed))
    assert set(weights) == set(single.list_arguments()) - {"data"}
    np.testing.assert_allclose(_run(single, weights, data), _run(out, packed, data), rtol=1e-5, atol=1e-6)
    again = fused.pack_weights(unfused.unpack_weights(weights))
    np.testing.assert_array_equal(again["f_parameters"].asnumpy(), packed["f_parameters"].asnumpy())


@pytest.mark.parametrize("layout", ["NTC", "TNC"])
def test_merged_outputs_are_the_list_joined(layout):
    cell = mx.rnn.SequentialRNNCell()
    cell.add(mx.rnn.GRUCell(4, prefix="g_"))
    cell.add(mx.rnn.DropoutCell(0.5))
    cell.add(mx.rnn.ResidualCell(mx.rnn.LSTMCell(4, prefix="l_")))
    whole, _ = _unrolled(cell, True, layout)
    steps, states = _unrolled(cell, False, layout)
    assert len(states) == len(cell.state_info) == 3
    args = _drawn(whole, (2, 3, 4) if layout == "NTC" else (3, 2, 4))
    data = np.random.default_rng(5).uniform(-1, 1, (2, 3, 4) if layout == "NTC" else (3, 2, 4))
    joined = np.stack([_run(s, args, data) for s in steps], axis=layout.find("T"))
    np.testing.assert_allclose(_run(whole, args, data), joined, rtol=1e-6)


def test_zoneout_keeps_the_last_output_in_training():
    cell = mx.rnn.ZoneoutCell(mx.rnn.RNNCell(50, prefix="z_"), zoneout_outputs=0.5)
    out, _ = _unrolled(cell, True, length=2)
    args = _drawn(out, (4, 2, 5))
    executor = out.simple_bind(mx.cpu(), data=(4, 2, 5), grad_req="null")
    for name, array in args.items():
        executor.arg_dict[name][:] = array
    executor.arg_dict["data"][:] = 1
    first, second = np.moveaxis(executor.forward(is_train=True)[0].asnumpy(), 1, 0)
    assert 0.3 < (first == 0).mean() < 0.7
    assert 0.3 < (second == first).mean() < 0.7


def test_cells_say_no():
    fused = mx.rnn.FusedRNNCell(4)
    with pytest.raises(NotImplementedError, match="FusedRNNCell has no single step"):
        fused(mx.sym.Variable("x"), [])
    with pytest.raises(mx.MXNetError, match="base_cell holds a FusedRNNCell"):
        mx.rnn.ZoneoutCell(fused, 0.5)
    with pytest.raises(mx.MXNetError, match="inputs has 2 steps, expected 3"):
        mx.rnn.RNNCell(4).unroll(3, [mx.sym.Variable("a"), mx.sym.Variable("b")])
    base = mx.rnn.RNNCell(4)
    mx.rnn.ResidualCell(base)
    with pytest.raises(mx.MXNetError, match="ask the modifier"):
        base.begin_state()


def test_states_can_be_fed():
    cell = mx.rnn.LSTMCell(4, prefix="l_")
    out, _ = cell(mx.sym.Variable("x"), cell.begin_state(func=mx.sym.Variable))
    assert {"l_begin_state_0", "l_begin_state_1"} <= set(out.list_arguments())


def test_packed_parameters_are_initialized_gate_by_gate():
    cell = mx.rnn.FusedRNNCell(4, num_layers=2, mode="lstm", prefix="f_", forget_bias=2.0)
    out, _ = _unrolled(cell)
    module = mx.mod.Module(out, data_names=["data"], label_names=None)
    module.bind(data_shapes=[("data", (2, 3, 5))], for_training=False)
    module.init_params(mx.init.Uniform(0.1))
    parts = cell.unpack_weights(module.get_params()[0])
    for name, array in parts.items():
        values = array.asnumpy()
        if name.endswith("_bias"):
            assert (values == (2.0 if name.endswith("_f_bias") else 0.0)).all(), name
        else:
            assert 0.02 < np.abs(values).max() <= 0.1, name


def test_checkpoints_hold_single_gates(tmp_path):
    cell = mx.rnn.FusedRNNCell(4, mode="gru", prefix="f_")
    out, _ = _unrolled(cell)
    args = _drawn(out, (2, 3, 5))
    mx.rnn.do_rnn_checkpoint(cell, str(tmp_path / "net"), 2)(1, out, args, {})
    assert not (tmp_path / "net-0001.params").exists()
    assert "arg:f_l0_h2h_z_bias" in mx.nd.load(str(tmp_path / "net-0002.params"))
    symbol, loaded, aux = mx.rnn.load_rnn_checkpoint(cell, str(tmp_path / "net"), 2)
    assert symbol.tojson() == out.tojson() and aux == {}
    np.testing.assert_array_equal(loaded["f_parameters"].asnumpy(), args["f_parameters"].asnumpy())
