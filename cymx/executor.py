"""Executor: a symbol bound to arrays, ready to run forward and backward.

It owns its outputs and one arena for each of its two plans (inference and training), which are compiled when first needed.  Made by Symbol.bind and
simple_bind.  Refuses arrays whose shape, dtype or context does not fit, naming them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ._engine import Buffer
from .base import ArgumentError, Context, MXNetError
from .compiler import Plan, compile_graph, infer
from .ir import Entry, Graph, Type
from .ndarray import NDArray, array, zeros
from .ndarray._invoke import copy_into

GRAD_REQS = ("null", "write", "add")


class Executor:
    """Run a bound symbol.

    symbol: what to compute.   ctx: where.   args, aux: name -> NDArray.   args_grad: name -> NDArray for gradients.
    grad_req: name -> 'null', 'write' or 'add'.   group2ctx: the context of each ctx_group.
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
    ):
        self._symbol, self._ctx, self._group2ctx = symbol, Context(ctx), dict(group2ctx or {})
        self._arg_names = symbol.list_arguments()
        self._aux_names = symbol.list_auxiliary_states()
        self._output_names = symbol.list_outputs()
        self.arg_dict = _complete(self._arg_names, args, "args", self._ctx)
        self.aux_dict = _complete(self._aux_names, aux or {}, "aux_states", self._ctx)
        self._grad_req = {name: (grad_req or {}).get(name, "null") for name in self._arg_names}
        for name, req in self._grad_req.items():
            if req not in GRAD_REQS:
                raise ArgumentError(f"grad_req of {name} is {req!r}, expected one of {', '.join(GRAD_REQS)}")
        grads = args_grad or {}
        self._grad_req = {name: req if name in grads else "null" for name, req in self._grad_req.items()}
        self.grad_dict = {name: grads.get(name) if self._grad_req[name] != "null" else None for name in self._arg_names}
        self._graph = Graph(tuple(symbol._entries))
        self._inferred = self._check_types()
        self.outputs = [_empty(self._type(e), self._ctx) for e in self._graph.outputs]
        self._plans: dict[bool, Plan] = {}
        self._runs: dict[bool, tuple[list[Any], Buffer | None]] = {}
        self._heads: list[NDArray | None] = [None] * len(self.outputs)
        self._trained = False
        self._monitor: Any = None
        self._monitor_all = False

    # ---- binding ----

    def _check_types(self):
        bound = {**self.arg_dict, **self.aux_dict}
        result = infer(self._graph, {k: v.shape for k, v in bound.items()}, {k: v.dtype_name for k, v in bound.items()})
        for name, grad in self.grad_dict.items():
            if grad is not None and (grad.shape, grad.dtype_name) != (bound[name].shape, bound[name].dtype_name):
                raise ArgumentError(
                    f"the gradient of {name} is {grad.dtype_name}{grad.shape}, expected {bound[name].dtype_name}{bound[name].shape}"
                )
        return result

    def _type(self, entry: Entry) -> Type:
        return self._inferred.type_of(entry)

    def _plan(self, train: bool) -> Plan:
        plan = self._plans.get(train)
        if plan is None:
            bound = {**self.arg_dict, **self.aux_dict}
            types = {name: Type(x.shape, x.dtype_name) for name, x in bound.items()}
            wanted = {n: r for n, r in self._grad_req.items() if r != "null"} if train else {}
            plan = compile_graph(self._graph, types, train, wanted, self._ctx, self._group2ctx)
            self._plans[train] = plan
        return plan

    def _run(self, train: bool, part: int) -> None:
        plan = self._plan(train)
        if train not in self._runs:
            arena = Buffer(plan.arena_bytes, self._ctx.device_typeid, self._ctx.device_id) if plan.arena_bytes else None
            self._runs[train] = ([None] * len(plan.arrays), arena)
        arrays, arena = self._runs[train]
        # Looked up anew, because users may put other arrays into the dictionaries.
        for slot, (name, type_) in enumerate(plan.arrays):
            kind, _, key = name.partition(":")
            if kind == "arg":
                bound = self.arg_dict.get(key)
                arrays[slot] = self.aux_dict[key] if bound is None else bound
            elif kind == "out":
                arrays[slot] = self.outputs[int(key)]
            elif kind == "grad":
                arrays[slot] = self.grad_dict[key]
            else:
                head = self._heads[int(key)]
                arrays[slot] = self.outputs[int(key)] if head is None else head
            if arrays[slot].shape != type_.shape:
                raise ArgumentError(f"{name} is {arrays[slot].shape}, bound as {type_.shape}: use reshape to bind other shapes")
        plan.runner.run(arrays, arena, part)

    # ---- running ----

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Compute the outputs and return them; the same arrays each time.

        is_train: whether operators with a mode run as in training, and backward may follow.   kwargs: name -> new values of arguments.
        """
        for name, value in kwargs.items():
            if name not in self.arg_dict:
                raise ArgumentError(f"Unknown argument {name}; the arguments are {', '.join(self._arg_names)}")
            target = self.arg_dict[name]
            source = value if isinstance(value, NDArray) else array(value, dtype=target.dtype)
            if source.shape != target.shape:
                raise ArgumentError(f"Shape not match! Argument {name}, need: {target.shape}, received: {source.shape}")
            target[:] = source
        train = bool(is_train)
        self._run(train, 1 if train else 0)
        self._trained = train
        if self._monitor is not None:
            self._report()
        return self.outputs

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Compute the gradients of the arguments, after forward(is_train=True).

        out_grads: the gradient that flows into each output: an NDArray, a list or a dict by output name; not needed where every output is a loss.
        """
        if not self._trained:
            raise MXNetError("backward: call forward(is_train=True) first")
        self._heads = self._as_heads(out_grads)
        for e, head, name in zip(self._graph.outputs, self._heads, self._output_names):
            if head is None and (e.node.op is None or not e.node.op.is_loss):
                raise MXNetError(
                    f"backward: output {name} is no loss, so the gradient that flows into it is needed: pass out_grads, "
                    "or end the network with make_loss"
                )
        self._run(True, 2)

    def _as_heads(self, out_grads: Any) -> list[NDArray | None]:
        if out_grads is None:
            return [None] * len(self.outputs)
        if isinstance(out_grads, NDArray):
            out_grads = [out_grads]
        elif isinstance(out_grads, dict):
            out_grads = [out_grads.get(name) for name in self._output_names]
        if len(out_grads) != len(self.outputs) and not all(
            e.node.op is not None and e.node.op.is_loss for e in self._graph.outputs[len(out_grads) :]
        ):
            raise ArgumentError(f"backward: {len(out_grads)} gradients came, expected one for each of the {len(self.outputs)} outputs")
        heads = list(out_grads) + [None] * (len(self.outputs) - len(out_grads))
        for name, head, output in zip(self._output_names, heads, self.outputs):
            if head is not None and head.shape != output.shape:
                raise ArgumentError(f"backward: the gradient of {name} is {head.shape}, expected {output.shape}")
        return [h if h is None or h.dtype_name == o.dtype_name else h.astype(o.dtype) for h, o in zip(heads, self.outputs)]

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
        parts = [f"{'training' if train else 'inference'} plan\n{plan.dump()}" for train, plan in sorted(self._plans.items())]
        return "\n".join(parts) or f"inference plan\n{self._plan(False).dump()}"

    def set_monitor_callback(self, callback: Any, monitor_all: bool = False) -> None:
        """Call `callback(name, array)` with every inner output after each forward; with monitor_all also with the arguments."""
        self._monitor, self._monitor_all = callback, monitor_all

    def _report(self) -> None:
        """Compute every inner output once more and hand it to the monitor: it sees what fused steps never write down."""
        internals = self._symbol.get_internals()
        names = internals.list_outputs()
        bound = {**self.arg_dict, **self.aux_dict}
        inner = [i for i, e in enumerate(internals._entries) if e.node.op is not None]
        probe = Executor(internals, self._ctx, {n: bound[n] for n in self._arg_names}, aux=self.aux_dict)
        values = probe.forward(is_train=False)
        for i, (name, value) in enumerate(zip(names, values)):
            if i in inner or self._monitor_all:
                self._monitor(name, value)

    # ---- changing ----

    def copy_params_from(
        self, arg_params: Mapping[str, NDArray], aux_params: Mapping[str, NDArray] | None = None, allow_extra_params: bool = False
    ) -> None:
        """Copy values into the bound arguments and auxiliary states.  Raises ValueError for a name that is not bound, unless extra ones are allowed."""
        for given, bound, what in ((arg_params, self.arg_dict, "arguments"), (aux_params or {}, self.aux_dict, "auxiliary states")):
            for name, value in given.items():
                if name in bound:
                    if value.shape != bound[name].shape:
                        raise ArgumentError(f"copy_params_from: {name} is {value.shape}, expected {bound[name].shape}")
                    copy_into(value.as_in_context(self._ctx), bound[name])
                elif not allow_extra_params:
                    raise ArgumentError(f"Find name \"{name}\" that is not in the {what}")

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Sequence[int]) -> "Executor":
        """Return an executor for other input shapes that shares the arrays whose shapes stay.  kwargs: name -> new shape."""
        arg_shapes, _, aux_shapes = self._symbol.infer_shape(**kwargs)
        if arg_shapes is None:
            raise ArgumentError("reshape: the shapes given do not determine those of all arguments")

        def fitted(names, shapes, old, partial):
            result = {}
            for name, shape in zip(names, shapes):
                have = old[name]
                if have is None or have.shape == tuple(shape):
                    result[name] = have
                elif partial or name in kwargs:
                    result[name] = zeros(shape, ctx=self._ctx, dtype=have.dtype)
                else:
                    raise ArgumentError(f"reshape: {name} changes from {have.shape} to {tuple(shape)}; set partial_shaping=True to allow it")
            return result

        args = fitted(self._arg_names, arg_shapes, self.arg_dict, partial_shaping)
        grads = fitted(self._arg_names, arg_shapes, self.grad_dict, True)
        aux = fitted(self._aux_names, aux_shapes, self.aux_dict, partial_shaping)
        kept = {name: g for name, g in grads.items() if g is not None}
        return Executor(self._symbol, self._ctx, args, kept, self._grad_req, aux, self._group2ctx)


def _complete(names: Sequence[str], given: Mapping[str, NDArray], what: str, ctx: Context) -> dict[str, NDArray]:
    result = {}
    for name in names:
        if name not in given:
            raise ArgumentError(f"key `{name}` is missing in `{what}`")
        value = given[name]
        if not isinstance(value, NDArray):
            raise ArgumentError(f"{what}: {name} is {type(value).__name__}, expected NDArray")
        if value.context != ctx:
            raise ArgumentError(f"{what}: {name} is on {value.context}, expected {ctx}")
        result[name] = value
    return result


def _empty(type_: Type, ctx: Context) -> NDArray:
    return NDArray.empty(type_.shape, type_.dtype, ctx.device_typeid, ctx.device_id)
