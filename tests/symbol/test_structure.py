"""What stands in a symbol: outputs, groups, internals, children, composition, copies."""

import copy
import pickle

import pytest

import cymx.symbol as sym
from cymx.base import MXNetError

A, B, C = sym.Variable("A"), sym.Variable("B"), sym.Variable("C")


def fc(data, name, **settings):
    return sym.FullyConnected(data, num_hidden=3, name=name, **settings)


def test_repr_name_and_length():
    pair = sym.Group([A, B])
    assert repr(A) == "<Symbol A>"
    assert repr(pair) == "<Symbol group [A, B]>"
    assert (A.name, pair.name) == ("A", None)
    assert (len(A), len(pair)) == (1, 2)
    assert [s.name for s in pair] == ["A", "B"]
    assert sym.Group([pair, C]).list_outputs() == ["A", "B", "C"]
    assert repr(sym.split(A, num_outputs=2)) == "<Symbol split0>"


def test_indexing():
    pair = sym.Group([A, sym.exp(B)])
    assert pair[1].list_outputs() == ["exp0_output"]
    assert pair["exp0_output"].list_arguments() == ["B"]
    assert pair[0:1].name == "A"
    assert pair[:].list_outputs() == ["A", "exp0_output"]
    bn = sym.BatchNorm(A, name="bn")
    for index, error in [(2, IndexError), (-1, IndexError), (1.5, TypeError), (("A",), TypeError), ("X", ValueError)]:
        with pytest.raises(error) as caught:
            pair[index]
        assert isinstance(caught.value, MXNetError)
    with pytest.raises(IndexError):
        bn[1]
    with pytest.raises(ValueError, match="no output is named 'bn_mean'"):
        bn["bn_mean"]
    with pytest.raises(ValueError, match="several outputs are named 'A'"):
        sym.Group([A, A])["A"]


@pytest.mark.parametrize("symbols", [[], [A, 3], "A"])
def test_groups_of_other_things(symbols):
    with pytest.raises(TypeError, match="expected a list of symbols"):
        sym.Group(symbols)


def test_internals_are_in_depth_first_order():
    inside = fc(fc(A, "f"), "g").get_internals()
    assert inside.list_outputs() == ["A", "f_weight", "f_bias", "f_output", "g_weight", "g_bias", "g_output"]
    assert inside["f_output"].list_arguments() == ["A", "f_weight", "f_bias"]
    parts = sym.split(A, num_outputs=2)[1].get_internals()
    assert parts.list_outputs() == ["A", "split0_output0", "split0_output1"]
    assert sym.Group([sym.exp(B), A + B]).get_internals().list_outputs() == ["B", "exp0_output", "A", "_plus0_output"]
    bn = sym.BatchNorm(A, name="bn").get_internals()
    assert bn.list_outputs() == ["A", "bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var", "bn_output"]
    assert bn[2].list_outputs() == ["bn_beta"]


def test_children():
    assert A.get_children() is None
    assert (A + A).get_children().list_outputs() == ["A", "A"]
    assert fc(A, "f").get_children().list_outputs() == ["A", "f_weight", "f_bias"]
    assert sym.Group([A + B, A + B]).get_children().list_outputs() == ["A", "B", "A", "B"]


def test_deep_networks_need_no_deep_stack():
    x = A
    for _ in range(3000):
        x = x + 1
    assert len(x.get_internals()) == 3001
    assert copy.deepcopy(x).list_arguments() == ["A"]
    assert x(A=B).list_arguments() == ["B"]
    assert sym.load_json(x.tojson()).list_arguments() == ["A"]


def test_composition_by_name():
    net, net2 = fc(A, "n1"), fc(B, "n2")
    composed = net2(B=net, name="composed")
    assert composed.list_arguments() == ["A", "n1_weight", "n1_bias", "n2_weight", "n2_bias"]
    assert composed.list_outputs() == ["composed_output"]
    assert net2(B=net).list_outputs() == ["n2_output"]
    assert net2.list_arguments() == ["B", "n2_weight", "n2_bias"], "the symbol itself stays as it was"
    assert net2(n2_weight=C).list_arguments() == ["B", "C", "n2_bias"]
    assert net2(name="q").name == "q"
    assert (A + B)(A=B, B=A).list_arguments() == ["B", "A"]
    assert (A + A)(A=sym.exp(C)).list_arguments() == ["C"]
    group = sym.Group([A + 1, B + 1])(A=C, name="x")
    assert group.list_outputs() == ["x_output", "_plusscalar1_output"]
    aux = sym.BatchNorm(A, name="bn")(bn_moving_mean=C)
    assert aux.list_auxiliary_states() == ["C", "bn_moving_var"]


def test_composition_by_position():
    assert fc(B, "n2")(sym.exp(A), C).list_arguments() == ["A", "C", "n2_bias"]


def test_composed_symbols_share_their_weights():
    net = fc(A, "n")
    assert sym.Group([net, net(A=B)]).list_arguments() == ["A", "n_weight", "n_bias", "B"]


@pytest.mark.parametrize(
    "args, kwargs, error, message",
    [
        ((), {"X": B}, ValueError, "there is no variable 'X'; the variables are A, n_weight, n_bias"),
        ((B,), {"A": B}, TypeError, "by position and by name"),
        ((3,), {}, TypeError, "A is 3, expected a Symbol"),
        ((A, B, C, A), {}, TypeError, "4 symbols came, expected at most 3"),
        ((), {"A": sym.Group([B, C])}, ValueError, r"A has 2 outputs \(B, C\)"),
    ],
)
def test_composition_refuses(args, kwargs, error, message):
    with pytest.raises(error, match=message):
        fc(A, "n")(*args, **kwargs)


def test_copies_are_independent():
    net = fc(A, "n", attr={"__k__": "1"})
    for other in (copy.copy(net), copy.deepcopy(net)):
        assert other.tojson() == net.tojson()
        other._set_attr(__k__="2")
        assert net.attr("__k__") == "1"


def test_pickles():
    net = sym.Group([fc(A, "n"), sym.split(B, num_outputs=2)[1]])
    other = pickle.loads(pickle.dumps(net))
    assert other.tojson() == net.tojson()
    assert other.list_outputs() == ["n_output", "split0_output1"]
