"""Optimizers that MXNet 1.9.1 keeps under `mx.optimizer.contrib`."""

from .. import ndarray as nd
from ..base import ArgumentError
from .optimizer import Optimizer, register

__all__ = ["GroupAdaGrad"]


@register
class GroupAdaGrad(Optimizer):
    """Run AdaGrad with one rate for each row: the state (N, 1) sums the rows' mean squares.

    Weights (N, K); no decay.
    """

    def __init__(self, eps=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index, weight):
        if len(weight.shape) != 2:
            raise ArgumentError(f"GroupAdaGrad: weight {index!r} has shape {weight.shape}, expected two dimensions")
        return nd.zeros((weight.shape[0], 1), ctx=weight.context, dtype=weight.dtype)

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        if wd != 0:
            raise ArgumentError(f"GroupAdaGrad: weight {index!r} has wd={wd}; weight decay is not supported")
        grad = self._prepare_grad(grad)
        state[:] = state + nd.mean(grad * grad, axis=1, keepdims=True)
        weight[:] = weight - lr * nd.broadcast_div(grad, nd.sqrt(state + self.float_stable_eps))
