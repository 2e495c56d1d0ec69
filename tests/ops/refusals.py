"""How an operator says no: `refusal` binds and runs one use of it on zeros and returns the error's text."""

import pytest

import cymx as mx


def refusal(op, shapes, params, dtypes=()):
    """Return what the MXNetError says that using `op`, as node 'n', on zeros of these shapes raises."""
    names = [f"x{i}" for i in range(len(shapes))]
    dtypes = (*dtypes, *("float32",) * (len(shapes) - len(dtypes)))
    arrays = {n: mx.nd.zeros(shape, dtype=dtype) for n, shape, dtype in zip(names, shapes, dtypes)}
    with pytest.raises(mx.MXNetError) as caught:
        functions = mx.sym._internal if op.startswith("_") else mx.sym
        symbol = getattr(functions, op)(*(mx.sym.Variable(n) for n in names), name="n", **params)
        states = {n: mx.nd.zeros((1,)) for n in symbol.list_auxiliary_states()}
        grads = {n: mx.nd.zeros(x.shape, dtype=x.dtype) for n, x in arrays.items()}
        executor = symbol.bind(mx.cpu(), arrays, args_grad=grads, grad_req="null", aux_states=states)
        for output in executor.forward(is_train=True):
            output.wait_to_read()
    return str(caught.value)
