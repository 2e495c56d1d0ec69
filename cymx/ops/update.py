"""Optimizer updates: weight, grad and states (one shape) -> the new weight; states are changed in place.

All are compositions of elementwise arithmetic, so each update is one fused step.  The gradient is rescaled, then
clipped, as MXNet does it: with the weight's decay in Adam and RMSProp, without it elsewhere.
"""

from ._build import F, cast
from ._def import Composed, op
from ._params import Param
from ._shapes import FLOATS, all_same, same


class Update(Composed):
    """The base of updates whose arrays have one dtype."""

    inputs, shape, dtype, grad = ("weight", "grad"), all_same, same(FLOATS), None
    lr: float = Param(varies=True)
    wd: float = Param(0.0)
    rescale_grad: float = Param(1.0)
    clip_gradient: float = Param(-1.0)


def _decayed(p, weight, grad):
    """Return the rescaled and clipped gradient with the decay of the weight."""
    g = scaled(p, grad)
    return g + weight * p.wd if p.wd else g


def scaled(p, g):
    """Return the gradient rescaled and clipped."""
    g = g * p.rescale_grad
    return F.clip(g, a_min=-p.clip_gradient, a_max=p.clip_gradient) if p.clip_gradient >= 0 else g


@op("sgd_update", "_sparse_sgd_update")
class SGDUpdate(Update):
    """weight (1 - lr wd) - lr grad.   weight, grad (any) -> output (same)."""

    lazy_update: bool = Param(True)

    def compose(p, weight, grad):
        return weight - _decayed(p, weight, grad) * p.lr


@op("sgd_mom_update", "_sparse_sgd_mom_update")
class SGDMomUpdate(Update):
    """mom <- momentum mom - lr (grad + wd weight); weight + mom.   weight, grad, mom (any) -> output (same)."""

    inputs, aux = ("weight", "grad", "mom"), ("mom",)
    momentum: float = Param(0.0)
    lazy_update: bool = Param(True)

    def compose(p, weight, grad, mom):
        new = mom * p.momentum - _decayed(p, weight, grad) * p.lr
        return (weight + new,), {"mom": new}


class MixedUpdate(Update):
    """The base of updates with a float32 master copy of a 16-bit weight."""

    def dtype(p, ins, outs):
        weight, grad = ins[:2]
        low = weight or grad or outs[0]
        return [low, low, *("float32",) * (len(ins) - 2)], [low]


@op("mp_sgd_update")
class MPSGDUpdate(MixedUpdate):
    """weight32 <- the sgd_update of weight32; its rounding.

    weight, grad (any, 16 bits), weight32 (same, float32) -> output (weight's).
    """

    inputs, aux = ("weight", "grad", "weight32"), ("weight32",)
    lazy_update: bool = Param(True)

    def compose(p, weight, grad, weight32):
        new = SGDUpdate.compose(p, weight32, cast(grad, "float32"))
        return (cast(new, weight.dtype),), {"weight32": new}


@op("mp_sgd_mom_update")
class MPSGDMomUpdate(MixedUpdate):
    """The sgd_mom_update of weight32; its rounding.

    weight, grad (any, 16 bits), mom, weight32 (same, float32) -> output (weight's).
    """

    inputs, aux = ("weight", "grad", "mom", "weight32"), ("mom", "weight32")
    momentum: float = Param(0.0)
    lazy_update: bool = Param(True)

    def compose(p, weight, grad, mom, weight32):
        (new,), states = SGDMomUpdate.compose(p, weight32, cast(grad, "float32"), mom)
        return (cast(new, weight.dtype),), {**states, "weight32": new}


@op("nag_mom_update")
class NAGMomUpdate(Update):
    """Nesterov: mom <- momentum mom - lr g, weight + momentum mom - lr g, g = grad + wd weight.

    weight, grad, mom (any) -> output (same).
    """

    inputs, aux = ("weight", "grad", "mom"), ("mom",)
    momentum: float = Param(0.0)

    def compose(p, weight, grad, mom):
        g = (scaled(p, grad) + weight * p.wd) * p.lr
        new = mom * p.momentum - g
        return (weight + new * p.momentum - g,), {"mom": new}


@op("mp_nag_mom_update")
class MPNAGMomUpdate(MixedUpdate):
    """The nag_mom_update of weight32; its rounding.

    weight, grad (any, 16 bits), mom, weight32 (same, float32) -> output (weight's).
    """

    inputs, aux = ("weight", "grad", "mom", "weight32"), ("mom", "weight32")
    momentum: float = Param(0.0)

    def compose(p, weight, grad, mom, weight32):
        (new,), states = NAGMomUpdate.compose(p, weight32, cast(grad, "float32"), mom)
        return (cast(new, weight.dtype),), {**states, "weight32": new}


@op("adam_update", "_sparse_adam_update")
class AdamUpdate(Update):
    """Adam without bias correction (lr carries it).

    weight, grad, mean, var (any) -> output (same).   Kingma and Ba 2014.
    """

    inputs, aux = ("weight", "grad", "mean", "var"), ("mean", "var")
    beta1: float = Param(0.9)
    beta2: float = Param(0.999)
    epsilon: float = Param(1e-8)
    lazy_update: bool = Param(True)

    def compose(p, weight, grad, mean, var):
        g = grad * p.rescale_grad + weight * p.wd
        if p.clip_gradient >= 0:
            g = F.clip(g, a_min=-p.clip_gradient, a_max=p.clip_gradient)
        new_mean = mean * p.beta1 + g * (1 - p.beta1)
        new_var = var * p.beta2 + F.square(g) * (1 - p.beta2)
        return (weight - new_mean * p.lr / (F.sqrt(new_var) + p.epsilon),), {"mean": new_mean, "var": new_var}


@op("rmsprop_update")
class RMSPropUpdate(Update):
    """n <- gamma1 n + (1 - gamma1) g**2, weight - lr g / (n + epsilon)**(1/2).

    weight, grad, n (any) -> output (same).   Tieleman and Hinton 2012.
    """

    inputs, aux = ("weight", "grad", "n"), ("n",)
    gamma1: float = Param(0.95)
    epsilon: float = Param(1e-8)
    clip_weights: float = Param(-1.0)

    def compose(p, weight, grad, n):
        g = _with_decay(p, weight, grad)
        new_n = n * p.gamma1 + F.square(g) * (1 - p.gamma1)
        return (_limited(p, weight - g * p.lr * F.rsqrt(new_n + p.epsilon)),), {"n": new_n}


@op("rmspropalex_update")
class RMSPropAlexUpdate(Update):
    """RMSProp centred by the mean gradient g, with momentum delta.

    weight, grad, n, g, delta (any) -> output (same).   Graves 2013.
    """

    inputs, aux = ("weight", "grad", "n", "g", "delta"), ("n", "g", "delta")
    gamma1: float = Param(0.95)
    gamma2: float = Param(0.9)
    epsilon: float = Param(1e-8)
    clip_weights: float = Param(-1.0)

    def compose(p, weight, grad, n, g, delta):
        dw = _with_decay(p, weight, grad)
        new_n = n * p.gamma1 + F.square(dw) * (1 - p.gamma1)
        new_g = g * p.gamma1 + dw * (1 - p.gamma1)
        step = delta * p.gamma2 - dw * p.lr * F.rsqrt(new_n - F.square(new_g) + p.epsilon)
        return (_limited(p, weight + step),), {"n": new_n, "g": new_g, "delta": step}


def _with_decay(p, weight, grad):
    g = grad * p.rescale_grad + weight * p.wd
    return F.clip(g, a_min=-p.clip_gradient, a_max=p.clip_gradient) if p.clip_gradient >= 0 else g


def _limited(p, weight):
    return F.clip(weight, a_min=-p.clip_weights, a_max=p.clip_weights) if p.clip_weights >= 0 else weight


@op("ftrl_update", "_sparse_ftrl_update")
class FtrlUpdate(Update):
    """Follow the regularised leader.   weight, grad, z, n (any) -> output (same).   McMahan et al. 2013."""

    inputs, aux = ("weight", "grad", "z", "n"), ("z", "n")
    lamda1: float = Param(0.01)
    beta: float = Param(1.0)

    def compose(p, weight, grad, z, n):
        g = scaled(p, grad)
        new_n = n + F.square(g)
        new_z = z + g - (F.sqrt(new_n) - F.sqrt(n)) * weight / p.lr
        pulled = F.sign(new_z) * p.lamda1 - new_z
        new = pulled / ((F.sqrt(new_n) + p.beta) / p.lr + p.wd)
        return (new * F.greater(F.abs(new_z), p.lamda1),), {"z": new_z, "n": new_n}


@op("signsgd_update")
class SignSGDUpdate(Update):
    """weight (1 - lr wd) - lr sign(grad).   weight, grad (any) -> output (same).   Bernstein et al. 2018."""

    def compose(p, weight, grad):
        return weight * (1 - p.lr * p.wd) - F.sign(scaled(p, grad)) * p.lr


@op("signum_update")
class SignumUpdate(Update):
    """mom <- momentum mom - (1 - momentum) (grad + wd weight), weight (1 - lr wd_lh) + lr sign(mom).

    weight, grad, mom (any) -> output (same).
    """

    inputs, aux = ("weight", "grad", "mom"), ("mom",)
    momentum: float = Param(0.0)
    wd_lh: float = Param(0.0)

    def compose(p, weight, grad, mom):
        new = mom * p.momentum - (weight * p.wd + scaled(p, grad)) * (1 - p.momentum)
        return (weight * (1 - p.lr * p.wd_lh) + F.sign(new) * p.lr,), {"mom": new}
