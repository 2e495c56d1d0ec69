"""Executor: a symbol bound to arrays, ready to run forward and backward.

It owns its outputs and one arena for each of its plans, which are compiled when first needed.  Arrays are bound for
good, as in MXNet 1.9.1: write into them; another array put into a dictionary changes nothing.  Threads may share an
executor: each call is one run, though all write the same outputs.  Made by Symbol.bind and simple_bind.  Refuses arrays
whose shape, dtype or context does not fit, naming them.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from ._engine import Buffer
from .base import ArgumentError, ArgumentTypeError, Context, MXNetError
from .compiler import Plan, compile_graph
from .compiler.infer import Inferred, infer
from .ir import Entry, Type
from .ndarray import NDArray, array, zeros
from .ndarray._invoke import copy_into
from .ops._shapes import n_elements

GRAD_REQS = ("null", "write", "add")
# Parts of a plan, as its runner numbers them.
ALL, FORWARD, BACKWARD = 0, 1, 2


@dataclass
class _Prepared:
    """What a plan prepares of weights, and its runner, which remembers the weights that it saw."""

    plan: Plan
    runner: Any
    arrays: list[NDArray]
    memory: NDArray


@dataclass
class _Bound:
    """A plan with what it runs on: an array for each slot, and its arena.

    heads: output number -> slot of the gradient that flows into it.
    """

    plan: Plan
    arrays: list[Any]
    arena: Buffer | None
    heads: dict[int, int]
    prepared: _Prepared | None

    def run(self, part: int) -> None:
        """Push a run."""
        if self.prepared is not None:
            self.prepared.runner.run(self.prepared.arrays, self.prepared.memory.buffer)
        self.plan.runner.run(self.arrays, self.arena, part)


# (plan, its arrays), all as ids: executors of one network on the same weights prepare them once.
_prepared: WeakValueDictionary[tuple[int, ...], _Prepared] = WeakValueDictionary()


class Executor:
    """Run a bound symbol.

    symbol: what to compute.   ctx: where.   args, aux: name -> NDArray.   args_grad: name -> NDArray for gradients.
    grad_req: name -> 'null', 'write' or 'add'.   group2ctx: the context of each ctx_group.   inferred: what infer found
    for these arrays, where somebody asked already.
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Context,
        args: Mapping[str, NDArray],
        args_grad: Mapping[str, NDArray] | None = None,
        grad_req: Mapping[str, str] | None = None,
        aux: Mapping[str, NDArray] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        inferred: Inferred | None = None,
    ):
        self._symbol, self._ctx, self._group2ctx = symbol, Context(ctx), dict(group2ctx or {})
        self._arg_names = symbol.list_arguments()
        self._aux_names = symbol.list_auxiliary_states()
        self._output_names = symbol.list_outputs()
        contexts = [self._ctx, *self._group2ctx.values()]
        self.arg_dict = _complete(self._arg_names, args, "args", contexts)
        self.aux_dict = _complete(self._aux_names, aux or {}, "aux_states", contexts)
        self._grad_req = {name: (grad_req or {}).get(name, "null") for name in self._arg_names}
        for name, req in self._grad_req.items():
            if req not in GRAD_REQS:
                raise ArgumentError(f"grad_req of {name} is {req!r}, expected one of {', '.join(GRAD_REQS)}")
        grads = args_grad or {}
        self._grad_req = {name: req if name in grads else "null" for name, req in self._grad_req.items()}
        self.grad_dict: dict[str, NDArray | None] = {
            name: grads.get(name) if self._grad_req[name] != "null" else None for name in self._arg_names
        }
        self._graph = symbol.graph
        self._inferred = inferred or self._infer()
        self._check_gradients()
        self.outputs = [_empty(self._type(e), self._ctx) for e in self._graph.outputs]
        # What runs use; the public dictionaries are the user's to change.
        self._bound_args, self._bound_aux = dict(self.arg_dict), dict(self.aux_dict)
        self._bound_grads = dict(self.grad_dict)
        self._wants = {name: req for name, req in self._grad_req.items() if req != "null"}
        # (training mode, with gradients) -> plan on its arrays
        self._runs: dict[tuple[bool, bool], _Bound] = {}
        self._trained = False
        self._lock = threading.RLock()
        self._probe: Executor | None = None
        self._monitor: Any = None
        self._monitor_all = False

    # ---- binding ----

    def _infer(self) -> Inferred:
        bound = {**self.arg_dict, **self.aux_dict}
        return infer(self._graph, {k: v.shape for k, v in bound.items()}, {k: v.dtype_name for k, v in bound.items()})

    def _check_gradients(self) -> None:
        for name, grad in self.grad_dict.items():
            x = self.arg_dict[name]
            if grad is not None and grad.context != x.context:
                raise ArgumentError(f"the gradient of {name} is on {grad.context}, expected {x.context}")
            if grad is not None and (grad.shape, grad.dtype_name) != (x.shape, x.dtype_name):
                raise ArgumentError(
                    f"the gradient of {name} is {grad.dtype_name}{grad.shape}, expected {x.dtype_name}{x.shape}"
                )

    def _type(self, entry: Entry) -> Type:
        return self._inferred.type_of(entry)

    def _ready(self, train: bool, gradients: bool) -> _Bound:
        """Return a plan on its arrays, compiled at first use."""
        bound = self._runs.get((train, gradients))
        if bound is None:
            inputs = {**self._bound_args, **self._bound_aux}
            types = {name: Type(x.shape, x.dtype_name) for name, x in inputs.items()}
            wanted = self._wants if gradients else {}
            plan = compile_graph(self._graph, types, train, wanted, self._ctx, self._group2ctx, own_arena=True)
            prepared = _prepare(plan.prepares, inputs, self._ctx) if plan.prepares else None
            arrays = [self._array(name, inputs, prepared) for name, _ in plan.arrays]
            arena = Buffer(plan.arena_bytes, self._ctx.device_typeid, self._ctx.device_id) if plan.arena_bytes else None
            heads = {int(name[5:]): slot for slot, (name, _) in enumerate(plan.arrays) if name.startswith("head:")}
            bound = self._runs[train, gradients] = _Bound(plan, arrays, arena, heads, prepared)
        return bound

    def _array(self, slot: str, inputs: Mapping[str, NDArray], prepared: _Prepared | None) -> Any:
        kind, _, key = slot.partition(":")
        if kind == "prepared" and prepared is not None:
            return prepared.memory
        if kind == "arg":
            return inputs[key]
        # Until backward brings it, the output stands for the gradient that flows into it.
        return self._bound_grads[key] if kind == "grad" else self.outputs[int(key)]

    # ---- running ----

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Compute the outputs and return them; the same arrays each time.

        is_train: whether operators with a mode run as in training.   kwargs: name -> new values of arguments.
        """
        train = bool(is_train)
        with self._lock:
            if kwargs:
                self._assign(kwargs)
            bound = self._runs.get((train, train)) or self._ready(train, train)
            bound.run(FORWARD)
            self._trained = train
            if self._monitor is not None:
                self._report(train)
        return self.outputs

    def _assign(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name not in self._bound_args:
                raise ArgumentTypeError(f"Unknown argument {name}; the arguments are {', '.join(self._arg_names)}")
            target = self._bound_args[name]
            source = value if isinstance(value, NDArray) else array(value, dtype=target.dtype)
            if source.shape != target.shape:
                raise ArgumentError(f"Shape not match! Argument {name}, need: {target.shape}, received: {source.shape}")
            target[:] = source

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Compute the gradients of the arguments; after forward(is_train=False) those of the network in inference mode.

        out_grads: the gradient that flows into each output: an NDArray, a list, or a dict by output name; not needed
        where every output is a loss.
        """
        if not self._wants:
            return
        with self._lock:
            bound = self._ready(self._trained, True)
            heads = self._as_heads(out_grads)
            for k, slot in bound.heads.items():
                if heads[k] is None:
                    raise MXNetError(
                        f"backward: output {self._output_names[k]} is no loss, so the gradient that flows into it is "
                        "needed: pass out_grads, or end the network with make_loss"
                    )
                bound.arrays[slot] = heads[k]
            # What an inference run left behind is not enough for gradients.
            bound.run(BACKWARD if self._trained else ALL)

    def _as_heads(self, out_grads: Any) -> list[NDArray | None]:
        if out_grads is None:
            return [None] * len(self.outputs)
        if isinstance(out_grads, NDArray):
            out_grads = [out_grads]
        elif isinstance(out_grads, dict):
            out_grads = [out_grads.get(name) for name in self._output_names]
        elif not isinstance(out_grads, (list, tuple)):
            came = type(out_grads).__name__
            raise ArgumentTypeError(f"backward: out_grads is {came}, expected NDArray, or a list or dict of them")
        n = len(self.outputs)
        if len(out_grads) > n:
            raise ArgumentError(f"backward: {len(out_grads)} gradients came, expected one for each of the {n} outputs")
        heads = zip(self._output_names, [*out_grads, *[None] * (n - len(out_grads))], self.outputs)
        return [None if head is None else _as_head(name, head, output) for name, head, output in heads]

    # ---- looking in ----

    @property
    def arg_arrays(self) -> list[NDArray]:
        """The arguments, in the order of list_arguments."""
        return [self.arg_dict[name] for name in self._arg_names]

    @property
    def grad_arrays(self) -> list[NDArray | None]:
        """The gradients, in the order of list_arguments; None where there is none."""
        return [self.grad_dict[name] for name in self._arg_names]

    @property
    def aux_arrays(self) -> list[NDArray]:
        """The auxiliary states, in the order of list_auxiliary_states."""
        return [self.aux_dict[name] for name in self._aux_names]

    @property
    def output_dict(self) -> dict[str, NDArray]:
        """The outputs by name."""
        return dict(zip(self._output_names, self.outputs))

    def debug_str(self) -> str:
        """Return the plans as text: arrays, steps with their instructions, and the arena."""
        with self._lock:
            if not self._runs:
                self._ready(False, False)
            parts = []
            for (train, gradients), bound in sorted(self._runs.items()):
                title = ("training plan" if train else "inference plan") + (" with gradients" if gradients else "")
                parts.append(f"{title}\n{bound.plan.dump()}")
        return "\n".join(parts)

    def set_monitor_callback(self, callback: Any, monitor_all: bool = False) -> None:
        """Call `callback(name, array)` with every inner output after each forward; monitor_all: also the arguments."""
        self._monitor, self._monitor_all = callback, monitor_all

    def _report(self, train: bool) -> None:
        """Compute every inner output once more for the monitor, which sees what fused steps never write down."""
        internals = self._symbol.get_internals()
        if self._probe is None:
            aux = {name: x.copy() for name, x in self._bound_aux.items()}
            self._probe = Executor(internals, self._ctx, self._bound_args, aux=aux)
        else:
            self._probe.copy_params_from({}, self._bound_aux)
        for entry, name, value in zip(internals.graph.outputs, internals.list_outputs(), self._probe.forward(train)):
            if entry.node.op is not None or self._monitor_all:
                self._monitor(name, value)

    # ---- changing ----

    def copy_params_from(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy values into the bound arguments and auxiliary states.

        Raises ValueError for a name that is not bound, unless extra ones are allowed.
        """
        for given, bound, what in (
            (arg_params, self._bound_args, "arguments"),
            (aux_params or {}, self._bound_aux, "auxiliary states"),
        ):
            for name, value in given.items():
                if name in bound:
                    if value.shape != bound[name].shape:
                        raise ArgumentError(f"copy_params_from: {name} is {value.shape}, expected {bound[name].shape}")
                    copy_into(value.as_in_context(self._ctx), bound[name])
                elif not allow_extra_params:
                    raise ArgumentError(f'Find name "{name}" that is not in the {what}')

    def reshape(
        self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Sequence[int]
    ) -> "Executor":
        """Return an executor for other input shapes that shares this one's arrays, also memory of those that shrink.

        kwargs: name -> new shape.   partial_shaping: whether arrays that are not named may change too.
        allow_up_sizing: whether arrays may grow, in new memory.   Raises ValueError for a change that is not allowed.
        """
        for name in kwargs:
            if name not in self._bound_args and name not in self._bound_aux:
                names = ", ".join(self._arg_names)
                raise ArgumentError(f"reshape: there is no argument {name}; the arguments are {names}")
        arg_shapes, _, aux_shapes = self._symbol.infer_shape(**kwargs)
        if arg_shapes is None:
            raise ArgumentError("reshape: the shapes given do not determine those of all arguments")

        def fitted(name, shape, have):
            if have is None or have.shape == shape:
                return have
            if not partial_shaping and name not in kwargs:
                raise ArgumentError(
                    f"reshape: {name} changes from {have.shape} to {shape}; set partial_shaping=True to allow it"
                )
            if n_elements(shape) <= have.size:
                return have.view(shape)
            if not allow_up_sizing:
                raise ArgumentError(
                    f"reshape: {name} grows from {have.shape} to {shape}; set allow_up_sizing=True to allow it"
                )
            return zeros(shape, ctx=self._ctx, dtype=have.dtype)

        args = {name: fitted(name, shape, self._bound_args[name]) for name, shape in zip(self._arg_names, arg_shapes)}
        grads = {name: fitted(name, shape, self._bound_grads[name]) for name, shape in zip(self._arg_names, arg_shapes)}
        aux = {name: fitted(name, shape, self._bound_aux[name]) for name, shape in zip(self._aux_names, aux_shapes)}
        kept = {name: g for name, g in grads.items() if g is not None}
        return Executor(self._symbol, self._ctx, args, kept, self._grad_req, aux, self._group2ctx)


def _as_head(name: str, head: Any, output: NDArray) -> NDArray:
    """Return the gradient that flows into an output, as an array of the output's type and context."""
    if not isinstance(head, NDArray):
        raise ArgumentTypeError(f"backward: the gradient of {name} is {type(head).__name__}, expected NDArray")
    if head.shape != output.shape:
        raise ArgumentError(f"backward: the gradient of {name} is {head.shape}, expected {output.shape}")
    if head.dtype_name == output.dtype_name and head.context == output.context:
        return head
    return head.astype(output.dtype).as_in_context(output.context)


def _prepare(plan: Plan, inputs: Mapping[str, NDArray], ctx: Context) -> _Prepared:
    """Return what the plan prepares of these weights: what another executor has of them, or room for it."""
    arrays = [inputs[name.removeprefix("arg:")] for name, _ in plan.arrays]
    key = (id(plan), *map(id, arrays))
    found = _prepared.get(key)
    if found is None:
        memory = _empty(Type((plan.arena_bytes,), "uint8"), ctx)
        found = _prepared[key] = _Prepared(plan, plan.make_runner(), arrays, memory)
    return found


def _complete(
    names: Sequence[str], given: Mapping[str, NDArray], what: str, contexts: Sequence[Context]
) -> dict[str, NDArray]:
    result = {}
    for name in names:
        if name not in given:
            raise ArgumentError(f"key `{name}` is missing in `{what}`")
        value = given[name]
        if not isinstance(value, NDArray):
            raise ArgumentError(f"{what}: {name} is {type(value).__name__}, expected NDArray")
        if value.context not in contexts:
            raise ArgumentError(f"{what}: {name} is on {value.context}, expected {contexts[0]}")
        result[name] = value
    return result


def _empty(type_: Type, ctx: Context) -> NDArray:
    return NDArray.empty(type_.shape, type_.dtype, ctx.device_typeid, ctx.device_id)
