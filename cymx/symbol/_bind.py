"""Put a symbol and arrays together: bring every form of arguments that bind and simple_bind take to dicts by name, and
make the Executor.

Called by: symbol.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import ArgumentError, ArgumentTypeError, Context, current_context, dtype_name
from ..compiler.infer import infer
from ..executor import Executor
from ..ir import Entry, Node
from ..ndarray import NDArray, zeros
from ..ops._shapes import n_elements

REQUESTS = ("null", "write", "add")


def bind(symbol: Any, ctx, args, args_grad, grad_req, aux_states, group2ctx) -> Executor:
    """Return the Executor of a symbol on given arrays; see Symbol.bind."""
    if not isinstance(ctx, Context):
        raise ArgumentTypeError(f"bind: ctx is {ctx!r}, expected a Context")
    names, aux_names = _unique(symbol.list_arguments()), _unique(symbol.list_auxiliary_states())
    arrays = _arrays("args", args, names)
    aux = _arrays("aux_states", aux_states or {}, aux_names)
    grads = _arrays("args_grad", args_grad or {}, names, optional=True)
    requests = {name: request if name in grads else "null" for name, request in _requests(grad_req, names).items()}
    return Executor(symbol, ctx, arrays, grads, requests, aux, _groups(group2ctx))


def simple_bind(
    symbol: Any, ctx, shapes, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer
) -> Executor:
    """Return the Executor of a symbol on new arrays; see Symbol.simple_bind."""
    if not isinstance(ctx, Context):
        raise ArgumentTypeError(f"simple_bind: ctx is {ctx!r}, expected a Context")
    for name, stype in (stype_dict or {}).items():
        if stype != "default":
            raise ArgumentError(f"simple_bind: {name} has storage type {stype!r}, expected 'default': arrays are dense")
    for name, shape in shapes.items():
        if not isinstance(shape, (tuple, list)):
            raise ArgumentTypeError(f"simple_bind: the shape of {name} is {shape!r}, expected a tuple")
    arguments, auxiliary = symbol._arguments(), symbol._auxiliary_states()
    names = _unique([node.name for node in arguments])
    _unique([node.name for node in auxiliary])
    requests = _requests(grad_req, names)
    found = infer(symbol.graph, shapes, {name: dtype_name(dtype) for name, dtype in (type_dict or {}).items()})
    groups = _groups(group2ctx)
    shared_names = set(shared_arg_names or ())
    args: dict[str, NDArray] = {}
    grads: dict[str, NDArray] = {}
    for node in arguments:
        name, (shape, dtype), place = node.name, found.type_of(Entry(node)), _place(node, ctx, groups)
        wants_grad = requests[name] != "null"
        if name in shared_names and shared_exec is not None:
            args[name] = _shared(name, shared_exec.arg_dict, shape, dtype)
            if wants_grad:
                grad = shared_exec.grad_dict.get(name)
                grads[name] = zeros(shape, place, dtype) if grad is None else grad
            continue
        buffer = None if name in shared_names else shared_buffer
        args[name] = _allocate(name, shape, dtype, place, buffer)
        if wants_grad:
            grads[name] = _allocate(f"grad of {name}", shape, dtype, place, buffer)
    aux = {}
    for node in auxiliary:
        name, (shape, dtype) = node.name, found.type_of(Entry(node))
        if shared_exec is not None and name in shared_exec.aux_dict:
            aux[name] = _shared(name, shared_exec.aux_dict, shape, dtype)
        else:
            aux[name] = zeros(shape, _place(node, ctx, groups), dtype)
    return Executor(symbol, ctx, args, grads, requests, aux, groups, found)


def evaluate(symbol: Any, ctx, arrays: Mapping[str, NDArray]) -> list[NDArray]:
    """Return the outputs of a symbol on given arrays, auxiliary states among them; see Symbol.eval."""
    args = {name: array for name, array in arrays.items() if name not in symbol.list_auxiliary_states()}
    aux = {name: array for name, array in arrays.items() if name not in args}
    return bind(symbol, current_context() if ctx is None else ctx, args, None, "null", aux, None).forward()


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ArgumentError(f"bind: {names.count(twice)} variables are named {twice!r}; arrays are bound by name")
    return names


def _arrays(what: str, given: Any, names: Sequence[str], optional: bool = False) -> dict[str, NDArray]:
    """Return {name: array} from a list or a dict; optional arrays may be missing or None."""
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ArgumentError(f"bind: {what} has {len(given)} arrays, expected {len(names)}: {', '.join(names)}")
        given = dict(zip(names, given))
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(f"bind: {what} is {given!r:.80}, expected a list of NDArrays or a dict of them by name")
    found = {}
    for name in names:
        array = given.get(name)
        if optional and array is None:
            continue
        if name not in given:
            raise ArgumentError(f"bind: {what} has no array for {name!r}; expected {', '.join(names)}")
        if not isinstance(array, NDArray):
            raise ArgumentTypeError(f"bind: {what} has {array!r:.80} for {name!r}, expected an NDArray")
        found[name] = array
    return found


def _requests(grad_req: Any, names: Sequence[str]) -> dict[str, str]:
    """Return {name: 'null', 'write' or 'add'} for all names; what a dict leaves out is 'null'."""
    if isinstance(grad_req, str):
        found = dict.fromkeys(names, grad_req)
    elif isinstance(grad_req, (list, tuple)):
        if len(grad_req) != len(names):
            raise ArgumentError(
                f"bind: grad_req has {len(grad_req)} words, expected {len(names)} for {', '.join(names)}"
            )
        found = dict(zip(names, grad_req))
    elif isinstance(grad_req, Mapping):
        found = {name: grad_req.get(name, "null") for name in names}
    else:
        raise ArgumentTypeError(f"bind: grad_req is {grad_req!r}, expected a word, a list or a dict of them")
    for name, request in found.items():
        if request not in REQUESTS:
            raise ArgumentError(f"bind: grad_req of {name} is {request!r}, expected one of {', '.join(REQUESTS)}")
    return found


def _groups(group2ctx: Mapping[str, Context] | None) -> dict[str, Context]:
    groups = dict(group2ctx or {})
    for group, ctx in groups.items():
        if not isinstance(ctx, Context):
            raise ArgumentTypeError(f"bind: group2ctx has {ctx!r} for {group!r}, expected a Context")
    return groups


def _place(node: Node, ctx: Context, groups: Mapping[str, Context]) -> Context:
    return groups.get(node.attrs.get("__ctx_group__", ""), ctx)


def _shared(name: str, arrays: Mapping[str, NDArray], shape, dtype) -> NDArray:
    """Return the array that another executor holds; raises ArgumentError where it is missing or of another type."""
    array = arrays.get(name)
    if array is None or array.shape != shape or array.dtype_name != dtype:
        has = "has none" if array is None else f"holds {array.dtype_name} {array.shape}"
        raise ArgumentError(f"simple_bind: {name} is shared, but shared_exec {has}; expected {dtype} {shape}")
    return array


def _allocate(name: str, shape, dtype: str, ctx: Context, buffer: dict[str, NDArray] | None) -> NDArray:
    """Return an array out of the buffer's memory of that name where it is large enough, or a new one that it keeps."""
    if buffer is None:
        return zeros(shape, ctx, dtype)
    held = buffer.get(name)
    if held is None or held.dtype_name != dtype or held.size < n_elements(shape):
        held = buffer[name] = zeros(shape, ctx, dtype)
    return held if held.shape == shape else held.view(shape)
