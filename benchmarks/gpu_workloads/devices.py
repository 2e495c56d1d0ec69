"""What the GPU workloads ask of each library: arrays on the device, a precision, an end to wait for."""

import os

from ..peers import Absent
from ..workload import Job

# What a product of matrices or a convolution is computed in, and how far two libraries may then lie apart.
PRECISIONS = {"float32": 1e-4, "tf32": 5e-3, "bf16": 2e-2}
# The least share of the copy's bandwidth, and of PyTorch's speed, that is to be reached.
OF_COPY, OF_MATMUL, OF_CONVOLUTION = 0.9, 0.97, 0.95


class Torch:
    """PyTorch on the GPU, or on the CPU where the GPU is emulated.

    precision: of products and convolutions.   Raises Absent where PyTorch sees no GPU.
    """

    def __init__(self, torch, x, precision="float32"):
        if x["device"] == "cuda" and not torch.cuda.is_available():
            raise Absent("PyTorch sees no GPU")
        self.torch, self.name = torch, "cuda" if x["device"] == "cuda" else "cpu"
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True

    def array(self, value, dtype=None):
        """Return an array as a tensor there."""
        return self.torch.tensor(value).to(self.name, dtype or self.dtype)

    def wait(self):
        """Wait for what is under way."""
        if self.name == "cuda":
            self.torch.cuda.synchronize()

    @staticmethod
    def values(tensor):
        """Return a tensor as a NumPy array of float32."""
        return tensor.detach().float().cpu().numpy()


class Mx:
    """cymx on mx.gpu(0).   precision: of products and convolutions."""

    def __init__(self, mx, precision="float32"):
        self.mx, self.context = mx, mx.gpu(0)
        self.dtype = "bfloat16" if precision == "bf16" else "float32"
        os.environ["MXNET_CUDA_TENSOR_OP_MATH_ALLOW_CONVERSION"] = str(int(precision == "tf32"))
        self.wait = mx.nd.waitall

    def array(self, value, dtype=None):
        """Return an array as an NDArray there."""
        return self.mx.nd.array(value, ctx=self.context, dtype=dtype or self.dtype)

    @staticmethod
    def values(array):
        """Return an NDArray as a NumPy array of float32."""
        return array.asnumpy().astype("float32")


def queued(run, library, outputs=None):
    """Return the Job that calls `run` n times and waits at the end.

    outputs: run's value -> the arrays to compare; by default the value itself.
    """

    def loop(n):
        for _ in range(n):
            run()
        library.wait()

    return Job(loop, lambda: [library.values(y) for y in (outputs or (lambda value: [value]))(run())])


def returning(run, library, outputs):
    """Return the Job of which is timed how long `run` takes to return, not what it queues."""

    def loop(n):
        for _ in range(n):
            run()

    return Job(loop, lambda: [library.values(y) for y in outputs(run())], settle=library.wait)
