"""BucketingModule and SequentialModule: parameters shared by buckets, gradients handed down a chain."""

import numpy as np
import pytest
from module.support import DATA, LABEL, batch, bound, network, params

import cymx as mx


def bucket(key):
    """Return the symbol that sums sequences (N, key) and classifies the sums."""
    total = mx.sym.sum(mx.sym.Variable("data"), axis=1, keepdims=True)
    net = mx.sym.FullyConnected(total, num_hidden=2, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax"), ("data",), ("softmax_label",)


def sequences(key, n=4):
    data = np.ones((n, key), "float32") * np.arange(n)[:, None]
    return mx.io.DataBatch(
        [mx.nd.array(data)],
        [mx.nd.array(np.arange(n) % 2)],
        pad=0,
        bucket_key=key,
        provide_data=[mx.io.DataDesc("data", (n, key))],
        provide_label=[mx.io.DataDesc("softmax_label", (n,))],
    )


def bucketing(**kwargs):
    module = mx.mod.BucketingModule(bucket, default_bucket_key=5, **kwargs)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    module.init_params(mx.init.One())
    module.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
    return module


def plain_steps(keys):
    """Train the same with NumPy and momentum, on sums of the sequences."""
    w, b = np.ones((2, 1)), np.zeros(2)
    mw, mb = np.zeros_like(w), np.zeros_like(b)
    label = np.eye(2)[np.arange(4) % 2]
    for key in keys:
        x = np.arange(4)[:, None] * float(key)
        score = np.exp(x @ w.T + b)
        grad = (score / score.sum(1, keepdims=True) - label) / 4
        mw, mb = 0.9 * mw - 0.1 * grad.T @ x, 0.9 * mb - 0.1 * grad.sum(0)
        w, b = w + mw, b + mb
    return w, b


def test_buckets_train_one_set_of_parameters(tmp_path):
    module = bucketing()
    keys = [5, 3, 5, 2, 3]
    for key in keys:
        module.prepare(sequences(key))
        module.forward_backward(sequences(key))
        module.update()
        assert module.data_shapes[0].shape == (4, key)
    w, b = plain_steps(keys)
    arg_params, _ = module.get_params()
    np.testing.assert_allclose(arg_params["fc_weight"].asnumpy(), w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(arg_params["fc_bias"].asnumpy(), b, rtol=1e-4, atol=1e-6)

    prefix = str(tmp_path / "b")
    module.save_checkpoint(prefix, 1)
    assert {p.name for p in tmp_path.iterdir()} == {
        "b-0001.params",
        "b.buckets",
        *(f"b-{k}-symbol.json" for k in (2, 3, 5)),
    }
    again = mx.mod.BucketingModule.load(prefix, 1, sym_gen=bucket, default_bucket_key=5)
    again.bind([("data", (4, 5))], [("softmax_label", (4,))], for_training=False)
    for each in (module, again):
        each.forward(sequences(7), is_train=False)
    np.testing.assert_allclose(again.get_outputs()[0].asnumpy(), module.get_outputs()[0].asnumpy(), rtol=1e-6)


def test_fit_over_buckets():
    class Buckets(mx.io.DataIter):
        provide_data = sequences(5).provide_data
        provide_label = sequences(5).provide_label
        left = ()

        def reset(self):
            self.left = [5, 3, 2]

        def next(self):
            if not self.left:
                raise StopIteration
            return sequences(self.left.pop())

    data = Buckets(4)
    data.reset()
    module = mx.mod.BucketingModule(bucket, default_bucket_key=5)
    module.fit(data, num_epoch=2, initializer=mx.init.One(), optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
    np.testing.assert_allclose(module.get_params()[0]["fc_weight"].asnumpy(), plain_steps([2, 3, 5] * 2)[0], rtol=1e-4)


def test_bucketing_errors():
    with pytest.raises(ValueError, match="default_bucket_key"):
        mx.mod.BucketingModule(bucket)
    with pytest.raises(ValueError, match="sym_gen"):
        mx.mod.BucketingModule.load_dict({}, None, 5, {})
    with pytest.raises(mx.base.MXNetError, match=r"bind\(\) comes first"):
        mx.mod.BucketingModule(bucket, 5).forward(sequences(3))


def chain():
    first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, name="fc1")
    first = mx.sym.Activation(first, act_type="relu", name="relu1")
    second = mx.sym.FullyConnected(mx.sym.Variable("hidden"), num_hidden=3, name="fc2")
    second = mx.sym.SoftmaxOutput(second, name="softmax")
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(first, label_names=[]))
    return module.add(mx.mod.Module(second, data_names=["hidden"]), take_labels=True, auto_wiring=True)


def test_a_chain_trains_as_the_whole_network():
    module, whole = chain(), bound(4)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))], inputs_need_grad=True)
    module.init_params(arg_params=params(), aux_params={})
    for each in (module, whole):
        each.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
        for start in (0, 4, 8):
            each.forward_backward(batch(4, start=start))
            each.update()
    for name, array in whole.get_params()[0].items():
        np.testing.assert_allclose(module.get_params()[0][name].asnumpy(), array.asnumpy(), rtol=1e-4, atol=1e-6)
    assert module.get_input_grads()[0].shape == (4, 5)
    assert (module.data_names, module.output_names) == (["data"], ["softmax_output"])


def test_fit_and_score_of_a_chain():
    scores = []
    for each in (chain(), mx.mod.Module(network())):
        data = mx.io.NDArrayIter(DATA, LABEL, 13)
        each.fit(data, num_epoch=2, arg_params=params(), aux_params={}, optimizer_params={"learning_rate": 0.5})
        scores.append(each.score(data, "ce")[0][1])
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


def test_chain_errors():
    with pytest.raises(ValueError, match="takes_label"):
        mx.mod.SequentialModule().add(mx.mod.Module(network()), takes_label=True)
    with pytest.raises(ValueError, match="no modules"):
        mx.mod.SequentialModule().bind([("data", (4, 5))])
    twice = mx.mod.SequentialModule()
    for _ in range(2):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc")
        twice.add(mx.mod.Module(net, label_names=[]), auto_wiring=True)
    twice.bind([("data", (4, 5))])
    with pytest.raises(ValueError, match="fc_weight is in modules 0 and 1"):
        twice.init_params()
