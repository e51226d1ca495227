"""Metrics against values worked by hand and against plain loops."""

import builtins
import sys

import numpy as np
import pytest
import torch

from asgcn_dgl import metrics

SCORES = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
LABELS = np.array([0, 1, 1, 0])


def test_accuracy_by_hand():
    assert metrics.accuracy(SCORES, LABELS) == 0.5
    assert metrics.accuracy(SCORES, LABELS, top_k=2) == 0.75
    assert metrics.accuracy(SCORES, LABELS, top_k=5) == 1.0


def test_accuracy_equals_a_loop():
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=(200, 7)), rng.integers(7, size=200)
    for top_k in (1, 3, 5):
        hits = [
            label in np.argsort(-row)[:top_k] for row, label in zip(scores, labels, strict=True)
        ]
        assert metrics.accuracy(scores, labels, top_k) == pytest.approx(np.mean(hits))


def test_confusion_keeps_classes_that_do_not_occur():
    assert metrics.confusion_matrix(SCORES, LABELS).tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]


def test_per_class_and_mean_leave_out_absent_classes():
    per_class = metrics.per_class_accuracy(SCORES, LABELS)
    np.testing.assert_array_equal(per_class, [0.5, 0.5, np.nan])
    assert metrics.mean_class_accuracy(SCORES, LABELS) == 0.5


def test_mean_class_weighs_classes_not_clips():
    scores = np.eye(2)[[0] * 9 + [0]]
    labels = np.array([0] * 9 + [1])
    assert metrics.accuracy(scores, labels) == pytest.approx(0.9)
    assert metrics.mean_class_accuracy(scores, labels) == 0.5


def test_tensors_and_arrays_agree():
    scores, labels = torch.tensor(SCORES, requires_grad=True), torch.tensor(LABELS)
    assert metrics.accuracy(scores, labels) == metrics.accuracy(SCORES, LABELS)
    half = torch.tensor(SCORES, dtype=torch.bfloat16)
    assert metrics.mean_class_accuracy(half, labels) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (SCORES[0], LABELS, "scores must be"),
        (SCORES[:0], LABELS[:0], "scores must be"),
        (SCORES, LABELS[:2], r"labels must be \(4,\)"),
        (SCORES, [0, 1, 3, 0], r"labels must be in 0..2, got 3"),
        (SCORES, [0, 1, -1, 0], "got -1"),
        (SCORES, [0.0, 1.0, 1.0, 0.0], "whole numbers"),
    ],
)
def test_misuse_is_named(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(scores, labels)


def test_top_k_below_one_is_refused():
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        metrics.accuracy(SCORES, LABELS, top_k=0)


def test_mpjpe_masks_and_horizons():
    future = np.zeros((2, 3, 3))
    target = np.zeros((2, 3, 3))
    target[0, :, 0] = [3.0, 6.0, np.nan]
    target[0, :2, 1] = [4.0, 8.0]
    mask = np.array([[True, True, False], [True, False, False]])
    horizons = metrics.mpjpe_per_horizon(future, target, mask)
    np.testing.assert_array_equal(horizons, [2.5, 10.0, np.nan])
    assert metrics.mpjpe(future, target, mask) == 5.0
    assert np.isnan(metrics.mpjpe(future, target, np.zeros((2, 3), dtype=bool)))


def test_mpjpe_takes_any_leading_axes():
    rng = np.random.default_rng(0)
    future, target = rng.normal(size=(2, 4, 5, 6, 3)), rng.normal(size=(2, 4, 5, 6, 3))
    expected = np.sqrt(((future - target) ** 2).sum(-1))
    assert metrics.mpjpe(torch.tensor(future), target) == pytest.approx(expected.mean())
    np.testing.assert_allclose(
        metrics.mpjpe_per_horizon(future, target), expected.mean(axis=(0, 1, 2))
    )


def test_mpjpe_shapes_are_checked():
    with pytest.raises(ValueError, match="one shape"):
        metrics.mpjpe(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"mask must have shape \(2,\)"):
        metrics.mpjpe(np.zeros((2, 3)), np.zeros((2, 3)), [True])


def test_fusion_is_2_2_1_1():
    names = ("joint", "bone", "joint_motion", "bone_motion")
    fused = metrics.fuse_scores({name: np.eye(4)[[index]] for index, name in enumerate(names)})
    np.testing.assert_allclose(fused, np.array([[2, 2, 1, 1]]) / 6)


def test_fusion_misuse_is_named():
    with pytest.raises(ValueError, match="at least one stream"):
        metrics.fuse_scores({})
    with pytest.raises(ValueError, match="'elbow'"):
        metrics.fuse_scores({"elbow": [[1.0]]})
    with pytest.raises(ValueError, match="one shape"):
        metrics.fuse_scores({"joint": [[1.0]], "bone": [[1.0, 2.0]]})
    with pytest.raises(ValueError, match="positive in sum"):
        metrics.fuse_scores({"joint": [[1.0]]}, {"joint": 0.0})


@pytest.mark.parametrize(
    ("blocked", "package"), [("torchmetrics", "torchmetrics"), ("sklearn", "scikit-learn")]
)
def test_missing_extra_is_named(monkeypatch, blocked, package):
    for name in [name for name in sys.modules if name.split(".")[0] == blocked]:
        monkeypatch.delitem(sys.modules, name)
    real_import = builtins.__import__

    def no_extra(name, *args, **kwargs):
        if name.split(".")[0] == blocked:
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_extra)
    monkeypatch.setitem(sys.modules, blocked, None)
    function = metrics.accuracy if blocked == "torchmetrics" else metrics.confusion_matrix
    with pytest.raises(ImportError, match=rf"{package}.*asgcn_dgl\[train\]"):
        function(SCORES, LABELS)


def test_calibration_error_by_hand():
    # One bin of .9 (half right), one of .6 (all right): (2 |.9 - .5| + 2 |.6 - 1|) / 4.
    sure, unsure = [0.9, 0.05, 0.05], [0.2, 0.6, 0.2]
    found = metrics.calibration_error([sure, sure, unsure, unsure], [0, 1, 1, 1])
    assert found == pytest.approx(0.4, abs=1e-6)
    assert metrics.calibration_error(np.eye(3), [0, 1, 2]) == pytest.approx(0)
    with pytest.raises(ValueError, match="sum to 1"):
        metrics.calibration_error([[2.0, 1.0]], [0])


def test_intervals_are_those_of_the_binomial():
    rng = np.random.default_rng(1)
    labels = rng.integers(10, size=400)
    scores = rng.random((400, 10)) + np.eye(10)[labels] * (rng.random((400, 1)) < 0.6)
    found = metrics.accuracy_intervals(scores, labels, level=0.95)
    for name, share in (
        ("top1", metrics.accuracy(scores, labels)),
        ("top5", metrics.accuracy(scores, labels, top_k=5)),
    ):
        low, high = found[name]
        spread = 1.96 * (share * (1 - share) / 400) ** 0.5
        assert (low, high) == (
            pytest.approx(share - spread, abs=0.012),
            pytest.approx(share + spread, abs=0.012),
        )
    low, high = found["mean_class"]
    assert low < metrics.mean_class_accuracy(scores, labels) < high
    assert found == metrics.accuracy_intervals(scores, labels)
    wide = metrics.accuracy_intervals(scores, labels, level=0.99)["top1"]
    assert wide[0] < found["top1"][0] and wide[1] > found["top1"][1]
    for bad in ({"level": 1.0}, {"resamples": 0}):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            metrics.accuracy_intervals(scores, labels, **bad)


def test_use_of_links_counts_pairs_in_any_number_of_pieces():
    rng = np.random.default_rng(0)
    prob = rng.dirichlet([1, 0.2, 0.2], size=300)[:, 1:]
    whole = metrics.link_use([prob])
    parts = metrics.link_use(iter(np.split(prob, [7, 150])))
    assert parts["pairs"] == whole["pairs"] == 300
    assert parts["linked"] == pytest.approx(float((prob.sum(axis=1) > 0.5).mean()))
    assert parts["types"][0]["strong"] == pytest.approx(float((prob[:, 0] > 0.9).mean()))
    assert parts["types"][1]["mean"] == pytest.approx(prob[:, 1].mean())
    assert whole["saturated"] == []
    joined = metrics.join_link_use(metrics.link_use([each]) for each in np.split(prob, [7, 150]))
    assert joined.pop("types") == [pytest.approx(each) for each in whole["types"]]
    assert joined.pop("saturated") == []
    assert joined == pytest.approx({name: whole[name] for name in joined})
    with pytest.raises(ValueError, match="at least one"):
        metrics.join_link_use([])
    assert metrics.link_use([np.tile([0.01, 0.95], (9, 1))])["saturated"] == [2]
    third = np.repeat([[0.6, 0.1], [0.1, 0.6], [0.1, 0.1]], [3, 2, 5], axis=0)
    assert metrics.link_use([third])["saturated"] == [1]  # 30 and 20 % of the pairs
    for wrong in ([], [np.zeros(3)], [np.zeros((2, 2)), np.zeros((2, 3))]):
        with pytest.raises(ValueError, match="chunks must"):
            metrics.link_use(wrong)


@pytest.mark.parametrize(
    ("linked", "types", "words"),
    [
        (0.723, [0.169, 0.067, 0.0], ["all types together link 72 % of", "start at 0.003"]),
        (0.45, [0.3, 0.1], ["say little: type 1 links 30 % of"]),
        (0.9, [0.3, 0.6], ["all types together link 90 %, type 1 links 30 %, type 2 links 60 %"]),
        (0.004, [0.004, 0.0], ["almost no A-links: the prior closed them (0.4 %"]),
        (0.5, [0.25, 0.25], []),
        (0.005, [0.0, 0.0], []),
    ],
)
def test_too_many_links_are_warned_of_and_too_few(linked, types, words):
    use = {
        "linked": linked,
        "types": [{"linked": share} for share in types],
        "saturated": [k + 1 for k, share in enumerate(types) if share > metrics.SATURATED],
    }
    warnings = metrics.link_warnings(use)
    assert len(warnings) == bool(words)
    assert all(word in warnings[0] for word in words)


def test_contrast_of_links_is_the_mean_over_pairs_of_classes():
    assert metrics.link_contrast([[0.0], [1.0], [1.0]]) == pytest.approx(2 / 3)
    assert np.isnan(metrics.link_contrast([[0.5]]))
