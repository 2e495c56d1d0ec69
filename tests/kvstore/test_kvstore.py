"""The key-value store of one process: sums, updates, keys and errors."""

import numpy as np
import pytest

import cymx as mx

SHAPE = (2, 3)


def value(array):
    return float(array.asnumpy().ravel()[0])


def pulled(kv, key):
    out = mx.nd.zeros(SHAPE)
    kv.pull(key, out=out)
    assert (out.asnumpy() == value(out)).all()
    return value(out)


@pytest.fixture
def kv():
    return mx.kv.create("local")


@pytest.mark.parametrize("key", [3, "weight"])
def test_init_push_pull(kv, key):
    kv.init(key, mx.nd.ones(SHAPE) * 2)
    assert pulled(kv, key) == 2
    kv.push(key, mx.nd.ones(SHAPE) * 8)
    assert pulled(kv, key) == 8
    kv.push(key, [mx.nd.ones(SHAPE, ctx=mx.cpu(i)) for i in range(4)])
    assert pulled(kv, key) == 4


def test_pushed_arrays_and_init_values_stay_the_caller_s(kv):
    first, pushed = mx.nd.ones(SHAPE), mx.nd.ones(SHAPE) * 3
    kv.init("a", first)
    first[:] = 7
    assert pulled(kv, "a") == 1
    kv.push("a", pushed)
    pushed[:] = 9
    assert pulled(kv, "a") == 3


def test_lists_of_keys_and_of_devices(kv):
    keys = [4, 5]
    kv.init(keys, [mx.nd.ones(SHAPE)] * 2)
    kv.push(keys, [[mx.nd.ones(SHAPE) * k] * 2 for k in (1, 10)])
    outs = [[mx.nd.zeros(SHAPE, ctx=mx.cpu(i)) for i in range(2)] for _ in keys]
    kv.pull(keys, out=outs)
    assert [[value(a) for a in pair] for pair in outs] == [[2, 2], [20, 20]]
    assert outs[0][1].context == mx.cpu(1)


def test_pushpull_and_broadcast(kv):
    out = mx.nd.zeros(SHAPE)
    kv.broadcast("b", mx.nd.ones(SHAPE) * 5, out=out)
    assert value(out) == 5
    grads = [mx.nd.ones(SHAPE), mx.nd.ones(SHAPE) * 2]
    kv.pushpull("b", grads)
    assert [value(g) for g in grads] == [3, 3]
    kv.pushpull("b", grads, out=out)
    assert value(out) == 6


def test_an_updater_takes_key_sum_and_stored_value(kv):
    seen = []

    def update(key, pushed, stored):
        seen.append((key, value(pushed)))
        stored[:] = stored + pushed * 2

    kv._set_updater(update)
    kv.init(["a", "b"], [mx.nd.ones(SHAPE)] * 2)
    kv.push("a", [mx.nd.ones(SHAPE)] * 2)
    kv.push(["b"], [mx.nd.ones(SHAPE)])
    assert seen == [("a", 2.0), ("b", 1.0)]
    assert (pulled(kv, "a"), pulled(kv, "b")) == (5, 3)


def test_an_optimizer_updates_and_its_states_come_back(tmp_path):
    stores = [mx.kv.create("device") for _ in range(2)]
    for kv in stores:
        kv.set_optimizer(mx.optimizer.SGD(learning_rate=0.5, momentum=0.5))
        kv.init("w", mx.nd.ones(SHAPE))
    stores[0].push("w", mx.nd.ones(SHAPE))
    assert pulled(stores[0], "w") == 0.5
    stores[0].save_optimizer_states(tmp_path / "states", dump_optimizer=True)
    stores[1].load_optimizer_states(tmp_path / "states")
    stores[1].push("w", mx.nd.ones(SHAPE))
    assert pulled(stores[1], "w") == 1 - 0.5 * 0.5 - 0.5


def test_kinds():
    for name in ("local", "device", "local_allreduce_cpu"):
        kv = mx.kv.create(name)
        assert (kv.type, kv.rank, kv.num_workers, kv.is_capable("optimizer")) == (name, 0, 1, True)
    for name in ("dist_sync", "dist_async", "horovod"):
        with pytest.raises(mx.base.MXNetError, match=name):
            mx.kv.create(name)
    with pytest.raises(ValueError, match="'nope'"):
        mx.kv.create("nope")
    with pytest.raises(TypeError, match="int"):
        mx.kv.create(3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda kv: kv.init("a", mx.nd.ones(SHAPE)), "'a' is there already"),
        (lambda kv: kv.init(3, mx.nd.ones(SHAPE)), "3 beside 'a'"),
        (lambda kv: kv.push("b", mx.nd.ones(SHAPE)), "'b' has no value"),
        (lambda kv: kv.pull("b", out=mx.nd.ones(SHAPE)), "'b' has no value"),
        (lambda kv: kv.pull("a"), "'a' comes without out"),
        (lambda kv: kv.push("a", mx.nd.ones((5,))), r"'a' holds \(2, 3\).*\(5,\)"),
        (lambda kv: kv.pull("a", out=mx.nd.ones((5,))), r"'a' holds \(2, 3\).*\(5,\)"),
        (lambda kv: kv.push(["a", "b"], mx.nd.ones(SHAPE)), "2 keys"),
        (lambda kv: kv.push(["a"], [mx.nd.ones(SHAPE)] * 2), "1 keys.*2 values"),
        (lambda kv: kv.push("a", "x"), "'a' comes with 'x'"),
        (lambda kv: kv.push(1.5, mx.nd.ones(SHAPE)), "1.5 is float"),
        (lambda kv: kv.row_sparse_pull("a", row_ids=None), "'a': row-sparse"),
        (lambda kv: kv.set_optimizer("sgd"), "str, expected an Optimizer"),
        (lambda kv: kv.save_optimizer_states("/nowhere"), "no optimizer"),
        (lambda kv: kv.is_capable("flying"), "'flying'"),
        (lambda kv: kv.set_gradient_compression({"type": "2bit"}), "not supported"),
    ],
)
def test_errors_name_the_key(kv, call, words):
    kv.init("a", mx.nd.ones(SHAPE))
    with pytest.raises(mx.base.MXNetError, match=words):
        call(kv)
    assert pulled(kv, "a") == 1


def test_own_stores_can_be_registered():
    @mx.kvstore.KVStoreBase.register
    class OwnStore(mx.kvstore.KVStoreBase):
        @staticmethod
        def is_capable(capability):
            return False

    assert isinstance(mx.kv.create("ownstore"), OwnStore)
    store, on_store = mx.model._create_kvstore(OwnStore(), 2, {})
    assert (type(store), on_store) == (OwnStore, False)
    mx.kvstore.KVStoreBase.kv_registry.pop("ownstore")


@pytest.mark.parametrize("on_store", [True, False])
def test_update_params_with_and_without_updates_on_the_store(on_store):
    kv = mx.kv.create("local")
    weights = [[mx.nd.ones(SHAPE, ctx=mx.cpu(i)) for i in range(2)] for _ in range(2)]
    grads = [[mx.nd.ones(SHAPE, ctx=mx.cpu(i)) for i in range(2)], [None, None]]
    names, sgd = ["w", "fixed"], mx.optimizer.SGD(learning_rate=0.25)
    if on_store:
        kv.set_optimizer(sgd)
    start = {name: mx.nd.ones(SHAPE) for name in names}
    mx.model._initialize_kvstore(kv, weights, start, names, on_store)
    if on_store:
        mx.model._update_params_on_kvstore(weights, grads, kv, names)
    else:
        mx.model._update_params(weights, grads, mx.optimizer.get_updater(sgd), 2, kv, names)
    np.testing.assert_array_equal([[value(a) for a in pair] for pair in weights], [[0.5, 0.5], [1, 1]])
