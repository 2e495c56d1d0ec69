"""Random graphs against NumPy: every combination of options gives the outputs, and gradients as finite differences."""

import numpy as np
import pytest
from compiler.random_graph import random_graph
from compiler.support import ALL_OPTIONS, compiled, run


@pytest.mark.parametrize("seed", range(40))
def test_random_graph(seed):
    rng = np.random.default_rng(seed)
    symbol, reference, args, used = random_graph(rng, n_nodes=int(rng.integers(3, 60)))
    expected = reference(args)
    heads = [rng.uniform(-1, 1, y.shape) for y in expected]
    way = {n: rng.uniform(-1, 1, args[n].shape) for n in used}
    step = 1e-6
    ahead, behind = (reference({n: x + s * way[n] if n in way else x for n, x in args.items()}) for s in (step, -step))
    slope = sum((h * (a - b)).sum() for h, a, b in zip(heads, ahead, behind)) / (2 * step)
    requests = {n: "add" if i % 2 else "write" for i, n in enumerate(used)}
    start = {n: rng.uniform(-1, 1, args[n].shape) for n in used}
    given = {n: args[n] for n in used}
    shapes = {n: args[n].shape for n in used}
    for options in ALL_OPTIONS:
        plan = compiled(symbol, train=True, grad_req=requests, options=options, dtype="float64", **shapes)
        outputs, grads, after = run(plan, given, heads, start, parts=(1, 2))
        for y, ref in zip(outputs, expected):
            np.testing.assert_allclose(y, ref, rtol=1e-9, atol=1e-9, err_msg=f"{options}\n{plan.dump()}")
        found = {n: grads[n] - start[n] if requests[n] == "add" else grads[n] for n in used}
        np.testing.assert_allclose(
            sum((found[n] * way[n]).sum() for n in used),
            slope,
            rtol=1e-4,
            atol=1e-5,
            err_msg=f"{options}\n{plan.dump()}",
        )
        # Forward leaves what backward needs untouched: a second backward finds the same.
        again = run(plan, given, heads, start, parts=(1, 2, 2))[1]
        for n in used:
            more = found[n] if requests[n] == "add" else 0
            np.testing.assert_allclose(again[n], grads[n] + more, rtol=1e-12, atol=1e-12)
            np.testing.assert_array_equal(after[n], given[n])
        inference = compiled(symbol, options=options, dtype="float64", **shapes)
        for y, ref in zip(run(inference, given)[0], expected):
            np.testing.assert_allclose(y, ref, rtol=1e-9, atol=1e-9)
