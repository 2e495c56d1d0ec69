"""Sentences as numbers: a vocabulary, and an iterator that pads each sentence to the length of its bucket."""

import bisect
import logging
import random

import numpy as np

from .. import ndarray as nd
from ..base import ArgumentError
from ..io import DataBatch, DataDesc, DataIter


def encode_sentences(sentences, vocab=None, invalid_label=-1, invalid_key="\n", start_label=0, unknown_token=None):
    """Return (sentences as lists of integers, vocabulary).

    A vocabulary that is given is used as it is: a word that it lacks counts as unknown_token, or is an error.
    """
    is_new = vocab is None
    vocab = {invalid_key: invalid_label} if is_new else vocab
    label = start_label
    encoded = []
    for sentence in sentences:
        codes = []
        for word in sentence:
            if word not in vocab:
                if not is_new and unknown_token is None:
                    raise ArgumentError(f"vocab has no word {word!r}, expected it or an unknown_token")
                word = word if is_new or unknown_token is None else unknown_token
            if word not in vocab:
                label += label == invalid_label
                vocab[word] = label
                label += 1
            codes.append(vocab[word])
        encoded.append(codes)
    return encoded, vocab


class BucketSentenceIter(DataIter):
    """Iterate over batches of sentences of one bucket; the label of a word is the word that follows.

    sentences: lists of integers.   buckets: lengths; when None every length with at least batch_size sentences.  Longer
    sentences are left out.
    layout: NT, or TN for steps first.   Batches and sentences come in a new order after each reset, by Python's and
    NumPy's global generators.
    """

    def __init__(
        self, sentences, batch_size, buckets=None, invalid_label=-1, data_name="data", label_name="softmax_label",
        dtype="float32", layout="NT",
    ):  # fmt: skip
        super().__init__(batch_size)
        if not buckets:
            counts = np.bincount([len(s) for s in sentences])
            buckets = [length for length, n in enumerate(counts) if n >= batch_size]
        if not buckets:
            raise ArgumentError(f"buckets is empty: no length has the {batch_size} sentences of a batch")
        self.buckets = sorted(buckets)
        if layout.find("N") not in (0, 1):
            raise ArgumentError(f"layout is {layout!r}, expected 'NT' or 'TN'")
        self.data_name, self.label_name, self.dtype, self.invalid_label = data_name, label_name, dtype, invalid_label
        self.major_axis, self.layout = layout.find("N"), layout
        self.default_bucket_key = self.buckets[-1]
        rows, n_long = [[] for _ in self.buckets], 0
        for sentence in sentences:
            at = bisect.bisect_left(self.buckets, len(sentence))
            if at == len(self.buckets):
                n_long += 1
                continue
            padded = np.full(self.buckets[at], invalid_label, dtype)
            padded[: len(sentence)] = sentence
            rows[at].append(padded)
        if n_long:
            logging.warning("%d sentences are longer than the largest bucket and were left out", n_long)
        self.data = [np.array(r, dtype).reshape(len(r), n) for r, n in zip(rows, self.buckets)]
        self.provide_data = [DataDesc(data_name, self._shape(self.default_bucket_key), layout=layout)]
        self.provide_label = [DataDesc(label_name, self._shape(self.default_bucket_key), layout=layout)]
        self.idx = [
            (i, j) for i, data in enumerate(self.data) for j in range(0, len(data) - batch_size + 1, batch_size)
        ]
        self.reset()

    def _shape(self, length):
        return (self.batch_size, length) if self.major_axis == 0 else (length, self.batch_size)

    def reset(self):
        """Start again, in a new order."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        self._labels = []
        for data in self.data:
            np.random.shuffle(data)
            label = np.full_like(data, self.invalid_label)
            label[:, :-1] = data[:, 1:]
            self._labels.append(label)

    def next(self):
        """Return the next batch; its bucket_key is the bucket's length."""
        if self.curr_idx == len(self.idx):
            raise StopIteration
        i, j = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (part[i][j : j + self.batch_size] for part in (self.data, self._labels))
        if self.major_axis == 1:
            data, label = data.T, label.T
        shape = self._shape(self.buckets[i])
        return DataBatch(
            [nd.array(data, dtype=self.dtype)], [nd.array(label, dtype=self.dtype)], pad=0, bucket_key=self.buckets[i],
            provide_data=[DataDesc(self.data_name, shape, layout=self.layout)],
            provide_label=[DataDesc(self.label_name, shape, layout=self.layout)],
        )  # fmt: skip
