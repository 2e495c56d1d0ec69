"""cymx: the programming model of MXNet 1.9.1 for today's Python.

import cymx as mx

net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=10, name="fc")
executor = net.simple_bind(mx.cpu(), data=(2, 4))
"""

from . import (
    attribute,
    base,
    callback,
    context,
    executor,
    executor_manager,
    initializer,
    io,
    kvstore,
    lr_scheduler,
    metric,
    model,
    module,
    monitor,
    name,
    ndarray,
    optimizer,
    random,
    rnn,
    rtc,
    symbol,
    test_utils,
    visualization,
)
from . import initializer as init
from . import kvstore as kv
from . import module as mod
from . import monitor as mon
from . import ndarray as nd
from . import random as rnd
from . import symbol as sym
from . import visualization as viz
from .attribute import AttrScope
from .base import MXNetError
from .context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus
from .executor import Executor
from .symbol import Symbol

__version__ = "0.1.0"

__all__ = [
    "AttrScope",
    "Context",
    "Executor",
    "MXNetError",
    "Symbol",
    "attribute",
    "base",
    "callback",
    "context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "executor",
    "executor_manager",
    "gpu",
    "gpu_memory_info",
    "init",
    "initializer",
    "io",
    "kv",
    "kvstore",
    "lr_scheduler",
    "metric",
    "mod",
    "model",
    "module",
    "mon",
    "monitor",
    "name",
    "nd",
    "ndarray",
    "num_gpus",
    "optimizer",
    "random",
    "rnn",
    "rtc",
    "rnd",
    "sym",
    "symbol",
    "test_utils",
    "visualization",
    "viz",
]
