"""Iterators: which samples each batch holds, over three epochs, as recorded from MXNet 1.9.1."""

import pickle

import numpy as np
import pytest

import cymx as mx
from cymx.io import CSVIter, DataBatch, DataDesc, NDArrayIter, PrefetchingIter, ResizeIter


def epochs(iterator, n=3):
    """Return, for each epoch, [(samples, pad)]."""
    seen = []
    for _ in range(n):
        seen.append([(b.data[0].asnumpy().ravel().astype(int).tolist(), b.pad) for b in iterator])
        iterator.reset()
    return seen


@pytest.mark.parametrize(
    ("how", "n", "size", "expected"),
    [
        ("pad", 4, 2, [[([0, 1], 0), ([2, 3], 0)]] * 3),
        ("pad", 5, 2, [[([0, 1], 0), ([2, 3], 0), ([4, 0], 1)]] * 3),
        ("pad", 2, 5, [[([0, 1, 0, 1, 0], 3)]] * 3),
        ("discard", 5, 2, [[([0, 1], 0), ([2, 3], 0)]] * 3),
        ("discard", 2, 5, [[]] * 3),
        (
            "roll_over",
            5,
            2,
            [
                [([0, 1], 0), ([2, 3], 0)],
                [([4, 0], 1), ([1, 2], 0), ([3, 4], 0)],
                [([0, 1], 0), ([2, 3], 0)],
            ],
        ),
        (
            "roll_over",
            7,
            3,
            [
                [([0, 1, 2], 0), ([3, 4, 5], 0)],
                [([6, 0, 1], 1), ([2, 3, 4], 0)],
                [([5, 6, 0], 2), ([1, 2, 3], 0), ([4, 5, 6], 0)],
            ],
        ),
    ],
)
def test_the_short_last_batch(how, n, size, expected):
    iterator = NDArrayIter(np.arange(n), np.arange(n) * 10, size, last_batch_handle=how)
    assert epochs(iterator) == expected


def test_shuffle_follows_numpy_s_seed_and_keeps_labels_with_data():
    np.random.seed(0)
    iterator = NDArrayIter(np.arange(5), np.arange(5) * 10, 2, shuffle=True)
    seen = []
    for _ in range(2):
        for batch in iterator:
            assert (batch.label[0].asnumpy() == batch.data[0].asnumpy() * 10).all()
            seen.append(batch.data[0].asnumpy().astype(int).tolist())
        iterator.reset()
    assert seen == [[2, 0], [1, 3], [4, 2], [1, 0], [2, 4], [3, 1]]  # recorded from MXNet 1.9.1


def test_shuffled_samples_rolled_over_come_once():
    iterator = NDArrayIter(np.arange(7), None, 3, shuffle=True, last_batch_handle="roll_over")
    first = [i for batch, _ in epochs(iterator, 1)[0] for i in batch]
    missing = set(range(7)) - set(first)
    batch = next(iterator)
    assert set(batch.data[0].asnumpy()[:1].astype(int).tolist()) == missing
    iterator.hard_reset()
    assert next(iterator).pad == 0


def test_names_shapes_and_dtypes():
    iterator = NDArrayIter(
        {"b": np.zeros((4, 3)), "a": mx.nd.zeros((4, 2), dtype="float16")}, [np.zeros(4, "int32"), np.ones(4)], 2
    )
    assert [(d.name, d.shape, np.dtype(d.dtype).name) for d in iterator.provide_data] == [
        ("a", (2, 2), "float16"),
        ("b", (2, 3), "float32"),
    ]
    assert [(d.name, d.shape) for d in iterator.provide_label] == [
        ("_0_softmax_label", (2,)),
        ("_1_softmax_label", (2,)),
    ]
    unlabelled = NDArrayIter(np.zeros((4, 3)), batch_size=2)
    assert (unlabelled.provide_label, next(unlabelled).label) == ([], [])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NDArrayIter([np.zeros(3), np.zeros(4)], None, 2), "_1_data has 4 samples"),
        (lambda: NDArrayIter("a"), "data is str"),
        (lambda: NDArrayIter([]), "data has no arrays"),
        (lambda: NDArrayIter(np.zeros(3), last_batch_handle="x"), "'x'"),
        (lambda: NDArrayIter(np.zeros(3), None, 4, last_batch_handle="roll_over"), "batch_size=4"),
        (lambda: NDArrayIter(np.zeros(3)).getdata(), "comes first"),
        (lambda: DataBatch(mx.nd.zeros((2,))), "NDArray"),
        (lambda: PrefetchingIter([]), "no iterators"),
    ],
)
def test_errors_name_what_came(make, words):
    with pytest.raises(mx.base.MXNetError, match=words):
        make()


def test_descriptions():
    desc = DataDesc("a", (2, 3), np.float16, "TNC")
    assert desc == ("a", (2, 3))
    assert repr(DataDesc("a", (2, 3))) == "DataDesc[a,(2, 3),<class 'numpy.float32'>,NCHW]"
    assert [DataDesc.get_batch_axis(layout) for layout in ("NCHW", "TNC", None, "CHW")] == [0, 1, 0, -1]
    assert DataDesc.get_list([("a", (1,))], [("a", "int32")])[0].dtype == "int32"
    assert pickle.loads(pickle.dumps(desc)).layout == "TNC"
    batch = DataBatch([mx.nd.zeros((2, 3))], [mx.nd.zeros((2,))])
    assert str(batch) == "DataBatch: data shapes: [(2, 3)] label shapes: [(2,)]"


def test_resize():
    iterator = ResizeIter(NDArrayIter(np.arange(4), batch_size=2), 3)
    assert epochs(iterator, 2) == [[([0, 1], 0), ([2, 3], 0), ([0, 1], 0)]] * 2
    iterator = ResizeIter(NDArrayIter(np.arange(6), batch_size=2), 2, reset_internal=False)
    assert epochs(iterator, 2) == [[([0, 1], 0), ([2, 3], 0)], [([4, 5], 0), ([0, 1], 0)]]


def test_prefetching_yields_the_same_batches():
    arrays = np.arange(5), np.arange(5) * 10
    assert epochs(PrefetchingIter(NDArrayIter(*arrays, 2))) == epochs(NDArrayIter(*arrays, 2))
    two = PrefetchingIter(
        [NDArrayIter(*arrays, 2), NDArrayIter(arrays[1], arrays[0], 2)],
        rename_data=[{"data": "x"}, {"data": "y"}],
        rename_label=[{"softmax_label": "l"}, {"softmax_label": "m"}],
    )
    assert [d.name for d in two.provide_data + two.provide_label] == ["x", "y", "l", "m"]
    batch = next(two)
    assert [a.asnumpy().tolist() for a in batch.data + batch.label] == [[0, 1], [0, 10], [0, 10], [0, 1]]
    uneven = PrefetchingIter([NDArrayIter(np.arange(2), batch_size=2), NDArrayIter(np.arange(4), batch_size=2)])
    next(uneven)
    with pytest.raises(ValueError, match="iterator 0 ended"):
        next(uneven)


@pytest.mark.parametrize(
    ("round_batch", "expected"),
    [
        (
            True,
            [
                [([0, 1], 0), ([2, 3], 0), ([4, 0], 1)],
                [([1, 2], 0), ([3, 4], 0)],
                [([0, 1], 0), ([2, 3], 0), ([4, 0], 1)],
            ],
        ),
        (False, [[([0, 1], 0), ([2, 3], 0), ([4, 3], 1)]] * 3),
    ],
)
def test_csv(tmp_path, round_batch, expected):
    np.savetxt(tmp_path / "data.csv", np.arange(10).reshape(5, 2), delimiter=",")
    np.savetxt(tmp_path / "label.csv", np.arange(5), delimiter=",")
    iterator = CSVIter(tmp_path / "data.csv", (1, 2), tmp_path / "label.csv", batch_size=2, round_batch=round_batch)
    seen = []
    for _ in range(3):
        seen.append([])
        for batch in iterator:
            label, data = batch.label[0].asnumpy(), batch.data[0].asnumpy()
            np.testing.assert_array_equal(iterator.getdata().asnumpy(), data)
            np.testing.assert_array_equal(iterator.getlabel().asnumpy(), label)
            assert data.shape == (2, 1, 2)
            np.testing.assert_array_equal(data[:, 0, 0], label * 2)
            np.testing.assert_array_equal(batch.index, label)
            seen[-1].append((label.astype(int).tolist(), batch.pad))
        iterator.reset()
    assert seen == expected
    with pytest.raises(ValueError, match=r"2 numbers a line.*\(3,\)"):
        CSVIter(tmp_path / "data.csv", (3,))
