"""Initializers: which rule a name gets, and what the rules draw."""

import math

import numpy as np
import pytest

import cymx as mx
from cymx import initializer as init


class Marked(init.Initializer):
    """Fills weights with 77."""

    def _init_weight(self, name, arr):
        arr[:] = 77.0


def filled(initializer, name, shape=(2, 3), attrs=None):
    array = mx.nd.full(shape, 5)
    initializer(init.InitDesc(name, attrs), array)
    return array.asnumpy()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a_weight", 77),
        ("weight", 77),
        ("a_bias", 0),
        ("a_gamma", 1),
        ("a_beta", 0),
        ("q_min", 0),
        ("q_max", 1),
        ("bn_moving_mean", 0),
        ("bn_moving_var", 1),
    ],
)
def test_the_name_s_end_chooses(name, value):
    np.testing.assert_array_equal(filled(Marked(), name), np.full((2, 3), value))


def test_an_unknown_name_is_an_error_unless_its_variable_says_how():
    with pytest.raises(ValueError, match="'foo'"):
        filled(Marked(), "foo")
    assert (filled(Marked(), "foo", attrs={"__init__": init.Constant(4).dumps()}) == 4).all()


def test_plain_names_know_the_old_rules():
    kernel, affine = mx.nd.zeros((1, 1, 4, 5)), mx.nd.zeros((6,))
    with pytest.warns(DeprecationWarning):
        Marked()("upsampling_weight", kernel)
    with pytest.warns(DeprecationWarning):
        Marked()("stn_loc_bias", affine)
    row = np.array([1, 2, 3, 2, 1]) / 3  # recorded from MXNet 1.9.1
    np.testing.assert_allclose(kernel.asnumpy()[0, 0], np.outer(row[:4], row), rtol=1e-6)
    np.testing.assert_array_equal(affine.asnumpy(), [1, 0, 0, 0, 1, 0])


@pytest.mark.parametrize("factor_type", ["avg", "in", "out"])
@pytest.mark.parametrize("rnd_type", ["uniform", "gaussian"])
def test_xavier_scales_by_the_fans(rnd_type, factor_type):
    mx.random.seed(1)
    shape = (40, 20, 3, 3)
    fan = {"avg": (40 * 9 + 20 * 9) / 2, "in": 20 * 9, "out": 40 * 9}[factor_type]
    scale = math.sqrt(6 / fan)
    values = filled(init.Xavier(rnd_type, factor_type, magnitude=6), "a_weight", shape)
    assert abs(values.mean()) < 0.05 * scale
    if rnd_type == "uniform":
        assert 0.99 * scale < np.abs(values).max() <= scale
    else:
        assert values.std() == pytest.approx(scale, rel=0.05)


def test_drawn_values_follow_the_seed():
    draws = []
    for seed in (3, 3, 4):
        mx.random.seed(seed)
        draws.append([filled(i, "w_weight", (30, 30)) for i in (init.Uniform(0.5), init.Normal(2.0), init.MSRAPrelu())])
    for a, b, c in zip(*draws, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    uniform, normal, prelu = draws[0]
    assert -0.5 <= uniform.min() < -0.45 < 0.45 < uniform.max() < 0.5
    assert normal.std() == pytest.approx(2.0, rel=0.1)
    assert prelu.std() == pytest.approx(math.sqrt(2 / (1 + 0.25**2) / 30), rel=0.1)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 2)])
@pytest.mark.parametrize("rand_type", ["uniform", "normal"])
def test_orthogonal_rows_or_columns(shape, rand_type):
    q = filled(init.Orthogonal(scale=2.0, rand_type=rand_type), "a_weight", shape).reshape(shape[0], -1)
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_constants_and_lstm_bias():
    np.testing.assert_array_equal(filled(init.Constant([1, 2, 3]), "a_weight"), [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(filled(init.Constant(mx.nd.array([1, 2, 3])), "a_weight"), [[1, 2, 3]] * 2)
    attrs = {"__init__": init.LSTMBias(2.0).dumps()}
    np.testing.assert_array_equal(filled(Marked(), "i2h_bias", (8,), attrs), [0, 0, 2, 2, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("initializer", "text"),
    [
        (init.Xavier(), '["xavier", {"rnd_type": "uniform", "factor_type": "avg", "magnitude": 3}]'),
        (init.MSRAPrelu(), '["msraprelu", {"factor_type": "avg", "slope": 0.25}]'),
        (init.Zero(), '["zero", {}]'),
        (init.Orthogonal(), '["orthogonal", {"scale": 1.414, "rand_type": "uniform"}]'),
        (init.Normal(), '["normal", {"sigma": 0.01}]'),
        (init.Constant(3), '["constant", {"value": 3}]'),
    ],
)
def test_dumps_are_those_of_mxnet_and_come_back(initializer, text):
    assert initializer.dumps() == text
    assert init.create(text) == initializer


def test_load_and_mixed():
    saved = {"arg:a_weight": mx.nd.ones((2, 3)), "aux:m": mx.nd.zeros((2, 3))}
    assert (filled(init.Load(saved), "a_weight") == 1).all()
    assert (filled(init.Load(saved, default_init=Marked()), "b_weight") == 77).all()
    with pytest.raises(ValueError, match="b_weight"):
        filled(init.Load(saved), "b_weight")
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(4,\)"):
        filled(init.Load(saved), "a_weight", (4,))
    mixed = init.Mixed(["conv.*", ".*"], [init.One(), init.Zero()])
    assert (filled(mixed, "conv0_weight") == 1).all()
    assert (filled(mixed, "fc_weight") == 0).all()
    with pytest.raises(ValueError, match="'fc_weight'"):
        filled(init.Mixed(["conv.*"], [init.One()]), "fc_weight")


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="a_weight is a vector"):
        filled(init.Xavier(), "a_weight", (3,))
    with pytest.raises(ValueError, match="'x'"):
        init.Xavier(rnd_type="x")
    with pytest.raises(ValueError, match="nope"):
        init.create("nope")
