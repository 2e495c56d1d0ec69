"""Rules of the gradient-descent family: one rate for all elements, with or without momentum.

Each keeps at most one or two arrays for a weight.  Called through the registry and the updater.
"""

import math

import numpy as np

from .. import ndarray as nd
from .optimizer import Optimizer, UpdateBatch, register, zeros_like

__all__ = ["DCASGD", "LARS", "NAG", "SGD", "SGLD", "Signum", "ccSGD"]


@register
class SGD(Optimizer):
    """Descend along the gradient, with momentum.

    state = momentum * state - lr * (rescale_grad * clip(grad) + wd * weight);  weight += state.
    Takes one weight or lists of them.  `lazy_update` concerns row-sparse gradients and is kept for its name.
    """

    aggregate_num = 64

    def __init__(self, momentum=0.0, lazy_update=True, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lazy_update = lazy_update

    def create_state(self, index, weight):
        return None if self.momentum == 0.0 else zeros_like(weight)

    def create_state_multi_precision(self, index, weight):
        if self._keeps_master(weight):
            master = weight.astype("float32")
            return self.create_state(index, master), master
        return super().create_state_multi_precision(index, weight)

    def update(self, index, weight, grad, state):
        self._update_impl(index, weight, grad, state)

    def update_multi_precision(self, index, weight, grad, state):
        self._update_impl(index, weight, grad, state, multi_precision=True)

    def _rates(self, indices, weights, grads):
        """Return the rates and the decays of these weights."""
        return self._get_lrs(indices), self._get_wds(indices)

    def _momentum_now(self):
        return self.momentum

    def _update_impl(self, indices, weights, grads, states, multi_precision=False):
        if not isinstance(indices, list | tuple):
            indices, weights, grads, states = [indices], [weights], [grads], [states]
        self._update_count(indices)
        lrs, wds = self._rates(indices, weights, grads)
        fixed = (("rescale_grad", self.rescale_grad), ("clip_gradient", self._clip()))
        with_momentum = (*fixed, ("momentum", self._momentum_now()))
        batch = UpdateBatch()
        for weight, grad, state, lr, wd in zip(weights, grads, states, lrs, wds, strict=True):
            master = ()
            if multi_precision and self._keeps_master(weight):
                state, *master = state
            name = "mp_sgd_" if master else "sgd_"
            if state is None:
                batch.add(name + "update", (weight, grad, *master), fixed, lr, wd)
            else:
                batch.add(name + "mom_update", (weight, grad, state, *master), with_momentum, lr, wd)
        batch.run()


@register
class ccSGD(SGD):
    """Do what SGD does; the name is an old one."""


@register
class NAG(Optimizer):
    """Descend with Nesterov's momentum, which looks ahead along the momentum (Nesterov, 1983)."""

    def __init__(self, momentum=0.0, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def create_state(self, index, weight):
        return None if self.momentum == 0.0 else zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        fixed = {"lr": lr, "wd": wd, "rescale_grad": self.rescale_grad, "clip_gradient": self._clip()}
        if state is None:
            nd.sgd_update(weight, grad, out=weight, **fixed)
        else:
            nd.nag_mom_update(weight, grad, state, out=weight, momentum=self.momentum, **fixed)


@register
class Signum(Optimizer):
    """Step by the sign of the gradient or of its momentum (Bernstein et al., 2018).

    `wd_lh` is a decay applied to the weight itself, apart from the gradient's `wd`.
    """

    def __init__(self, learning_rate=0.01, momentum=0.9, wd_lh=0.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum
        self.wd_lh = wd_lh

    def create_state(self, index, weight):
        return None if self.momentum == 0.0 else zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        fixed = {"lr": lr, "wd": wd, "rescale_grad": self.rescale_grad, "clip_gradient": self._clip()}
        if state is None:
            nd.signsgd_update(weight, grad, out=weight, **fixed)
        else:
            nd.signum_update(weight, grad, state, out=weight, momentum=self.momentum, wd_lh=self.wd_lh, **fixed)


@register
class SGLD(Optimizer):
    """Descend with Gaussian noise of variance lr: stochastic gradient Langevin dynamics (Welling and Teh, 2011)."""

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        step = self._prepare_grad(grad) + wd * weight
        noise = zeros_like(weight)
        nd.random.normal(0, np.sqrt(lr), out=noise)
        weight[:] = weight - lr / 2 * step + noise


@register
class DCASGD(Optimizer):
    """Descend with the delay of asynchronous gradients compensated (Zheng et al., 2016).

    State: (momentum or None, the weight that the gradient was taken at).
    """

    def __init__(self, momentum=0.0, lamda=0.04, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lamda = lamda

    def create_state(self, index, weight):
        return None if self.momentum == 0.0 else zeros_like(weight), weight.copy()

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        grad = self._prepare_grad(grad)
        mom, previous = state
        step = -lr * (grad + wd * weight + self.lamda * grad * grad * (weight - previous))
        if mom is not None:
            mom[:] = self.momentum * mom + step
            step = mom
        previous[:] = weight
        weight[:] = weight + step


@register
class LARS(SGD):
    """Scale each layer's rate by eta * |w| / (|g| + wd * |w| + eps), for large batches (You et al., 2017).

    Gammas, betas and biases keep the plain rate.  `momentum_correction` scales the momentum by the ratio of this
    update's rate to the last one's.  The norms are read on the host, so each update waits for its gradients.
    """

    def __init__(self, momentum=0.0, lazy_update=True, eta=0.001, eps=0, momentum_correction=True, **kwargs):
        super().__init__(momentum=momentum, lazy_update=lazy_update, **kwargs)
        self.momentum_correction = momentum_correction
        self.eta = eta
        self.eps = eps
        self.last_lr = None
        self.cur_lr = None

    def _rates(self, indices, weights, grads):
        self.last_lr = self.learning_rate if self.cur_lr is None else self.cur_lr
        self.cur_lr = self.learning_rate
        lrs, wds = super()._rates(indices, weights, grads)
        return [self._layer_rate(*x) for x in zip(indices, weights, grads, lrs, wds, strict=True)], wds

    def _layer_rate(self, index, weight, grad, lr, wd):
        if self.idx2name.get(index, str(index)).endswith(("gamma", "beta", "bias")):
            return lr
        weight_norm, grad_norm = _norm(weight), _norm(grad) * self.rescale_grad
        if weight_norm == 0.0 or grad_norm == 0.0:
            return lr
        return lr * self.eta * weight_norm / (grad_norm + wd * weight_norm + self.eps)

    def _momentum_now(self):
        return self.momentum * self.cur_lr / self.last_lr if self.momentum_correction else self.momentum


def _norm(array):
    return math.sqrt((array.astype("float32") ** 2).sum().asscalar())
