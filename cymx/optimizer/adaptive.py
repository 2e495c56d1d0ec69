"""Rules with a rate for each element, from running moments of its gradient.

Each keeps one to three arrays for a weight.  Called through the registry and the updater.
"""

import math

from .. import ndarray as nd
from .optimizer import Optimizer, UpdateBatch, register, zeros_like

__all__ = ["FTML", "LAMB", "AdaDelta", "AdaGrad", "Adam", "Adamax", "Ftrl", "Nadam", "RMSProp"]


@register
class Adam(Optimizer):
    """Divide the gradient's mean by the root of its mean square, both corrected for their start (Kingma and Ba, 2014).

    State: (mean, mean square).  `lazy_update` concerns row-sparse gradients and is kept for its name.
    """

    aggregate_num = 64

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, lazy_update=True, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lazy_update = lazy_update

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        batch = UpdateBatch()
        self._note(batch, index, weight, grad, state)
        batch.run()

    def update_multi_precision(self, index, weight, grad, state):
        if not isinstance(index, list | tuple):
            super().update_multi_precision(index, weight, grad, state)
            return
        batch = UpdateBatch()
        for i, w, g, s in zip(index, weight, grad, state, strict=True):
            if self._keeps_master(w):
                super().update_multi_precision(i, w, g, s)
            else:
                self._note(batch, i, w, g, s)
        batch.run()

    def _note(self, batch, index, weight, grad, state):
        lr, wd, t = self._begin(index)
        fixed = (
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("epsilon", self.epsilon),
            ("rescale_grad", self.rescale_grad),
            ("clip_gradient", self._clip()),
        )
        lr *= math.sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t)
        batch.add("adam_update", (weight, grad, *state), fixed, lr, wd)


@register
class AdaGrad(Optimizer):
    """Divide the gradient by the root of the sum of its squares (Duchi et al., 2011).  State: that sum."""

    def __init__(self, eps=1e-7, **kwargs):
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index, weight):
        return zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        grad = self._prepare_grad(grad)
        state[:] = state + grad * grad
        weight[:] = weight - lr * (grad / nd.sqrt(state + self.float_stable_eps) + wd * weight)


@register
class RMSProp(Optimizer):
    """Divide the gradient by the root of its running mean square.

    Plain (Tieleman and Hinton, 2012; state: (mean square,)) or `centered` (Graves, 2013; state: (mean square, mean,
    step), where gamma2 is the momentum).  `clip_weights` bounds the new weights.
    """

    def __init__(
        self, learning_rate=0.001, gamma1=0.9, gamma2=0.9, epsilon=1e-8, centered=False, clip_weights=None, **kwargs
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1 = gamma1
        self.gamma2 = gamma2
        self.centered = centered
        self.epsilon = epsilon
        self.clip_weights = clip_weights

    def create_state(self, index, weight):
        return tuple(zeros_like(weight) for _ in range(3 if self.centered else 1))

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        fixed = {
            "lr": lr,
            "wd": wd,
            "gamma1": self.gamma1,
            "epsilon": self.epsilon,
            "rescale_grad": self.rescale_grad,
            "clip_gradient": self._clip(),
            "clip_weights": -1.0 if self.clip_weights is None else self.clip_weights,
        }
        if self.centered:
            nd.rmspropalex_update(weight, grad, *state, out=weight, gamma2=self.gamma2, **fixed)
        else:
            nd.rmsprop_update(weight, grad, *state, out=weight, **fixed)


@register
class AdaDelta(Optimizer):
    """Scale the gradient by the ratio of the roots of two running mean squares (Zeiler, 2012).

    State: (of gradients, of steps).  The learning rate has no say.
    """

    def __init__(self, rho=0.90, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        _, wd, _ = self._begin(index)
        grad = self._prepare_grad(grad)
        acc_grad, acc_step = state
        acc_grad[:] = self.rho * acc_grad + (1.0 - self.rho) * grad * grad
        step = nd.sqrt(acc_step + self.epsilon) / nd.sqrt(acc_grad + self.epsilon) * grad
        acc_step[:] = self.rho * acc_step + (1.0 - self.rho) * step * step
        weight[:] = weight - step - wd * weight


@register
class Ftrl(Optimizer):
    """Follow the regularized leader, which makes weights sparse (McMahan et al., 2013).  State: (z, n)."""

    def __init__(self, lamda1=0.01, learning_rate=0.1, beta=1, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.lamda1 = lamda1
        self.beta = beta

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, _ = self._begin(index)
        z, n = state
        fixed = {"rescale_grad": self.rescale_grad, "clip_gradient": self._clip()}
        nd.ftrl_update(weight, grad, z, n, out=weight, lr=lr, wd=wd, lamda1=self.lamda1, beta=self.beta, **fixed)


@register
class FTML(Optimizer):
    """Follow the moving leader (Zheng and Kwok, 2017).  State: (d, v, z)."""

    def __init__(self, beta1=0.6, beta2=0.999, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, t = self._begin(index)
        grad = self._prepare_grad(grad, wd * weight)
        d, v, z = state
        v[:] = self.beta2 * v + (1.0 - self.beta2) * grad * grad
        d_new = (1.0 - self.beta1**t) / lr * (nd.sqrt(v / (1.0 - self.beta2**t)) + self.epsilon)
        z[:] = self.beta1 * z + (1.0 - self.beta1) * grad - (d_new - self.beta1 * d) * weight
        d[:] = d_new
        weight[:] = -z / d_new


@register
class Adamax(Optimizer):
    """Run Adam with the largest gradient in place of the mean square (Kingma and Ba, 2014).  State: (mean, largest)."""

    def __init__(self, learning_rate=0.002, beta1=0.9, beta2=0.999, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, t = self._begin(index)
        grad = self._prepare_grad(grad, wd * weight)
        mean, largest = state
        mean[:] = self.beta1 * mean + (1.0 - self.beta1) * grad
        largest[:] = nd.maximum(self.beta2 * largest, nd.abs(grad))
        weight[:] = weight - lr / (1.0 - self.beta1**t) * mean / largest


@register
class Nadam(Optimizer):
    """Run Adam with Nesterov's momentum (Dozat, 2016).  State: (mean, mean square)."""

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, schedule_decay=0.004, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, t = self._begin(index)
        grad = self._prepare_grad(grad, wd * weight)
        momentum, momentum_next = (self.beta1 * (1.0 - 0.5 * 0.96 ** (n * self.schedule_decay)) for n in (t, t + 1))
        # One product for all weights, as in MXNet 1.9.1: with many weights it falls faster than the paper's.
        self.m_schedule *= momentum
        schedule_next = self.m_schedule * momentum_next
        mean, var = state
        mean[:] = self.beta1 * mean + (1.0 - self.beta1) * grad
        var[:] = self.beta2 * var + (1.0 - self.beta2) * grad * grad
        ahead = (1.0 - momentum) / (1.0 - self.m_schedule) * grad + momentum_next / (1.0 - schedule_next) * mean
        weight[:] = weight - lr * ahead / (nd.sqrt(var / (1.0 - self.beta2**t)) + self.epsilon)


@register
class LAMB(Optimizer):
    """Scale Adam's step by the ratio of the norms of weight and step (You et al., 2019).

    State: (mean, mean square).  `lower_bound` and `upper_bound` bound the weight's norm in the ratio.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-6,
        lower_bound=None,
        upper_bound=None,
        bias_correction=True,
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound
        self.bias_correction = bias_correction

    def create_state(self, index, weight):
        return zeros_like(weight), zeros_like(weight)

    def update(self, index, weight, grad, state):
        lr, wd, t = self._begin(index)
        grad = self._prepare_grad(grad)
        mean, var = state
        mean[:] = self.beta1 * mean + (1.0 - self.beta1) * grad
        var[:] = self.beta2 * var + (1.0 - self.beta2) * grad * grad
        start = (1.0 - self.beta1**t, 1.0 - self.beta2**t) if self.bias_correction else (1.0, 1.0)
        step = mean / start[0] / (nd.sqrt(var / start[1]) + self.epsilon) + wd * weight
        weight_norm, step_norm = (nd.sqrt(nd.sum(x * x)) for x in (weight, step))
        if self.lower_bound:
            weight_norm = nd.maximum(weight_norm, self.lower_bound)
        if self.upper_bound:
            weight_norm = nd.minimum(weight_norm, self.upper_bound)
        # A norm of zero makes the ratio 1; said in arithmetic, so that the host waits for nothing.
        zero = (weight_norm * step_norm) == 0
        ratio = (weight_norm * (1 - zero) + zero) / (step_norm * (1 - zero) + zero)
        weight[:] = weight - nd.broadcast_mul(lr * ratio, step.reshape((-1,))).reshape(weight.shape)
