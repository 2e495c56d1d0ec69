"""Every row's eager call gives what a bound symbol gives: outputs, auxiliary states and gradients."""

import numpy as np
import pytest
from ops._run import assert_close, aux_names, differentiable, graph_of, rows_where

import cymx as mx


def _function(row, module):
    """Return mx.nd.X or mx.sym.X of the row's operator."""
    return getattr(module._internal if row.op.startswith("_") else module, row.op)


def _arrays(row):
    return [mx.nd.array(x, dtype=x.dtype) for x in row.draw(row.dtypes[0])]


def _listed(result):
    return list(result) if isinstance(result, (list, tuple)) else [result]


@pytest.mark.parametrize("row", **rows_where(lambda row: True))
def test_eager_is_symbolic(row):
    names = graph_of(row)[1]
    arrays, bound = _arrays(row), _arrays(row)
    mx.random.seed(3)
    mx.ndarray._invoke.set_training(row.train)
    try:
        eager = _listed(_function(row, mx.nd)(*arrays, **row.params))
    finally:
        mx.ndarray._invoke.set_training(False)

    symbol = _function(row, mx.sym)(*map(mx.sym.Variable, names), **row.params)
    aux = {name: x for name, x in zip(names, bound) if name in aux_names(row)}
    args = {name: x for name, x in zip(names, bound) if name not in aux}
    mx.random.seed(3)
    executor = symbol.bind(mx.cpu(), args, aux_states=aux)
    symbolic = executor.forward(is_train=row.train)

    assert len(eager) == len(symbolic)
    for k, (y, y_symbolic) in enumerate(zip(eager, symbolic)):
        assert y.dtype == y_symbolic.dtype
        # What varies from call to call is a number of 32 bits in an eager call.
        assert_close(y.asnumpy(), y_symbolic.asnumpy(), 1e-6 * max(1, row.tol / 1e-5), f"output {k}")
    for name, x, x_symbolic in zip(names, arrays, bound):
        assert_close(x.asnumpy(), x_symbolic.asnumpy(), 1e-6, name)


@pytest.mark.parametrize("row", **rows_where(differentiable))
def test_gradients_of_a_bound_symbol(row):
    names, arrays = graph_of(row)[1], _arrays(row)
    symbol = _function(row, mx.sym)(*map(mx.sym.Variable, names), **row.params)
    aux = {name: x for name, x in zip(names, arrays) if name in aux_names(row)}
    args = {name: x for name, x in zip(names, arrays) if name not in aux}
    wanted = [names[i] for i in differentiable(row)]
    results = []
    for req, start in (("write", 9.0), ("add", 0.5)):
        grads = {name: mx.nd.ones(args[name].shape, dtype=args[name].dtype) * start for name in wanted}
        reqs = {name: req if name in grads else "null" for name in args}
        executor = symbol.bind(mx.cpu(), args, args_grad=grads, grad_req=reqs, aux_states=aux)
        mx.random.seed(3)
        outputs = executor.forward(is_train=True)
        executor.backward([mx.nd.ones(y.shape, dtype=y.dtype) for y in outputs])
        results.append({name: x.asnumpy().astype("float64") for name, x in grads.items()})
    written, added = results
    for name in wanted:
        scale = 1 + np.abs(written[name]).max(initial=0)
        np.testing.assert_allclose(added[name], written[name] + 0.5, rtol=0, atol=row.tol * scale, err_msg=name)
