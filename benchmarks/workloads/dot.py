"""The product of two 2048 x 2048 matrices of floats."""

from ..workload import Job, Workload, repeat, uniform


def make(tiny):
    n = 16 if tiny else 2048
    return {"a": uniform(n, n), "b": uniform(n, n, seed=8)}


def with_numpy(numpy, x):
    run = lambda: numpy.dot(x["a"], x["b"])
    return Job(repeat(run), lambda: [run()])


def with_torch(torch, x):
    a, b = (torch.tensor(v) for v in (x["a"], x["b"]))
    run = lambda: torch.mm(a, b)
    return Job(repeat(run), lambda: [run().numpy()])


def with_jax(jax, x):
    a, b = (jax.numpy.array(v) for v in (x["a"], x["b"]))
    product = jax.jit(jax.numpy.dot)
    run = lambda: product(a, b).block_until_ready()
    return Job(repeat(run), lambda: [run()])


def with_mx(mx, x):
    a, b = (mx.nd.array(v) for v in (x["a"], x["b"]))
    run = lambda: mx.nd.dot(a, b)
    return Job(repeat(run, mx.nd.waitall), lambda: [run().asnumpy()])


def with_native(native, x):
    c = x["a"].copy()
    library = native.build("product", onednn=True)
    library.product_new.restype = native.Pointer
    handle = native.Pointer(library.product_new(*map(native.pointer, (x["a"], x["b"], c)), native.size(len(c))))

    def result():
        library.product_run(handle)
        return [c]

    return Job(repeat(lambda: library.product_run(handle)), result)


WORKLOADS = [
    Workload(
        "dot",
        "dot, 2048 x 2048 x 2048",
        make,
        {
            "cymx": with_mx,
            "numpy": with_numpy,
            "torch": with_torch,
            "jax": with_jax,
            "mxnet": with_mx,
            "native": with_native,
        },
        limits={"native": 1 / 0.95},
        tolerance=1e-3,
    )
]
