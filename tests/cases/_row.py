"""A row: one operator on one set of inputs and settings, with its reference.  It drives every generic test in tests/ops
and its benchmark.

    Row("exp", [(3, 4)], ref=np.exp)
    Row("FullyConnected", [(5, 6), (4, 6), (4,)], dict(num_hidden=4), ref=lambda x, w, b, **_: x @ w.T + b)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FLOATS = ("float32", "float64", "float16", "bfloat16")
NUMBERS = (*FLOATS, "int32", "int64", "uint8", "int8")


@dataclass(frozen=True)
class Row:
    """One use of an operator.

    op: its name.   inputs: arrays, or shapes to be filled with draws from `low` to `high`.   params: its settings.
    ref(*inputs, **params): the expected output, or a tuple of them, computed in float64 where inputs are floating.
    expect: the expected outputs themselves, e.g. values recorded from MXNet 1.9.1, instead of ref.
    dtypes: those to run; the first is the one of gradient and path tests.   wrt: the inputs whose gradients are
    compared with finite differences.
    tol: relative and absolute tolerance in float32.   train: run in training mode.   states: the expected auxiliary
    states after a run.
    """

    op: str
    inputs: Sequence[Any] = ()
    params: dict[str, Any] = field(default_factory=dict)
    ref: Callable[..., Any] | None = None
    expect: Sequence[Any] | None = None
    dtypes: Sequence[str] = FLOATS
    low: float = -2.0
    high: float = 2.0
    wrt: Sequence[int] | None = None
    tol: float = 1e-5
    train: bool = False
    states: Callable[..., Any] | None = None
    input_dtypes: Sequence[str | None] = ()
    name: str = ""

    def __str__(self):
        settings = ",".join(f"{k}={v}" for k, v in self.params.items())
        shapes = "x".join(str(np.shape(i) if isinstance(i, np.ndarray) else i).replace(" ", "") for i in self.inputs)
        return self.name or f"{self.op}[{shapes}{settings}]"

    def draw(self, dtype: str) -> list[np.ndarray]:
        """Return the inputs as arrays of `dtype` (or of their own in input_dtypes), the same ones at every call."""
        from cymx.base import NUMPY_DTYPES

        rng = np.random.default_rng(7)
        made = []
        for i, given in enumerate(self.inputs):
            own = self.input_dtypes[i] if i < len(self.input_dtypes) and self.input_dtypes[i] else dtype
            values = given if isinstance(given, np.ndarray) else rng.uniform(self.low, self.high, given)
            made.append(np.ascontiguousarray(values).astype(NUMPY_DTYPES[own]))
        return made
