"""The workloads of mx.gpu(0), a file each; in the order of the table."""

from . import bandwidth, updates, matmul, convolutions, host_time, steps, first_run  # noqa: I001  (the table's order)

FILES = (bandwidth, updates, matmul, convolutions, host_time, steps, first_run)
WORKLOADS = [workload for file in FILES for workload in file.WORKLOADS]
