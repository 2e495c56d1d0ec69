"""ResNet-50 inference at 224 x 224: an executor without gradients; PyTorch with channels last, as it is fastest."""

from .. import nets
from ..workload import Job, Workload, repeat, uniform


def make(batch):
    def inputs(tiny):
        network = nets.resnet(50, 10, 4) if tiny else nets.resnet(50)
        shape = (batch, 3, 32, 32) if tiny else (batch, 3, 224, 224)
        params, aux = nets.weights_of(network, shape)
        return {"network": network, "data": uniform(*shape), "params": params, "aux": aux}

    return inputs


def with_mx(mx, x):
    symbol = x["network"](nets.Symbols(mx), mx.sym.var("data"))
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=x["data"].shape)
    nd = lambda arrays: {name: mx.nd.array(value) for name, value in arrays.items()}
    executor.copy_params_from(nd(x["params"]), nd(x["aux"]))
    executor.arg_dict["data"][:] = mx.nd.array(x["data"])

    def run():
        executor.forward(is_train=False)
        executor.outputs[0].wait_to_read()

    def result():
        run()
        return [executor.outputs[0].asnumpy()]

    return Job(repeat(run), result)


def with_torch(torch, x):
    last = lambda value: (
        torch.tensor(value).contiguous(memory_format=torch.channels_last) if value.ndim == 4 else torch.tensor(value)
    )
    network = nets.Eager(torch, {name: last(value) for name, value in {**x["params"], **x["aux"]}.items()}, False)
    data = last(x["data"])

    def run():
        with torch.inference_mode():
            return x["network"](network, data)

    return Job(repeat(run), lambda: [run().numpy()])


def with_onnxruntime(onnxruntime, x):
    net = nets.Onnx({**x["params"], **x["aux"]})
    model = net.model(x["network"](net, "data"), x["data"].shape)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = x["threads"]
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    run = lambda: session.run(None, {"data": x["data"]})
    return Job(repeat(run), run)


WORKLOADS = [
    Workload(
        f"resnet50_batch{batch}",
        f"ResNet-50 inference, batch {batch}",
        make(batch),
        {"cymx": with_mx, "torch": with_torch, "onnxruntime": with_onnxruntime, "mxnet": with_mx},
        limits={"onnxruntime": 0.95},
        tolerance=1e-3,
    )
    for batch in (1, 16)
]
