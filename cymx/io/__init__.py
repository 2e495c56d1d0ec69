"""Data iterators: batches of arrays, described by name, shape, dtype and layout, for modules to train on.

`io` holds the descriptions and the base class, `arrays` iterators over arrays in memory and CSV files, `wrappers`
iterators around other iterators.  Called by module and by users; knows no symbol.
"""

from . import io
from .arrays import CSVIter, NDArrayIter
from .io import DataBatch, DataDesc, DataIter
from .wrappers import PrefetchingIter, ResizeIter

__all__ = ["CSVIter", "DataBatch", "DataDesc", "DataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter", "io"]
