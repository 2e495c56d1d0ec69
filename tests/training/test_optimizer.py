"""Optimizers against weights recorded from MXNet 1.9.1, and what they share: multipliers, counts, states."""

import numpy as np
import pytest

import cymx as mx
from cymx import optimizer as opt

W0 = [0.5, -1.0, 2.0, -0.25]

# Weights of MXNet 1.9.1 after four updates of W0 by the gradients below.
RECORDED = [
    ("sgd", {}, [0.488649, -1.00862, 2.00263, -0.244081]),
    (
        "sgd",
        {"momentum": 0.9, "wd": 0.1, "clip_gradient": 0.5, "rescale_grad": 0.8},
        [0.467658, -0.995339, 1.98214, -0.233667],
    ),
    ("nag", {"momentum": 0.9}, [0.444825, -1.02244, 2.00286, -0.233021]),
    ("signum", {"wd": 0.1, "wd_lh": 0.01}, [0.459806, -0.9996, 1.95921, -0.229902]),
    ("signum", {"momentum": 0.0}, [0.48, -1.0, 2.0, -0.23]),
    ("adam", {"learning_rate": 0.1, "wd": 0.1}, [0.182465, -1.08104, 1.75452, -0.127471]),
    ("adagrad", {"learning_rate": 0.1, "wd": 0.1}, [0.352014, -1.0353, 1.90479, -0.161034]),
    ("rmsprop", {"learning_rate": 0.1, "clip_weights": 1.5}, [0.0870968, -1.24415, 1.47818, 0.0161509]),
    ("rmsprop", {"learning_rate": 0.1, "centered": True}, [-1.26158, -1.64973, 1.37705, 0.527066]),
    ("adadelta", {"wd": 0.1}, [0.319862, -0.66342, 1.31913, -0.154879]),
    ("ftrl", {"lamda1": 0.1, "wd": 0.1}, [0.160365, -0.507255, 0.248946, -0.0677645]),
    ("ftml", {"learning_rate": 0.1, "wd": 0.1}, [0.368204, -1.06159, 1.8874, -0.162792]),
    ("adamax", {"learning_rate": 0.1, "wd": 0.1}, [0.209101, -1.08359, 1.79991, -0.135504]),
    ("nadam", {"learning_rate": 0.1, "wd": 0.1}, [0.339687, -1.06722, 1.86283, -0.148463]),
    ("lamb", {"learning_rate": 0.1, "wd": 0.1}, [-0.15337, -1.1303, 1.81537, -0.0271077]),
    (
        "lamb",
        {"learning_rate": 0.1, "bias_correction": False, "upper_bound": 1.0},
        [0.21062, -1.09744, 1.9904, -0.161446],
    ),
    ("dcasgd", {"learning_rate": 0.1, "wd": 0.1}, [0.371575, -1.04592, 1.94782, -0.18198]),
    ("test", {"rescale_grad": 0.5}, [1.06754, -0.568781, 1.86862, -0.54596]),
]
IDS = [f"{name}-{'-'.join(settings)}" for name, settings, _ in RECORDED]


def grad(step):
    return mx.nd.array(np.sin((np.arange(4) + 1.0) * (step + 1)))


def run(updater, weight, steps=range(4)):
    for step in steps:
        updater(0, grad(step), weight)
    return weight.asnumpy()


@pytest.mark.parametrize(("name", "settings", "expected"), RECORDED, ids=IDS)
def test_weights_are_those_of_mxnet(name, settings, expected):
    weight = mx.nd.array(W0)
    np.testing.assert_allclose(
        run(opt.get_updater(opt.create(name, **settings)), weight), expected, rtol=2e-5, atol=1e-6
    )


@pytest.mark.parametrize(("name", "settings", "expected"), RECORDED, ids=IDS)
def test_saved_states_go_on_where_they_stopped(name, settings, expected):
    weight = mx.nd.array(W0)
    first = opt.get_updater(opt.create(name, **settings))
    run(first, weight, range(2))
    second = opt.get_updater(opt.create("sgd"))
    second.set_states(first.get_states(dump_optimizer=True))
    np.testing.assert_allclose(run(second, weight, range(2, 4)), expected, rtol=2e-5, atol=1e-6)


def test_group_adagrad_shares_a_rate_by_row():
    weight = mx.nd.array([[0.5, -1.0], [2.0, -0.25]])
    updater = opt.get_updater(opt.create("groupadagrad", learning_rate=0.1))
    for step in range(4):
        updater(0, grad(step).reshape((2, 2)), weight)
    np.testing.assert_allclose(weight.asnumpy().ravel(), [0.367407, -1.08397, 2.0129, -0.141779], rtol=2e-5)


@pytest.mark.parametrize(
    ("settings", "weight_end", "bias_end"),
    [
        ({}, [-1.1948, -1.95677, 1.54556, 2.21833], [-0.00635086, -0.0186244, 0.0226275, 0.0034192]),
        ({"momentum": 0.9}, [-5.85927, -3.19582, 0.365437, 5.90678], [-0.0436934, -0.0253461, 0.0202545, 0.00978875]),
        (
            {"momentum": 0.9, "halving": True},
            [-3.22336, -1.95507, 1.42876, 1.17595],
            [-0.0359835, -0.0309255, 0.0176461, 0.0130292],
        ),
        (
            {"momentum": 0.9, "halving": True, "momentum_correction": False},
            [-6.36607, -3.34478, 0.949008, 2.6778],
            [-0.0359835, -0.0309255, 0.0176461, 0.0130292],
        ),
        (
            {"momentum": 0.9, "rescale_grad": 0.5, "clip_gradient": 0.1, "wd": 0.1},
            [-1.16596, 0.50669, -0.944634, 0.715291],
            [-0.0193467, -0.017673, 0.0201273, 0.00364437],
        ),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_lars_gives_layers_their_rates(settings, weight_end, bias_end):
    settings = {"wd": 0.01, **settings}
    if settings.pop("halving", False):
        settings["lr_scheduler"] = mx.lr_scheduler.FactorScheduler(1, 0.5, base_lr=100.0)
    names = {0: "a_weight", 1: "a_bias"}
    updater = opt.get_updater(opt.create("lars", learning_rate=100.0, eta=0.01, param_idx2name=names, **settings))
    weight, bias = mx.nd.array(W0), mx.nd.array(W0) / 100
    for step in range(4):
        updater(0, grad(step), weight)
        updater(1, grad(step) / 1e4, bias)
    np.testing.assert_allclose(weight.asnumpy(), weight_end, rtol=1e-4)
    np.testing.assert_allclose(bias.asnumpy(), bias_end, rtol=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_lists_of_weights_are_updated_as_single_ones(name):
    together, alone = ([mx.nd.array(W0), mx.nd.array(W0) * 2] for _ in range(2))
    settings = {"learning_rate": 0.1, "wd": 0.1}
    one, many = (opt.get_updater(opt.create(name, **settings)) for _ in range(2))
    for step in range(3):
        many([0, 1], [grad(step), grad(step + 1)], together)
        for i, weight in enumerate(alone):
            one(i, grad(step + i), weight)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


@pytest.mark.parametrize("name", ["sgd", "adam", "adagrad"])
def test_float16_weights_keep_a_float32_copy(name):
    weight, reference = mx.nd.array(W0, dtype="float16"), mx.nd.array(W0)
    settings = {"learning_rate": 0.1}
    updater = opt.get_updater(opt.create(name, multi_precision=True, **settings))
    for step in range(4):
        updater(0, grad(step).astype("float16"), weight)
    run(opt.get_updater(opt.create(name, **settings)), reference)
    assert weight.dtype == np.float16
    np.testing.assert_allclose(weight.asnumpy(), reference.asnumpy(), atol=2e-3)
    arrays = [a for a in updater.states[0] if a is not None and hasattr(a, "dtype")]
    assert any(a.dtype == np.float32 for a in arrays)


def test_updates_take_new_rates_and_decays_and_go_with_their_arrays():
    from cymx.ndarray import _invoke

    before = len(_invoke._updates)
    rule = opt.SGD(learning_rate=0.5)
    weights, grads = [mx.nd.ones(3), mx.nd.ones(3) * 2], [mx.nd.ones(3), mx.nd.ones(3)]
    rule.update_multi_precision([0, 1], weights, grads, [None, None])
    rule.set_learning_rate(0.25)
    rule.update_multi_precision([0, 1], weights, grads, [None, None])
    assert len(_invoke._updates) == before + 1
    rule.set_wd_mult({1: 2.0})
    rule.wd = 0.5
    rule.update_multi_precision([0, 1], weights, grads, [None, None])
    # 1 - 0.5 - 0.25 = 0.25, and 2 - 0.5 - 0.25 = 1.25; then the decays are 0.5 and 1.
    assert [float(w.asnumpy()[0]) for w in weights] == [0.25 - 0.25 * (1 + 0.5 * 0.25), 1.25 - 0.25 * (1 + 1.25)]
    assert len(_invoke._updates) == before + 2
    del weights, grads
    assert len(_invoke._updates) == before


def test_sgld_adds_noise_of_variance_lr():
    weight = mx.nd.zeros((4000,))
    opt.get_updater(opt.create("sgld", learning_rate=0.04))(0, mx.nd.ones((4000,)), weight)
    values = weight.asnumpy()
    assert abs(values.mean() + 0.02) < 0.02
    assert abs(values.std() - 0.2) < 0.02


def test_multipliers_come_from_names_attributes_and_calls():
    bias = mx.sym.Variable("fc_bias", lr_mult=3.0)
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), bias=bias, num_hidden=2, name="fc")
    names = {0: "fc_weight", 1: "fc_bias", 2: "bn_gamma", 3: "bn_beta"}
    sgd = opt.SGD(learning_rate=0.5, wd=0.1, param_idx2name=names, sym=net)
    assert sgd._get_lrs([0, 1]) == [0.5, 1.5]
    assert sgd._get_wds([0, 1, 2, 3]) == [0.1, 0.0, 0.1, 0.0]
    sgd.set_lr_mult({"fc_weight": 0.1})
    sgd.set_wd_mult({"fc_bias": 2.0})
    assert sgd._get_lr(0) == pytest.approx(0.05)
    assert sgd._get_wd(1) == pytest.approx(0.2)


def test_updates_are_counted_by_index_and_device():
    sgd = opt.SGD(begin_num_update=5)
    sgd._update_count([0, 1])
    sgd._update_count(0)
    assert (sgd._index_update_count, sgd.num_update) == ({0: 7, 1: 6}, 7)
    sgd._set_current_context(1)
    sgd._update_count(0)
    assert (sgd._index_update_count, sgd.num_update) == ({0: 6}, 7)


def test_the_rate_is_the_scheduler_s():
    sgd = opt.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(step=2, factor=0.5, base_lr=1.0))
    seen = []
    for _ in range(6):
        sgd._update_count(0)
        seen.append(sgd._get_lr(0))
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    with pytest.raises(UserWarning):
        sgd.set_learning_rate(0.1)
    plain = opt.SGD(learning_rate=0.3)
    plain.set_learning_rate(0.1)
    assert plain.learning_rate == 0.1


def test_own_rules_can_be_registered():
    @opt.register
    class HalfStep(opt.Optimizer):
        def update(self, index, weight, grad, state):
            self._update_count(index)
            weight[:] = weight - 0.5 * self._get_lr(index) * grad

    weight = mx.nd.ones((2,))
    opt.get_updater(opt.create("halfstep", learning_rate=1.0))(7, mx.nd.ones((2,)), weight)
    np.testing.assert_array_equal(weight.asnumpy(), [0.5, 0.5])
    opt.Optimizer.opt_registry.pop("halfstep")


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="'nope'.*adam"):
        opt.create("nope")
    with pytest.raises(TypeError, match="param_idx2name is list"):
        opt.SGD(param_idx2name=["a"])
    with pytest.raises(TypeError, match="momentun"):
        opt.SGD(momentun=0.9)
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        opt.get_updater(opt.create("groupadagrad"))(0, grad(0), mx.nd.array(W0))
