"""E = (A * B) + (C * D) on n x n floats: a bound symbol beside what fuses and what does not."""

from ..workload import Job, Workload, repeat, uniform

NAMES = "abcd"


def make(n):
    return lambda tiny: {k: uniform(7, 7, seed=i) if tiny else uniform(n, n, seed=i) for i, k in enumerate(NAMES)}


def with_mx(mx, x):
    a, b, c, d = (mx.sym.var(k) for k in NAMES)
    executor = (a * b + c * d).bind(mx.cpu(), {k: mx.nd.array(x[k]) for k in NAMES})

    def run():
        executor.forward()
        executor.outputs[0].wait_to_read()

    def result():
        run()
        return [executor.outputs[0].asnumpy()]

    return Job(repeat(run), result)


def with_numpy(numpy, x):
    a, b, c, d = (x[k] for k in NAMES)
    run = lambda: a * b + c * d
    return Job(repeat(run), lambda: [run()])


def with_numexpr(numexpr, x):
    arrays = {k: x[k] for k in NAMES}
    out = x["a"].copy()
    run = lambda: numexpr.evaluate("a * b + c * d", local_dict=arrays, out=out)
    return Job(repeat(run), lambda: [run()])


def with_torch(torch, x):
    a, b, c, d = (torch.tensor(x[k]) for k in NAMES)
    run = lambda: a * b + c * d
    return Job(repeat(run), lambda: [run().numpy()])


def with_compile(torch, x):
    tensors = [torch.tensor(x[k]) for k in NAMES]
    fused = torch.compile(lambda a, b, c, d: a * b + c * d)
    run = lambda: fused(*tensors)
    return Job(repeat(run), lambda: [run().numpy()])


def with_jax(jax, x):
    arrays = [jax.numpy.array(x[k]) for k in NAMES]
    fused = jax.jit(lambda a, b, c, d: a * b + c * d)
    run = lambda: fused(*arrays).block_until_ready()
    return Job(repeat(run), lambda: [run()])


def with_native(native, x):
    multiply_add = native.build("fused").multiply_add
    e = x["a"].copy()
    arguments = [*map(native.pointer, (*(x[k] for k in NAMES), e)), native.size(e.size)]

    def result():
        multiply_add(*arguments)
        return [e]

    return Job(repeat(lambda: multiply_add(*arguments)), result)


PEERS = {
    "cymx": with_mx,
    "numpy": with_numpy,
    "numexpr": with_numexpr,
    "torch": with_torch,
    "compile": with_compile,
    "jax": with_jax,
    "mxnet": with_mx,
    "native": with_native,
}
WORKLOADS = [
    Workload("fused_10", "E = A*B + C*D, 10 x 10", make(10), PEERS, at_most=2e-6),
    Workload("fused_1000", "E = A*B + C*D, 1000 x 1000", make(1000), PEERS, limits={"native": 1.2, "compile": 1.0}),
    Workload("fused_4000", "E = A*B + C*D, 4000 x 4000", make(4000), PEERS, limits={"native": 1.15}),
]
