"""Threads on executors, executors that go while runs are queued, errors at the wait, and the naive engine."""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import cymx as mx
from cymx import _ops
from cymx.base import MXNetError

CPU = mx.cpu()


def in_threads(work, n=8):
    """Run work(i) in n threads, and raise what any of them raised."""
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def network():
    x = mx.sym.Variable("x")
    return mx.sym.tanh(mx.sym.FullyConnected(x, num_hidden=16, no_bias=True, name="fc")) * 2 + 1


def test_threads_on_their_own_executors():
    symbol, rng = network(), np.random.default_rng(0)
    weight = rng.normal(size=(16, 32)).astype("float32")
    shared = mx.nd.array(weight)

    def work(i):
        own = np.random.default_rng(i)
        exe = symbol.bind(CPU, {"x": mx.nd.zeros((8, 32)), "fc_weight": shared}, {"x": mx.nd.zeros((8, 32))})
        for _ in range(40):
            x = own.normal(size=(8, 32)).astype("float32")
            (y,) = exe.forward(is_train=True, x=x)
            exe.backward(mx.nd.ones(y.shape))
            t = np.tanh(x @ weight.T)
            np.testing.assert_allclose(y.asnumpy(), t * 2 + 1, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(exe.grad_dict["x"].asnumpy(), 2 * (1 - t * t) @ weight, rtol=1e-3, atol=1e-4)

    in_threads(work)


def test_threads_on_one_executor():
    """Each call is one run: what stands in the output is the answer to one thread's values, never a mixture."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    exe = (mx.sym.exp(a) * b).simple_bind(CPU, a=(4, 500), b=(4, 500))
    answers = [np.full((4, 500), np.exp(i / 8) * i, "float32") for i in range(8)]

    def work(i):
        mine = {"a": mx.nd.full((4, 500), i / 8), "b": mx.nd.full((4, 500), i)}
        for _ in range(100):
            found = exe.forward(**mine)[0].copy().asnumpy()
            assert any(np.allclose(found, answer, rtol=1e-5) for answer in answers), found

    in_threads(work)


def test_threads_on_one_executor_with_fixed_arguments():
    symbol, rng = network(), np.random.default_rng(1)
    x, w = rng.normal(size=(8, 32)).astype("float32"), rng.normal(size=(16, 32)).astype("float32")
    exe = symbol.bind(CPU, {"x": mx.nd.array(x), "fc_weight": mx.nd.array(w)})
    expected = np.tanh(x @ w.T) * 2 + 1

    def work(_):
        for _ in range(100):
            np.testing.assert_allclose(exe.forward()[0].asnumpy(), expected, rtol=1e-4, atol=1e-5)

    in_threads(work)


def test_an_executor_may_go_while_its_run_is_queued():
    x = mx.sym.Variable("x")
    deep = x
    for _ in range(4):
        deep = mx.sym.softmax(mx.sym.dot(deep, x))
    for _ in range(10):
        exe = deep.bind(CPU, [mx.nd.ones((300, 300)) / 300])
        (y,) = exe.forward()
        del exe
        gc.collect()
        np.testing.assert_allclose(y.asnumpy(), 1 / 300, rtol=1e-4)


def test_a_failing_kernel_is_named_at_the_wait():
    """A plan whose matmul brings operands that do not fit: the run is accepted, and the wait tells where it failed."""
    operand = (0, 0, (2, 3), "float32")
    plan = _ops.Plan(
        [("matmul", "dot 'broken'", [operand, operand], [(1, 0, (2, 2), "float32")], (0, 0), (0, 0), 0, 1 << 30)], 2, 1
    )
    x, y = mx.nd.ones((2, 3)), mx.nd.ones((2, 2))
    plan.run([x, y], None)
    with pytest.raises(MXNetError, match="dot 'broken'"):
        y.asnumpy()
    np.testing.assert_array_equal(x.asnumpy(), 1)


def test_the_naive_engine_gives_the_same(tmp_path):
    code = (
        "import numpy as np, cymx as mx; x = mx.sym.Variable('x');"
        "e = mx.sym.FullyConnected(mx.sym.tanh(x), num_hidden=3, name='fc').simple_bind(mx.cpu(), x=(2, 4));"
        "[a.__setitem__(slice(None), mx.nd.array(np.arange(a.size).reshape(a.shape) / 8)) for a in e.arg_arrays];"
        "y = e.forward(is_train=True)[0]; e.backward(mx.nd.ones(y.shape));"
        "print(y.asnumpy().tolist(), [g.asnumpy().tolist() for g in e.grad_arrays])"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,  # not the checkout, whose folder may hold no extensions
            env={**os.environ, "MXNET_ENGINE_TYPE": kind, "PYTHONPATH": str(Path(mx.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for kind in ("NaiveEngine", "ThreadedEnginePerDevice")
    ]
    assert found[0] == found[1] and "[[" in found[0]
