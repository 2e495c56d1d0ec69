"""c = a + b on ten floats, eagerly: nothing but the overhead of a call."""

from ..workload import Job, Workload, uniform


def make(tiny):
    return {"a": uniform(10), "b": uniform(10, seed=8)}


def _job(a, b, values, wait=lambda: None):
    def loop(n):
        for _ in range(n):
            c = a + b  # noqa: F841
        wait()

    return Job(loop, lambda: [values(a + b)])


def with_numpy(numpy, x):
    return _job(x["a"], x["b"], lambda c: c)


def with_torch(torch, x):
    return _job(torch.tensor(x["a"]), torch.tensor(x["b"]), lambda c: c.numpy())


def with_jax(jax, x):
    a, b = (jax.numpy.array(x[k]) for k in "ab")
    return _job(a, b, lambda c: c, lambda: (a + b).block_until_ready())


def with_mx(mx, x):
    return _job(mx.nd.array(x["a"]), mx.nd.array(x["b"]), lambda c: c.asnumpy(), mx.nd.waitall)


WORKLOADS = [
    Workload(
        "small_add",
        "c = a + b, ten float32, eager",
        make,
        {"cymx": with_mx, "numpy": with_numpy, "torch": with_torch, "jax": with_jax, "mxnet": with_mx},
        limits={"numpy": 0.5},
    )
]
