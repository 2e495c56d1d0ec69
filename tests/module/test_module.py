"""Module: training as recorded from MXNet 1.9.1, prediction, files, shapes, devices and errors."""

import logging
from collections import namedtuple

import numpy as np
import pytest
from module.support import DATA, LABEL, SHAPES, batch, bound, forward, network, params

import cymx as mx

# (accuracy, cross-entropy) after each epoch, and fc2_bias at the end, of MXNet 1.9.1.
RECORDED = {
    "pad": ([[0.375, 1.19372], [0.25, 1.10836], [0.59375, 1.09663]], [-0.174608, -0.224339, -0.304209]),
    "discard": ([[0.375, 1.2298], [0.333333, 1.10966], [0.333333, 1.10533]], [-0.079636, -0.209687, -0.413833]),
    "roll_over": ([[0.333333, 1.26055], [0.34375, 1.15164], [0.375, 1.12087]], [-0.0311691, -0.205809, -0.466178]),
}
SGD = {"learning_rate": 0.5, "momentum": 0.9, "wd": 0.01}


def train(context, how="pad", n_epochs=3, module=None, **kwargs):
    iterator = mx.io.NDArrayIter(DATA, LABEL, 8, last_batch_handle=how)
    module = mx.mod.Module(network(), context=context) if module is None else module
    values = []
    settings = {
        "eval_data": iterator,
        "eval_metric": ["acc", "ce"],
        "eval_end_callback": lambda p: values.append([v for _, v in p.eval_metric.get_name_value()]),
        "optimizer_params": SGD,
        "num_epoch": n_epochs,
        "arg_params": params(),
        "aux_params": {},
        **kwargs,
    }
    module.fit(iterator, **settings)
    return module, values


@pytest.mark.parametrize("how", RECORDED)
@pytest.mark.parametrize(("devices", "kvstore"), [(1, "local"), (1, None), (2, "local"), (2, "device")])
def test_fit_is_mxnet_s(how, devices, kvstore):
    module, values = train([mx.cpu(i) for i in range(devices)], how, kvstore=kvstore)
    expected, bias = RECORDED[how]
    np.testing.assert_allclose(values, expected, rtol=2e-5)
    np.testing.assert_allclose(module.get_params()[0]["fc2_bias"].asnumpy(), bias, rtol=2e-4)


def test_uneven_work_loads_and_a_store_without_updates_train_alike():
    reference = train(mx.cpu())[0].get_params()[0]
    contexts = [mx.cpu(0), mx.cpu(1)]
    uneven = mx.mod.Module(network(), context=contexts, work_load_list=[1, 3])
    for module in (train(contexts, module=uneven)[0], train(mx.cpu(), kvstore=mx.kv.create("local"))[0]):
        for name, array in module.get_params()[0].items():
            np.testing.assert_allclose(array.asnumpy(), reference[name].asnumpy(), rtol=2e-4, atol=1e-6)


def test_fit_logs_and_calls_back(caplog):
    caplog.set_level(logging.INFO)
    seen = []
    train(
        mx.cpu(),
        n_epochs=1,
        batch_end_callback=[lambda p: seen.append((p.epoch, p.nbatch, sorted(p.locals)[:1]))],
        epoch_end_callback=lambda epoch, symbol, arg, aux: seen.append(
            (epoch, symbol.list_outputs(), len(arg), len(aux))
        ),
        eval_batch_end_callback=lambda p: seen.append(("eval", p.nbatch)),
    )
    assert [s[:2] for s in seen[:4]] == [(0, i) for i in range(4)]
    assert seen[4] == (0, ["softmax_output"], 4, 0)
    assert seen[5:] == [("eval", i) for i in range(4)]
    words = [m.split("=")[0] for m in caplog.messages]
    assert words == [
        "Epoch[0] Train-accuracy",
        "Epoch[0] Train-cross-entropy",
        "Epoch[0] Time cost",
        "Epoch[0] Validation-accuracy",
        "Epoch[0] Validation-cross-entropy",
    ]


def test_fit_goes_on_from_an_epoch_with_the_given_parameters():
    whole, values = train(mx.cpu(), optimizer_params={"learning_rate": 0.5})
    half, first = train(mx.cpu(), n_epochs=1, optimizer_params={"learning_rate": 0.5})
    args, auxs = half.get_params()
    _, rest = train(mx.cpu(), arg_params=args, aux_params=auxs, begin_epoch=1, optimizer_params={"learning_rate": 0.5})
    np.testing.assert_allclose(first + rest, values, rtol=1e-5)


def test_predict_drops_the_padding_and_joins_batches():
    module = bound(8)
    iterator = mx.io.NDArrayIter(DATA, LABEL, 8)
    expected = forward(params(), DATA)
    np.testing.assert_allclose(module.predict(iterator).asnumpy(), expected, rtol=1e-5)
    assert [o.shape for o in module.predict(iterator, always_output_list=True)] == [(26, 3)]
    parts = module.predict(iterator, merge_batches=False, num_batch=2)
    np.testing.assert_allclose(parts[1][0].asnumpy(), expected[8:16], rtol=1e-5)
    np.testing.assert_allclose(module.predict(DATA[:3]).asnumpy(), expected[:3], rtol=1e-5)
    sizes = [outputs[0].shape[0] for outputs, _, _ in module.iter_predict(iterator)]
    assert sizes == [8, 8, 8, 2]
    with pytest.raises(TypeError, match="list"):
        module.predict([DATA])


def test_score():
    module = bound(13)
    iterator = mx.io.NDArrayIter(DATA, LABEL, 13)
    expected = (forward(params(), DATA).argmax(1) == LABEL).mean()
    assert dict(module.score(iterator, "acc"))["accuracy"] == pytest.approx(expected)
    first = (forward(params(), DATA[:13]).argmax(1) == LABEL[:13]).mean()
    assert dict(module.score(iterator, "acc", num_batch=1))["accuracy"] == pytest.approx(first)


def test_checkpoints_come_back_with_the_optimizer(tmp_path):
    prefix = str(tmp_path / "net")
    module, _ = train(mx.cpu(), n_epochs=2)
    module.save_checkpoint(prefix, 2, save_optimizer_states=True)
    assert {p.name for p in tmp_path.iterdir()} == {"net-symbol.json", "net-0002.params", "net-0002.states"}
    again = mx.mod.Module.load(prefix, 2, load_optimizer_states=True)
    iterator = mx.io.NDArrayIter(DATA, LABEL, 8)
    again.fit(iterator, begin_epoch=2, num_epoch=3, optimizer_params=SGD)
    np.testing.assert_allclose(again.get_params()[0]["fc2_bias"].asnumpy(), RECORDED["pad"][1], rtol=2e-4)

    symbol, arg_params, aux_params = mx.model.load_checkpoint(prefix, 2)
    assert (symbol.list_outputs(), sorted(arg_params), aux_params) == (["softmax_output"], sorted(params()), {})
    plain = bound()
    plain.load_params(f"{prefix}-0002.params")
    np.testing.assert_array_equal(plain.get_params()[0]["fc1_bias"].asnumpy(), arg_params["fc1_bias"].asnumpy())
    mx.nd.save(str(tmp_path / "other"), {"weight": mx.nd.zeros((1,))})
    with pytest.raises(ValueError, match="'weight' is neither"):
        plain.load_params(str(tmp_path / "other"))


def test_states_of_a_store_s_optimizer_come_back(tmp_path):
    contexts = [mx.cpu(0), mx.cpu(1)]
    module, _ = train(contexts, n_epochs=2)
    assert module._update_on_kvstore
    module.save_checkpoint(str(tmp_path / "net"), 2, save_optimizer_states=True)
    again = mx.mod.Module.load(str(tmp_path / "net"), 2, load_optimizer_states=True, context=contexts)
    again.fit(mx.io.NDArrayIter(DATA, LABEL, 8), begin_epoch=2, num_epoch=3, optimizer_params=SGD)
    np.testing.assert_allclose(again.get_params()[0]["fc2_bias"].asnumpy(), RECORDED["pad"][1], rtol=2e-4)


@pytest.mark.parametrize("context", [mx.cpu(), [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_other_batch_shapes_rebind_and_share_parameters(context):
    module = bound(8, context)
    executors = module._exec_group.execs
    for n in (6, 8, 4, 6):
        module.forward(batch(n), is_train=False)
        assert module.get_outputs()[0].shape == (n, 3)
        assert (module.data_shapes[0].shape, module.label_shapes[0].shape) == ((n, 5), (n,))
        assert module.output_shapes == [("softmax_output", (n, 3))]
        np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), forward(params(), DATA[:n]), rtol=1e-5)
    module.forward(batch(8), is_train=False)
    assert module._exec_group.execs is executors
    module.forward(batch(5, with_label=False), is_train=False)
    assert module.label_shapes is None
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    module.forward_backward(batch(8))
    module.update()
    changed = module.get_params()[0]
    assert np.abs(changed["fc2_bias"].asnumpy() - params()["fc2_bias"].asnumpy()).max() > 1e-3
    module.forward(batch(6), is_train=False)
    np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), forward(changed, DATA[:6]), rtol=1e-5)


@pytest.mark.parametrize("context", [mx.cpu(), [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_input_gradients_and_given_output_gradients(context):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, name="fc1")
    module = mx.mod.Module(net, label_names=None, context=context)
    module.bind([("data", (4, 5))], inputs_need_grad=True)
    weights = {name: array for name, array in params().items() if name.startswith("fc1")}
    module.set_params(weights, {})
    module.forward(batch(4, with_label=False), is_train=True)
    grad = np.arange(24, dtype="float32").reshape(4, 6)
    module.backward([mx.nd.array(grad)])
    expected = grad @ weights["fc1_weight"].asnumpy()
    np.testing.assert_allclose(module.get_input_grads()[0].asnumpy(), expected, rtol=1e-5)
    parts = module.get_input_grads(merge_multi_context=False)[0]
    assert [p.shape[0] for p in parts] == ([4] if isinstance(context, mx.Context) else [2, 2])


def test_batches_already_divided_among_devices():
    module = bound(4, [mx.cpu(0), mx.cpu(1)])
    whole, parts = batch(4), [batch(2), batch(2, start=2)]
    measured = []
    for data, labels, divided in ((whole, whole.label, False), (parts, [p.label for p in parts], True)):
        module.forward(data, is_train=False)
        accuracy = mx.metric.CrossEntropy()
        module.update_metric(accuracy, labels, pre_sliced=divided)
        measured.append((module.get_outputs()[0].asnumpy().tolist(), accuracy.get()))
    assert measured[0] == measured[1]


def test_fixed_parameters_stay_and_grad_req_add_adds():
    module = mx.mod.Module(network(), fixed_param_names=["fc1_weight"])
    module.bind([("data", (4, 5))], [("softmax_label", (4,))], grad_req="add")
    module.set_params(params(), {})
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    module.forward_backward(batch(4))
    once = module._exec_group.grad_arrays[3][0].asnumpy()
    module.forward_backward(batch(4))
    np.testing.assert_allclose(module._exec_group.grad_arrays[3][0].asnumpy(), 2 * once, rtol=1e-5)
    module.update()
    after = module.get_params()[0]
    np.testing.assert_array_equal(after["fc1_weight"].asnumpy(), params()["fc1_weight"].asnumpy())
    assert (after["fc1_bias"].asnumpy() != params()["fc1_bias"].asnumpy()).any()


def test_states_are_set_between_batches():
    state = mx.sym.Variable("state")
    net = mx.sym.Variable("data") + state
    module = mx.mod.Module(mx.sym.Group([net, mx.sym.BlockGrad(net * 2)]), label_names=None, state_names=["state"])
    module.bind([("data", (2, 3))], for_training=False)
    module.init_params()
    ones = mx.io.DataBatch([mx.nd.ones((2, 3))])
    module.set_states(value=5)
    module.forward(ones)
    assert (module.get_outputs()[0].asnumpy() == 6).all()
    module.set_states(states=[[mx.nd.full((2, 3), 1.0)]])
    module.forward(ones)
    assert (module.get_outputs()[1].asnumpy() == 4).all()
    assert module.get_states()[0].shape == (2, 3)
    with pytest.raises(ValueError, match="exactly one"):
        module.set_states()


def test_parameters_missing_extra_and_wrong():
    module = mx.mod.Module(network())
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    some = {"fc1_weight": params()["fc1_weight"]}
    with pytest.raises(mx.base.MXNetError, match="fc1_bias is missing"):
        module.init_params(arg_params=some)
    module.init_params(mx.init.One(), arg_params=some, aux_params={}, allow_missing=True)
    np.testing.assert_array_equal(module.get_params()[0]["fc1_weight"].asnumpy(), some["fc1_weight"].asnumpy())
    assert (module.get_params()[0]["fc2_weight"].asnumpy() == 1).all()
    with pytest.raises(ValueError, match="other"):
        module.set_params({**params(), "other": mx.nd.zeros((1,))}, {})
    module.set_params({**params(), "other": mx.nd.zeros((1,))}, {}, allow_extra=True)
    with pytest.raises(ValueError, match=r"fc1_bias.*\(7,\).*\(6,\)"):
        module.set_params({**params(), "fc1_bias": mx.nd.zeros((7,))}, {})
    module.set_params({"fc2_bias": mx.nd.full((3,), 9)}, {}, allow_missing=True)
    assert (module.get_params()[0]["fc2_bias"].asnumpy() == 9).all()
    with pytest.warns(UserWarning, match="already initialized"):
        module.init_params()


def test_a_shared_module_lends_parameters_and_optimizer():
    first = bound(4)
    first.init_optimizer(optimizer_params={"learning_rate": 0.5})
    second = mx.mod.Module(network())
    second.bind([("data", (2, 5))], [("softmax_label", (2,))], shared_module=first)
    second.forward_backward(batch(2))
    second.update()
    first._params_dirty = True
    first.forward(batch(4), is_train=False)
    np.testing.assert_allclose(first.get_outputs()[0].asnumpy(), forward(first.get_params()[0], DATA[:4]), rtol=1e-5)
    assert (first.get_params()[0]["fc2_bias"].asnumpy() != params()["fc2_bias"].asnumpy()).any()


def test_each_step_asks_for_the_one_before():
    module = mx.mod.Module(network())
    for call in (lambda: module.forward(batch(4)), module.get_params, lambda: module.output_shapes, module.init_params):
        with pytest.raises(mx.base.MXNetError, match=r"bind\(\) comes first"):
            call()
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    for call in (lambda: module.forward(batch(4)), module.init_optimizer):
        with pytest.raises(mx.base.MXNetError, match="init_params"):
            call()
    module.init_params()
    with pytest.raises(mx.base.MXNetError, match="init_optimizer"):
        module.update()


def test_wrong_names_and_shapes_are_named():
    with pytest.raises(ValueError, match="'image'"):
        mx.mod.Module(network(), data_names=["image"])
    with pytest.raises(ValueError, match="'nope'"):
        mx.mod.Module(network(), fixed_param_names=["nope"])
    with pytest.warns(UserWarning, match="'answer'"):
        module = mx.mod.Module(mx.sym.relu(mx.sym.Variable("data"), name="r"), label_names=["answer"])
    module.bind([("data", (4, 5))], [("answer", (4,))])
    assert module.output_shapes == [("r_output", (4, 5))]
    with pytest.raises(ValueError, match="image"):
        mx.mod.Module(network()).bind([("image", (4, 5))])
    with pytest.raises(ValueError, match="softmax_label"):
        mx.mod.Module(network()).bind([("data", (4, 5))], [("softmax_label", (3,))])
    module = bound(4)
    with pytest.raises(ValueError, match="2 data arrays, expected 1"):
        module._exec_group.forward(mx.io.DataBatch([mx.nd.ones((4, 5))] * 2))
    with pytest.raises(ValueError, match="inputs_need_grad"):
        module.get_input_grads()
    with pytest.raises(ValueError, match="num_epoch"):
        module.fit(mx.io.NDArrayIter(DATA, LABEL, 4))
    empty = mx.io.NDArrayIter(DATA, LABEL, 4)
    list(empty)
    with pytest.raises(mx.base.MXNetError, match="no batch in epoch 0"):
        module.fit(empty, num_epoch=1)
    with pytest.raises(ValueError, match="no samples left"):
        mx.executor_manager._split_input_slice(2, [1, 1, 1])
    assert mx.executor_manager._split_input_slice(10, [1, 3]) == [slice(0, 2), slice(2, 10)]


def test_what_stands_in_for_descriptions_and_batches():
    module = mx.mod.Module(mx.sym.Variable("data") * 2, label_names=None)
    module.bind([("data", (2, 3))])
    module.init_params()
    for shape in ((2, 3), (4, 5)):
        module.forward(namedtuple("Bare", "data")([mx.nd.ones(shape)]))
        assert (module.get_outputs()[0].asnumpy() == np.full(shape, 2)).all()
    contexts = [mx.cpu(0), mx.cpu(1)]
    group = mx.module.executor_group.DataParallelExecutorGroup(
        network(), contexts, [1, 1], [("data", (4, 5))], [("softmax_label", (4,))], list(SHAPES), True, False
    )
    assert [executor.arg_dict["data"].shape for executor in group.execs] == [(2, 5), (2, 5)]


def test_one_context_of_a_group_serves_all():
    with mx.AttrScope(ctx_group="head"):
        net = mx.sym.Variable("data") * 2
    contexts = [mx.cpu(0), mx.cpu(1)]
    module = mx.mod.Module(net, label_names=None, context=contexts, group2ctxs={"head": [mx.cpu(3)]})
    module.bind([("data", (4, 3))])
    assert [executor.arg_dict["data"].context for executor in module._exec_group.execs] == [mx.cpu(3), mx.cpu(3)]
    module = mx.mod.Module(net, label_names=None, context=contexts, group2ctxs={"head": [mx.cpu(3)] * 3})
    with pytest.raises(ValueError, match="3 contexts of head for 2 contexts"):
        module.bind([("data", (4, 3))])
