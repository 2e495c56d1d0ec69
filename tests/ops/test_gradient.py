"""Every row's gradients: against central differences in float64, and written, added or left out."""

import numpy as np
import pytest
from ops._run import Program, assert_close, differentiable, outputs_of, rows_where

STEP = 1e-5


def _differences(program, arrays, heads, i):
    """Return the gradient of sum(outputs * heads) with respect to input `i` by central differences."""
    x, found = arrays[i], np.zeros(arrays[i].shape)
    for at in np.ndindex(x.shape):
        values = []
        for step in (STEP, -STEP):
            moved = [*arrays[:i], x.copy(), *arrays[i + 1 :]]
            moved[i][at] += step
            outputs = outputs_of(program(moved, heads))
            values.append(sum((y.astype("float64") * h.astype("float64")).sum() for y, h in zip(outputs, heads)))
        found[at] = (values[0] - values[1]) / (2 * STEP)
    return found


@pytest.mark.parametrize("row", **rows_where(differentiable))
def test_gradient(row):
    arrays = row.draw("float64")
    wrt = differentiable(row)
    forward = Program(row, arrays, train=True)
    names = [forward.inputs[i] for i in wrt]
    heads = forward.heads()
    written = Program(row, arrays, dict.fromkeys(names, "write"))(arrays, heads)
    for i, name in zip(wrt, names):
        wanted = _differences(forward, arrays, heads, i)
        assert_close(written[f"grad:{name}"], wanted, max(2e-6, row.tol / 10), f"gradient of {name}")

    before = {name: np.full(arrays[i].shape, 0.25) for i, name in zip(wrt, names)}
    added = Program(row, arrays, dict.fromkeys(names, "add"))(arrays, heads, before)
    for name in names:
        assert_close(added[f"grad:{name}"], written[f"grad:{name}"] + 0.25, 1e-9, f"added gradient of {name}")
        alone = Program(row, arrays, {name: "write"})(arrays, heads)
        assert [key for key in alone if key.startswith("grad:")] == [f"grad:{name}"]
        assert_close(alone[f"grad:{name}"], written[f"grad:{name}"], 1e-9, f"gradient of {name} alone")
