"""What an inference plan on a GPU keeps between runs: weights turned and folded once, outside the captured graph."""

import numpy as np
import pytest

import cymx as mx
from cymx.gpu import library

GPU = mx.gpu(0)
FORWARD = 1


def network():
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="c0")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, name="b0"), act_type="relu")
    x = mx.sym.Convolution(x, kernel=(2, 2), num_filter=3, no_bias=True, name="c1")
    return mx.sym.Deconvolution(x, kernel=(3, 3), num_filter=2, name="d0")


def draw(shape, seed):
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype("float32")


def bound(context, dtype="float16"):
    executor = network().simple_bind(context, grad_req="null", type_dict={"data": dtype}, data=(2, 3, 6, 6))
    for i, array in enumerate((*executor.arg_arrays, *executor.aux_arrays)):
        array[:] = draw(array.shape, i) / array.size**0.5
    return executor


def answer(executor):
    return executor.forward()[0].astype("float32").asnumpy()


def state_of(executor):
    """Return the text of the inference plan's steps, and what runs them."""
    plan = executor._runs[False, False].plan
    return [line for line in plan.dump().splitlines() if line.startswith("step")], plan.runner


def test_only_images_are_worked_on_again(libraries, driver):
    executor, reference = bound(GPU), answer(bound(mx.cpu()))
    first = answer(executor)
    np.testing.assert_allclose(first, reference, rtol=2e-2, atol=2e-2)
    steps, runner = state_of(executor)
    kept = [step for step in steps if step.endswith(" kept")]
    # Filters are turned in kept steps; of all others only the image's way in and out is a transpose.
    assert sum(" transpose " in step for step in kept) == 3
    assert sum(" transpose " in step for step in set(steps) - set(kept)) == 2
    for turn in range(3):
        launches = driver.calls("cuLaunchKernel")
        executor.forward()
        # Captured once, without the kept steps; replayed, nothing is launched one by one.
        in_graph = len(steps) - len(kept) - 3  # of which three are cuDNN's
        assert driver.calls("cuLaunchKernel") - launches == (in_graph if turn == 0 else 0)
    assert runner.captured(FORWARD)
    np.testing.assert_array_equal(executor.outputs[0].astype("float32").asnumpy(), first)


@pytest.mark.parametrize("name", ["c0_weight", "c0_bias", "b0_gamma", "b0_moving_var", "c1_weight", "d0_weight"])
@pytest.mark.parametrize("plain", [False, True])
def test_every_write_is_seen(libraries, driver, monkeypatch, name, plain):
    if plain:
        monkeypatch.setattr(library, "make", lambda *_: None)
    executor, on_cpu = bound(GPU), bound(mx.cpu())
    for _ in range(3):
        executor.forward()
    for turn in range(2):
        value = draw(executor.arg_dict.get(name, executor.aux_dict.get(name)).shape, 20 + turn)
        for each in (executor, on_cpu):
            (each.arg_dict | each.aux_dict)[name][:] = value
        for _ in range(2):
            np.testing.assert_allclose(answer(executor), answer(on_cpu), rtol=2e-2, atol=2e-2)
    assert state_of(executor)[1].captured(FORWARD)
    assert driver.calls("cuGraphInstantiateWithFlags") == 1  # what is kept lies where the graph reads it


def test_memory_handed_out_is_watched_for_good(libraries, driver):
    executor = bound(GPU)
    executor.forward()
    capsule = executor.arg_dict["c0_weight"].__dlpack__()
    counts = []
    for _ in range(3):
        before = driver.calls("cuLaunchKernel")
        executor.forward()
        counts.append(driver.calls("cuLaunchKernel") - before)
    kept = [step for step in state_of(executor)[0] if step.endswith(" kept")]
    assert counts[1] == counts[2] > 0 and counts[1] < len(kept)
    del capsule


def test_training_between_inference_runs(libraries, driver):
    symbol = mx.sym.SoftmaxOutput(mx.sym.Flatten(network()), name="softmax")
    answers = []
    for context in (mx.cpu(), GPU):
        executor = symbol.simple_bind(context, type_dict={"data": "float16"}, data=(2, 3, 6, 6))
        for i, array in enumerate((*executor.arg_arrays, *executor.aux_arrays)):
            array[:] = draw(array.shape, i) / array.size**0.5
        for _ in range(3):
            executor.forward(is_train=True)
            executor.backward()
            for weight, grad in zip(executor.arg_arrays, executor.grad_arrays):
                weight -= 0.1 * grad
            answers.append(answer(executor))
    for want, found in zip(answers[:3], answers[3:]):
        np.testing.assert_allclose(found, want, rtol=3e-2, atol=1e-3)
