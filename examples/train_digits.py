"""Train two networks on the 1,797 handwritten digits: the main job, on real input.

    python examples/train_digits.py [--out FOLDER] [--context cpu|gpu]

A perceptron must reach 0.96 and a LeNet-style network 0.98 accuracy on the 360 digits kept for the test; the exit
status is 1 if one does not.  Checkpoints (mlp-symbol.json, mlp-0030.params, ...) go to FOLDER, which is `digits` by
default; MXNet 1.9.1 reads them as well.  losses.json there holds each epoch's mean cross-entropy.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import cymx as mx
from cymx.data import digits_split

SEED = 0


def mlp():
    """Return 64 -> 128 -> 64 -> 10, with relu between."""
    net = mx.sym.flatten(mx.sym.Variable("data"))
    for i, n in enumerate((128, 64), start=1):
        net = mx.sym.FullyConnected(net, num_hidden=n, name=f"fc{i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i}")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc3")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def lenet():
    """Return two blocks of convolution, batch norm, relu and pooling, then dropout between two dense layers."""
    net = mx.sym.Variable("data")
    for i, n in enumerate((32, 64), start=1):
        net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=n, name=f"conv{i}")
        net = mx.sym.BatchNorm(net, fix_gamma=False, name=f"bn{i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i}")
        net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name=f"pool{i}")
    net = mx.sym.FullyConnected(mx.sym.flatten(net), num_hidden=128, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu3")
    net = mx.sym.Dropout(net, p=0.5, name="drop")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


# network, accuracy to reach, optimizer and its settings, batch size, epochs
JOBS = {
    "mlp": (mlp, 0.96, "sgd", {"learning_rate": 0.1, "momentum": 0.9}, 64, 30),
    "lenet": (lenet, 0.98, "adam", {"learning_rate": 0.001}, 50, 25),
}


def train(name, out, context):
    """Train one network, save it, print what it reached; return whether that is enough, and each epoch's loss."""
    network, target, optimizer, settings, batch_size, n_epochs = JOBS[name]
    mx.random.seed(SEED)
    np.random.seed(SEED)
    x_train, y_train, x_test, y_test = digits_split()
    train_data = mx.io.NDArrayIter(x_train, y_train, batch_size, shuffle=True)
    test_data = mx.io.NDArrayIter(x_test, y_test, batch_size=60)
    n_batches = -(-len(x_train) // batch_size)
    losses = []

    def note(batch):
        if batch.nbatch == n_batches - 1:
            losses.append(dict(batch.eval_metric.get_name_value())["cross-entropy"])

    start = time.perf_counter()
    module = mx.mod.Module(network(), context=context)
    module.fit(
        train_data,
        eval_metric=["acc", "ce"],
        initializer=mx.init.Xavier(),
        optimizer=optimizer,
        optimizer_params=settings,
        num_epoch=n_epochs,
        batch_end_callback=[mx.callback.LiveProgressBar(batch_size, total=n_batches, label=name), note],
    )
    seconds = time.perf_counter() - start

    module.save_checkpoint(str(out / name), n_epochs)
    accuracy = dict(module.score(test_data, "acc"))["accuracy"]
    print(f"{name}: test accuracy {accuracy:.4f} (wanted {target}), {n_epochs} epochs in {seconds:.1f} s", flush=True)
    return accuracy >= target, losses


def main():
    """Train both networks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("digits"), help="folder for the checkpoints (default: digits)")
    parser.add_argument("--context", choices=("cpu", "gpu"), default="cpu", help="where to train (default: cpu)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    context = mx.gpu(0) if options.context == "gpu" else mx.cpu()
    done = {name: train(name, options.out, context) for name in JOBS}
    losses = {name: curve for name, (_, curve) in done.items()}
    (options.out / "losses.json").write_text(json.dumps(losses, indent=1) + "\n", encoding="utf-8")
    return 0 if all(enough for enough, _ in done.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
