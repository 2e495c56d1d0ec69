"""Key-value stores: where the devices of one process meet to add gradients and share weights.

`base` holds the interface and its registry, `kvstore` the store of one process and `create`.  Stores of many machines
are refused. Called by model and module; takes its updates from optimizer.
"""

from .base import KVStoreBase
from .kvstore import KVStore, create

__all__ = ["KVStore", "KVStoreBase", "create"]
