"""Every row's outputs and auxiliary states against its reference, in every dtype that it claims."""

import numpy as np
import pytest
from ops._run import Program, as_wide, assert_close, aux_names, expected, is_random, outputs_of, rows_where, tolerance


@pytest.mark.parametrize("row", **rows_where(lambda row: not is_random(row)))
def test_forward(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        program = Program(row, arrays)
        held = program(arrays)
        outputs, wanted = outputs_of(held), expected(row, arrays)
        assert len(outputs) == len(wanted)
        for k, (y, y_wanted) in enumerate(zip(outputs, wanted)):
            assert_close(y, y_wanted, max(tolerance(row, dtype), tolerance(row, y.dtype.name)), f"{dtype} output {k}")
        if row.states is not None:
            states = row.states(*map(as_wide, arrays), **row.params)
            for name, state in zip(aux_names(row), states, strict=True):
                assert_close(held[f"arg:{name}"], np.asarray(state), tolerance(row, dtype), f"{dtype} state {name}")
        for name, x in zip(program.inputs, arrays):
            if name not in aux_names(row):
                assert held[f"arg:{name}"].tobytes() == x.tobytes(), f"{name} was changed"
