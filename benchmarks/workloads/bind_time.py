"""How long ResNet-50 takes from a symbol to its first result, and how long at a second batch size."""

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
]
