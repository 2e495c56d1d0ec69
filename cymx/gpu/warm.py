"""Fill the kernel cache on any machine, with or without a GPU: a program, imported by nothing in cymx.

    python -m cymx.gpu.warm --arch sm_90
    python -m cymx.gpu.warm --arch sm_90 --symbol net-symbol.json --shape data=64,1,28,28 --shape softmax_label=64

Without a symbol it compiles what eager calls of every operator need that has no required setting; with one, what its
Executor needs.  The folder that CYMX_KERNEL_CACHE names can be carried to a machine with that GPU and the same NVRTC.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import config
from ..base import MXNetError
from ..compiler import compile_graph
from ..compiler.infer import infer
from ..ir import Entry, Graph, Node, Type
from ..ops import REGISTRY
from ..symbol import Symbol, load
from . import compiler, recipes  # noqa: F401  (recipes register themselves)
from .recipe import Device, Kernel, Launch, Tensor, Work, find
from .recipes.calls import likes_channels_last

EAGER_DTYPES = ("float32", "float16", "bfloat16")
EAGER_SHAPE = (64, 64)


class Notes:
    """A backend that runs nothing: it notes the kernels of every step, and the rows that have no recipe.

    kernels, missing: each with the first step that needs it.   epilogues: see Backend; none of them is a kernel.
    """

    reorders, filters_last = False, True
    epilogues: Callable[..., bool] | None = None

    def __init__(self, device: Device):
        self.device = device
        self.kernels: dict[Kernel, str] = {}
        self.missing: dict[str, str] = {}
        self.what = ""

    @property
    def key(self) -> tuple:
        """Return what decides, the device and its epilogues."""
        return self.device, self.epilogues

    def likes_channels_last(self, launch: Any, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> bool:
        """Return what a GPU's backend does on such a device, whose cuDNN has every convolution."""
        return likes_channels_last(ins[0], self.device)

    def prepare(self, launch: Any, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> Work:
        """Return what a step does, after noting its kernels."""
        try:
            found = find(launch.kernel)
        except MXNetError:
            self.missing.setdefault(launch.kernel, self.what)
            return Work()
        work = found(launch.kernel, ins, outs, launch.params, self.device)
        self._note(work, f"{launch.kernel} of {self.what}")
        return work

    def _note(self, work: Work, step: str) -> None:
        for each in work.launches:
            if isinstance(each, Launch):
                self.kernels.setdefault(each.kernel, step)

    def runner(self, *_: Any) -> None:
        """Return nothing: no plan of this backend runs."""


def note_operators(notes: Notes) -> None:
    """Note the kernels of eager calls: every operator that needs no setting, on matrices."""
    for name, op in REGISTRY.items():
        if op.variadic or not op.inputs:
            continue
        for dtype in EAGER_DTYPES:
            notes.what = f"{name} {dtype}"
            try:
                settings = op.parse({})
                inputs = op.input_names(settings)
                node = Node(op, name, tuple(Entry(Node(None, i)) for i in inputs), settings)
                graph = Graph(tuple(Entry(node, i) for i in range(len(op.output_names(settings)))))
                types = {i: Type(EAGER_SHAPE, dtype) for i in inputs}
                infer(graph, dict.fromkeys(inputs, EAGER_SHAPE), dict.fromkeys(inputs, dtype))
                compile_graph(graph, types, backend=notes)
            except MXNetError:  # it needs settings, or other shapes
                continue


def note_symbol(
    notes: Notes, symbol: Symbol, shapes: Mapping[str, Sequence[int]], dtypes: Mapping[str, str], train: bool
) -> None:
    """Note the kernels of a symbol's Executor: inference, and training with gradients of all but the given inputs."""
    found = infer(symbol.graph, shapes, dtypes)
    types = {node.name: found.type_of(Entry(node)) for node in symbol.graph.nodes() if node.op is None}
    notes.what = symbol.name or "the symbol"
    wanted = {name: "write" for name in symbol.list_arguments() if name not in shapes}
    # Without NVIDIA's libraries, and with all that they may take over.
    for libraries, tf32, epilogues in (((), False, None), (("cublaslt", "cudnn"), True, lambda *_: True)):
        notes.device, notes.epilogues = replace(notes.device, libraries=libraries, tf32=tf32), epilogues
        compile_graph(symbol.graph, types, own_arena=True, backend=notes)
        if train:
            compile_graph(symbol.graph, types, True, wanted, own_arena=True, backend=notes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m cymx.gpu.warm", description="Compile GPU kernels into the cache.")
    parser.add_argument("--arch", action="append", required=True, help="sm_90 or 90; several may be given")
    parser.add_argument("--symbol", help="a saved symbol; default: what eager calls need")
    parser.add_argument("--shape", action="append", default=[], help="of an input of the symbol: data=64,784")
    parser.add_argument("--dtype", action="append", default=[], help="of an input of the symbol: data=float16")
    parser.add_argument("--inference", action="store_true", help="leave out what training needs")
    given = parser.parse_args(arguments)
    if config.kernel_cache() is None:
        parser.error("CYMX_KERNEL_CACHE is off: there is no cache to fill")
    for arch in (int(text.removeprefix("sm_")) for text in given.arch):
        notes = Notes(Device(arch))
        if given.symbol:
            shapes = {k: tuple(map(int, v.split(","))) for k, _, v in (s.partition("=") for s in given.shape)}
            dtypes = dict(text.split("=", 1) for text in given.dtype)
            note_symbol(notes, load(given.symbol), shapes, dtypes, not given.inference)
        else:
            note_operators(notes)
        start = time.monotonic()
        compiler.build_all(notes.kernels, arch)
        print(f"sm_{arch}: {len(notes.kernels)} kernels in {time.monotonic() - start:.1f} s, {config.kernel_cache()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
