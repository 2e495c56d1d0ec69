"""Modules: a symbol with its parameters, executors and optimizer, trained and asked by batches.

`base_module` holds what all modules do (fit, score, predict), `module` the usual one, `bucketing_module` one of many
symbols, `sequential_module` a chain of modules; `executor_group` runs one symbol on several devices.  Called by
users.
"""

from . import base_module, bucketing_module, executor_group, module, sequential_module
from .base_module import BaseModule
from .bucketing_module import BucketingModule
from .module import Module
from .sequential_module import SequentialModule

__all__ = ["BaseModule", "BucketingModule", "Module", "SequentialModule", "base_module", "bucketing_module",
           "executor_group", "module", "sequential_module"]  # fmt: skip
