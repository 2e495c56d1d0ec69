"""The interface that every key-value store keeps, and the registry of those that users add."""

from ..base import ArgumentError
from ..registry import get_register_func

__all__ = ["KVStoreBase"]


class KVStoreBase:
    """Share arrays by key among the workers of a training run."""

    OPTIMIZER = "optimizer"
    kv_registry: dict = {}

    @staticmethod
    def register(klass):
        """Register a store, so that `create` finds it by its lower-case class name."""
        _register(klass)
        KVStoreBase.kv_registry[klass.__name__.lower()] = klass
        return klass

    def broadcast(self, key, value, out, priority=0):
        """Set the first value of `key`, and copy it to each array of `out`."""
        raise NotImplementedError

    def pushpull(self, key, value, out=None, priority=0):
        """Add the arrays of `value`, and copy the sum to `out`, or back to `value`."""
        raise NotImplementedError

    def set_optimizer(self, optimizer):
        """Run this optimizer where values are pushed."""
        raise NotImplementedError

    @staticmethod
    def is_capable(capability):
        """Return whether the store can do it; the one capability known is 'optimizer'."""
        raise NotImplementedError

    def save_optimizer_states(self, fname, dump_optimizer=False):
        """Write the optimizer's states to a file."""
        raise NotImplementedError

    def load_optimizer_states(self, fname):
        """Read the optimizer's states from a file."""
        raise NotImplementedError

    @property
    def type(self):
        """The store's name."""
        raise NotImplementedError

    @property
    def rank(self):
        """This worker's number, from 0."""
        raise NotImplementedError

    @property
    def num_workers(self):
        """The number of workers."""
        raise NotImplementedError


_register = get_register_func(KVStoreBase, "kvstore")


def check_capability(capability):
    """Raise ArgumentError unless the capability is one that stores know of."""
    if capability.lower() != KVStoreBase.OPTIMIZER:
        raise ArgumentError(f"kvstore: unknown capability {capability!r}; known is {KVStoreBase.OPTIMIZER!r}")
