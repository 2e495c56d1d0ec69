"""Symbol: a tuple of entries of a user's graph, its names, attributes, composition, shapes and dtypes.

Holds no data and no operator's meaning.  Two variables of one name stay two; a composed symbol shares the variables
that it does not replace.
Called by: users, module, model, visualization.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ..base import (
    NUMPY_DTYPES,
    ArgumentError,
    ArgumentTypeError,
    IndexRangeError,
    MXNetError,
    dtype_name,
    integer_types,
)
from ..compiler.infer import infer
from ..ir import Entry, Node, rewrite
from ..ops._shapes import known
from . import _bind, _nodes, _serialize
from ._fluent import Fluent


class Symbol(Fluent):
    """A network or a part of it: one or more outputs of a graph of operators and variables."""

    __slots__ = ()
    # NumPy's scalars hand arithmetic over to the symbol on their right.
    __array_ufunc__ = None

    # ---- what stands in it ----------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The name of the node, or None where there are outputs of several nodes."""
        node = self._node()
        return node.name if node else None

    def __repr__(self):
        name = self.name
        return (
            f"<Symbol {name}>"
            if name is not None
            else f"<Symbol group [{', '.join(e.node.name for e in self._entries)}]>"
        )

    def __len__(self):
        return len(self._entries)

    def __iter__(self) -> Iterator["Symbol"]:
        return (Symbol([entry]) for entry in self._entries)

    def __getitem__(self, index):
        """Return one output by number or by name ('fc1_output'), or a group of outputs by slice.

        Raises IndexRangeError, ArgumentError for a name that no output or several have, ArgumentTypeError for anything
        else.
        """
        if isinstance(index, slice):
            return Group(list(self)[index])
        if isinstance(index, str):
            return self[self._find(index)]
        if not isinstance(index, integer_types) or isinstance(index, bool):
            raise ArgumentTypeError(
                f"{self!r}: index is {index!r}, expected a number, a slice or the name of an output"
            )
        if not 0 <= index < len(self):
            raise IndexRangeError(f"{self!r}: index is {index}, expected 0 to {len(self) - 1}")
        return Symbol([self._entries[index]])

    def _find(self, name: str) -> int:
        found = [i for i, output in enumerate(self.list_outputs()) if output == name]
        if len(found) != 1:
            which = "no output is" if not found else "several outputs are"
            raise ArgumentError(f"{self!r}: {which} named {name!r}; the outputs are {', '.join(self.list_outputs())}")
        return found[0]

    def list_arguments(self) -> list[str]:
        """Return the names of the variables that are not auxiliary states, in depth-first order."""
        return [node.name for node in self._arguments()]

    def list_auxiliary_states(self) -> list[str]:
        """Return the names of the variables that a training run changes, in depth-first order."""
        return [node.name for node in self._auxiliary_states()]

    def list_inputs(self) -> list[str]:
        """Return the names of all variables, in depth-first order."""
        return [node.name for node in self.graph.nodes() if node.op is None]

    def list_outputs(self) -> list[str]:
        """Return the names of the outputs: 'fc1_output', or a variable's own name."""
        return [_nodes.output_name(entry) for entry in self._entries]

    def get_internals(self) -> "Symbol":
        """Return a group of all outputs of all nodes, in depth-first order."""
        return Symbol(entry for node in self.graph.nodes() for entry in _nodes.visible(node))

    def get_children(self) -> "Symbol | None":
        """Return a group of the inputs of the output nodes, or None where they have none."""
        heads = dict.fromkeys(entry.node for entry in self._entries)
        inputs = [entry for node in heads for entry in node.inputs]
        return Symbol(inputs) if inputs else None

    def debug_str(self) -> str:
        """Return the graph as text, a paragraph an operator."""
        return _nodes.debug_text(self.graph)

    def _node(self) -> Node | None:
        """Return the node, where all outputs belong to one."""
        nodes = {entry.node for entry in self._entries}
        return nodes.pop() if len(nodes) == 1 else None

    def _arguments(self) -> list[Node]:
        nodes = self.graph.nodes()
        auxiliary = _nodes.auxiliary_states(nodes)
        return [node for node in nodes if node.op is None and node not in auxiliary]

    def _auxiliary_states(self) -> list[Node]:
        nodes = self.graph.nodes()
        auxiliary = _nodes.auxiliary_states(nodes)
        return [node for node in nodes if node in auxiliary]

    # ---- attributes -----------------------------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """Return one setting or attribute as a string, or None; `name` is the node's name."""
        node = self._node()
        if node is None:
            return None
        return node.name if key == "name" else _nodes.listed(node).get(key)

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """Return the settings and attributes of the node, {} for a group."""
        if recursive:
            raise ArgumentError(
                "list_attr: recursive is True, expected False; attr_dict() lists the attributes of all nodes"
            )
        node = self._node()
        return _nodes.listed(node) if node else {}

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """Return {name: its settings and attributes} of all nodes that have some."""
        found = {node.name: _nodes.listed(node) for node in self.graph.nodes()}
        return {name: attrs for name, attrs in found.items() if attrs}

    def _set_attr(self, **attrs: str) -> None:
        """Set attributes of the node, seen by every symbol that holds it.

        Settings of operators are fixed: raises ArgumentError.
        """
        node = self._node()
        if node is None:
            raise ArgumentError(f"{self!r}: attributes are set on one node, not on a group")
        for key, value in attrs.items():
            if not isinstance(value, str):
                raise ArgumentError(f"{node.label}: {key} is {value!r}, expected a string")
            if node.op and node.op.params and not _nodes.is_attribute(key):
                what = "a setting, fixed when the symbol was made" if key in node.op.params else "not a setting"
                raise ArgumentError(f"{node.label}: {key} is {what}; attributes of operators are spelled __{key}__")
        node.attrs.update(_nodes.hidden(attrs))

    # ---- composition ----------------------------------------------------------------------------------------------

    def __call__(self, *args: "Symbol", name: str | None = None, **kwargs: "Symbol") -> "Symbol":
        """Return a symbol in which variables are replaced: `net(data=other)`, or in the order of list_arguments().

        name: the new name of the output's node.   Nodes on the way are new; everything else is shared.
        Raises ArgumentError for an unknown variable or a value of several outputs, ArgumentTypeError for what is no
        symbol.
        """
        names = self.list_inputs()
        if args and kwargs:
            raise ArgumentTypeError(f"{self!r}: symbols came by position and by name, expected one of the two")
        if len(args) > len(names):
            raise ArgumentTypeError(
                f"{self!r}: {len(args)} symbols came, expected at most {len(names)} for {', '.join(names)}"
            )
        given = dict(zip(self.list_arguments() + self.list_auxiliary_states(), args)) | kwargs
        for key, value in given.items():
            if not isinstance(value, Symbol):
                raise ArgumentTypeError(f"{self!r}: {key} is {value!r:.80}, expected a Symbol")
            if key not in names:
                raise ArgumentError(f"{self!r}: there is no variable {key!r}; the variables are {', '.join(names)}")
        new = {key: value.entry(f"{self!r}: {key}") for key, value in given.items()}
        head = self._entries[0].node

        def visit(node, inputs):
            if node.op is None and node.name in new:
                return [new[node.name]]
            renamed = name if name and node is head else node.name
            if renamed == node.name and inputs == node.inputs:
                return [Entry(node, i) for i in range(len(_nodes.visible(node)))]
            return _nodes.visible(Node(node.op, renamed, inputs, node.params, dict(node.attrs)))

        return Symbol(rewrite(self.graph, visit).outputs)

    def __copy__(self):
        """Return a symbol of new nodes, whose attributes change independently."""

        def visit(node, inputs):
            return _nodes.visible(Node(node.op, node.name, inputs, node.params, dict(node.attrs)))

        return Symbol(rewrite(self.graph, visit).outputs)

    def __deepcopy__(self, memo):
        return self.__copy__()

    # ---- shapes and dtypes ----------------------------------------------------------------------------------------

    def infer_shape(self, *args, **kwargs):
        """Return (argument shapes, output shapes, auxiliary shapes) from the known shapes of some arguments, by
        position or by name.

        0 is an unknown dimension.  (None, None, None) with a warning where what is known does not suffice.
        Raises ArgumentError for unknown names and shapes that contradict each other, ArgumentTypeError for what is no
        tuple.
        """
        return self._complete("shape", self.infer_shape_partial(*args, **kwargs), _is_whole)

    def infer_shape_partial(self, *args, **kwargs):
        """Return what infer_shape returns with 0 for unknown dimensions and () for unknown shapes."""
        shapes = self._known("shape", args, kwargs)
        for key, shape in shapes.items():
            if not isinstance(shape, tuple):
                raise ArgumentTypeError(f"infer_shape: {key} is {shape!r}, expected a tuple")
        found = infer(self.graph, shapes, {}, partial=True)

        def shape_of(entry):
            return tuple(0 if n == -1 else n for n in found.shape_of(entry) or ())

        return self._of_entries(shape_of)

    def infer_type(self, *args, **kwargs):
        """Return (argument dtypes, output dtypes, auxiliary dtypes) as NumPy types from the known dtypes of some
        arguments.

        (None, None, None) with a warning where what is known does not suffice.  Raises ArgumentError or
        ArgumentTypeError.
        """
        return self._complete("type", self.infer_type_partial(*args, **kwargs), lambda dtype: dtype is not None)

    def infer_type_partial(self, *args, **kwargs):
        """Return what infer_type returns with None for unknown dtypes."""
        dtypes = {key: dtype_name(dtype) for key, dtype in self._known("type", args, kwargs).items()}
        found = infer(self.graph, {}, dtypes, partial=True)

        def type_of(entry):
            dtype = found.dtype_of(entry)
            return None if dtype is None else NUMPY_DTYPES[dtype].type

        return self._of_entries(type_of)

    def _known(self, what: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return {variable: what is known of it} from positional or keyword arguments; None is unknown."""
        if args and kwargs:
            raise ArgumentError(f"infer_{what}: {what}s came by position and by name, expected one of the two")
        names = self.list_arguments()
        if len(args) > len(names):
            raise ArgumentError(
                f"infer_{what}: {len(args)} {what}s came, expected at most {len(names)} for {', '.join(names)}"
            )
        inputs = self.list_inputs()
        for key in kwargs:
            if key not in inputs:
                raise ArgumentError(
                    f"infer_{what}: there is no variable {key!r}; the variables are {', '.join(inputs)}"
                )
        return {key: value for key, value in {**dict(zip(names, args)), **kwargs}.items() if value is not None}

    def _of_entries(self, of):
        arguments, auxiliary = self._arguments(), self._auxiliary_states()
        return [of(Entry(n)) for n in arguments], [of(e) for e in self._entries], [of(Entry(n)) for n in auxiliary]

    def _complete(self, what: str, found, is_known):
        """Return what was found, or Nones with a warning that names the arguments that are not known."""
        if all(is_known(value) for values in found for value in values):
            return found
        unknown = [f"{name}: {value}" for name, value in zip(self.list_arguments(), found[0]) if not is_known(value)]
        reason = f"; not known of the arguments: {', '.join(unknown)}" if unknown else ""
        warnings.warn(f"{self!r}: not every {what} follows from what was given{reason}", stacklevel=3)
        return None, None, None

    # ---- files ----------------------------------------------------------------------------------------------------

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """Return the graph as the text of a `-symbol.json` file of MXNet 1.9.1."""
        return _serialize.to_json(self.graph, remove_amp_cast)

    def save(self, fname: str, remove_amp_cast: bool = True) -> None:
        """Write the text of tojson to a file, whole or not at all."""
        _serialize.save(fname, self.tojson(remove_amp_cast))

    def __reduce__(self):
        return load_json, (self.tojson(remove_amp_cast=False),)

    # ---- binding --------------------------------------------------------------------------------------------------

    def bind(self, ctx, args, args_grad=None, grad_req="write", aux_states=None, group2ctx=None, shared_exec=None):
        """Return an Executor of the symbol on arrays.

        args, args_grad, aux_states: lists in the order of list_arguments() and list_auxiliary_states(), or {name:
        NDArray}.
        grad_req: 'write', 'add' or 'null', for all, as a list or as {name: word}; what has no array in args_grad gets
        no gradient.
        group2ctx: {ctx_group: context}.   shared_exec is accepted for MXNet's sake: memory is shared through the pool
        anyway.
        Raises ArgumentError for missing arrays and ArgumentTypeError for what is no array.
        """
        return _bind.bind(self, ctx, args, args_grad, grad_req, aux_states, group2ctx)

    def simple_bind(
        self, ctx, grad_req="write", type_dict=None, stype_dict=None, group2ctx=None,
        shared_arg_names=None, shared_exec=None, shared_buffer=None, **kwargs,
    ):  # fmt: skip
        """Return an Executor on new arrays of zeros, whose shapes follow from those given by name:
        `simple_bind(mx.cpu(), data=(32, 784))`.

        type_dict: {name: dtype}.   grad_req, group2ctx: as for bind.   stype_dict: {name: 'default'}.
        shared_arg_names: arguments whose arrays and gradients are those of shared_exec.   shared_buffer: {name:
        NDArray}, searched for memory
        for the other arguments and filled with what is allocated.
        Raises ArgumentError where shapes do not follow or contradict each other.
        """
        return _bind.simple_bind(
            self, ctx, kwargs, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer
        )

    def eval(self, ctx=None, **kwargs):
        """Return the outputs as a list of NDArrays, from arrays given by variable name."""
        return _bind.evaluate(self, ctx, kwargs)


def _is_whole(shape: tuple[int, ...]) -> bool:
    return shape != () and 0 not in shape and known(shape)


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """Return a symbol of all outputs of some symbols; raises ArgumentTypeError for an empty list or other things."""
    symbols = list(symbols)
    if not symbols or not all(isinstance(s, Symbol) for s in symbols):
        raise ArgumentTypeError(f"Group: {symbols!r:.80} came, expected a list of symbols")
    return Symbol(entry for symbol in symbols for entry in symbol._entries)


def load_json(json_str: str) -> Symbol:
    """Read a symbol from the text of a `-symbol.json` file of any version; raises MXNetError."""
    if not isinstance(json_str, str):
        raise ArgumentTypeError(f"load_json: {json_str!r:.80} came, expected text")
    return Symbol(_serialize.from_json(json_str))


def load(fname: str) -> Symbol:
    """Read a symbol from a `-symbol.json` file of any version; raises MXNetError naming the file."""
    if not hasattr(fname, "__fspath__") and not isinstance(fname, str):
        raise ArgumentTypeError(f"load: {fname!r} came, expected the name of a file")
    try:
        with open(fname, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as e:
        raise MXNetError(f"load: cannot read {fname}: {e}") from None
    return load_json(text)
