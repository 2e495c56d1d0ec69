"""Rules of the gradient-descent family: one rate for all elements, with or without momentum.

Each keeps at most one or two arrays for a weight.  Called through the registry and the updater.
"""

import numpy as np

from .. import ndarray as nd
from .optimizer import Optimizer, register, zeros_like

__all__ = ["DCASGD", "NAG", "SGD", "SGLD", "Signum", "ccSGD"]


@register
class SGD(Optimizer):
    """Descend along the gradient, with momentum.

    state = momentum * state - lr * (rescale_grad * clip(grad) + wd * weight);  weight += state.
    Takes one weight or lists of them.  `lazy_update` concerns row-sparse gradients and is kept for its name.
    """

    aggregate_num = 4

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

    def _update_impl(self, indices, weights, grads, states, multi_precision=False):
        if not isinstance(indices, list | tuple):
            indices, weights, grads, states = [indices], [weights], [grads], [states]
        self._update_count(indices)
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        fixed = {"rescale_grad": self.rescale_grad, "clip_gradient": self._clip()}
        momentum = self.momentum
        for weight, grad, state, lr, wd in zip(weights, grads, states, lrs, wds, strict=True):
            if multi_precision and self._keeps_master(weight):
                mom, master = state
                if mom is None:
                    nd.mp_sgd_update(weight, grad, master, out=weight, lr=lr, wd=wd, **fixed)
                else:
                    nd.mp_sgd_mom_update(
                        weight, grad, mom, master, out=weight, lr=lr, wd=wd, momentum=momentum, **fixed
                    )
            elif state is None:
                nd.sgd_update(weight, grad, out=weight, lr=lr, wd=wd, **fixed)
            else:
                nd.sgd_mom_update(weight, grad, state, out=weight, lr=lr, wd=wd, momentum=momentum, **fixed)


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
