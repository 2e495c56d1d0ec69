"""Iterators around other iterators: ResizeIter changes the length of an epoch, PrefetchingIter fetches ahead."""

from concurrent.futures import ThreadPoolExecutor

from ..base import ArgumentError
from .io import DataBatch, DataDesc, DataIter

__all__ = ["PrefetchingIter", "ResizeIter"]


class ResizeIter(DataIter):
    """Yield `size` batches an epoch from `data_iter`, which starts again whenever it ends.

    With `reset_internal`, `reset` also resets the inner iterator; without, it goes on where it stands.
    """

    def __init__(self, data_iter, size, reset_internal=True):
        super().__init__(data_iter.batch_size)
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.current_batch = None
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self):
        """Begin a new epoch."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self):
        """Go to the next batch; return False after `size` of them."""
        if self.cur == self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True

    def getdata(self):
        """Return the present batch's data arrays."""
        return self.current_batch.data

    def getlabel(self):
        """Return the present batch's label arrays."""
        return self.current_batch.label

    def getindex(self):
        """Return the sample numbers of the present batch, or None."""
        return self.current_batch.index

    def getpad(self):
        """Return how many samples at the end of the present batch only fill it up."""
        return self.current_batch.pad


def _next_or_none(iterator):
    try:
        return iterator.next()
    except StopIteration:
        return None


class PrefetchingIter(DataIter):
    """Fetch the next batch of one or more iterators, in a thread each, while the present one is used.

    A batch holds the data and labels of all of them, in order.  `rename_data` and `rename_label` are lists, one {old
    name: new name} for each iterator.
    """

    def __init__(self, iters, rename_data=None, rename_label=None):
        self.iters = iters if isinstance(iters, list) else [iters]
        if not self.iters:
            raise ArgumentError("PrefetchingIter: no iterators")
        self.n_iter = len(self.iters)
        self.rename_data = rename_data
        self.rename_label = rename_label
        super().__init__(self.provide_data[0].shape[0])
        self.current_batch = None
        self._pool = ThreadPoolExecutor(self.n_iter, thread_name_prefix="prefetch")
        self._fetch()

    def __del__(self):
        if hasattr(self, "_pool"):
            self._pool.shutdown(wait=False)

    def _fetch(self):
        self._coming = [self._pool.submit(_next_or_none, it) for it in self.iters]

    @property
    def provide_data(self):
        """Descriptions of the data arrays of a batch."""
        return self._describe([it.provide_data for it in self.iters], self.rename_data)

    @property
    def provide_label(self):
        """Descriptions of the label arrays of a batch."""
        return self._describe([it.provide_label for it in self.iters], self.rename_label)

    @staticmethod
    def _describe(groups, renames):
        descs = []
        for group, names in zip(groups, renames or [{}] * len(groups), strict=True):
            for desc in (d if isinstance(d, DataDesc) else DataDesc(*d) for d in group):
                descs.append(DataDesc(names.get(desc.name, desc.name), desc.shape, desc.dtype, desc.layout))
        return descs

    def reset(self):
        """Begin a new epoch."""
        for future in self._coming:
            future.result()
        for it in self.iters:
            it.reset()
        self._fetch()

    def iter_next(self):
        """Go to the next batch; return False after the last."""
        batches = [future.result() for future in self._coming]
        ended = [batch is None for batch in batches]
        if any(ended):
            if not all(ended):
                raise ArgumentError(f"PrefetchingIter: iterator {ended.index(True)} ended before the others")
            return False
        if len({batch.pad for batch in batches}) > 1:
            raise ArgumentError(f"PrefetchingIter: the iterators differ in pad: {[b.pad for b in batches]}")
        self.current_batch = DataBatch(
            [a for b in batches for a in b.data],
            [a for b in batches for a in b.label or ()],
            batches[0].pad,
            batches[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
        self._fetch()
        return True

    def next(self):
        """Return the next batch.  Raises StopIteration after the last."""
        if not self.iter_next():
            raise StopIteration
        return self.current_batch

    def getdata(self):
        """Return the present batch's data arrays."""
        return self.current_batch.data

    def getlabel(self):
        """Return the present batch's label arrays."""
        return self.current_batch.label

    def getindex(self):
        """Return the sample numbers of the present batch, or None."""
        return self.current_batch.index

    def getpad(self):
        """Return how many samples at the end of the present batch only fill it up."""
        return self.current_batch.pad
