"""weight -= rate * grad on (128, 64), over memory that is there and with a new array a turn: a tutorial's loop."""

from ..workload import Job, Workload

RATE, TURNS = 0.1, 5


def make(tiny):
    return {"shape": (4, 3) if tiny else (128, 64)}


def _in_place(weight, grad, scaled, copy, wait):
    def loop(n):
        nonlocal weight, scaled
        for _ in range(n):
            copy(scaled, grad)
            scaled *= RATE
            weight -= scaled
        wait()

    return loop


def _normal(weight, grad, scaled, copy, wait):
    def loop(n):
        for _ in range(n):
            weight[:] -= RATE * grad
        wait()

    return loop


def _job(style, weight, grad, scaled, copy, values, wait=lambda: None):
    loop = style(weight, grad, scaled, copy, wait)

    def result():
        loop(TURNS)
        return [values(weight)]

    return Job(loop, result)


def with_numpy(style):
    return lambda numpy, x: _job(
        style, *(f(x["shape"], "float32") for f in (numpy.zeros, numpy.ones, numpy.empty)), numpy.copyto, lambda w: w
    )


def with_torch(style):
    return lambda torch, x: _job(
        style,
        *(f(x["shape"]) for f in (torch.zeros, torch.ones, torch.empty)),
        lambda to, x: to.copy_(x),
        lambda w: w.numpy(),
    )


def with_mx(style):
    return lambda mx, x: _job(
        style,
        *(f(x["shape"]) for f in (mx.nd.zeros, mx.nd.ones, mx.nd.empty)),
        lambda to, x: x.copyto(to),
        lambda w: w.asnumpy(),
        mx.nd.waitall,
    )


def _row(name, what, style, **targets):
    return Workload(
        name,
        what,
        make,
        {"cymx": with_mx(style), "numpy": with_numpy(style), "torch": with_torch(style), "mxnet": with_mx(style)},
        **targets,
    )


WORKLOADS = [
    _row("inplace_loop", "the loop in place, (128, 64), a turn", _in_place, limits={"numpy": 0.75}),
    _row("normal_loop", "the loop with temporaries", _normal, limits={"numpy": 0.75}, under=("inplace_loop", 1.3)),
]
