"""First values of parameters, chosen by name, by the variable's `__init__` attribute, or by an initializer of their
own.

Random draws go through `nd.random`, so `mx.random.seed` fixes them.  Called by module, model and gluon as
`init(InitDesc(name), array)`.
"""

import json
import logging
import math
import re
import warnings

import numpy as np

from . import ndarray as nd
from .base import ArgumentError, ArgumentTypeError
from .ops.rnn import packed_parts
from .registry import get_alias_func, get_create_func, get_register_func

__all__ = [
    "Bilinear",
    "Constant",
    "FusedRNN",
    "InitDesc",
    "Initializer",
    "LSTMBias",
    "Load",
    "MSRAPrelu",
    "Mixed",
    "Normal",
    "One",
    "Orthogonal",
    "Uniform",
    "Xavier",
    "Zero",
    "create",
    "register",
]


class InitDesc(str):
    """A parameter's name, with its variable's attributes and the initializer that is asked when a part has no rule of
    its own.
    """

    def __new__(cls, name, attrs=None, global_init=None):
        self = super().__new__(cls, name)
        self.attrs = attrs or {}
        self.global_init = global_init
        return self


def _rms(array):
    return str(float(np.sqrt(np.mean(np.square(array.asnumpy().astype("float64"))))))


class Initializer:
    """Fill a parameter by the end of its name; weights are left to the subclass.

    bias, beta, min, moving_mean: 0.  gamma, max, moving_var: 1.  Anything else is an error, unless the variable
    carries `__init__`.
    """

    # The first ending that fits gives the method.
    _rules = (
        ("weight", "_init_weight"),
        ("bias", "_init_bias"),
        ("gamma", "_init_gamma"),
        ("beta", "_init_beta"),
        ("min", "_init_zero"),
        ("max", "_init_one"),
        ("moving_mean", "_init_zero"),
        ("moving_var", "_init_one"),
        ("moving_inv_var", "_init_zero"),
        ("moving_avg", "_init_zero"),
        ("weight_quantize", "_init_quantized_weight"),
        ("bias_quantize", "_init_quantized_bias"),
    )

    def __init__(self, **kwargs):
        self._kwargs = kwargs
        self._verbose = False
        self._print_func = None

    def set_verbosity(self, verbose=False, print_func=None):
        """Log each parameter filled, with `print_func(array)`: its root mean square unless given."""
        self._verbose = verbose
        self._print_func = print_func or _rms
        return self

    def dumps(self):
        """Return the JSON text from which `create` makes an equal initializer."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __eq__(self, other):
        return isinstance(other, Initializer) and type(self) is type(other) and self._kwargs == other._kwargs

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, desc, arr):
        """Fill `arr` in place; `desc` is an InitDesc, or a plain name, which also knows the rules for `upsampling*`
        and `stn_loc*`.
        """
        if not isinstance(desc, str):
            raise ArgumentTypeError(f"initializer: name is {type(desc).__name__}, expected InitDesc or str")
        if not isinstance(desc, InitDesc):
            warnings.warn("initializers take InitDesc(name), not a plain name", DeprecationWarning, stacklevel=2)
            rule = self._legacy_rule(desc)
        else:
            if desc.global_init is None:
                desc.global_init = self
            own = desc.attrs.get("__init__", "")
            if own:
                create(own)._init_weight(desc, arr)
                self._report(desc, own, arr)
                return
            rule = self._rule(desc)
        getattr(self, rule)(desc, arr)
        self._report(desc, rule.removeprefix("_init_"), arr)

    def _rule(self, name):
        return next((rule for ending, rule in self._rules if name.endswith(ending)), "_init_default")

    def _legacy_rule(self, name):
        if name.startswith("upsampling"):
            return "_init_bilinear"
        if name.startswith("stn_loc") and name.endswith("weight"):
            return "_init_zero"
        if name.startswith("stn_loc") and name.endswith("bias"):
            return "_init_loc_bias"
        return self._rule(name)

    def _report(self, desc, how, arr):
        if self._verbose and self._print_func:
            logging.info("Initialized %s as %s: %s", desc, how, self._print_func(arr))

    def _init_zero(self, _, arr):
        arr[:] = 0.0

    def _init_one(self, _, arr):
        arr[:] = 1.0

    _init_bias = _init_beta = _init_quantized_bias = _init_zero
    _init_gamma = _init_one

    def _init_bilinear(self, _, arr):
        height, width = arr.shape[-2:]
        factor = math.ceil(width / 2.0)
        center = (2 * factor - 1 - factor % 2) / (2.0 * factor)
        x = 1 - np.abs(np.arange(width) / factor - center)
        y = 1 - np.abs(np.arange(height) / factor - center)
        arr[:] = np.broadcast_to(np.outer(y, x), arr.shape).astype("float32")

    def _init_loc_bias(self, name, arr):
        if arr.shape[0] != 6:
            raise ArgumentError(f"initializer: {name} has shape {arr.shape}, expected (6,), an affine map")
        arr[:] = np.array([1.0, 0, 0, 0, 1.0, 0], dtype="float32")

    def _init_quantized_weight(self, _, arr):
        arr[:] = nd.random.uniform(-127, 127, shape=arr.shape).asnumpy().astype("int8")

    def _init_weight(self, name, arr):
        raise NotImplementedError(f"{type(self).__name__} defines no _init_weight")

    def _init_default(self, name, _):
        raise ArgumentError(
            f"{type(self).__name__}: no rule for the name {name!r}; names end in weight, bias, gamma or beta, "
            "others need mx.sym.Variable(init=mx.init.*)"
        )


register = get_register_func(Initializer, "initializer")
alias = get_alias_func(Initializer, "initializer")
create = get_create_func(Initializer, "initializer")


class Load:
    """Fill parameters from a dictionary {name: array} or from a file of them; names may start with `arg:` or `aux:`.

    `default_init` fills those that are not in it.
    """

    def __init__(self, param, default_init=None, verbose=False):
        loaded = nd.load(param) if isinstance(param, str) else param
        if not isinstance(loaded, dict):
            raise ArgumentTypeError(f"Load: param is {type(loaded).__name__}, expected {{name: array}}")
        self.param = {name[4:] if name.startswith(("arg:", "aux:")) else name: a for name, a in loaded.items()}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name, arr):
        """Fill `arr` in place."""
        if name in self.param:
            value = self.param[name]
            if value.shape != arr.shape:
                raise ArgumentError(f"Load: {name} is {value.shape} where it was saved, expected {arr.shape}")
            arr[:] = value
            how = "loading"
        elif self.default_init is not None:
            self.default_init(name, arr)
            how = "default"
        else:
            raise ArgumentError(f"Load: {name} was not saved, and there is no default_init")
        if self.verbose:
            logging.info("Initialized %s by %s", name, how)


class Mixed:
    """Fill a parameter by the first of `patterns` (regular expressions) that its name matches from the start."""

    def __init__(self, patterns, initializers):
        if len(patterns) != len(initializers):
            raise ArgumentError(f"Mixed: {len(patterns)} patterns and {len(initializers)} initializers")
        self.map = [(re.compile(p), init) for p, init in zip(patterns, initializers, strict=True)]

    def __call__(self, name, arr):
        """Fill `arr` in place."""
        for pattern, init in self.map:
            if pattern.match(name):
                init(name, arr)
                return
        raise ArgumentError(f"Mixed: no pattern matches {name!r}; a last pattern '.*' would")


@alias("zeros")
@register
class Zero(Initializer):
    """Fill weights with 0."""

    def __init__(self):
        super().__init__()

    def _init_weight(self, _, arr):
        arr[:] = 0.0


@alias("ones")
@register
class One(Initializer):
    """Fill weights with 1."""

    def __init__(self):
        super().__init__()

    def _init_weight(self, _, arr):
        arr[:] = 1.0


@register
class Constant(Initializer):
    """Fill weights with `value`: a number, or an array or list that broadcasts to them."""

    def __init__(self, value):
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, _, arr):
        value = self.value.asnumpy() if isinstance(self.value, nd.NDArray) else self.value
        arr[:] = np.broadcast_to(np.asarray(value, dtype=arr.dtype), arr.shape)

    def dumps(self):
        """Return JSON text with an array as nested lists."""
        value = self.value.asnumpy() if isinstance(self.value, nd.NDArray) else self.value
        return json.dumps(["constant", {"value": value.tolist() if isinstance(value, np.ndarray) else value}])


@register
class Uniform(Initializer):
    """Draw weights evenly from [-scale, scale)."""

    def __init__(self, scale=0.07):
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, _, arr):
        nd.random.uniform(-self.scale, self.scale, out=arr)


@register
class Normal(Initializer):
    """Draw weights from a Gaussian of mean 0 and standard deviation `sigma`."""

    def __init__(self, sigma=0.01):
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, _, arr):
        nd.random.normal(0, self.sigma, out=arr)


@register
class Orthogonal(Initializer):
    """Fill weights (N, ...) with rows or columns orthogonal to each other, of length `scale` (Saxe et al., 2013)."""

    def __init__(self, scale=1.414, rand_type="uniform"):
        super().__init__(scale=scale, rand_type=rand_type)
        if rand_type not in ("uniform", "normal"):
            raise ArgumentError(f"Orthogonal: rand_type={rand_type!r} is neither 'uniform' nor 'normal'")
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, _, arr):
        shape = (arr.shape[0], math.prod(arr.shape[1:]))
        draw = (
            nd.random.uniform(-1.0, 1.0, shape=shape)
            if self.rand_type == "uniform"
            else nd.random.normal(0, 1, shape=shape)
        )
        u, _, v = np.linalg.svd(draw.asnumpy(), full_matrices=False)
        q = u if u.shape == shape else v
        arr[:] = (self.scale * q).reshape(arr.shape)


@register
class Xavier(Initializer):
    """Draw weights (fan_out, fan_in, ...) at a scale that keeps the size of signals (Glorot and Bengio, 2010).

    scale = sqrt(magnitude / n), n being `factor_type`: 'avg', 'in' or 'out' of the fans, times the trailing
    dimensions' product; drawn evenly from [-scale, scale) ('uniform') or from a Gaussian with that standard deviation
    ('gaussian').
    """

    def __init__(self, rnd_type="uniform", factor_type="avg", magnitude=3):
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        if rnd_type not in ("uniform", "gaussian"):
            raise ArgumentError(f"{type(self).__name__}: rnd_type={rnd_type!r} is neither 'uniform' nor 'gaussian'")
        if factor_type not in ("avg", "in", "out"):
            raise ArgumentError(f"{type(self).__name__}: factor_type={factor_type!r} is none of 'avg', 'in', 'out'")
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name, arr):
        shape = arr.shape
        if len(shape) < 2:
            raise ArgumentError(f"Xavier: {name} is a vector of shape {shape}; it needs at least two dimensions")
        receptive = math.prod(shape[2:])
        fan_in, fan_out = shape[1] * receptive, shape[0] * receptive
        fan = {"avg": (fan_in + fan_out) / 2.0, "in": fan_in, "out": fan_out}[self.factor_type]
        scale = math.sqrt(self.magnitude / fan)
        if self.rnd_type == "uniform":
            nd.random.uniform(-scale, scale, out=arr)
        else:
            nd.random.normal(0, scale, out=arr)


@register
class MSRAPrelu(Xavier):
    """Draw weights for layers followed by a leaky ReLU of that `slope` (He et al., 2015)."""

    def __init__(self, factor_type="avg", slope=0.25):
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """Fill weights (..., H, W) with the bilinear interpolation kernel, for upsampling by deconvolution."""

    def __init__(self):
        super().__init__()

    _init_weight = Initializer._init_bilinear


@register
class LSTMBias(Initializer):
    """Fill an LSTM's bias (4 * H,) with 0, and the forget gate's quarter, the second, with `forget_bias`."""

    def __init__(self, forget_bias=1.0):
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name, arr):
        hidden = arr.shape[0] // 4
        bias = np.zeros(arr.shape, dtype="float32")
        bias[hidden : 2 * hidden] = self.forget_bias
        arr[:] = bias


@register
class FusedRNN(Initializer):
    """Fill the packed vector of RNN: each gate's part by `init` (the global initializer when None), by its name.

    lstm: the biases of the forget gates are forget_bias, as LSTMBias does it.
    """

    def __init__(self, init, num_hidden, num_layers, mode, bidirectional=False, forget_bias=1.0):
        if isinstance(init, str):
            init = create(*json.loads(init)) if init.startswith("[") else create(init)
        super().__init__(
            init=init.dumps() if init is not None else None, num_hidden=num_hidden, num_layers=num_layers, mode=mode,
            bidirectional=bidirectional, forget_bias=forget_bias,
        )  # fmt: skip
        self._init, self._num_hidden, self._num_layers, self._mode = init, num_hidden, num_layers, mode
        self._bidirectional, self._forget_bias = bidirectional, forget_bias

    def _init_weight(self, name, array):
        parts = []
        settings = self._mode, self._num_layers, self._bidirectional, self._num_hidden
        for part, shape in packed_parts(*settings, array.size):
            piece = nd.zeros(shape)
            if self._mode == "lstm" and part.endswith("_f_bias"):
                piece[:] = self._forget_bias
            else:
                chosen = self._init if self._init is not None else name.global_init
                chosen(InitDesc(part, global_init=getattr(name, "global_init", None)), piece)
            parts.append(piece.asnumpy().ravel())
        array[:] = np.concatenate(parts)
