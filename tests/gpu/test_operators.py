"""Every operator row on mx.gpu(0): outputs and gradients agree with those of the CPU.

The rows are those of tests/cases, in the dtype that each names first; kernels' other dtypes have tests of their own.
"""

import numpy as np
import pytest
from gpu.kernel_list import REFUSED
from ops import _run as run

import cymx as mx
from cymx.base import MXNetError

GPU = mx.gpu(0)


def both(row, arrays, wrt=None, train=None):
    """Return what the row leaves behind on the CPU and on the GPU, by slot."""
    programs = [run.Program(row, arrays, wrt, train, context=context) for context in (mx.cpu(), GPU)]
    heads = programs[0].heads() if wrt else ()
    return [program(arrays, heads) for program in programs]


def agree(row, held, expected, slot):
    value, want = run.as_wide(held), run.as_wide(expected)
    dtype = np.asarray(expected).dtype.name
    rtol = 10 * run.tolerance(row, dtype) if dtype in run.FLOATING else 0
    scale = np.abs(want[np.isfinite(want)]).max(initial=0) if want.size else 0
    np.testing.assert_allclose(value, want, rtol=rtol, atol=rtol * max(scale, 1e-3), err_msg=f"{row}: {slot}")


def compared(row, slots, results):
    for slot in slots:
        agree(row, results[1][slot], results[0][slot], slot)


@pytest.mark.parametrize("row", **run.rows_where(lambda row: not run.is_random(row)))
def test_forward(row):
    arrays = row.draw(row.dtypes[0])
    try:
        results = both(row, arrays)
    except MXNetError as error:
        if REFUSED not in str(error):
            raise
        return
    compared(row, [slot for slot in results[0] if slot.startswith(("out:", "arg:"))], results)


@pytest.mark.parametrize("row", **run.rows_where(run.differentiable))
def test_gradient(row):
    arrays = row.draw(row.dtypes[0])
    names = run.graph_of(row)[1]
    wrt = {names[i]: "write" for i in run.differentiable(row)}
    try:
        results = both(row, arrays, wrt)
    except MXNetError as error:
        if REFUSED not in str(error):
            raise
        return
    compared(row, [f"grad:{name}" for name in wrt], results)


@pytest.mark.parametrize("row", **run.rows_where(run.is_random))
def test_the_same_seed_draws_the_same_numbers(row):
    arrays = row.draw(row.dtypes[0])
    found = []
    for context in (mx.cpu(), GPU):
        mx.random.seed(7)
        found.append(run.Program(row, arrays, context=context)(arrays))
    compared(row, [slot for slot in found[0] if slot.startswith("out:")], found)
