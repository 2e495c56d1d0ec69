"""The key-value store of one process, and `create`.

A pushed list of arrays (one a device) is added up.  Without an updater the sum takes the stored value's place; with
one, `updater(key, sum, stored)` changes the stored value.  `priority` is accepted and has no effect: the engine
orders by dependencies.
"""

from .. import optimizer as opt
from ..base import ArgumentError, ArgumentTypeError, MXNetError
from ..ndarray import NDArray
from .base import KVStoreBase, check_capability

__all__ = ["KVStore", "create"]

_LOCAL_TYPES = ("local", "local_allreduce_cpu", "local_allreduce_device", "local_update_cpu", "device")


class KVStore(KVStoreBase):
    """Hold arrays by int or str keys within this process.

    Every method takes one key, or a list of keys with a list of values.
    """

    def __init__(self, name="local"):
        self._type = name
        self._stored = {}
        self._updater = None

    # -- values ------------------------------------------------------------------------------------

    def init(self, key, value):
        """Set the first value of each key, once.  Raises MXNetError for a key that has one."""
        for k, values in self._pairs("init", key, value):
            if k in self._stored:
                raise MXNetError(f"kvstore.init: key {k!r} is there already")
            known = next(iter(self._stored), k)
            if isinstance(known, str) != isinstance(k, str):
                raise ArgumentTypeError(f"kvstore.init: key {k!r} beside {known!r}; keys are all int or all str")
            self._stored[k] = values[0].copy()

    def push(self, key, value, priority=0):
        """Add up each key's arrays, and store the sum or hand it to the updater."""
        pairs = self._pairs("push", key, value)
        sums = [(k, self._sum("push", k, values)) for k, values in pairs]
        if self._updater is None:
            for k, total in sums:
                self._stored[k][:] = total
        elif isinstance(self._updater, opt.Updater):
            names, totals = zip(*sums, strict=True)
            self._updater(names, totals, [self._stored[k] for k in names])
        else:
            for k, total in sums:
                self._updater(k, total, self._stored[k])

    def pull(self, key, out=None, priority=0, ignore_sparse=True):
        """Copy each key's value to every array of its `out`."""
        if out is None:
            raise ArgumentTypeError(f"kvstore.pull: key {key!r} comes without out")
        for k, outs in self._pairs("pull", key, out):
            stored = self._lookup("pull", k)
            for array in outs:
                self._check_shape("pull", k, array, stored)
                array[:] = stored

    def pushpull(self, key, value, out=None, priority=0):
        """Push, then pull into `out`, or back into `value` where it is None."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority)

    def broadcast(self, key, value, out, priority=0):
        """Set the first value of each key, and copy it to each array of its `out`."""
        self.init(key, value)
        self.pull(key, out, priority)

    def row_sparse_pull(self, key, out=None, priority=0, row_ids=None):
        """Refuse: row-sparse arrays do not exist here."""
        raise MXNetError(
            f"kvstore.row_sparse_pull: key {key!r}: row-sparse arrays are not supported; pull copies dense ones"
        )

    def _lookup(self, method, key):
        if key not in self._stored:
            raise MXNetError(f"kvstore.{method}: key {key!r} has no value; init(key, value) comes first")
        return self._stored[key]

    def _check_shape(self, method, key, array, stored):
        if array.shape != stored.shape:
            raise ArgumentError(
                f"kvstore.{method}: key {key!r} holds {stored.shape}, but the array given is {array.shape}"
            )

    def _sum(self, method, key, values):
        stored = self._lookup(method, key)
        for value in values:
            self._check_shape(method, key, value, stored)
        context = stored.context
        total = values[0].as_in_context(context)
        for value in values[1:]:
            total = total + value.as_in_context(context)
        return total

    def _pairs(self, method, keys, values):
        """Return [(key, [arrays])] from one key or a list of them."""
        if not isinstance(keys, list | tuple):
            keys, values = [keys], [values]
        elif isinstance(values, NDArray) or len(keys) != len(values):
            n = 1 if isinstance(values, NDArray) else len(values)
            raise ArgumentError(f"kvstore.{method}: {len(keys)} keys {list(keys)} come with {n} values")
        pairs = []
        for key, value in zip(keys, values, strict=True):
            if not isinstance(key, int | str):
                raise ArgumentTypeError(f"kvstore.{method}: key {key!r} is {type(key).__name__}, expected int or str")
            arrays = [value] if isinstance(value, NDArray) else value
            if not isinstance(arrays, list | tuple) or not arrays or not all(isinstance(a, NDArray) for a in arrays):
                raise ArgumentTypeError(
                    f"kvstore.{method}: key {key!r} comes with {value!r}, expected an NDArray or a list of them"
                )
            pairs.append((key, arrays))
        return pairs

    # -- updates -----------------------------------------------------------------------------------

    def set_optimizer(self, optimizer):
        """Let pushed sums change the stored weights by this optimizer."""
        if not isinstance(optimizer, opt.Optimizer):
            raise ArgumentTypeError(f"kvstore.set_optimizer: got {type(optimizer).__name__}, expected an Optimizer")
        self._set_updater(opt.get_updater(optimizer))

    def _set_updater(self, updater):
        """Let `updater(key, sum, stored)` take each pushed sum."""
        self._updater = updater

    def set_gradient_compression(self, compression_params):
        """Refuse: compression pays between machines only."""
        raise MXNetError(f"kvstore.set_gradient_compression: not supported by a store of type {self._type!r}")

    def save_optimizer_states(self, fname, dump_optimizer=False):
        """Write the optimizer's states, and with `dump_optimizer` the optimizer, to a file."""
        with open(fname, "wb") as f:
            f.write(self._optimizer_updater("save").get_states(dump_optimizer))

    def load_optimizer_states(self, fname):
        """Read what `save_optimizer_states` wrote.  Only for files from a trusted source."""
        updater = self._optimizer_updater("load")
        with open(fname, "rb") as f:
            updater.set_states(f.read())

    def _optimizer_updater(self, what):
        if self._updater is None:
            raise MXNetError(f"kvstore.{what}_optimizer_states: no optimizer is set; set_optimizer comes first")
        return self._updater

    @staticmethod
    def is_capable(capability):
        """Return True: the one capability known, 'optimizer', is there."""
        check_capability(capability)
        return True

    # -- workers -----------------------------------------------------------------------------------

    @property
    def type(self):
        """The name the store was made by."""
        return self._type

    @property
    def rank(self):
        """0: there is one worker."""
        return 0

    @property
    def num_workers(self):
        """1: there is one worker."""
        return 1

    def _barrier(self):
        """Return at once: there is one worker."""


def create(name="local"):
    """Make a key-value store.

    'local', 'device' and their variants name one and the same store of this process; a registered class goes by its
    own name. Raises MXNetError for the stores of many machines ('dist_*', 'horovod', ...), which this library does
    not have.
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"kvstore.create: name is {type(name).__name__}, expected a string")
    lowered = name.lower()
    if lowered in KVStoreBase.kv_registry:
        return KVStoreBase.kv_registry[lowered]()
    if lowered in _LOCAL_TYPES:
        return KVStore(lowered)
    if lowered.startswith(("dist", "p3")) or lowered in ("nccl", "horovod", "byteps"):
        raise MXNetError(
            f"kvstore {name!r} spans processes or machines, which is not supported; use 'local' or 'device'"
        )
    raise ArgumentError(f"kvstore {name!r} is none of {', '.join(_LOCAL_TYPES)}, nor registered")
