"""What a batch is, how its arrays are described, and the protocol of iterators.

Refuses nothing but wrong containers.
"""

from collections import namedtuple

import numpy as np

from ..base import ArgumentTypeError

__all__ = ["DataBatch", "DataDesc", "DataIter"]


class DataDesc(namedtuple("DataDesc", ["name", "shape"])):
    """Describe an array of a batch: a (name, shape) tuple that also knows `dtype` and `layout`, such as 'NCHW'."""

    def __new__(cls, name, shape, dtype=np.float32, layout="NCHW"):
        self = super().__new__(cls, name, tuple(shape))
        self.dtype = dtype
        self.layout = layout
        return self

    def __getnewargs__(self):
        return self.name, self.shape, self.dtype, self.layout

    def __repr__(self):
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout):
        """Return the place of 'N' in the layout: 0 where there is no layout, -1 where it has no 'N'."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes, types):
        """Make descriptions from [(name, shape)] and, unless it is None, [(name, dtype)]."""
        if types is None:
            return [DataDesc(name, shape) for name, shape in shapes]
        dtypes = dict(types)
        return [DataDesc(name, shape, dtypes[name]) for name, shape in shapes]


class DataBatch:
    """Hold lists of data and label arrays; the last `pad` samples only fill the batch up.

    `bucket_key`, `provide_data` and `provide_label` tell a BucketingModule which network takes the batch.
    """

    def __init__(self, data, label=None, pad=None, index=None, bucket_key=None, provide_data=None, provide_label=None):
        for what, arrays in (("data", data), ("label", label)):
            if arrays is not None and not isinstance(arrays, list | tuple):
                raise ArgumentTypeError(f"DataBatch: {what} is {type(arrays).__name__}, expected a list of arrays")
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self):
        data, label = ([a.shape for a in arrays] if arrays else None for arrays in (self.data, self.label))
        return f"{type(self).__name__}: data shapes: {data} label shapes: {label}"


class DataIter:
    """Yield DataBatches until StopIteration, and again after `reset`.

    A subclass defines `iter_next`, `getdata`, `getlabel` and `getpad`, or `next`; and `provide_data` and
    `provide_label`, lists of DataDesc.
    """

    def __init__(self, batch_size=0):
        self.batch_size = batch_size

    def __iter__(self):
        return self

    def __next__(self):
        return self.next()

    def reset(self):
        """Go back to the start."""

    def next(self):
        """Return the next batch.  Raises StopIteration after the last."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def iter_next(self):
        """Go to the next batch; return False after the last."""
        raise NotImplementedError(f"{type(self).__name__} defines no iter_next")

    def getdata(self):
        """Return the present batch's data arrays."""
        raise NotImplementedError(f"{type(self).__name__} defines no getdata")

    def getlabel(self):
        """Return the present batch's label arrays."""
        raise NotImplementedError(f"{type(self).__name__} defines no getlabel")

    def getindex(self):
        """Return the sample numbers of the present batch, or None."""
        return None

    def getpad(self):
        """Return how many samples at the end of the present batch only fill it up."""
        raise NotImplementedError(f"{type(self).__name__} defines no getpad")
