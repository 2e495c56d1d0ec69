"""Registries of classes by name: optimizers, initializers, metrics and key-value stores.

Holds one table a base class, and makes the three functions (`register`, `alias`, `create`) that a room offers over
its own table. Knows no class of any room.  Called by optimizer, initializer, metric and kvstore, and by users with
registries of their own.
"""

import json
import warnings

from .base import ArgumentError, ArgumentTypeError

__all__ = ["get_alias_func", "get_create_func", "get_register_func", "get_registry"]

_tables: dict[type, dict[str, type]] = {}


def get_registry(base_class):
    """Return a copy of the table {lower-case name: class} of `base_class`."""
    return dict(_tables.get(base_class, {}))


def get_register_func(base_class, nickname):
    """Make `register(klass, name=None)`, which files a subclass of `base_class` under its lower-case name and returns
    it.
    """
    table = _tables.setdefault(base_class, {})

    def register(klass, name=None):
        if not issubclass(klass, base_class):
            raise ArgumentTypeError(f"{nickname}.register: {klass.__name__} is not a subclass of {base_class.__name__}")
        key = (name or klass.__name__).lower()
        known = table.get(key)
        if known is not None and known is not klass:
            warnings.warn(
                f"{nickname} {key!r} is now {klass.__module__}.{klass.__name__}, no longer {known.__module__}'s",
                stacklevel=2,
            )
        table[key] = klass
        return klass

    register.__doc__ = f"Register a class of {nickname} by its lower-case name, and return it."
    return register


def get_alias_func(base_class, nickname):
    """Make `alias(*names)`, a class decorator that files the class under further names."""
    register = get_register_func(base_class, nickname)

    def alias(*names):
        def decorate(klass):
            for name in names:
                register(klass, name)
            return klass

        return decorate

    return alias


def get_create_func(base_class, nickname):
    """Make `create(what, ...)`, which returns an instance of `base_class`.

    `what` is an instance (returned as it is), a registered name followed by the constructor's arguments, or the JSON
    text `["name", {arguments}]` or `{"nickname": "name", arguments}`; the name may also come as the keyword
    `nickname`.
    """
    table = _tables.setdefault(base_class, {})

    def create(*args, **kwargs):
        if args:
            name, args = args[0], args[1:]
        elif nickname in kwargs:
            name = kwargs.pop(nickname)
        else:
            raise ArgumentTypeError(
                f"{nickname}.create: the first argument is missing; give a name, JSON text or a {base_class.__name__}"
            )
        if isinstance(name, base_class):
            if args or kwargs:
                raise ArgumentTypeError(
                    f"{nickname}.create: a {type(name).__name__} is made already and takes no further arguments"
                )
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, str):
            raise ArgumentTypeError(
                f"{nickname}.create: got {type(name).__name__}, expected a name or a {base_class.__name__}"
            )
        if name.startswith("[") and not args and not kwargs:
            name, kwargs = json.loads(name)
            return create(name, **kwargs)
        if name.startswith("{") and not args and not kwargs:
            return create(**json.loads(name))
        klass = table.get(name.lower())
        if klass is None:
            raise ArgumentError(f"{nickname} {name!r} is not registered; known are {', '.join(sorted(table))}")
        return klass(*args, **kwargs)

    create.__doc__ = f"Make a {nickname} from an instance, a registered name with its arguments, or JSON text."
    return create
