"""Metrics against NumPy, and the two sums that each keeps."""

import math

import numpy as np
import pytest

import cymx as mx
from cymx import metric


def batches(n_classes, n_batches=3, n=7):
    rng = np.random.RandomState(n_classes)
    return [(rng.randint(0, n_classes, n), rng.dirichlet(np.ones(n_classes), n)) for _ in range(n_batches)]


def fed(measure, pairs):
    for label, pred in pairs:
        measure.update([mx.nd.array(label)], [mx.nd.array(pred)])
    return measure.get()[1]


def joined(pairs):
    return (np.concatenate(parts) for parts in zip(*pairs, strict=True))


def test_accuracy_of_scores_and_of_classes():
    pairs = batches(5)
    label, pred = joined(pairs)
    assert fed(metric.Accuracy(), pairs) == pytest.approx((pred.argmax(1) == label).mean())
    assert fed(metric.create("acc"), [(a, b.argmax(1)) for a, b in pairs]) == pytest.approx(
        (pred.argmax(1) == label).mean()
    )


@pytest.mark.parametrize("k", [2, 3, 9])
def test_top_k(k):
    pairs = batches(5)
    label, pred = joined(pairs)
    best = np.argsort(pred, axis=1)[:, -k:]
    expected = np.mean([a in row for a, row in zip(label, best, strict=True)])
    measure = metric.create("top_k_accuracy", top_k=k)
    assert fed(measure, pairs) == pytest.approx(expected)
    assert measure.name == f"top_k_accuracy_{k}"


@pytest.mark.parametrize("name", ["f1", "mcc"])
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_two_classes(name, average):
    def expected(pairs):
        label, pred = joined(pairs)
        pred = pred.argmax(1)
        tp, fp = ((pred == 1) & (label == 1)).sum(), ((pred == 1) & (label == 0)).sum()
        fn, tn = ((pred == 0) & (label == 1)).sum(), ((pred == 0) & (label == 0)).sum()
        if name == "f1":
            return 2 * tp / (2 * tp + fp + fn)
        return (tp * tn - fp * fn) / math.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))

    pairs = batches(2, n=20)
    value = fed(metric.create(name, average=average), pairs)
    assert value == pytest.approx(expected(pairs) if average == "micro" else np.mean([expected([p]) for p in pairs]))
    with pytest.raises(ValueError, match="classes"):
        fed(metric.create(name), batches(3))


def test_pcc_is_mcc_for_two_classes():
    pairs = batches(2, n=20)
    assert fed(metric.PCC(), pairs) == pytest.approx(fed(metric.MCC(average="micro"), pairs))
    assert -1 < fed(metric.PCC(), batches(4)) < 1


@pytest.mark.parametrize("name", ["ce", "nll_loss"])
def test_log_losses(name):
    label, pred = joined(batches(4))
    prob = pred[np.arange(len(label)), label]
    assert fed(metric.create(name), batches(4)) == pytest.approx(-np.log(prob).mean(), rel=1e-5)


@pytest.mark.parametrize("ignore", [None, 2])
def test_perplexity(ignore):
    label, pred = joined(batches(4))
    prob = pred[np.arange(len(label)), label][label != ignore]
    expected = math.exp(-np.log(prob).mean())
    assert fed(metric.Perplexity(ignore_label=ignore), batches(4)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("mae", lambda d: np.abs(d).mean()),
        ("mse", lambda d: (d**2).mean()),
        ("rmse", lambda d: np.sqrt((d**2).mean())),
    ],
)
def test_regressions_average_batches(name, error):
    rng = np.random.RandomState(0)
    pairs = [(rng.rand(6), rng.rand(6, 1)) for _ in range(3)]
    expected = np.mean([error(a[:, None] - b) for a, b in pairs])
    assert fed(metric.create(name), pairs) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_pearson(average):
    rng = np.random.RandomState(0)
    pairs = [(rng.rand(6, 2), rng.rand(6, 2)) for _ in range(3)]
    corr = lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1]
    expected = corr(*joined(pairs)) if average == "micro" else np.mean([corr(a, b) for a, b in pairs])
    assert fed(metric.PearsonCorrelation(average=average), pairs) == pytest.approx(expected, rel=1e-4)


def test_loss_and_functions():
    pairs = [(np.zeros(3), np.array([1.0, 2.0, 3.0])), (np.zeros(1), np.array([6.0]))]
    assert fed(metric.Loss(), pairs) == pytest.approx(3.0)

    def spread(label, pred):
        return float(np.abs(label - pred).max())

    assert metric.np(spread).name == "spread"
    assert metric.create(lambda label, pred: 1.0).name == "custom(<lambda>)"
    assert fed(metric.create(spread), pairs) == pytest.approx(4.5)
    assert fed(metric.create(lambda label, pred: (pred.sum(), pred.size)), pairs) == pytest.approx(3.0)


def test_local_and_global_sums():
    accuracy = metric.Accuracy()
    assert math.isnan(accuracy.get()[1])
    right, wrong = ([mx.nd.array([1])], [mx.nd.array([[0.0, 1.0]])]), ([mx.nd.array([0])], [mx.nd.array([[0.0, 1.0]])])
    accuracy.update(*right)
    accuracy.reset_local()
    accuracy.update(*wrong)
    assert (accuracy.get(), accuracy.get_global()) == (("accuracy", 0.0), ("accuracy", 0.5))
    accuracy.reset()
    assert math.isnan(accuracy.get_global()[1])


def test_composite_and_names():
    both = metric.create(["acc", metric.CrossEntropy(output_names=["second"])])
    label, first, second = mx.nd.array([1]), mx.nd.array([[1.0, 0.0]]), mx.nd.array([[0.5, 0.5]])
    both.metrics[0].output_names = ["first"]
    both.update_dict({"label": label}, {"first": first, "second": second})
    assert dict(both.get_name_value()) == pytest.approx({"accuracy": 0.0, "cross-entropy": math.log(2)})
    assert str(both).startswith("EvalMetric: {'accuracy': 0.0")
    assert both.get_metric(0).name == "accuracy"
    with pytest.raises(ValueError, match="index 5"):
        both.get_metric(5)


def test_config_makes_the_same_metric():
    config = metric.create("top_k_acc", top_k=3).get_config()
    assert (config["metric"], config["top_k"]) == ("TopKAccuracy", 3)
    assert metric.create("acc", axis=0).get_config()["axis"] == 0


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="labels are 1, predictions 2"):
        metric.Accuracy().update([mx.nd.zeros((1,))], [mx.nd.zeros((1, 2))] * 2)
    with pytest.raises(ValueError, match="3 labels for 4"):
        fed(metric.CrossEntropy(), [(np.zeros(3), np.ones((4, 2)))])
    with pytest.raises(ValueError, match="'nope'"):
        metric.create("nope")
