"""Rows of the optimizer updates, against their formulas; the formulas are those of MXNet 1.9.1: see RECORDED.

A reference returns the new weight and the new states together; `_row` divides them.
"""

import numpy as np

from ._row import FLOATS, Row

W = [1.0, -2, 0.5, 3, 0, 0.25]
G = [0.5, -4, 0, 2, 1, -0.001]
M = [0.1, 0.2, -0.3, 0, 1, 2]
N = [0.3, 0.5, 0.1, 0, 2, 4]
D = [0.2, -0.1, 0, 1, 0.5, 0.3]
N1 = [n + 1 for n in N]


def _clip(g, clip_gradient=-1.0, **_):
    return np.clip(g, -clip_gradient, clip_gradient) if clip_gradient >= 0 else g


def _scaled(g, **p):
    return _clip(g * p.get("rescale_grad", 1.0), **p)


def _decayed(w, g, **p):
    """Return the gradient with weight decay, clipped together."""
    return _clip(g * p.get("rescale_grad", 1.0) + p.get("wd", 0.0) * w, **p)


def _limited(w, clip_weights=-1.0, **_):
    return np.clip(w, -clip_weights, clip_weights) if clip_weights >= 0 else w


def sgd(w, g, lr, wd=0.0, **p):
    """w - lr (g + wd w), where only g is clipped."""
    return (w - lr * (_scaled(g, **p) + wd * w),)


def sgd_mom(w, g, mom, lr, wd=0.0, momentum=0.0, **p):
    """The momentum takes the step, and the weight follows it."""
    mom = momentum * mom - lr * (_scaled(g, **p) + wd * w)
    return w + mom, mom


def nag(w, g, mom, lr, wd=0.0, momentum=0.0, **p):
    """Nesterov's momentum."""
    g = lr * (_scaled(g, **p) + wd * w)
    mom = momentum * mom - g
    return w + momentum * mom - g, mom


def adam(w, g, mean, var, lr, beta1=0.9, beta2=0.999, epsilon=1e-8, **p):
    """Adam without its correction of bias."""
    g = _decayed(w, g, **p)
    mean, var = beta1 * mean + (1 - beta1) * g, beta2 * var + (1 - beta2) * g**2
    return w - lr * mean / (np.sqrt(var) + epsilon), mean, var


def rmsprop(w, g, n, lr, gamma1=0.95, epsilon=1e-8, **p):
    """The step is divided by the root of a running mean of squares."""
    g = _decayed(w, g, **p)
    n = gamma1 * n + (1 - gamma1) * g**2
    return _limited(w - lr * g / np.sqrt(n + epsilon), **p), n


def rmsprop_alex(w, g, n, mean, delta, lr, gamma1=0.95, gamma2=0.9, epsilon=1e-8, **p):
    """The same with a running variance, and with momentum."""
    g = _decayed(w, g, **p)
    n, mean = gamma1 * n + (1 - gamma1) * g**2, gamma1 * mean + (1 - gamma1) * g
    delta = gamma2 * delta - lr * g / np.sqrt(n - mean**2 + epsilon)
    return _limited(w + delta, **p), n, mean, delta


def ftrl(w, g, z, n, lr, wd=0.0, lamda1=0.01, beta=1.0, **p):
    """Follow the regularised leader."""
    g = _scaled(g, **p)
    z, n = z + g - (np.sqrt(n + g**2) - np.sqrt(n)) * w / lr, n + g**2
    return np.where(np.abs(z) <= lamda1, 0, (np.sign(z) * lamda1 - z) / ((beta + np.sqrt(n)) / lr + wd)), z, n


def signsgd(w, g, lr, wd=0.0, **p):
    """A step of length lr in every direction."""
    return ((1 - lr * wd) * w - lr * np.sign(_scaled(g, **p)),)


def signum(w, g, mom, lr, wd=0.0, momentum=0.0, wd_lh=0.0, **p):
    """The sign of a momentum."""
    mom = momentum * mom - (1 - momentum) * (_scaled(g, **p) + wd * w)
    return (1 - lr * wd_lh) * w + lr * np.sign(mom), mom


def _row(op, formula, inputs, **params):
    def output(*arrays, **p):
        return formula(*arrays, **p)[0]

    def states(*arrays, **p):
        return formula(*arrays, **p)[1:]

    low = op.startswith("mp_")
    if low:
        # The master copy of the weight comes last, and the states are its own.
        def output(w, g, *rest, **p):
            return formula(rest[-1], g, *rest[:-1], **p)[0]

        def states(w, g, *rest, **p):
            new, *others = formula(rest[-1], g, *rest[:-1], **p)
            return (*others, new)

    return Row(
        op, [np.array(x) for x in inputs], {"lr": 0.1, **params}, output, wrt=(), tol=4e-5,
        dtypes=("float16", "bfloat16", "float32") if low else FLOATS,
        input_dtypes=(None, None, *("float32",) * (len(inputs) - 2)) if low else (),
        states=states if len(inputs) > 2 else None,
    )  # fmt: skip


ALL = {"lr": 0.1, "wd": 0.5, "rescale_grad": 2.0, "clip_gradient": 0.7}
SETTINGS = ({}, {"wd": 0.01, "rescale_grad": 0.5}, ALL, {"clip_gradient": 0.0})
UPDATES = [
    ("sgd_update", sgd, (W, G), [{}, {"lazy_update": False}]),
    ("sgd_mom_update", sgd_mom, (W, G, M), [{}, {"momentum": 0.9}]),
    ("nag_mom_update", nag, (W, G, M), [{"momentum": 0.9}]),
    ("adam_update", adam, (W, G, M, N), [{}, {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}]),
    ("rmsprop_update", rmsprop, (W, G, N), [{"epsilon": 1e-2}, {"clip_weights": 0.9, "gamma1": 0.8, "epsilon": 1e-2}]),
    ("rmspropalex_update", rmsprop_alex, (W, G, N1, M, D), [{"gamma1": 0.8, "gamma2": 0.5}, {"clip_weights": 0.9}]),
    ("ftrl_update", ftrl, (W, G, M, N), [{}, {"lamda1": 0.2, "beta": 0.5}]),
    ("signsgd_update", signsgd, (W, G), [{}]),
    ("signum_update", signum, (W, G, M), [{"momentum": 0.9, "wd_lh": 0.1}]),
    ("mp_sgd_update", sgd, (W, G, W), [{}]),
    ("mp_sgd_mom_update", sgd_mom, (W, G, M, W), [{"momentum": 0.9}]),
    ("mp_nag_mom_update", nag, (W, G, M, W), [{"momentum": 0.9}]),
]  # fmt: skip
# What MXNet 1.9.1 makes of the inputs above with the settings ALL and some more: the weight, then the states.
RECORDED = [
    ("sgd_update", {},
     [[0.88, -1.83, 0.475, 2.78, -0.07, 0.2377]]),
    ("sgd_mom_update", {"momentum": 0.9},
     [[0.97, -1.65, 0.205, 2.78, 0.83, 2.0377],
      [-0.03, 0.35, -0.295, -0.22, 0.83, 1.7877]]),
    ("nag_mom_update", {"momentum": 0.9},
     [[0.853, -1.515, 0.2095, 2.582, 0.677, 1.84663],
      [-0.03, 0.35, -0.295, -0.22, 0.83, 1.7877]]),
    ("adam_update", {},
     [[0.970797, -2.01556, 0.57749, 2.68377, -0.0686153, 0.15934],
      [0.16, 0.11, -0.245, 0.07, 0.97, 1.8123],
      [0.30019, 0.49999, 0.0999625, 0.000489994, 1.99849, 3.99602]]),
    ("rmsprop_update", {"clip_weights": 0.9},
     [[0.874175, -0.9, 0.420191, 0.9, -0.0504591, 0.243691],
      [0.3095, 0.4995, 0.098125, 0.0245, 1.9245, 3.80076]]),
    ("rmspropalex_update", {},
     [[1.1172, -2.03137, 0.474667, 3.82905, 0.399274, 0.508364],
      [1.2595, 1.4495, 1.04812, 0.9745, 2.8745, 4.75076],
      [0.13, 0.155, -0.2725, 0.035, 0.985, 1.90615],
      [0.117204, -0.0313702, -0.0253332, 0.829045, 0.399274, 0.258364]]),
    ("ftrl_update", {"lamda1": 0.2},
     [[0.124352, -0.247318, 0.00731942, 1.14857, -0.0570782, -0.0589507],
      [-2.61097, 5.25761, -0.3, -20.3, 1.7, 1.998],
      [0.79, 0.99, 0.1, 0.49, 2.49, 4]]),
    ("signsgd_update", {},
     [[0.85, -1.8, 0.475, 2.75, -0.1, 0.3375]]),
    ("signum_update", {"momentum": 0.9, "wd_lh": 0.1},
     [[0.89, -1.88, 0.395, 2.87, 0.1, 0.3475],
      [-0.03, 0.35, -0.295, -0.22, 0.83, 1.7877]]),
    ("mp_sgd_update", {},
     [[0.879883, -1.83008, 0.475098, 2.7793, -0.0700073, 0.237671],
      [0.88, -1.83, 0.475, 2.78, -0.07, 0.2377]]),
    ("mp_sgd_mom_update", {"momentum": 0.9},
     [[0.970215, -1.65039, 0.204956, 2.7793, 0.830078, 2.03711],
      [-0.03, 0.35, -0.295, -0.22, 0.83, 1.7877],
      [0.97, -1.65, 0.205, 2.78, 0.83, 2.0377]]),
    # Its momentum there takes the decay of the new weight, unlike nag_mom_update's: that is not kept.
    ("mp_nag_mom_update", {"momentum": 0.9},
     [[0.853027, -1.51465, 0.209473, 2.58203, 0.676758, 1.84668]]),
]  # fmt: skip


def _recorded(op, more, wanted):
    inputs = next(inputs for name, _, inputs, _ in UPDATES if name == op)
    low = op.startswith("mp_")
    return Row(
        op, [np.array(x) for x in inputs], {**ALL, **more}, expect=[np.array(wanted[0])], wrt=(), tol=2e-5,
        dtypes=("float16",) if low else ("float32",), input_dtypes=(None, None, "float32", "float32") if low else (),
        states=(lambda *_, **__: wanted[1:]) if len(wanted) > 1 else None, name=f"{op}[recorded]",
    )  # fmt: skip


ROWS = [
    _row(op, formula, inputs, **settings, **more)
    for op, formula, inputs, variants in UPDATES
    for more in variants
    for settings in SETTINGS
]
ROWS += [_recorded(*recorded) for recorded in RECORDED]
