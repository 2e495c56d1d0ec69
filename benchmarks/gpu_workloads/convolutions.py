"""All convolutions of ResNet-50, one after another, each as often as the network has it: forward, and each gradient.

Both libraries get arrays with channels first, as MXNet lays them out; PyTorch's convolutions are cuDNN's.
"""

from .. import nets
from ..workload import Workload, tiled
from .devices import OF_CONVOLUTION, PRECISIONS, Mx, Torch, queued

BATCH = 32
DIRECTIONS = ("forward", "data", "weight")


class _Layers(nets.Weights):
    """Notes the convolutions of a network: (shape of x, filters, kernel, stride, pad) -> how often."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def conv(self, x, name, filters, kernel, stride=1, pad=0, bias=False):
        layer = (x, filters, kernel, stride, pad)
        self.found[layer] = self.found.get(layer, 0) + 1
        return super().conv(x, name, filters, kernel, stride, pad, bias)


def make(tiny):
    layers = _Layers()
    if tiny:
        nets.resnet(50, 10, 4)(layers, (2, 3, 32, 32))
    else:
        nets.resnet(50)(layers, (BATCH, 3, 224, 224))
    found = []
    for (shape, filters, kernel, stride, pad), count in layers.found.items():
        size = [(n + 2 * pad - kernel) // stride + 1 for n in shape[2:]]
        arrays = (
            tiled(*shape),
            tiled(filters, shape[1], kernel, kernel, seed=8),
            tiled(shape[0], filters, *size, seed=9),
        )
        found.append((arrays, kernel, stride, pad, count))
    return {"layers": found[:4] if tiny else found}


def _in_turn(runs, library):
    """Return the Job of [(run, count)]."""

    def network():
        for run, count in runs:
            for _ in range(count):
                last = run()
        return last

    return queued(network, library, lambda _: [run() for run, _ in runs])


def with_mx(direction, precision):
    def layer(mx, gpu, arrays, kernel, stride, pad):
        x, w, dy = map(gpu.array, arrays)
        pair = lambda n: (n, n)
        symbol = mx.sym.Convolution(
            mx.sym.var("data"),
            mx.sym.var("weight"),
            kernel=pair(kernel),
            stride=pair(stride),
            pad=pair(pad),
            num_filter=w.shape[0],
            no_bias=True,
        )
        if direction == "forward":
            executor = symbol.bind(gpu.context, {"data": x, "weight": w}, grad_req="null")
            return lambda: executor.forward()[0]
        gradient = mx.nd.zeros_like(x if direction == "data" else w)
        executor = symbol.bind(gpu.context, {"data": x, "weight": w}, {direction: gradient})
        executor.forward(is_train=True)

        def backward():
            executor.backward(dy)
            return gradient

        return backward

    def job(mx, x):
        gpu = Mx(mx, precision)
        return _in_turn([(layer(mx, gpu, *settings), count) for *settings, count in x["layers"]], gpu)

    return job


def with_torch(direction, precision):
    def layer(torch, gpu, arrays, kernel, stride, pad):
        x, w, dy = map(gpu.array, arrays)
        if direction == "forward":
            return lambda: torch.nn.functional.conv2d(x, w, None, stride, pad)
        backward, wanted = torch.ops.aten.convolution_backward, [direction == "data", direction == "weight", False]
        settings = [0], [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, wanted
        return lambda: backward(dy, x, w, *settings)[wanted.index(True)]

    def job(torch, x):
        gpu = Torch(torch, x, precision)
        return _in_turn([(layer(torch, gpu, *settings), count) for *settings, count in x["layers"]], gpu)

    return job


WORKLOADS = [
    Workload(
        f"gpu_conv_{direction}_{precision}",
        "ResNet-50's convolutions, {}, {}".format(
            {"forward": "forward"}.get(direction, direction + "'s gradient"), precision
        ),
        make,
        {"cymx": with_mx(direction, precision), "torch": with_torch(direction, precision)},
        limits={"torch": 1 / OF_CONVOLUTION},
        tolerance=PRECISIONS[precision],
    )
    for precision in ("tf32", "bf16")
    for direction in DIRECTIONS
]
