"""Optimizers: rules that change weights by their gradients, and the updater that keeps their states.

`optimizer` holds the base class, the registry and the updater; `sgd` and `adaptive` hold the rules by family,
`contrib` the rest. Called by kvstore, module and gluon.  Nothing here knows symbols or executors.
"""

from . import contrib, optimizer
from .adaptive import FTML, LAMB, AdaDelta, AdaGrad, Adam, Adamax, Ftrl, Nadam, RMSProp
from .optimizer import Optimizer, Test, Updater, create, get_updater, register
from .sgd import DCASGD, LARS, NAG, SGD, SGLD, Signum, ccSGD

__all__ = ["DCASGD", "FTML", "LAMB", "LARS", "NAG", "SGD", "SGLD", "AdaDelta", "AdaGrad", "Adam", "Adamax", "Ftrl",
           "Nadam", "Optimizer", "RMSProp", "Signum", "Test", "Updater", "ccSGD", "contrib", "create",
           "get_updater", "optimizer", "register"]  # fmt: skip
