"""The gradients of the ends of networks, as MXNet 1.9.1 computes them: those of a loss, not of what is put out."""

import numpy as np
import pytest

import cymx as mx

# operator, data's shape, label, settings, gradient by data; data is 2 sin(1.7 i).
RECORDED = [
    ("SoftmaxOutput", (2, 3), [1, 0], {}, [0.11278, -0.18043, 0.067651, -0.97983, 0.34524, 0.63459]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"grad_scale": 2.0}, [0.22556, -0.36086, 0.1353, -1.9597, 0.69047, 1.2692]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"normalization": "batch"},
     [0.05639, -0.090216, 0.033826, -0.48991, 0.17262, 0.31729]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"normalization": "valid"},
     [0.05639, -0.090216, 0.033826, -0.48991, 0.17262, 0.31729]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"use_ignore": True, "ignore_label": 0.0},
     [0.11278, -0.18043, 0.067651, 0.0, 0.0, 0.0]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"ignore_label": 0.0}, [0.11278, -0.18043, 0.067651, -0.97983, 0.34524, 0.63459]),
    ("SoftmaxOutput", (2, 3), [1, 0],
     {"use_ignore": True, "ignore_label": 0.0, "normalization": "valid", "grad_scale": 3.0},
     [0.33834, -0.5413, 0.20295, 0.0, 0.0, 0.0]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"use_ignore": True, "ignore_label": 0.0, "normalization": "batch"},
     [0.05639, -0.090216, 0.033826, 0.0, 0.0, 0.0]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"use_ignore": True, "ignore_label": 0.0, "normalization": "null"},
     [0.11278, -0.18043, 0.067651, 0.0, 0.0, 0.0]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"smooth_alpha": 0.1},
     [0.062781, -0.080432, 0.017651, -0.87983, 0.29524, 0.58459]),
    ("SoftmaxOutput", (2, 3), [1, 0], {"out_grad": True}, [0.01272, -0.14788, 0.0045767, -0.019767, 0.11919, 0.4027]),
    ("SoftmaxOutput", (2, 3), [1, 7], {}, [0.11278, -0.18043, 0.067651, 0.020174, 0.34524, 0.63459]),
    ("SoftmaxOutput", (2, 3), [-1, 2.7], {}, [0.11278, 0.81957, 0.067651, 0.020174, 0.34524, -0.36541]),
    ("SoftmaxOutput", (2, 3), [0, 0], {"use_ignore": True, "ignore_label": 0.0, "normalization": "valid"},
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    ("SoftmaxOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {},
     [0.012781, 0.11957, -0.13235, -0.47983, 0.095237, 0.38459]),
    ("SoftmaxOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"grad_scale": 2.0},
     [0.025562, 0.23914, -0.2647, -0.95965, 0.19047, 0.76918]),
    ("SoftmaxOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"normalization": "batch"},
     [0.012781, 0.11957, -0.13235, -0.47983, 0.095237, 0.38459]),
    ("SoftmaxOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"normalization": "valid", "use_ignore": True},
     [0.012781, 0.11957, -0.13235, -0.47983, 0.095237, 0.38459]),
    ("SoftmaxOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"smooth_alpha": 0.1},
     [0.012781, 0.11957, -0.13235, -0.47983, 0.095237, 0.38459]),
    ("SoftmaxOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"out_grad": True},
     [0.0014414, 0.097994, -0.0089536, -0.0096798, 0.032879, 0.24406]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]], {"multi_output": True},
     [-0.38335, 0.29392, 0.069972, -0.49365, 0.31338, 0.19973, 0.020665, 0.044772, 0.46709, -0.15919, -0.48775,
      0.11442]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]], {"multi_output": True, "normalization": "batch"},
     [-0.19167, 0.14696, 0.034986, -0.24683, 0.15669, 0.099864, 0.010333, 0.022386, 0.23354, -0.079594, -0.24388,
      0.057209]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]], {"multi_output": True, "normalization": "valid"},
     [-0.19167, 0.14696, 0.034986, -0.24683, 0.15669, 0.099864, 0.010333, 0.022386, 0.23354, -0.079594, -0.24388,
      0.057209]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]], {"multi_output": True, "use_ignore": True, "ignore_label": 1.0},
     [-0.38335, 0.0, 0.069972, 0.0, 0.31338, 0.0, 0.020665, 0.0, 0.46709, 0.0, -0.48775, 0.0]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]],
     {"multi_output": True, "use_ignore": True, "ignore_label": 1.0, "normalization": "valid"},
     [-0.38335, 0.0, 0.069972, 0.0, 0.31338, 0.0, 0.020665, 0.0, 0.46709, 0.0, -0.48775, 0.0]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]],
     {"multi_output": True, "use_ignore": True, "ignore_label": 1.0, "normalization": "batch"},
     [-0.19167, 0.0, 0.034986, 0.0, 0.15669, 0.0, 0.010333, 0.0, 0.23354, 0.0, -0.24388, 0.0]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]], {"multi_output": True, "smooth_alpha": 0.1},
     [-0.38335, 0.29392, 0.069972, -0.49365, 0.31338, 0.19973, 0.020665, 0.044772, 0.46709, -0.15919, -0.48775,
      0.11442]),
    ("SoftmaxOutput", (2, 3, 2), [[0, 1], [2, 1]], {"multi_output": True, "grad_scale": 2.0},
     [-0.7667, 0.58784, 0.13994, -0.9873, 0.62675, 0.39946, 0.04133, 0.089543, 0.93417, -0.31838, -0.9755, 0.22883]),
    ("SoftmaxOutput", (1, 2, 2, 2), [[[0, 1], [1, 1]]], {"multi_output": True},
     [-0.18218, 0.14885, 0.17715, 0.08771, 0.18218, -0.14885, -0.17715, -0.08771]),
    ("SoftmaxOutput", (2, 2, 3), [[0, 1], [2, 1]], {"preserve_shape": True},
     [-0.88722, 0.81957, 0.067651, 0.020174, -0.65476, 0.63459, 0.040355, 0.047521, -0.087876, 0.71335, -0.95283,
      0.23948]),
    ("SoftmaxOutput", (2, 2, 3), [[0, 1], [2, 1]], {"preserve_shape": True, "normalization": "batch"},
     [-0.2218, 0.20489, 0.016913, 0.0050434, -0.16369, 0.15865, 0.010089, 0.01188, -0.021969, 0.17834, -0.23821,
      0.059871]),
    ("SoftmaxOutput", (2, 2, 3), [[0, 1], [2, 1]],
     {"preserve_shape": True, "normalization": "valid", "use_ignore": True, "ignore_label": 1.0},
     [-0.44361, 0.40978, 0.033826, 0.0, 0.0, 0.0, 0.020177, 0.023761, -0.043938, 0.0, 0.0, 0.0]),
    ("SoftmaxOutput", (2, 2, 3), [[0, 1], [2, 1]], {"preserve_shape": True, "smooth_alpha": 0.1},
     [-0.78722, 0.76957, 0.017651, -0.029826, -0.55476, 0.58459, -0.0096455, -0.0024787, 0.012124, 0.66335, -0.85283,
      0.18948]),
    ("SoftmaxOutput", (2, 2, 3), [[0, 1], [2, 1]],
     {"preserve_shape": True, "use_ignore": True, "ignore_label": 2.0, "normalization": "batch"},
     [-0.2218, 0.20489, 0.016913, 0.0050434, -0.16369, 0.15865, 0.0, 0.0, 0.0, 0.17834, -0.23821, 0.059871]),
    ("SoftmaxOutput", (2, 2, 3), [[0, 1], [2, 1]], {"normalization": "batch"},
     [-0.23498, 0.10912, 0.0090076, 0.0023573, 0.040342, 0.074153, 0.006694, -0.24212, 0.1513, 0.060006, 0.0039676,
      0.020145]),
    ("LinearRegressionOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {},
     [-0.033333, 0.42778, -0.23703, -0.78388, 0.24608, 0.44899]),
    ("LinearRegressionOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"grad_scale": 3.0},
     [-0.1, 1.2833, -0.71108, -2.3516, 0.73823, 1.347]),
    ("LinearRegressionOutput", (2, 1), [0.5, 1.0], {}, [-0.5, 0.98333]),
    ("LinearRegressionOutput", (3,), [0.0, 1.0, -1.0], {}, [0.0, 0.98333, 0.48892]),
    ("LinearRegressionOutput", (1, 2, 2), [[[0.5, 1.0], [0.25, -1.0]]], {}, [-0.125, 0.24583, -0.19027, -0.21291]),
    ("LogisticRegressionOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {},
     [0.13333, 0.059679, 0.058313, -0.12144, 0.15958, 0.19387]),
    ("LogisticRegressionOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"grad_scale": 3.0},
     [0.4, 0.17904, 0.17494, -0.36432, 0.47874, 0.5816]),
    ("LogisticRegressionOutput", (2, 1), [0.5, 1.0], {}, [0.0, -0.12096]),
    ("LogisticRegressionOutput", (3,), [0.0, 1.0, -1.0], {}, [0.5, -0.12096, 1.3749]),
    ("LogisticRegressionOutput", (1, 2, 2), [[[0.5, 1.0], [0.25, -1.0]]], {}, [0.0, -0.030241, 0.031235, 0.28392]),
    ("MAERegressionOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {},
     [-0.33333, 0.33333, -0.33333, -0.33333, 0.33333, 0.33333]),
    ("MAERegressionOutput", (2, 3), [[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], {"grad_scale": 3.0},
     [-1.0, 1.0, -1.0, -1.0, 1.0, 1.0]),
    ("MAERegressionOutput", (2, 1), [0.5, 1.0], {}, [-1.0, 1.0]),
    ("MAERegressionOutput", (3,), [0.0, 1.0, -1.0], {}, [-1.0, 1.0, 1.0]),
    ("MAERegressionOutput", (1, 2, 2), [[[0.5, 1.0], [0.25, -1.0]]], {}, [-0.25, 0.25, -0.25, -0.25]),
    ("MakeLoss", (2, 3), None, {"grad_scale": 2.0}, [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
    ("MakeLoss", (2, 3), None, {"grad_scale": 2.0, "normalization": "batch"}, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("MakeLoss", (2, 3), None, {"normalization": "valid", "valid_thresh": 0.5},
     [0.33333, 0.33333, 0.33333, 0.33333, 0.33333, 0.33333]),
    ("make_loss", (2, 3), None, {}, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("BlockGrad", (2, 3), None, {}, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
]  # fmt: skip


def _gradient(op, shape, label, params, head=None):
    data = (np.sin(np.arange(np.prod(shape)) * 1.7) * 2).reshape(shape)
    arrays = {"data": mx.nd.array(data)} | ({} if label is None else {"label": mx.nd.array(np.array(label))})
    symbol = getattr(mx.sym, op)(*(mx.sym.Variable(name) for name in arrays), **params)
    found = mx.nd.ones(shape) * 9
    executor = symbol.bind(mx.cpu(), arrays, args_grad={"data": found}, grad_req={"data": "write", "label": "null"})
    executor.forward(is_train=True)
    executor.backward(head)
    return found.asnumpy()


@pytest.mark.parametrize("op, shape, label, params, expected", RECORDED, ids=lambda value: str(value).replace(" ", ""))
def test_gradient_is_that_of_mxnet(op, shape, label, params, expected):
    found = _gradient(op, shape, label, params)
    np.testing.assert_allclose(found.ravel(), expected, rtol=2e-4, atol=1e-6)


def test_what_flows_in_is_ignored():
    found = [_gradient("SoftmaxOutput", (2, 3), [1, 0], {}, head) for head in (None, mx.nd.ones((2, 3)) * 7)]
    np.testing.assert_array_equal(*found)


def test_softmax_cross_entropy_scales_with_what_flows_in():
    data, label = np.array([[1.0, 2, 0], [0, 0, 3]]), [1, 2]
    arrays = {"data": mx.nd.array(data), "label": mx.nd.array(label)}
    found = mx.nd.zeros((2, 3))
    symbol = mx.sym.softmax_cross_entropy(mx.sym.Variable("data"), mx.sym.Variable("label"))
    executor = symbol.bind(mx.cpu(), arrays, args_grad={"data": found}, grad_req={"data": "write", "label": "null"})
    executor.forward(is_train=True)
    executor.backward(mx.nd.array([3.0]))
    softmax = np.exp(data) / np.exp(data).sum(1, keepdims=True)
    np.testing.assert_allclose(found.asnumpy(), 3 * (softmax - np.eye(3)[label]), rtol=1e-5, atol=1e-6)
