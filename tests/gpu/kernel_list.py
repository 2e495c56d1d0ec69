"""Every kernel that the operators' rows need on a GPU: their plans are compiled for a device that only takes notes."""

import functools
from dataclasses import dataclass, field

from cases import ROWS
from gpu.kernel_support import load_recipes
from ops._run import differentiable, graph_of

from cymx.base import MXNetError
from cymx.compiler.compile import compile_graph
from cymx.gpu import recipe
from cymx.ir import Type


@dataclass
class Notes:
    """A backend that runs nothing: it keeps the kernels of every step, and the names of rows that have no recipe."""

    device: recipe.Device
    kernels: dict[recipe.Kernel, str] = field(default_factory=dict)  # kernel -> the first step that needs it
    missing: dict[str, str] = field(default_factory=dict)
    step: str = ""
    reorders = False

    def prepare(self, launch, ins, outs):
        try:
            found = recipe.find(launch.kernel)
        except MXNetError:
            self.missing.setdefault(launch.kernel, self.step)
            return recipe.Work()
        work = found(launch.kernel, ins, outs, launch.params, self.device)
        for each in work.launches:
            if isinstance(each, recipe.Launch):
                self.kernels.setdefault(each.kernel, f"{launch.kernel} of {self.step}")
        return work

    def runner(self, *_):
        return None


@functools.cache
def kernels_of_rows(arch: int = 80) -> Notes:
    """Return the kernels of all rows: every dtype, forward, and backward where the row has a gradient."""
    load_recipes()
    notes = Notes(recipe.Device(arch))
    for row in ROWS:
        for dtype in row.dtypes:
            arrays = row.draw(dtype)
            graph, names = graph_of(row)
            types = {name: Type(x.shape, x.dtype.name) for name, x in zip(names, arrays)}
            notes.step = f"{row} {dtype}"
            compile_graph(graph, types, row.train, backend=notes)
            if dtype == row.dtypes[0] and differentiable(row):
                wrt = {names[i]: "write" for i in differentiable(row)}
                compile_graph(graph, types, True, wrt, backend=notes)
    return notes
