"""Products with epilogues: what cuBLASLt takes over, what stays apart, and that nothing else changes.

Results are compared with the CPU's; the steps are read from the plan.  On a real GPU the library itself is used.
"""

import numpy as np
import pytest

import cymx as mx

GPU = mx.gpu(0)
# cuBLASLt's numbers.
RELU, BIAS, BIAS_RELU, BIAS_RELU_MASK, MASKED, MASKED_SUMS, LHS_SUMS = 2, 4, 6, 134, 136, 152, 512


@pytest.fixture
def cublaslt(real, request, monkeypatch):
    """Have products made by cuBLASLt, or by its stand-in, which is returned; on a real GPU there is none."""
    if not real:
        return request.getfixturevalue("libraries")["cublaslt"]
    monkeypatch.setenv("CYMX_GPU_LIBRARIES", "cublaslt")
    mx.nd._invoke.clear_plans()
    return None


def layers(hidden=(24, 16), flatten=True):
    """Return a perceptron with relu after all layers but the last, of 10 outputs."""
    x = mx.sym.var("data")
    for i, n in enumerate(hidden):
        x = mx.sym.FullyConnected(x, num_hidden=n, flatten=flatten, name=f"fc{i}")
        x = mx.sym.Activation(x, act_type="relu", name=f"relu{i}")
    return mx.sym.FullyConnected(x, num_hidden=10, flatten=flatten, name=f"fc{len(hidden)}")


def loss(symbol):
    return mx.sym.SoftmaxOutput(symbol, mx.sym.var("label"), normalization="batch", name="softmax")


def train(symbol, context, shapes, dtype="float32", n_steps=4, rate=0.2, grad_req="write"):
    """Train a few steps; return the output of each, the parameters at the end, and the steps of the plan by kernel."""
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0]))
    rng = np.random.default_rng(7)
    draw = {name: rng.uniform(-0.6, 0.6, shape) for name, shape in shapes.items()}
    if "label" in draw:
        draw["label"] = rng.integers(0, 10, shapes["label"])
    args = {name: mx.nd.array(value, ctx=context, dtype=dtype) for name, value in draw.items()}
    wanted = [name for name in shapes if name not in ("data", "label")]
    grads = {name: mx.nd.ones(shapes[name], ctx=context, dtype=dtype) for name in wanted}
    executor = symbol.bind(context, args, grads, grad_req=dict.fromkeys(wanted, grad_req))
    found = []
    for _ in range(n_steps):  # queued, captured, replayed
        executor.forward(is_train=True)
        executor.backward(
            [] if "label" in draw else [mx.nd.ones(o.shape, ctx=context, dtype=dtype) for o in executor.outputs]
        )
        for name in wanted:
            args[name][:] = args[name] - rate * grads[name]
        found.append(executor.outputs[0].astype("float32").asnumpy())
    found += [array[name].astype("float32").asnumpy() for array in (args, grads) for name in wanted]
    return found, kernels(executor)


def kernels(executor):
    """Return the kernels of a plan's steps, forward and backward."""
    steps = [line.split()[2:4] for line in executor.debug_str().splitlines() if line.startswith("step ")]
    return [[kernel for part, kernel in steps if part == which] for which in ("forward", "backward")]


def compare(symbol, shapes, dtype="float32", tolerance=1e-5, **settings):
    """Train on both devices, expect the same, and return the kernels of the GPU's plan."""
    want, _ = train(symbol, mx.cpu(), shapes, dtype, **settings)
    found, steps = train(symbol, GPU, shapes, dtype, **settings)
    for one, other in zip(want, found):
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance)
    return steps


SHAPES = {"data": (32, 20), "label": (32,)}
TRAINED = [
    ["matmul_bias_relu_mask", "matmul_bias_relu_mask", "matmul_bias", "softmax"],
    ["one_hot", "map", "matmul_lhs_sums", "matmul_masked_sums", "matmul", "matmul_masked_sums", "matmul"],
]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float16", 1e-2), ("bfloat16", 6e-2)])
def test_a_perceptron_trains_as_on_the_cpu(cublaslt, dtype, tolerance):
    steps = compare(loss(layers()), SHAPES, dtype, tolerance)
    if cublaslt:
        assert steps == TRAINED


def test_inference_is_a_call_a_layer(cublaslt):
    symbol, found = layers(), []
    for context in (mx.cpu(), GPU):
        executor = symbol.simple_bind(context, data=(32, 20), grad_req="null")
        rng = np.random.default_rng(3)
        for array in executor.arg_arrays:
            array[:] = rng.uniform(-1, 1, array.shape)
        found.append(executor.forward()[0].asnumpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)
    if cublaslt:
        assert kernels(executor) == [["matmul_bias_relu", "matmul_bias_relu", "matmul_bias"], []]


def test_layers_on_the_last_axis_of_several(cublaslt):
    steps = compare(layers(flatten=False), {"data": (3, 7, 20)}, rate=0.01)
    if cublaslt:
        assert steps[0] == TRAINED[0][:3]
        assert [k for k in steps[1] if k != "map"] == TRAINED[1][2:]


@pytest.mark.parametrize("n", [1, 127, 128, 129])
def test_masks_of_rows_of_any_length(cublaslt, n):
    steps = compare(loss(layers((n, 5))), SHAPES, tolerance=1e-4, rate=0.02)
    if cublaslt:
        assert steps[0] == TRAINED[0] and sorted(steps[1]) == sorted(TRAINED[1])


def test_a_library_that_refuses_an_epilogue(libraries):
    expected = {
        (BIAS_RELU_MASK,): (
            ["matmul_bias_relu", "matmul_bias_relu", "matmul_bias"],
            ["matmul_lhs_sums", "matmul", "map", "matmul_lhs_sums", "matmul", "map", "matmul_lhs_sums"],
        ),
        (MASKED_SUMS,): (
            ["matmul_bias_relu_mask", "matmul_bias_relu_mask", "matmul_bias"],
            ["matmul_lhs_sums", "matmul_masked", "matmul_lhs_sums", "matmul_masked", "matmul_lhs_sums"],
        ),
        (MASKED, MASKED_SUMS, LHS_SUMS): (
            ["matmul_bias_relu", "matmul_bias_relu", "matmul_bias"],
            ["matmul", "matmul", "map_reduce", "matmul", "matmul", "map_reduce", "matmul"],
        ),
        (BIAS, BIAS_RELU, LHS_SUMS): (
            ["matmul", "map", "matmul", "map", "matmul", "map"],
            ["matmul", "matmul", "map_reduce", "matmul", "matmul", "map_reduce", "matmul"],
        ),
    }
    for refused, (forward, backward) in expected.items():
        for number in refused:
            libraries["cublaslt"].standin_refuse(number)
        steps = compare(loss(layers()), SHAPES)
        assert steps[0] == [*forward, "softmax"], refused
        assert steps[1] == ["one_hot", "map_reduce" if LHS_SUMS in refused else "map", *backward], refused
        libraries["cublaslt"].standin_refuse(0)


def test_a_product_that_the_library_has_not_at_all(libraries):
    forward, backward = compare(loss(layers()), {"data": (13, 20), "label": (13,)})  # 13 rows stand for that
    assert forward == ["matmul", "map"] * 3 + ["softmax"]
    assert [kernel for kernel in backward if "mask" in kernel] == []


def test_gradients_that_are_added(cublaslt):
    steps = compare(loss(layers()), SHAPES, grad_req="add", rate=0.05)
    if cublaslt:
        assert steps[0] == TRAINED[0] and "matmul_masked_sums" in steps[1]


def fc(name="fc", **settings):
    return mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=16, name=name, **settings)


def relu(x):
    return mx.sym.Activation(x, act_type="relu")


def table(name="other", **settings):
    return mx.sym.var(name, **settings)


APART = {
    "a sum that is read before relu": (lambda: (y := fc()) * relu(y), ["matmul_bias", "map"]),
    "a product that is read twice": (lambda: (y := fc(no_bias=True)) * relu(y), ["matmul", "map"]),
    "a sum that is an output": (lambda: mx.sym.Group([(y := fc()), relu(y)]), ["matmul_bias", "map"]),
    "relu without a bias": (lambda: relu(fc(no_bias=True)), ["matmul_relu"]),
    "a number": (lambda: fc(no_bias=True) + 3, ["matmul", "map"]),
    "a matrix": (lambda: fc(no_bias=True) + table(shape=(8, 16)), ["matmul", "map"]),
    "a column": (lambda: mx.sym.broadcast_add(fc(no_bias=True), table(shape=(8, 1))), ["matmul", "map"]),
    "a row": (lambda: mx.sym.broadcast_add(fc(no_bias=True), table(shape=(1, 16))), ["matmul_bias"]),
    "a row first": (lambda: mx.sym.broadcast_add(table(shape=(1, 16)), fc(no_bias=True)), ["matmul_bias"]),
    "another activation": (lambda: mx.sym.LeakyReLU(fc(), act_type="gelu"), ["matmul_bias", "map"]),
    "a batch of products": (
        lambda: relu(mx.sym.batch_dot(table("data"), table(shape=(8, 5, 3)))), ["matmul", "map"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", APART)
def test_what_joins_and_what_stays_apart(libraries, case):
    make, forward = APART[case]
    steps = compare(make(), {"data": (8, 20, 5) if "batch" in case else (8, 20)}, rate=0.01)
    assert steps[0] == forward
    assert "masked" not in " ".join(steps[1])


def test_double_precision_stays_apart(libraries):
    steps = compare(loss(layers()), SHAPES, "float64", 1e-12)
    assert not [kernel for kernel in sum(steps, []) if kernel.startswith("matmul_")]


def test_sums_on_which_their_product_depends_stay_apart(libraries):
    x, w = mx.sym.var("data"), mx.sym.var("w", shape=(6, 6))
    z = mx.sym.dot(x, w)
    symbol = mx.sym.dot(z, mx.sym.broadcast_mul(x, mx.sym.sum(z, axis=0, keepdims=True)), transpose_a=True)
    found = []
    for context in (mx.cpu(), GPU):
        executor = symbol.simple_bind(context, data=(5, 6), grad_req="null")
        for i, array in enumerate(executor.arg_arrays):
            array[:] = np.random.default_rng(i).uniform(-1, 1, array.shape)
        found.append(executor.forward()[0].asnumpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)
    assert not [k for k in kernels(executor)[0] if k.endswith("sums")]


def test_sums_go_to_a_product_on_either_side(libraries):
    z, x = mx.sym.var("z", shape=(5, 6)), mx.sym.var("x", shape=(5, 4))
    sums = mx.sym.sum(z, axis=0)
    for product, kernel in (
        (mx.sym.dot(z, x, transpose_a=True), "matmul_lhs_sums"),
        (mx.sym.dot(x, z, transpose_a=True), "matmul_rhs_sums"),
    ):
        symbol, found = mx.sym.Group([product, sums]), []
        for context in (mx.cpu(), GPU):
            executor = symbol.simple_bind(context, grad_req="null")
            for i, array in enumerate(executor.arg_arrays):
                array[:] = np.random.default_rng(i).uniform(-1, 1, array.shape)
            found.append([y.asnumpy() for y in executor.forward()])
        for want, value in zip(*found):
            np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-5)
        assert kernels(executor) == [[kernel], []]


def test_operands_that_are_not_aligned(cublaslt):
    """A slice begins anywhere, so there is an algorithm for that as well."""
    values = [np.random.default_rng(i).uniform(-1, 1, shape) for i, shape in enumerate([(9, 3), (6, 3), (7,)])]
    found = []
    for context in (mx.cpu(), GPU):
        x, w, b = (mx.nd.array(v, ctx=context, dtype="float32") for v in values)
        for first, last in ((0, -1), (1, 9)):
            y = mx.nd.FullyConnected(x[first:last], w, b[bool(first) : bool(first) + 6], num_hidden=6)
            found.append(y.asnumpy())
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[3], found[1], rtol=1e-5, atol=1e-6)


def random_graph(rng):
    """Return a graph of 6 x 6 products, biases, relus, masks and sums, each of whatever came before."""
    n, matrices, vectors = (
        6,
        [table(f"m{i}", shape=(6, 6)) for i in range(3)],
        [table(f"v{i}", shape=(6,)) for i in range(3)],
    )
    any_of = lambda values: values[rng.integers(len(values))]
    pick = lambda: matrices[-1] if rng.random() < 0.5 else any_of(matrices)
    for step in range(rng.integers(4, 14)):
        kind = rng.integers(7)
        if kind == 0:
            flags = rng.integers(2, size=2).astype(bool)
            y = mx.sym.dot(pick(), pick(), transpose_a=flags[0], transpose_b=flags[1])
        elif kind <= 2:
            y = mx.sym.FullyConnected(pick(), any_of(matrices[:3]), any_of(vectors), num_hidden=n, name=f"fc{step}")
        elif kind == 3:
            y = mx.sym.broadcast_add(
                pick(), mx.sym.reshape(any_of(vectors), shape=(1, n) if rng.random() < 0.7 else (n, 1))
            )
        elif kind == 4:
            y = relu(pick())
        elif kind == 5:
            y = pick() * (mx.sym.reshape(relu(mx.sym.reshape(pick(), shape=(2, 3, n))), shape=(n, n)) > 0)
        else:
            vectors.append(mx.sym.sum(pick(), axis=int(rng.integers(2))) * 0.2)
            continue
        matrices.append(y)
    return mx.sym.Group([matrices[-1], *vectors[3:][-1:]])


@pytest.mark.parametrize("seed", range(25))
def test_random_graphs(libraries, seed):
    rng = np.random.default_rng(seed)
    symbol = random_graph(rng)
    for number in rng.choice([RELU, BIAS, BIAS_RELU, BIAS_RELU_MASK, MASKED, MASKED_SUMS, LHS_SUMS], rng.integers(3)):
        libraries["cublaslt"].standin_refuse(int(number))
    compare(symbol, {}, tolerance=1e-3, grad_req="add", rate=0.01)


def test_what_no_pass_makes(driver, monkeypatch):
    """The operator is the passes' own; who calls it himself is told what it wants."""
    monkeypatch.setenv("CYMX_GPU_LIBRARIES", "off")
    product = mx.nd._internal._matmul_epilogue
    a, b = mx.nd.ones((2, 3), ctx=GPU), mx.nd.ones((3, 4), ctx=GPU)
    with pytest.raises(mx.MXNetError, match="only cublaslt does this"):
        product(a, b, mx.nd.ones((4,), ctx=GPU), epilogue="bias")
    with pytest.raises(mx.MXNetError, match=r"bias is \(5,\), expected \(4,\)"):
        product(a, b, mx.nd.ones((5,), ctx=GPU), epilogue="bias")
    with pytest.raises(mx.MXNetError, match=r"mask is \(2, 4\), expected \(2, 16\)"):
        product(a, b, mask=mx.nd.ones((2, 4), ctx=GPU, dtype="uint8"), epilogue="masked")
    with pytest.raises(mx.MXNetError, match="expected two matrices"):
        product(mx.nd.ones((5, 2, 3), ctx=GPU), mx.nd.ones((5, 3, 4), ctx=GPU), epilogue="relu")
