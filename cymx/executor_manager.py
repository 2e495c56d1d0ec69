"""How a batch is divided among devices, and the check of a symbol's names.

Called by module and model, and by users.
"""

from .base import ArgumentError

__all__: list[str] = []


def _split_input_slice(batch_size, work_load_list):
    """Cut range(batch_size) into one slice for each work load, in proportion.

    Raises ValueError where one would be empty.
    """
    total = sum(work_load_list)
    sizes = [round(load * batch_size / total) for load in work_load_list]
    sizes[-1] += max(0, batch_size - sum(sizes))
    slices, end = [], 0
    for size in sizes:
        begin, end = min(end, batch_size), min(end + size, batch_size)
        if begin >= end:
            raise ArgumentError(f"a batch of {batch_size} has no samples left for one of {len(sizes)} devices: {sizes}")
        slices.append(slice(begin, end))
    return slices


def _check_arguments(symbol):
    """Raise ValueError where two arguments, or two auxiliary states, of the symbol have one name."""
    for what, names in (("argument", symbol.list_arguments()), ("auxiliary state", symbol.list_auxiliary_states())):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ArgumentError(f"{what} names occur twice: {', '.join(twice)}; give the layers names of their own")
