"""The workloads, a file each; in the order of the table."""

from . import small_add, inplace_loop, fused_e, dot, reductions, mlp_step, lenet_step  # noqa: I001  (the table's order)
from . import resnet50_inference, resnet18_step, lstm_step, bind_time, memory, import_time

FILES = (
    small_add,
    inplace_loop,
    fused_e,
    dot,
    reductions,
    mlp_step,
    lenet_step,
    resnet50_inference,
    resnet18_step,
    lstm_step,
    bind_time,
    memory,
    import_time,
)
WORKLOADS = [workload for file in FILES for workload in file.WORKLOADS]
