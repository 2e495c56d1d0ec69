"""Attributes of symbols and variables, scopes, name managers."""

import threading

import pytest

import cymx.symbol as sym
from cymx.attribute import AttrScope
from cymx.base import MXNetError
from cymx.initializer import Xavier
from cymx.name import NameManager, Prefix
from cymx.ops import REGISTRY
from cymx.ops._def import Composed, op
from cymx.ops._shapes import all_same, same

A, B = sym.Variable("A"), sym.Variable("B")


def fc(**settings):
    return sym.FullyConnected(A, num_hidden=3, name="f", **settings)


def test_variables():
    v = sym.Variable(
        "v", shape=(2, 3), lr_mult=2, wd_mult=0.5, dtype="float16", stype="row_sparse", __foo__="x", __n__=3
    )
    assert v.list_attr() == {
        "__shape__": "(2, 3)", "__lr_mult__": "2", "lr_mult": "2", "__wd_mult__": "0.5", "wd_mult": "0.5",
        "__dtype__": "2", "__storage_type__": "1", "__foo__": "x", "__n__": "3",
    }  # fmt: skip
    assert sym.Variable("v", init="xavier").attr("__init__") == "xavier"
    assert sym.Variable("v", init=Xavier()).attr("__init__") == Xavier().dumps()
    assert sym.Variable("v", attr={"mood": "angry"}).attr("mood") == "angry"
    assert sym.var("v", lr_mult=0).attr("lr_mult") == "0"


@pytest.mark.parametrize(
    "args, kwargs, error",
    [
        ((3,), {}, TypeError),
        (("v",), {"foo": 3}, ValueError),
        (("v",), {"__foo": "3"}, ValueError),
        (("v",), {"attr": {"__foo__": 3}}, ValueError),
        (("v",), {"dtype": "foo"}, TypeError),
        (("v",), {"stype": "foo"}, ValueError),
    ],
)
def test_variables_refuse(args, kwargs, error):
    with pytest.raises(error) as caught:
        sym.Variable(*args, **kwargs)
    assert isinstance(caught.value, MXNetError)


def test_attributes_of_operators_go_to_the_variables_they_make():
    f = fc(attr={"ctx_group": "g"})
    attrs = {"num_hidden": "3", "__ctx_group__": "g", "ctx_group": "g"}
    assert [f.attr(k) for k in ("ctx_group", "__ctx_group__", "num_hidden", "name", "foo")] == [
        "g",
        "g",
        "3",
        "f",
        None,
    ]
    assert f.list_attr() == attrs
    assert f.attr_dict() == {"f": attrs, "f_weight": attrs, "f_bias": attrs}
    assert fc(lr_mult=2).attr("__lr_mult__") == "2"
    assert fc(__k__=1).attr_dict()["f_weight"] == {"num_hidden": "3", "__k__": "1"}
    assert sym.exp(A, attr={"mood": "angry"}).attr("mood") == "angry", "an operator without settings takes any word"
    assert sym.Concat(A, num_args=2, name="c").attr_dict() == {"c": {"num_args": "2"}, "c_arg1": {"num_args": "2"}}


def test_operators_say_how_their_variables_begin():
    try:

        @op("_test_norm")
        class Norm(Composed):
            """y = data.   data, mean (any) -> output (same)."""

            inputs, aux, inits = ("data", "mean"), ("mean",), {"mean": '["zero", {}]'}
            shape, dtype = all_same, same(("float32",))

            def compose(p, data, mean):
                return data

        sym._internal._test_norm(A, name="n")
        made = sym._internal._test_norm(A, name="n", attr={"__k__": "v"})
        assert made.attr_dict() == {"n": {"__k__": "v"}, "n_mean": {"__init__": '["zero", {}]', "__k__": "v"}}
        given = sym.Variable("given")
        assert sym._internal._test_norm(A, given).attr_dict() == {"given": {"__init__": '["zero", {}]'}}
        own = sym.Variable("own", init="one")
        assert sym._internal._test_norm(A, own).attr_dict() == {"own": {"__init__": "one"}}
    finally:
        REGISTRY.pop("_test_norm", None)
        vars(sym._internal).pop("_test_norm", None)


@pytest.mark.parametrize("key", ["weight_lr_mult", "mood"])
def test_unknown_words_are_refused(key):
    with pytest.raises(ValueError, match=f"FullyConnected 'f': there is no setting '{key}'"):
        fc(attr={key: "2"})


def test_setting_attributes_is_seen_everywhere():
    v = sym.Variable("v")
    net = v + 1
    v._set_attr(lr_mult="3", mood="calm")
    assert net.attr_dict()["v"] == {"__lr_mult__": "3", "lr_mult": "3", "mood": "calm"}
    for attrs, message in [
        ({"__k__": 3}, "FullyConnected 'f': __k__ is 3, expected a string"),
        ({"num_hidden": "5"}, "num_hidden is a setting, fixed"),
        ({"mood": "calm"}, "mood is not a setting; attributes of operators are spelled __mood__"),
    ]:
        with pytest.raises(ValueError, match=message):
            fc()._set_attr(**attrs)
    group = sym.Group([A, B])
    with pytest.raises(ValueError, match="not on a group"):
        group._set_attr(__k__="1")
    assert (group.attr("k"), group.list_attr()) == (None, {})


def test_scopes():
    with AttrScope(ctx_group="g1", __x__="1"):
        outer = sym.Variable("V")
        with AttrScope(ctx_group="g2"):
            inner = A + 1
            own = sym.exp(A, attr={"ctx_group": "g3"})
        after = sym.zeros((2,))
    assert outer.list_attr() == {"__ctx_group__": "g1", "ctx_group": "g1", "__x__": "1"}
    assert inner.list_attr() == {"scalar": "1", "__ctx_group__": "g2", "ctx_group": "g2", "__x__": "1"}
    assert own.attr("ctx_group") == "g3"
    assert after.attr("ctx_group") == "g1"
    assert A.list_attr() == sym.Variable("W").list_attr() == {}
    with pytest.raises(ValueError, match="a is 1, expected a string"):
        AttrScope(a=1)


def test_names():
    assert [sym.exp(A).name, sym.exp(A).name, sym.relu(A).name, sym.exp(A, name="").name] == [
        "exp0",
        "exp1",
        "relu0",
        "exp2",
    ]
    with NameManager():
        assert sym.exp(A).name == "exp0"
    assert sym.exp(A).name == "exp3"
    with Prefix("p_"):
        names = [sym.exp(A).name, sym.exp(A, name="q").name, (A + 1).name, sym.Variable("v").name]
        assert names == ["p_exp0", "p_q", "p__plusscalar0", "v"]
        assert fc().list_arguments() == ["A", "p_f_weight", "p_f_bias"]


def test_each_thread_has_its_own_names_and_scopes():
    found = []

    def work():
        x = sym.exp(A)
        found.append((x.name, x.list_attr()))

    sym.exp(A)
    with AttrScope(__k__="1"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [("exp0", {})]
