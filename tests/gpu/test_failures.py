"""What users see when a GPU fails in the middle of training: the operator's name, the sizes, and what still works."""

import gc

import numpy as np
import pytest
from gpu.driver import run

import cymx as mx

TRAIN = """
    x = mx.sym.var("data")
    x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=8, name="fc1"), act_type="relu", name="relu1")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")
    module = mx.mod.Module(net, context=mx.gpu(0))
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    module.init_params(mx.init.Uniform(0.1))
    module.init_optimizer(optimizer_params={"learning_rate": 0.1})
    batch = mx.io.DataBatch([mx.nd.ones((4, 5))], [mx.nd.zeros((4,))])
    def step():
        module.forward_backward(batch)
        module.update()
        mx.nd.waitall()
    for _ in range(3):
        step()
"""


def trained(script, **environment):
    return run(TRAIN + script, CYMX_GPU_LIBRARIES="off", **environment).splitlines()


@pytest.mark.parametrize("after, name", [(0, "FullyConnected 'fc1'"), (2, "FullyConnected 'fc2'")])
def test_naive_engine_names_the_operator(driver, after, name):
    printed = trained(
        f"""
    driver.fail("execution", driver.LAUNCH_FAILED, after={after})
    try:
        step()
        module.get_outputs()[0].asnumpy()
    except MXNetError as e:
        print(e)
    """,
        MXNET_ENGINE_TYPE="NaiveEngine",
    )
    assert name in printed[0] and "LAUNCH_FAILED" in printed[0], printed


def test_other_engines_say_how_to_find_out(driver):
    printed = trained("""
    driver.fail("execution", driver.LAUNCH_FAILED)
    try:
        step()
    except MXNetError as e:
        print(e)
    """)
    assert "LAUNCH_FAILED" in printed[0] and "MXNET_ENGINE_TYPE=NaiveEngine names the operator" in printed[0]


def test_naive_engine_learns_the_same(driver):
    show = "\n    print(sorted((k, v.asnumpy().tolist()) for k, v in module.get_params()[0].items()))"
    seeded = "\n    mx.random.seed(1)" + TRAIN + show
    assert run(seeded, MXNET_ENGINE_TYPE="NaiveEngine") == run(seeded)


def test_a_binding_without_memory_leaves_the_process_usable(driver):
    mx.nd.waitall()
    before = driver.live_bytes(0)
    driver.configure(memory=before + (8 << 20))
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=1024, name="fc")
    with pytest.raises(MemoryError, match=r"gpu\(0\): asked for \d+ bytes, with \d+ bytes live .* bytes free"):
        net.simple_bind(mx.gpu(0), data=(64, 4096))
    gc.collect()
    executor = net.simple_bind(mx.gpu(0), data=(2, 16))
    executor.arg_dict["data"][:] = 1
    executor.arg_dict["fc_weight"][:] = 2
    np.testing.assert_array_equal(executor.forward()[0].asnumpy(), np.full((2, 1024), 32, "float32"))
