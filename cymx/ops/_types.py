"""Apply an operator's shape and dtype rules, and say in words what contradicts them.

Called by _build (all types known) and by the infer pass.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..base import ArgumentError, ArgumentTypeError
from ..ir import Type
from ._def import Op
from ._params import Params
from ._shapes import known, merge


def resolve_shapes(op: type[Op], p: Params, ins: Sequence[Any], outs: Sequence[Any]) -> tuple[list, list]:
    """Return all that follows for the shapes of one node;

    raises ArgumentError naming the argument, what came and what was wanted.
    """
    new_ins, new_outs = op.shape(p, list(ins), list(outs))
    return _merged(op, p, ins, new_ins, op.input_names, ins), _merged(op, p, outs, new_outs, op.output_names, ins)


def _merged(op, p, had, rule_says, names_of, ins):
    try:
        return [merge(came, wanted) for came, wanted in zip(had, rule_says)]
    except ValueError:
        name, came, wanted = next(row for row in zip(names_of(p), had, rule_says) if not _agree(*row[1:]))
        reasons = _reasons(op, p, name, ins)
        raise ArgumentError(f"{name} is {_unknown(came)}, expected {_unknown(wanted)}{reasons}") from None


def _agree(came, wanted) -> bool:
    try:
        merge(came, wanted)
    except ValueError:
        return False
    return True


def resolve_dtypes(op: type[Op], p: Params, ins: Sequence[Any], outs: Sequence[Any]) -> tuple[list, list]:
    """Return all that follows for the dtypes of one node;

    raises ArgumentTypeError naming the argument, what came and what was wanted.
    """
    new_ins, new_outs = op.dtype(p, list(ins), list(outs))
    for names_of, had, new in ((op.input_names, ins, new_ins), (op.output_names, outs, new_outs)):
        if had == new:
            continue
        for name, came, wanted in zip(names_of(p), had, new):
            if came is not None and wanted is not None and came != wanted:
                raise ArgumentTypeError(f"{name} is {came}, expected {wanted}")
    merge_ = [h or n for h, n in zip(ins, new_ins)], [h or n for h, n in zip(outs, new_outs)]
    return merge_


def resolve(op: type[Op], p: Params, in_types: Sequence[Type]) -> tuple[Type, ...]:
    """Return the types of the outputs of one node whose inputs are wholly known;

    raises ArgumentError or ArgumentTypeError.
    """
    # Networks repeat their blocks, and a second batch size repeats all that weights alone decide.
    resolved = _resolved.__wrapped__ if op.varying else _resolved
    return resolved(op, p, tuple(in_types))  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _resolved(op: type[Op], p: Params, in_types: tuple[Type, ...]) -> tuple[Type, ...]:
    n_out = len(op.output_names(p))
    _, shapes = resolve_shapes(op, p, [t.shape for t in in_types], [None] * n_out)
    _, dtypes = resolve_dtypes(op, p, [t.dtype for t in in_types], [None] * n_out)
    for name, shape in zip(op.output_names(p), shapes):
        if not known(shape):
            raise ArgumentError(f"the shape of {name} does not follow from the inputs: {_unknown(shape)}")
    return tuple(Type(s, d) for s, d in zip(shapes, dtypes))


def _unknown(shape) -> str:
    return (
        "unknown"
        if shape is None
        else "(" + ", ".join("?" if n == -1 else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
    )


def _reasons(op, p, name, ins) -> str:
    others = [f"{n} {_unknown(s)}" for n, s in zip(op.input_names(p), ins) if n != name and s is not None]
    reasons = [f"{k}={v}" for k, v in p.given.items()] + others[:2]
    return (
        " from " + " and ".join([", ".join(reasons[:-1]), reasons[-1]] if len(reasons) > 1 else reasons)
        if reasons
        else ""
    )
