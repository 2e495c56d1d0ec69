"""Every kernel that the operators' rows need on a GPU: their plans are compiled for a device that only takes notes."""

import functools

from cases import ROWS
from ops._run import differentiable, graph_of

from cymx.base import MXNetError
from cymx.compiler.compile import compile_graph
from cymx.gpu.recipe import Device
from cymx.gpu.warm import Notes
from cymx.ir import Type

# What recipes say of settings that no GPU can follow: an operator that stops at a bad index.
REFUSED = "needs the CPU"


@functools.cache
def kernels_of_rows(arch: int = 80) -> Notes:
    """Return the kernels of all rows: every dtype, forward, and backward where the row has a gradient."""
    notes = Notes(Device(arch))
    for row in ROWS:
        for dtype in row.dtypes:
            arrays = row.draw(dtype)
            graph, names = graph_of(row)
            types = {name: Type(x.shape, x.dtype.name) for name, x in zip(names, arrays)}
            notes.what = f"{row} {dtype}"
            wrt = {names[i]: "write" for i in differentiable(row)} if dtype == row.dtypes[0] else {}
            try:
                compile_graph(graph, types, row.train, backend=notes)
                if wrt:
                    compile_graph(graph, types, True, wrt, backend=notes)
            except MXNetError as error:
                if REFUSED not in str(error):
                    raise
    return notes
