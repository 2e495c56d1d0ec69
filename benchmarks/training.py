"""One training step, in Module and in PyTorch: forward, backward, SGD with momentum, mean cross-entropy."""

from __future__ import annotations

import numpy as np

from .workload import Job

RATE, MOMENTUM = 0.01, 0.9


def _changes(probabilities, x, after, coarse):
    """Return what peers must agree on: outputs, the size of each weight's change, and one weight's change itself.

    coarse: the mean loss and the sizes alone, which low precision leaves standing.
    """
    moved = {name: after[name] - x["params"][name] for name in sorted(x["params"])}
    sizes = np.array([np.linalg.norm(change.astype("float64")) for change in moved.values()])
    if coarse:
        chosen = probabilities[np.arange(len(probabilities)), x["label"].astype("int64")]
        return [-np.log(chosen.astype("float64")).mean(keepdims=True), sizes]
    return [probabilities, sizes, moved[min(moved)]]


def with_module(mx, symbol, x, context=None, coarse=False):
    """Return the Job of a Module.

    x: `data` and `label`, `params` and `aux` by name.   context: where, by default mx.cpu().   coarse: compare
    less, as low precision needs.
    """
    context = context or mx.cpu()
    data_shape, label_shape = [("data", x["data"].shape)], [("softmax_label", x["label"].shape)]
    module = mx.mod.Module(symbol, context=context)
    module.bind(data_shapes=data_shape, label_shapes=label_shape)
    nd = lambda arrays: {name: mx.nd.array(value) for name, value in arrays.items()}
    on_device = lambda value: [mx.nd.array(value, ctx=context)]
    start = nd(x["params"]), nd(x["aux"])
    module.init_params(arg_params=start[0], aux_params=start[1])
    settings = {"learning_rate": RATE, "momentum": MOMENTUM, "rescale_grad": 1 / x["label"].size}
    module.init_optimizer(optimizer="sgd", optimizer_params=settings)
    batch = mx.io.DataBatch(on_device(x["data"]), on_device(x["label"]))

    def loop(n):
        for _ in range(n):
            module.forward_backward(batch)
            module.update()
        mx.nd.waitall()

    def result():
        loop(1)
        after = {name: value.asnumpy() for name, value in module.get_params()[0].items()}
        return _changes(module.get_outputs()[0].asnumpy(), x, after, coarse)

    return Job(loop, result)


def with_torch(torch, forward, x, tensor=None, wait=lambda: None, coarse=False, **optimizer_settings):
    """Return the Job of PyTorch.

    forward: (tensors by name, data) -> logits (N, classes).   x: as in with_module; labels (N,), or (batch, steps)
    for outputs with time first.   tensor: array -> tensor where the step runs, by default torch.tensor.   wait: for
    what is under way there.   coarse: as in with_module.
    """
    tensor = tensor or torch.tensor
    weights = {name: tensor(value).requires_grad_() for name, value in x["params"].items()}
    tensors = {**weights, **{name: tensor(value) for name, value in x["aux"].items()}}
    data, label = tensor(x["data"]), tensor(x["label"].T.reshape(-1)).long()
    optimizer = torch.optim.SGD(weights.values(), lr=RATE, momentum=MOMENTUM, **optimizer_settings)

    def step():
        optimizer.zero_grad()
        logits = forward(tensors, data)
        torch.nn.functional.cross_entropy(logits, label).backward()
        optimizer.step()
        return logits

    def loop(n):
        for _ in range(n):
            step()
        wait()

    def result():
        values = lambda value: value.detach().float().cpu().numpy()
        probabilities = values(torch.softmax(step().float(), 1))
        return _changes(probabilities, x, {name: values(value) for name, value in weights.items()}, coarse)

    return Job(loop, result)
