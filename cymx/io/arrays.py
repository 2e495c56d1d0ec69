"""Iterators over arrays that lie in memory: NDArrayIter, and CSVIter, which reads its files first."""

import numpy as np

from .. import ndarray as nd
from ..base import ArgumentError, ArgumentTypeError, MXNetError
from ..ndarray import NDArray
from .io import DataBatch, DataDesc, DataIter

__all__ = ["CSVIter", "NDArrayIter"]


def _named_arrays(data, default_name, allow_empty):
    """Return [(name, NDArray)] from an array, a list of arrays, or {name: array} (sorted by name)."""
    if data is None:
        data = []
    if isinstance(data, NDArray | np.ndarray):
        data = [data]
    if isinstance(data, list | tuple):
        if not allow_empty and not data:
            raise ArgumentError(f"NDArrayIter: {default_name} has no arrays")
        names = [default_name] if len(data) == 1 else [f"_{i}_{default_name}" for i in range(len(data))]
        pairs = list(zip(names, data, strict=True))
    elif isinstance(data, dict):
        pairs = sorted(data.items())
    else:
        raise ArgumentTypeError(
            f"NDArrayIter: {default_name} is {type(data).__name__}, expected an array, list or dict"
        )
    arrays = []
    for name, array in pairs:
        try:
            arrays.append((name, array if isinstance(array, NDArray) else nd.array(array)))
        except (TypeError, ValueError) as error:
            raise ArgumentTypeError(f"NDArrayIter: {name} is {type(array).__name__}, expected an array") from error
    return arrays


class NDArrayIter(DataIter):
    """Cut arrays along their first axis into batches.

    Parameters
    ----------
    data, label : array (NDArray or NumPy), list of them, or {name: array}; all of the same length.
    batch_size : samples a batch.
    shuffle : put the samples into a new order at each epoch, by `numpy.random`.
    last_batch_handle : what becomes of a short last batch.  'pad' fills it up from the start, 'discard' drops it,
    'roll_over'
        keeps its samples for the next epoch's first batch.
    data_name, label_name : names where the arrays have none; `_0_name`, `_1_name`, ... where there are several.
    layout : of the data's descriptions.
    """

    def __init__(
        self,
        data,
        label=None,
        batch_size=1,
        shuffle=False,
        last_batch_handle="pad",
        data_name="data",
        label_name="softmax_label",
        layout="NCHW",
    ):
        super().__init__(batch_size)
        if last_batch_handle not in ("pad", "discard", "roll_over"):
            raise ArgumentError(
                f"NDArrayIter: last_batch_handle={last_batch_handle!r} is none of 'pad', 'discard', 'roll_over'"
            )
        self.data = _named_arrays(data, data_name, allow_empty=False)
        self.label = _named_arrays(label, label_name, allow_empty=True)
        self.num_source = len(self.data) + len(self.label)
        self.num_data = len(self.data[0][1])
        for name, array in self.data + self.label:
            if len(array) != self.num_data:
                raise ArgumentError(f"NDArrayIter: {name} has {len(array)} samples, {self.data[0][0]} {self.num_data}")
        if last_batch_handle == "roll_over" and batch_size > self.num_data:
            raise ArgumentError(f"NDArrayIter: batch_size={batch_size} of {self.num_data} samples cannot roll over")
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.layout = layout
        self.idx = np.arange(self.num_data)
        self.cursor = -batch_size
        self._left = None  # the samples rolled over: (data arrays, label arrays)
        self.reset()

    @property
    def provide_data(self):
        """Descriptions of the data arrays of a batch."""
        return self._describe(self.data)

    @property
    def provide_label(self):
        """Descriptions of the label arrays of a batch."""
        return self._describe(self.label)

    def _describe(self, arrays):
        return [DataDesc(n, (self.batch_size, *a.shape[1:]), a.dtype, self.layout) for n, a in arrays]

    def hard_reset(self):
        """Go back to the start, and forget samples rolled over."""
        self._left = None
        self.cursor = -self.batch_size
        if self.shuffle:
            self._shuffle_data()

    def reset(self):
        """Go to the next epoch, in a new order under `shuffle`."""
        left = self.num_data - self.cursor
        if self.last_batch_handle == "roll_over" and 0 < left < self.batch_size:
            self._left = self._cut(self.data, self.cursor), self._cut(self.label, self.cursor)
            if self.shuffle:
                # The shuffle writes new arrays, so what is left keeps the old order.
                self._shuffle_data()
            self.cursor = -left - self.batch_size
        else:
            self.hard_reset()

    def iter_next(self):
        """Go to the next batch; return False after the last."""
        self.cursor += self.batch_size
        if self.last_batch_handle == "pad":
            return self.cursor < self.num_data
        return self.cursor + self.batch_size <= self.num_data

    def getdata(self):
        """Return the present batch's data arrays."""
        return self._batch(self.data, 0)

    def getlabel(self):
        """Return the present batch's label arrays."""
        return self._batch(self.label, 1)

    def getpad(self):
        """Return how many samples of the present batch only fill it up, or were rolled over into it."""
        if self.last_batch_handle == "pad":
            return max(0, self.cursor + self.batch_size - self.num_data)
        if self.last_batch_handle == "roll_over":
            return max(0, -self.cursor)
        return 0

    @staticmethod
    def _cut(arrays, start, stop=None):
        return [array[start:stop] for _, array in arrays]

    def _batch(self, arrays, which):
        start, stop = self.cursor, self.cursor + self.batch_size
        if start < 0 and self._left is None:
            raise MXNetError("NDArrayIter: there is no batch yet; next() or iter_next() comes first")
        if start >= 0 and stop <= self.num_data:
            return self._cut(arrays, start, stop)
        if start < 0:
            parts = [self._left[which], self._cut(arrays, 0, stop)]
        else:
            parts, missing = [self._cut(arrays, start)], stop - self.num_data
            while missing > 0:
                parts.append(self._cut(arrays, 0, min(missing, self.num_data)))
                missing -= self.num_data
        return [nd.concat(*pieces, dim=0) for pieces in zip(*parts, strict=True)]

    def _shuffle_data(self):
        np.random.shuffle(self.idx)
        self.data, self.label = (
            [(name, nd.array(a.asnumpy()[self.idx], ctx=a.context, dtype=a.dtype)) for name, a in arrays]
            for arrays in (self.data, self.label)
        )


class CSVIter(DataIter):
    """Read samples, one a line, from a CSV file of numbers, with labels from another or 0.

    Each line holds a sample of `data_shape`, or a label of `label_shape`, flattened.  With `round_batch` a short last
    batch is filled up from the start, and the next epoch goes on from there; without, rows of the batch before fill
    it up.
    """

    def __init__(
        self,
        data_csv,
        data_shape,
        label_csv="NULL",
        label_shape=(1,),
        batch_size=1,
        round_batch=True,
        dtype=None,
        data_name="data",
        label_name="softmax_label",
    ):
        super().__init__(batch_size)
        dtype = np.dtype("float32" if dtype is None else dtype)
        self._data = self._read(data_csv, data_shape, dtype)
        if label_csv == "NULL":
            self._label = np.zeros((len(self._data), *label_shape), dtype)
        else:
            self._label = self._read(label_csv, label_shape, dtype)
        if len(self._label) != len(self._data):
            raise ArgumentError(f"CSVIter: {len(self._data)} samples in {data_csv}, {len(self._label)} in {label_csv}")
        if tuple(label_shape) == (1,):
            self._label = self._label[:, 0]
        self.round_batch = round_batch
        self.provide_data = [DataDesc(data_name, (batch_size, *self._data.shape[1:]), dtype.type)]
        self.provide_label = [DataDesc(label_name, (batch_size, *self._label.shape[1:]), dtype.type)]
        self._index = np.zeros(batch_size, "uint64")
        self._start = self._pad = 0

    @staticmethod
    def _read(path, shape, dtype):
        rows = np.loadtxt(path, delimiter=",", dtype=dtype, ndmin=2)
        size = int(np.prod(shape))
        if rows.shape[1] != size:
            raise ArgumentError(
                f"CSVIter: {path} has {rows.shape[1]} numbers a line, expected {size} from {tuple(shape)}"
            )
        return rows.reshape(-1, *shape)

    def reset(self):
        """Go back to the start, or under `round_batch` to where the last batch ended."""
        self._start = self._pad if self.round_batch else 0
        self._pad = 0

    def iter_next(self):
        """Go to the next batch; return False after the last."""
        n = len(self._data)
        if self._start >= n:
            return False
        rows = np.arange(self._start, self._start + self.batch_size)
        self._start += self.batch_size
        self._pad = max(0, self._start - n)
        if self.round_batch:
            self._index = (rows % n).astype("uint64")
        else:
            self._index = np.where(rows < n, rows, self._index).astype("uint64")
        return True

    def next(self):
        """Return the next batch.  Raises StopIteration after the last."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch([self.getdata()], [self.getlabel()], self.getpad(), self.getindex())

    def getdata(self):
        """Return the present batch's data."""
        return nd.array(self._data[self._index], dtype=self._data.dtype)

    def getlabel(self):
        """Return the present batch's labels."""
        return nd.array(self._label[self._index], dtype=self._label.dtype)

    def getindex(self):
        """Return the line numbers of the present batch."""
        return self._index

    def getpad(self):
        """Return how many samples at the end of the present batch only fill it up."""
        return self._pad
