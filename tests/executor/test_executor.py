"""Executor as MXNet 1.9.1 has it: what is bound, what forward and backward take and leave, and what is refused."""

import numpy as np
import pytest

import cymx as mx
from cymx.base import MXNetError

CPU = mx.cpu()


def full(value, shape=(2, 3), dtype="float32", ctx=None):
    return mx.nd.full(shape, value, dtype=dtype, ctx=ctx)


@pytest.fixture
def product():
    """a * b with a = 2 and b = 3, and gradients of both."""
    symbol = mx.sym.Variable("a") * mx.sym.Variable("b")
    return symbol.bind(CPU, {"a": full(2), "b": full(3)}, {"a": full(0), "b": full(0)})


def values(*arrays):
    return [a.asnumpy().flat[0] for a in arrays]


# ---- binding ----


@pytest.mark.parametrize(
    "args", [[full(2), full(3)], {"b": full(3), "a": full(2)}, {"a": full(2), "b": full(3), "unused": full(1)}]
)
@pytest.mark.parametrize("grads", [lambda: [full(0), full(0)], lambda: {"a": full(0), "b": full(0)}])
@pytest.mark.parametrize("request_", ["write", ["write", "write"], {"a": "write", "b": "write"}])
def test_every_form_of_arguments(args, grads, request_):
    exe = (mx.sym.Variable("a") * mx.sym.Variable("b")).bind(CPU, args, grads(), request_)
    exe.forward(is_train=True)
    exe.backward(full(1))
    assert values(*exe.outputs, *exe.grad_arrays) == [6, 3, 2]


def test_names_and_arrays_agree(product):
    assert list(product.arg_dict) == ["a", "b"] and list(product.grad_dict) == ["a", "b"]
    assert [id(x) for x in product.arg_arrays] == [id(x) for x in product.arg_dict.values()]
    assert len(product.output_dict) == 1
    assert next(iter(product.output_dict.values())) is product.outputs[0]
    assert product.aux_dict == {} and product.aux_arrays == []


def test_a_dict_of_requests_leaves_the_rest_out():
    symbol = mx.sym.Variable("a") * mx.sym.Variable("b")
    exe = symbol.simple_bind(CPU, grad_req={"a": "write"}, a=(2, 3), b=(2, 3))
    assert exe.grad_dict["b"] is None and exe.grad_arrays[1] is None
    exe.forward(is_train=True, a=full(2), b=full(3))
    exe.backward(full(1))
    assert values(exe.grad_dict["a"]) == [3]


def test_types_reach_the_outputs():
    x = mx.sym.Variable("x")
    for dtype in ("float16", "float64", "int32"):
        exe = (x * x).simple_bind(CPU, x=(2, 3), type_dict={"x": dtype})
        exe.forward(is_train=True, x=full(3, dtype=dtype))
        exe.backward(full(2, dtype=dtype))
        assert exe.outputs[0].dtype == np.dtype(dtype) and exe.grad_dict["x"].dtype == np.dtype(dtype)
        assert values(*exe.outputs, exe.grad_dict["x"]) == [9, 12]


@pytest.mark.parametrize(
    "args, grads, error, message",
    [
        ({"a": full(1)}, None, ValueError, "'?b'?"),
        ([full(1)], None, ValueError, "1 arrays, expected 2"),
        ({"a": full(1), "b": full(1, (3, 3))}, None, MXNetError, r"rhs is \(3, 3\), expected \(2, 3\)"),
        ({"a": full(1), "b": full(1, dtype="float64")}, None, MXNetError, "float64"),
        ({"a": full(1), "b": np.ones((2, 3))}, None, TypeError, "expected an NDArray"),
        ({"a": full(1), "b": full(1, ctx=mx.cpu(1))}, None, ValueError, r"b is on cpu\(1\), expected cpu\(0\)"),
        ({"a": full(1), "b": full(1)}, {"a": full(1, ctx=mx.cpu(1))}, ValueError, r"gradient of a is on cpu\(1\)"),
        ({"a": full(1), "b": full(1)}, {"a": full(1, (5, 5))}, ValueError, r"the gradient of a is float32\(5, 5\)"),
    ],
)
def test_what_does_not_fit_is_refused(args, grads, error, message):
    with pytest.raises(error, match=message):
        (mx.sym.Variable("a") * mx.sym.Variable("b")).bind(CPU, args, grads)


def test_the_same_array_twice():
    x = full(3)
    exe = (mx.sym.Variable("a") * mx.sym.Variable("b")).bind(CPU, [x, x], [full(0), full(0)])
    exe.forward(is_train=True)
    exe.backward(full(1))
    assert values(*exe.outputs, *exe.grad_arrays) == [9, 3, 3]


def test_arrays_are_bound_for_good(product):
    product.arg_dict["a"] = full(10)
    assert values(*product.forward()) == [6]


def test_groups_may_lie_on_other_contexts():
    with mx.AttrScope(ctx_group="first"):
        x = mx.sym.Variable("x")
    with mx.AttrScope(ctx_group="second"):
        y = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    exe = y.simple_bind(CPU, group2ctx={"first": CPU, "second": mx.cpu(1)}, x=(2, 3))
    assert [a.context for a in exe.arg_arrays] == [CPU, mx.cpu(1), mx.cpu(1)]
    for i in range(20):
        exe.arg_dict["fc_weight"][:] = i
        exe.forward(is_train=True, x=full(1))
        exe.backward(full(1, (2, 2)))
        assert values(exe.outputs[0], exe.grad_dict["x"]) == [3 * i, 2 * i]


# ---- forward ----


def test_outputs_are_the_same_arrays_each_time(product):
    first = product.forward()
    assert product.forward(a=full(5)) is first and product.outputs[0] is first[0]
    assert values(*first) == [15]


def test_forward_takes_values(product):
    assert values(*product.forward(a=np.full((2, 3), 7.0), b=full(2, dtype="float64"))) == [14]
    with pytest.raises(TypeError, match="Unknown argument zz"):
        product.forward(zz=full(1))
    with pytest.raises(ValueError, match=r"Shape not match! Argument a, need: \(2, 3\), received: \(3, 2\)"):
        product.forward(a=full(1, (3, 2)))


def test_writes_between_runs_are_seen_in_order(product):
    found = []
    for i in range(50):
        product.arg_dict["a"][:] = i
        product.forward()
        found.append(product.outputs[0].copy())
    assert values(*found) == [3 * i for i in range(50)]


def test_two_executors_share_arrays():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    x, y = full(1), full(2)
    one, two = (a + b).bind(CPU, [x, y]), (a * b).bind(CPU, [x, y])
    for i in range(20):
        x[:] = i
        assert values(*one.forward(), *two.forward()) == [i + 2, 2 * i]


# ---- backward ----


@pytest.mark.parametrize("wrap", [lambda g: g, lambda g: [g], lambda g: (g,), lambda g: {"ab_output": g}])
def test_every_form_of_head_gradients(wrap):
    symbol = mx.sym.elemwise_mul(mx.sym.Variable("a"), mx.sym.Variable("b"), name="ab")
    exe = symbol.bind(CPU, [full(2), full(3)], [full(0), full(0)])
    exe.forward(is_train=True)
    exe.backward(wrap(full(2)))
    assert values(*exe.grad_arrays) == [6, 4]


def test_what_backward_refuses(product):
    product.forward(is_train=True)
    for head, error, message in (
        (None, MXNetError, "is no loss, so the gradient that flows into it is needed"),
        (np.ones((2, 3)), TypeError, "out_grads is ndarray"),
        ([np.ones((2, 3))], TypeError, "is ndarray, expected NDArray"),
        (full(1, (3, 2)), ValueError, r"is \(3, 2\), expected \(2, 3\)"),
        ([full(1), full(1)], ValueError, "2 gradients came"),
    ):
        with pytest.raises(error, match=message):
            product.backward(head)


def test_heads_of_other_types_are_converted(product):
    product.forward(is_train=True)
    product.backward(full(2, dtype="float64", ctx=mx.cpu(1)))
    assert values(*product.grad_arrays) == [6, 4]


def test_backward_without_gradients_does_nothing():
    exe = (mx.sym.Variable("a") * 2).bind(CPU, [full(2)])
    exe.forward(is_train=True)
    exe.backward()
    assert exe.grad_arrays == [None]


def test_backward_after_an_inference_run():
    x = mx.sym.Variable("x")
    exe = mx.sym.Dropout(mx.sym.tanh(x), p=0.5).simple_bind(CPU, x=(2, 3))
    exe.forward(x=full(1))
    exe.backward(full(1))
    np.testing.assert_allclose(exe.grad_dict["x"].asnumpy(), np.full((2, 3), 1 - np.tanh(1) ** 2), rtol=1e-5)
    np.testing.assert_allclose(exe.outputs[0].asnumpy(), np.full((2, 3), np.tanh(1)), rtol=1e-6)


def test_losses_need_no_heads():
    x = mx.sym.Variable("x")
    loss = mx.sym.SoftmaxOutput(x, name="softmax")
    both = mx.sym.Group([loss, mx.sym.BlockGrad(x * 2)])
    exe = both.simple_bind(CPU, x=(2, 3))
    exe.forward(is_train=True)
    exe.backward()
    np.testing.assert_allclose(exe.grad_dict["x"].asnumpy(), np.tile([-2 / 3, 1 / 3, 1 / 3], (2, 1)), rtol=1e-5)


def test_requests():
    a, b, c = (mx.sym.Variable(n) for n in "abc")
    grads = {"a": full(1), "b": full(1), "c": full(1)}
    exe = (a * b * c).bind(
        CPU, {n: full(v) for n, v in zip("abc", (2, 3, 5))}, grads, {"a": "add", "b": "write", "c": "null"}
    )
    exe.forward(is_train=True)
    for _ in range(3):
        exe.backward(full(1))
    assert values(*grads.values()) == [1 + 3 * 15, 10, 1]


def test_a_variable_as_output_twice():
    v = mx.sym.Variable("v")
    exe = mx.sym.Group([v, v]).bind(CPU, [full(4)], [full(0)])
    exe.forward(is_train=True)
    exe.backward([full(1), full(2)])
    assert values(*exe.outputs, *exe.grad_arrays) == [4, 4, 3]
    exe.outputs[0][:] = 9
    assert values(exe.outputs[1], exe.arg_dict["v"]) == [4, 4]


# ---- auxiliary states ----


def test_only_training_changes_auxiliary_states():
    exe = mx.sym.BatchNorm(mx.sym.Variable("x"), momentum=0.5, fix_gamma=False, name="bn").simple_bind(CPU, x=(4, 3))
    exe.copy_params_from(
        {"x": mx.nd.array(np.arange(12).reshape(4, 3)), "bn_gamma": mx.nd.ones(3)}, {"bn_moving_var": mx.nd.ones(3)}
    )
    exe.forward()
    np.testing.assert_array_equal(exe.aux_dict["bn_moving_mean"].asnumpy(), 0)
    exe.forward(is_train=True)
    exe.backward(full(1, (4, 3)))
    np.testing.assert_allclose(exe.aux_dict["bn_moving_mean"].asnumpy(), [2.25, 2.75, 3.25])


# ---- changing and looking in ----


def test_copy_params_from(product):
    product.copy_params_from({"a": full(5)})
    assert values(*product.forward()) == [15]
    for args, aux, message in (
        ({"q": full(1)}, None, 'Find name "q" that is not in the arguments'),
        ({}, {"q": full(1)}, "q.* that is not in the auxiliary states"),
        ({"a": full(1, (3, 2))}, None, r"a is \(3, 2\), expected \(2, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            product.copy_params_from(args, aux)
    product.copy_params_from({"q": full(1)}, {"r": full(1)}, allow_extra_params=True)


def test_reshape_shares_memory():
    exe = mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=4, name="fc").simple_bind(CPU, x=(2, 3))
    small = exe.reshape(x=(1, 3))
    exe.arg_dict["fc_weight"][:] = 2
    small.arg_dict["x"][:] = 9
    assert small.outputs[0].shape == (1, 4) and values(*small.forward()) == [54]
    np.testing.assert_array_equal(exe.arg_dict["x"].asnumpy()[0], 9)
    large = exe.reshape(allow_up_sizing=True, x=(7, 3))
    assert large.outputs[0].shape == (7, 4) and large.arg_dict["fc_weight"] is exe.arg_dict["fc_weight"]
    with pytest.raises(ValueError, match="allow_up_sizing"):
        exe.reshape(x=(5, 3))
    with pytest.raises(ValueError, match="fc_weight changes .* partial_shaping"):
        exe.reshape(allow_up_sizing=True, x=(2, 9))
    assert exe.reshape(True, True, x=(2, 9)).arg_dict["fc_weight"].shape == (4, 9)
    with pytest.raises(ValueError, match="no argument q"):
        exe.reshape(q=(1,))


def test_debug_str_shows_one_fused_step():
    a, b, c, d = (mx.sym.Variable(n) for n in "ABCD")
    exe = (a * b + c * d).simple_bind(CPU, A=(10, 10), B=(10, 10), C=(10, 10), D=(10, 10))
    text = exe.debug_str()
    assert text.startswith("inference plan\narg:A: float32(10, 10)") and text.count("\nstep ") == 1
    exe.forward(is_train=True)
    assert "training plan with gradients" in exe.debug_str()


def test_monitor_sees_inner_outputs():
    net = mx.sym.Activation(
        mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=2, name="fc"), act_type="relu", name="act"
    )
    exe = net.simple_bind(CPU, x=(1, 3))
    exe.arg_dict["fc_bias"][:] = -1
    seen = {}
    exe.set_monitor_callback(lambda name, array: seen.__setitem__(str(name), values(array)))
    exe.forward()
    assert seen == {"fc_output": [-1], "act_output": [0]}
    exe.set_monitor_callback(lambda name, array: seen.__setitem__(str(name), values(array)), monitor_all=True)
    exe.arg_dict["fc_bias"][:] = 4
    exe.forward(is_train=True)
    assert seen == {"fc_output": [4], "act_output": [4], "x": [0], "fc_weight": [0], "fc_bias": [4]}


def test_the_monitor_leaves_auxiliary_states_alone():
    exe = mx.sym.BatchNorm(mx.sym.Variable("x"), momentum=0.5, name="bn").simple_bind(CPU, x=(4, 3))
    exe.arg_dict["x"][:] = 8
    exe.set_monitor_callback(lambda name, array: None)
    exe.forward(is_train=True)
    assert values(exe.aux_dict["bn_moving_mean"]) == [4]
    exe.forward(is_train=True)
    assert values(exe.aux_dict["bn_moving_mean"]) == [6]
