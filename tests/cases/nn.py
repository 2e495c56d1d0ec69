"""Rows of activations, normalisation, dropout and softmax."""

from math import erf

import numpy as np

from ._row import Row

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softrelu": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
}
LEAKY = {
    "leaky": lambda x, slope: np.where(x > 0, x, slope * x),
    "elu": lambda x, slope: np.where(x > 0, x, slope * np.expm1(x)),
    "selu": lambda x, slope: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x, slope: x / 2 * (1 + np.vectorize(erf)(x / np.sqrt(2))),
}


def _leaky(x, act_type="leaky", slope=0.25):
    return LEAKY[act_type](x, slope)


def _prelu(x, gamma, **_):
    return np.where(x > 0, x, x * (gamma.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else gamma))


def batch_norm(
    x, gamma, beta, moving_mean, moving_var, eps=1e-3, fix_gamma=True, use_global_stats=False, axis=1,
    output_mean_var=False, train=True, **_,
):  # fmt: skip
    """Normalise each channel by its own mean and (biased) variance, or by the moving ones."""
    axis %= x.ndim
    others = tuple(i for i in range(x.ndim) if i != axis)
    own = train and not use_global_stats
    mean, var = (x.mean(others), x.var(others)) if own else (moving_mean, moving_var)
    mean_, scale, beta = (np.expand_dims(v, others) for v in (mean, 1 / np.sqrt(var + eps), beta))
    y = (x - mean_) * scale * (1 if fix_gamma else np.expand_dims(gamma, others)) + beta
    return (y, mean, 1 / np.sqrt(var + eps)) if output_mean_var else y


def batch_norm_states(x, gamma, beta, moving_mean, moving_var, momentum=0.9, use_global_stats=False, axis=1, **_):
    """Return the moving mean and variance after a training run; the variance is the biased one, as in MXNet 1.9.1."""
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    if use_global_stats:
        return moving_mean, moving_var
    return (
        moving_mean * momentum + x.mean(others) * (1 - momentum),
        moving_var * momentum + x.var(others) * (1 - momentum),
    )


def _batch_norm(shape, axis=1, train=True, dtypes=("float32", "float64"), input_dtypes=(), wrt=(0, 1, 2), **params):
    c = shape[axis]
    params = {**params, "axis": axis} if axis != 1 else params
    channels = np.linspace(0.5, 1.5, c)
    return Row(
        "BatchNorm", [shape, channels, channels - 1, channels * 0.3, channels[::-1]], params,
        lambda *xs, **p: batch_norm(*xs, **p, train=train),
        dtypes=dtypes, input_dtypes=input_dtypes, wrt=wrt, train=train,
        states=batch_norm_states if train else lambda *xs, **_: xs[3:],
    )  # fmt: skip


def _layer_norm(x, gamma, beta, axis=-1, eps=1e-5, output_mean_var=False):
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    mean, std = x.mean(axis, keepdims=True), np.sqrt(x.var(axis, keepdims=True) + eps)
    y = (x - mean) / std * np.expand_dims(gamma, others) + np.expand_dims(beta, others)
    return (y, mean, std) if output_mean_var else y


def _l2(x, mode="instance", eps=1e-10):
    axes = {"instance": tuple(range(1, x.ndim)), "channel": (1,), "spatial": tuple(range(2, x.ndim))}[mode]
    return x / np.sqrt((x**2).sum(axes, keepdims=True) + eps)


def softmax(x, length=None, axis=-1, temperature=None, **_):
    """Return the softmax along an axis, 0 beyond each length."""
    e = np.exp(x / (temperature or 1) - (x / (temperature or 1)).max(axis, keepdims=True))
    if length is not None:
        steps = np.expand_dims(np.arange(x.shape[axis]), tuple(i for i in range(x.ndim) if i != axis % x.ndim))
        e = e * (steps < np.expand_dims(length, axis))
    return e / e.sum(axis, keepdims=True)


def _log_softmax(x, **params):
    return np.log(softmax(x, **params))


def _softmin(x, **params):
    return softmax(-x, **params)


LENGTHS = np.array([[1, 4, 2], [3, 1, 4]])

ROWS = [
    *(Row("Activation", [(3, 4)], {"act_type": k}, lambda x, act_type: ACTIVATIONS[act_type](x)) for k in ACTIVATIONS),
    *(Row("LeakyReLU", [(3, 4)], {"act_type": kind, "slope": 0.3}, _leaky) for kind in LEAKY),
    Row("LeakyReLU", [(3, 4)], {}, _leaky),
    Row("LeakyReLU", [(2, 3, 4), (3,)], {"act_type": "prelu"}, _prelu, low=-1.9),
    Row("LeakyReLU", [(2, 3, 4), (1,)], {"act_type": "prelu"}, _prelu, low=-1.9),
    Row("LeakyReLU", [(3, 4), (4,)], {"act_type": "prelu"}, _prelu, low=-1.9),
    Row("LeakyReLU", [(4,), (1,)], {"act_type": "prelu"}, _prelu, low=-1.9),
    Row("LeakyReLU", [(3, 4)], {"act_type": "rrelu", "lower_bound": 0.1, "upper_bound": 0.3},
        lambda x, **_: (np.where(x > 0, x, 0.2 * x), np.where(x > 0, 1, 0.2)), wrt=()),
    _batch_norm((2, 3, 4)),
    _batch_norm((2, 3, 4), fix_gamma=False, eps=0.1, momentum=0.5),
    _batch_norm((2, 3, 4), fix_gamma=False, use_global_stats=True),
    _batch_norm((2, 3, 4), fix_gamma=False, output_mean_var=True, wrt=()),
    _batch_norm((2, 3, 2, 2), fix_gamma=False),
    _batch_norm((4, 3), fix_gamma=False),
    _batch_norm((2, 2, 2, 2, 3), fix_gamma=False, axis=-1),
    _batch_norm((4, 3), fix_gamma=False, axis=0),
    _batch_norm((2, 3, 4), train=False, fix_gamma=False),
    _batch_norm((2, 3, 4), train=False, wrt=()),
    _batch_norm((2, 3, 4), dtypes=("float16", "bfloat16"), input_dtypes=(None, *("float32",) * 4), wrt=()),
    Row("LayerNorm", [(2, 3, 4), (4,), (4,)], {}, _layer_norm),
    Row("LayerNorm", [(2, 3, 4), (3,), (3,)], {"axis": 1, "eps": 0.1}, _layer_norm),
    Row("LayerNorm", [(2, 3, 4), (4,), (4,)], {"output_mean_var": True}, _layer_norm, wrt=()),
    *(Row("L2Normalization", [(2, 3, 2, 2)], {"mode": m, "eps": 0.1}, _l2) for m in ("instance", "channel", "spatial")),
    Row("Dropout", [(3, 4)], {"p": 0.5}, lambda x, p: x, wrt=()),
    Row("Dropout", [(3, 4)], {"p": 0.0}, lambda x, p: x, train=True),
    *(
        Row(op, [(2, 3, 4)], params, ref)
        for op, ref in (("softmax", softmax), ("log_softmax", _log_softmax), ("softmin", _softmin))
        for params in ({}, {"axis": 1}, {"axis": 0, "temperature": 0.5})
    ),
    Row("softmax", [(2, 3, 4)], {"dtype": "float64"}, softmax, dtypes=("float32", "float16")),
    Row("log_softmax", [(3, 4)], {"dtype": "float32"}, _log_softmax, dtypes=("float16", "bfloat16"), wrt=()),
    Row("softmax", [(2, 3, 4), LENGTHS], {"use_length": True}, softmax, wrt=[0], input_dtypes=(None, "int32")),
    Row("softmax", [(2, 3, 4), np.array([[1, 3, 2, 2], [3, 1, 1, 1]])],
        {"use_length": True, "axis": 1, "temperature": 2.0}, softmax, wrt=[0], input_dtypes=(None, "int32")),
    Row("softmax", [np.array([[1e4, 0, -1e4], [7, 7, 7]])], {}, softmax, dtypes=("float32", "float64"), wrt=()),
    Row("SoftmaxActivation", [(2, 3, 4)], {}, lambda x: softmax(x)),
    Row("SoftmaxActivation", [(2, 3, 2, 2)], {"mode": "channel"}, lambda x, mode: softmax(x, axis=1)),
]  # fmt: skip
