"""Executors on mx.gpu: plans captured as CUDA graphs, networks that learn, and what stays the same as on the CPU."""

import numpy as np
import pytest

import cymx as mx

GPU = mx.gpu(0)
FORWARD, BACKWARD = 1, 2


def uniform(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype("float32")


def runner_of(executor, train=False):
    return executor._runs[train, train].plan.runner


def bound(symbol, context, values, grad_req="write"):
    args = {name: mx.nd.array(value, ctx=context) for name, value in values.items()}
    grads = {name: mx.nd.zeros(value.shape, ctx=context) for name, value in values.items()}
    return symbol.bind(context, args, grads if grad_req != "null" else None, grad_req)


def products():
    a, b, c, d = (mx.sym.var(k) for k in "abcd")
    return a * b + c * d, {k: uniform(5, 7, seed=i) for i, k in enumerate("abcd")}


def mlp():
    x = mx.sym.var("data")
    x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=16, name="fc1"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=4, name="fc2"), name="softmax")


def convnet():
    x = mx.sym.var("data")
    x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=4, pad=(1, 1), name="conv")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="bn"), act_type="relu")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc"), name="softmax")


# ---- capture and replay ----


def test_the_second_run_is_captured_and_later_ones_see_new_values(driver):
    symbol, values = products()
    executor = bound(symbol, GPU, values, "null")
    for turn in range(5):
        values["a"] = uniform(5, 7, seed=10 + turn)
        found = executor.forward(a=values["a"])[0].asnumpy()
        assert runner_of(executor).captured(FORWARD) == (turn > 0)
        want = values["a"] * values["b"] + values["c"] * values["d"]
        np.testing.assert_allclose(found, want, rtol=1e-6, atol=1e-6)
    assert driver.calls("cuGraphLaunch") == 4 and driver.calls("cuGraphInstantiateWithFlags") == 1


def test_forward_and_backward_are_captured_apart(driver):
    executor = bound(mlp(), GPU, mlp_values())
    for _ in range(3):
        executor.forward(is_train=True)
        executor.backward()
    assert runner_of(executor, True).captured(FORWARD) and runner_of(executor, True).captured(BACKWARD)
    assert driver.calls("cuGraphInstantiateWithFlags") == 2


def test_other_memory_is_not_replayed_into(driver):
    x = mx.sym.var("x")
    executor = bound(mx.sym.tanh(x), GPU, {"x": uniform(6)})
    for turn in range(6):
        head = mx.nd.array(uniform(6, seed=turn), ctx=GPU)  # a new array each time: its address may change
        executor.forward(is_train=True)
        executor.backward(head)
        want = head.asnumpy() * (1 - np.tanh(uniform(6)) ** 2)
        np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), want, rtol=1e-4, atol=1e-5)


def test_a_replay_draws_new_numbers(driver):
    executor = mx.sym.random_uniform(shape=(50,)).bind(GPU, {})
    draws = [executor.forward()[0].asnumpy() for _ in range(4)]
    assert runner_of(executor).captured(FORWARD)
    assert all(not np.array_equal(draws[0], other) for other in draws[1:])
    mx.random.seed(3)
    again = executor.forward()[0].asnumpy()
    mx.random.seed(3)
    assert np.array_equal(again, executor.forward()[0].asnumpy())


def test_a_capture_that_fails_leaves_the_launches(driver):
    symbol, values = products()
    executor = bound(symbol, GPU, values, "null")
    driver.fail("cuGraphInstantiateWithFlags", 801)
    for _ in range(3):
        found = executor.forward()[0].asnumpy()
        want = values["a"] * values["b"] + values["c"] * values["d"]
        np.testing.assert_allclose(found, want, rtol=1e-6, atol=1e-6)
    assert not runner_of(executor).captured(FORWARD) and driver.calls("cuGraphLaunch") == 0


def test_a_failing_launch_names_its_step(driver):
    symbol, values = products()
    executor = bound(symbol, GPU, values, "null")
    driver.fail("cuLaunchKernel", 1)
    executor.forward()
    with pytest.raises(mx.MXNetError, match="_plus|elemwise|broadcast"):
        executor.outputs[0].asnumpy()


# ---- the same as on the CPU ----


def mlp_values():
    shapes = dict(zip(mlp().list_arguments(), mlp().infer_shape(data=(6, 5))[0]))
    return {
        name: np.float32([0, 1, 2, 3, 0, 1]) if name == "softmax_label" else uniform(*s) for name, s in shapes.items()
    }


def test_gradients_of_a_network(driver):
    found = {}
    for context in (mx.cpu(), GPU):
        executor = bound(mlp(), context, mlp_values())
        executor.forward(is_train=True)
        executor.backward()
        found[context] = {"out": executor.outputs[0].asnumpy()} | {
            k: g.asnumpy() for k, g in executor.grad_dict.items()
        }
    for name, want in found[mx.cpu()].items():
        np.testing.assert_allclose(found[GPU][name], want, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("net, shape", [(mlp, (8, 5)), (convnet, (8, 2, 8, 8))])
def test_module_learns_as_on_the_cpu(driver, net, shape):
    """Some steps of training leave the same weights behind."""
    data, label = uniform(24, *shape[1:]), np.random.default_rng(1).integers(0, 3, 24).astype("float32")
    weights = {}
    for context in (mx.cpu(), GPU):
        mx.random.seed(5)
        module = mx.mod.Module(net(), context=context)
        batches = mx.io.NDArrayIter(data, label, shape[0])
        module.fit(
            batches,
            num_epoch=2,
            optimizer="sgd",
            optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
            initializer=mx.init.Xavier(),
        )
        arguments, auxiliary = module.get_params()
        weights[context] = {k: v.asnumpy() for k, v in {**arguments, **auxiliary}.items()}
    for name, want in weights[mx.cpu()].items():
        np.testing.assert_allclose(weights[GPU][name], want, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["local", "device"])
def test_two_gpus_learn_as_one(driver, kind):
    data, label = uniform(16, 5), np.random.default_rng(1).integers(0, 4, 16).astype("float32")
    weights = []
    for contexts in ([mx.gpu(0)], [mx.gpu(0), mx.gpu(1)]):
        mx.random.seed(5)
        module = mx.mod.Module(mlp(), context=contexts)
        batches = mx.io.NDArrayIter(data, label, 8)
        module.fit(batches, num_epoch=2, kvstore=kind, initializer=mx.init.Xavier())
        weights.append({k: v.asnumpy() for k, v in module.get_params()[0].items()})
    for name, want in weights[0].items():
        np.testing.assert_allclose(weights[1][name], want, rtol=1e-4, atol=1e-6, err_msg=name)


def test_kvstore_adds_what_two_gpus_push(driver):
    store = mx.kv.create("device")
    store.init("w", mx.nd.zeros((3,)))
    store.push("w", [mx.nd.ones((3,), ctx=mx.gpu(i)) * (i + 1) for i in range(2)])
    outs = [mx.nd.zeros((3,), ctx=mx.gpu(i)) for i in range(2)]
    store.pull("w", outs)
    assert [out.asnumpy().tolist() for out in outs] == [[3, 3, 3]] * 2


def test_files_hold_arrays_of_a_gpu(driver, tmp_path):
    path = str(tmp_path / "x.params")
    mx.nd.save(path, {"w": mx.nd.array(uniform(3, 4), ctx=GPU)})
    assert np.array_equal(mx.nd.load(path)["w"].asnumpy(), uniform(3, 4))
