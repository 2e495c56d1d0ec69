"""The passes, from a user's graph to a plan.  Data flows one way:

infer -> lower -> gradient -> simplify -> place -> layout -> fuse -> memory -> plan
"""

from .compile import Options, compile_graph
from .infer import Inferred, infer
from .plan import Plan

__all__ = ["Inferred", "Options", "Plan", "compile_graph", "infer"]
