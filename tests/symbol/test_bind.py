"""bind and simple_bind: every form of their arguments, what an executor is made of, and what they refuse."""

import pytest

import cymx.symbol as sym
from cymx.attribute import AttrScope
from cymx.base import MXNetError, cpu
from cymx.ndarray import NDArray, zeros
from cymx.symbol import _bind


class Recorder:
    """Stand where the executor is made, and keep what it is made of."""

    def __init__(self, symbol, ctx, args, args_grad, grad_req, aux, group2ctx, inferred=None):
        self.symbol, self.ctx, self.grad_req, self.groups = symbol, ctx, grad_req, group2ctx
        self.arg_dict, self.grad_dict, self.aux_dict = args, args_grad, aux


@pytest.fixture(autouse=True)
def recorder(monkeypatch):
    monkeypatch.setattr(_bind, "Executor", Recorder)


A, B = sym.Variable("A"), sym.Variable("B")
one, two = zeros((2,), cpu(), "float32"), zeros((2,), cpu(), "float32")


def fc(**settings):
    return sym.FullyConnected(A, num_hidden=3, name="f", **settings)


def bn():
    return sym.BatchNorm(A, name="bn")


def shapes(arrays):
    return {name: array.shape for name, array in arrays.items()}


def test_lists_and_dicts_are_the_same():
    for args in ([one, two], (one, two), {"B": two, "A": one, "other": one}):
        made = (A + B).bind(cpu(), args)
        assert made.arg_dict["A"] is one and made.arg_dict["B"] is two
        assert set(made.arg_dict) == {"A", "B"}


@pytest.mark.parametrize(
    "args_grad, grad_req, requests",
    [
        (None, "write", {"A": "null", "B": "null"}),
        ([one, two], "write", {"A": "write", "B": "write"}),
        ([one, None], "add", {"A": "add", "B": "null"}),
        ({"A": one, "other": two}, "write", {"A": "write", "B": "null"}),
        ([one, two], ["add", "null"], {"A": "add", "B": "null"}),
        ([one, two], {"B": "add", "other": "write"}, {"A": "null", "B": "add"}),
    ],
)
def test_gradients(args_grad, grad_req, requests):
    assert (A + B).bind(cpu(), [one, two], args_grad, grad_req).grad_req == requests


def test_auxiliary_states():
    args = [zeros((2, 2), cpu(), "float32"), one, one]
    made = bn().bind(cpu(), args, aux_states=[one, two])
    assert made.aux_dict["bn_moving_mean"] is one and made.aux_dict["bn_moving_var"] is two
    assert bn().bind(cpu(), args, aux_states={"bn_moving_var": two, "bn_moving_mean": one}).aux_dict == made.aux_dict


# (call, error, message)
REFUSED = [
    (lambda: (A + B).bind(cpu(), {"A": one}), ValueError, "args has no array for 'B'; expected A, B"),
    (lambda: (A + B).bind(cpu(), [one]), ValueError, "args has 1 arrays, expected 2: A, B"),
    (lambda: (A + B).bind(cpu(), [one, two], grad_req="foo"), ValueError, "grad_req of A is 'foo'"),
    (lambda: (A + B).bind(cpu(), [one, two], grad_req=["write"]), ValueError, "grad_req has 1 words, expected 2"),
    (lambda: (A + B).bind(cpu(), [one, two], grad_req=3), TypeError, "grad_req is 3"),
    (lambda: (A + B).bind(cpu(), 3), TypeError, "args is 3, expected a list of NDArrays or a dict"),
    (lambda: (A + B).bind(3, [one, two]), TypeError, "ctx is 3, expected a Context"),
    (lambda: (A + B).bind(cpu(), [one, 4]), TypeError, "args has 4 for 'B', expected an NDArray"),
    (lambda: (A + B).bind(cpu(), [one, two], args_grad=[one]), ValueError, "args_grad has 1 arrays, expected 2"),
    (lambda: (A + B).bind(cpu(), [one, two], group2ctx={"g": "cpu"}), TypeError, "group2ctx has 'cpu' for 'g'"),
    (lambda: bn().bind(cpu(), [one, one, one]), ValueError, "aux_states has no array for 'bn_moving_mean'"),
    (lambda: (A + sym.Variable("A")).bind(cpu(), [one, two]), ValueError, "2 variables are named 'A'"),
    (lambda: fc().simple_bind(cpu()), ValueError, "the shape of variable A is not known"),
    (lambda: fc().simple_bind(cpu(), A=3), TypeError, "the shape of A is 3, expected a tuple"),
    (lambda: fc().simple_bind(cpu(), A=(2, 3), f_weight=(3, 4)), ValueError, "FullyConnected 'f': weight is"),
    (lambda: fc().simple_bind(cpu(), A=(2, 3), type_dict={"A": "foo"}), TypeError, "'foo' is not one of"),
    (lambda: fc().simple_bind(cpu(), A=(2, 3), stype_dict={"A": "csr"}), ValueError, "A has storage type 'csr'"),
    (lambda: fc().simple_bind(cpu(), A=(2, 3), grad_req="foo"), ValueError, "grad_req of A is 'foo'"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, MXNetError)


def test_simple_bind_allocates():
    made = fc().simple_bind(cpu(), A=(2, 3), other=(5,))
    assert shapes(made.arg_dict) == {"A": (2, 3), "f_weight": (3, 3), "f_bias": (3,)} == shapes(made.grad_dict)
    assert made.grad_req == dict.fromkeys(["A", "f_weight", "f_bias"], "write")
    assert all(isinstance(array, NDArray) for array in made.arg_dict.values())
    made = bn().simple_bind(cpu(), "null", {"A": "float16"}, A=(2, 3))
    assert made.grad_dict == {}
    assert {n: a.dtype_name for n, a in made.arg_dict.items()} == {
        "A": "float16", "bn_gamma": "float32", "bn_beta": "float32",
    }  # fmt: skip
    assert shapes(made.aux_dict) == {"bn_moving_mean": (3,), "bn_moving_var": (3,)}
    made = fc().simple_bind(cpu(), {"f_weight": "add"}, A=(2, 3))
    assert shapes(made.grad_dict) == {"f_weight": (3, 3)}


def test_simple_bind_places_groups(monkeypatch):
    made_at = []
    monkeypatch.setattr(
        _bind, "zeros", lambda shape, ctx, dtype: made_at.append((shape, ctx)) or zeros(shape, cpu(), dtype)
    )
    with AttrScope(ctx_group="g"):
        net = sym.FullyConnected(A, num_hidden=3, name="f")
    made = net.simple_bind(cpu(), "null", group2ctx={"g": cpu(1)}, A=(2, 3))
    assert made_at == [((2, 3), cpu()), ((3, 3), cpu(1)), ((3,), cpu(1))]
    assert made.groups == {"g": cpu(1)}


def test_shared_executor():
    first = fc().simple_bind(cpu(), A=(2, 3))
    second = fc().simple_bind(cpu(), A=(4, 3), shared_exec=first, shared_arg_names=["f_weight"])
    assert second.arg_dict["f_weight"] is first.arg_dict["f_weight"]
    assert second.grad_dict["f_weight"] is first.grad_dict["f_weight"]
    assert second.arg_dict["f_bias"] is not first.arg_dict["f_bias"]
    assert second.arg_dict["A"].shape == (4, 3)
    with pytest.raises(
        ValueError, match=r"f_weight is shared, but shared_exec holds float32 \(3, 3\); expected float32 \(3, 7\)"
    ):
        fc().simple_bind(cpu(), A=(4, 7), shared_exec=first, shared_arg_names=["f_weight"])


def test_shared_buffer():
    buffer = {"f_weight": zeros((9,), cpu(), "float32"), "A": zeros((2, 3), cpu(), "float32"), "f_bias": one}
    held = dict(buffer)
    made = fc().simple_bind(cpu(), A=(2, 3), shared_buffer=buffer)
    assert set(buffer) == {"A", "f_weight", "f_bias", "grad of A", "grad of f_weight", "grad of f_bias"}
    assert made.arg_dict["A"] is held["A"] is buffer["A"]
    assert made.arg_dict["f_weight"].shape == (3, 3) and buffer["f_weight"] is held["f_weight"]
    assert made.arg_dict["f_bias"] is buffer["f_bias"] is not held["f_bias"], "too small, so replaced"
    kept = fc().simple_bind(cpu(), A=(2, 3), shared_buffer=(own := {}), shared_arg_names=["f_weight"])
    assert set(own) == {"A", "f_bias", "grad of A", "grad of f_bias"}
    assert kept.arg_dict["f_weight"].shape == (3, 3)
