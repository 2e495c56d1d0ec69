"""Sentences in buckets: the vocabulary, padding, labels, and the shapes of batches."""

import random

import numpy as np
import pytest

import cymx as mx


def test_words_are_numbered_as_they_come():
    encoded, vocab = mx.rnn.encode_sentences([["a", "b", "a"], ["c"]], start_label=1, invalid_label=0)
    assert encoded == [[1, 2, 1], [3]]
    assert vocab == {"\n": 0, "a": 1, "b": 2, "c": 3}
    assert mx.rnn.encode_sentences([["b", "c"]], vocab)[0] == [[2, 3]]
    with pytest.raises(mx.MXNetError, match="vocab has no word 'd'"):
        mx.rnn.encode_sentences([["d"]], vocab)
    assert mx.rnn.encode_sentences([["d", "a"]], {**vocab, "<unk>": 9}, unknown_token="<unk>")[0] == [[9, 1]]


def test_the_number_of_padding_is_no_word():
    encoded, _ = mx.rnn.encode_sentences([["a", "b", "c"]], start_label=0, invalid_label=1)
    assert encoded == [[0, 2, 3]]


@pytest.mark.parametrize("layout", ["NT", "TN"])
def test_batches_are_padded_and_labelled(layout):
    random.seed(1)
    np.random.seed(1)
    sentences = [[i + 1] * n for i, n in enumerate([2, 3, 3, 2, 5, 4, 9])]
    batches = mx.rnn.BucketSentenceIter(sentences, 2, buckets=[5, 3], invalid_label=0, layout=layout)
    assert batches.buckets == [3, 5] and batches.default_bucket_key == 5
    assert batches.provide_data[0].shape == ((2, 5) if layout == "NT" else (5, 2))
    seen = set()
    for batch in batches:
        data, label = (x[0].asnumpy() if layout == "NT" else x[0].asnumpy().T for x in (batch.data, batch.label))
        assert data.shape == (2, batch.bucket_key)
        assert batch.provide_label[0].shape == batch.label[0].shape
        np.testing.assert_array_equal(label[:, :-1], data[:, 1:])
        assert (label[:, -1] == 0).all()
        for row in data:
            word, n = int(row[0]), int((row != 0).sum())
            assert len(sentences[word - 1]) == n
            seen.add(word)
    assert seen == {1, 2, 3, 4, 5, 6}  # the one of nine words is left out
    batches.reset()
    assert sum(1 for _ in batches) == 3


def test_buckets_are_found():
    sentences = [[1, 2]] * 3 + [[1, 2, 3]] * 2 + [[1]]
    assert mx.rnn.BucketSentenceIter(sentences, 2).buckets == [2, 3]
    with pytest.raises(mx.MXNetError, match="buckets is empty"):
        mx.rnn.BucketSentenceIter(sentences, 5)
