"""Operators whose only cost is memory, over 4096 x 4096 floats; the C column copies as many bytes."""

import numpy as np

from ..workload import Job, Workload, repeat, uniform

EPS = 1e-5
ARRAYS = ("x", "gamma", "beta", "rows")


def make(tiny):
    n = 8 if tiny else 4096
    rows = np.random.default_rng(5).permutation(n).astype("float32")
    return {"x": uniform(n, n), "gamma": uniform(n, seed=8), "beta": uniform(n, seed=9), "rows": rows}


def _numpy_softmax(np, x):
    e = np.exp(x["x"] - x["x"].max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _numpy_layer_norm(np, x):
    centred = x["x"] - x["x"].mean(1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(1, keepdims=True) + EPS) * x["gamma"] + x["beta"]


def _jax_layer_norm(jnp, x):
    mean, var = x["x"].mean(1, keepdims=True), x["x"].var(1, keepdims=True)
    return (x["x"] - mean) / jnp.sqrt(var + EPS) * x["gamma"] + x["beta"]


# operator: (arrays of x's size that it reads and writes, in NumPy, PyTorch, JAX, cymx and MXNet)
OPERATORS = {
    "sum_all": (
        1,
        lambda np, x: x["x"].sum(),
        lambda torch, x: x["x"].sum(),
        lambda jax, x: x["x"].sum(),
        lambda mx, x: mx.nd.sum(x["x"]),
    ),
    "sum_rows": (
        1,
        lambda np, x: x["x"].sum(1),
        lambda torch, x: x["x"].sum(1),
        lambda jax, x: x["x"].sum(1),
        lambda mx, x: mx.nd.sum(x["x"], axis=1),
    ),
    "sum_columns": (
        1,
        lambda np, x: x["x"].sum(0),
        lambda torch, x: x["x"].sum(0),
        lambda jax, x: x["x"].sum(0),
        lambda mx, x: mx.nd.sum(x["x"], axis=0),
    ),
    "softmax": (
        2,
        _numpy_softmax,
        lambda torch, x: torch.softmax(x["x"], 1),
        lambda jax, x: jax.nn.softmax(x["x"], 1),
        lambda mx, x: mx.nd.softmax(x["x"], axis=1),
    ),
    "layer_norm": (
        2,
        _numpy_layer_norm,
        lambda torch, x: torch.nn.functional.layer_norm(x["x"], x["gamma"].shape, x["gamma"], x["beta"], EPS),
        lambda jax, x: _jax_layer_norm(jax.numpy, x),
        lambda mx, x: mx.nd.LayerNorm(x["x"], x["gamma"], x["beta"], eps=EPS),
    ),
    "transpose": (
        2,
        lambda np, x: np.ascontiguousarray(x["x"].T),
        lambda torch, x: x["x"].t().contiguous(),
        lambda jax, x: x["x"].T,
        lambda mx, x: mx.nd.transpose(x["x"]),
    ),
    "gather": (
        2,
        lambda np, x: np.take(x["x"], x["rows"], axis=0),
        lambda torch, x: torch.index_select(x["x"], 0, x["rows"]),
        lambda jax, x: jax.numpy.take(x["x"], x["rows"], axis=0),
        lambda mx, x: mx.nd.take(x["x"], x["rows"]),
    ),
}


def with_numpy(function):
    def job(numpy, x):
        x = {**x, "rows": x["rows"].astype("int64")}
        run = lambda: function(numpy, x)
        return Job(repeat(run), lambda: [run()])

    return job


def with_torch(function, compiled=False):
    def job(torch, x):
        x = {k: torch.tensor(v) for k, v in x.items() if k in ARRAYS}
        x["rows"] = x["rows"].long()
        compute = torch.compile(lambda x: function(torch, x)) if compiled else lambda x: function(torch, x)
        run = lambda: compute(x)
        return Job(repeat(run), lambda: [run().numpy()])

    return job


def with_jax(function):
    def job(jax, x):
        x = {k: jax.numpy.array(v.astype("int32") if k == "rows" else v) for k, v in x.items() if k in ARRAYS}
        compute = jax.jit(lambda x: function(jax, x))
        run = lambda: compute(x).block_until_ready()
        return Job(repeat(run), lambda: [run()])

    return job


def with_mx(function):
    def job(mx, x):
        x = {k: mx.nd.array(v) for k, v in x.items() if k in ARRAYS}
        run = lambda: function(mx, x)
        return Job(repeat(run, mx.nd.waitall), lambda: [run().asnumpy()])

    return job


def with_native(touched):
    def job(native, x):
        copy = native.build("fused").copy
        source = x["x"].reshape(-1)[: x["x"].size * touched // 2]
        target = source.copy()
        arguments = native.pointer(source), native.pointer(target), native.size(source.nbytes)
        return Job(repeat(lambda: copy(*arguments)))

    return job


WORKLOADS = [
    Workload(
        name,
        "{} of 4096 x 4096".format(name.replace("_", " ")),
        make,
        {
            "cymx": with_mx(mx),
            "numpy": with_numpy(numpy),
            "torch": with_torch(torch),
            "compile": with_torch(torch, True),
            "jax": with_jax(jax),
            "mxnet": with_mx(mx),
            "native": with_native(touched),
        },
        limits={"native": 1 / 0.8, "torch": 1.0},
        tolerance=1e-3,
    )
    for name, (touched, numpy, torch, jax, mx) in OPERATORS.items()
]
