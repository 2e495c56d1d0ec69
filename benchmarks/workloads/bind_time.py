"""How long ResNet-50 takes from a symbol to its first result, and how long at a second batch size: on arrays of its
own, or on the weights of the first.
"""

from .. import nets
from ..workload import Job, Workload, seconds


def make(tiny):
    return {
        "network": nets.resnet(50, 10, 4) if tiny else nets.resnet(50),
        "image": (3, 32, 32) if tiny else (3, 224, 224),
    }


def _first_result(mx, x, symbol, batch):
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=(batch, *x["image"]))
    executor.forward(is_train=False)
    executor.outputs[0].wait_to_read()


def with_mx(again):
    def job(mx, x):
        symbol = x["network"](nets.Symbols(mx), mx.sym.var("data"))
        if again:
            _first_result(mx, x, symbol, 2)
        return Job(value=lambda: seconds(lambda: _first_result(mx, x, symbol, 1)))

    return job


def with_reshape(mx, x):
    symbol = x["network"](nets.Symbols(mx), mx.sym.var("data"))
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=(2, *x["image"]))
    executor.forward(is_train=False)
    executor.outputs[0].wait_to_read()

    def again():
        smaller = executor.reshape(data=(1, *x["image"]))
        smaller.forward(is_train=False)
        smaller.outputs[0].wait_to_read()

    return Job(value=lambda: seconds(again))


WORKLOADS = [
    Workload(
        "bind_first",
        "ResNet-50, bind + first forward, batch 1",
        make,
        {"cymx": with_mx(False), "mxnet": with_mx(False)},
        limits={"mxnet": 1.0},
        fresh=True,
    ),
    Workload(
        "bind_second",
        "ResNet-50, bind again, after batch 2",
        make,
        {"cymx": with_mx(True), "mxnet": with_mx(True)},
        under=("bind_first", 0.2),
        fresh=True,
    ),
    Workload(
        "reshape",
        "ResNet-50, the same weights for batch 1, after 2",
        make,
        {"cymx": with_reshape, "mxnet": with_reshape},
        under=("bind_first", 0.2),
        fresh=True,
    ),
]
