from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from asgcn_dgl.training.scoring import PredictionScores, RecognitionScores, masked_mse


def test_masked_mse_has_no_gradient_from_what_is_unknown():
    future = torch.zeros(2, 2, 3, requires_grad=True)
    target = torch.ones(2, 2, 3)
    target[0, 1] = float("nan")
    mask = torch.tensor([[True, False], [True, True]])
    loss = masked_mse(future, target, mask)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert torch.isfinite(future.grad).all()
    assert (future.grad[0, 1] == 0).all()


def test_masked_mse_of_nothing_is_zero():
    future = torch.ones(1, 2, 3, requires_grad=True)
    loss = masked_mse(future, torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert (future.grad == 0).all()


def test_recognition_scores_join_batches():
    scores = RecognitionScores()
    for label, logits in ((0, [5.0, 0.0]), (1, [4.0, 1.0])):
        scores.update(
            SimpleNamespace(names=[f"clip{label}"], label=torch.tensor([label])),
            SimpleNamespace(logits=torch.tensor([logits])),
        )
    summary = scores.summary(["sit", "stand"])
    assert summary["top1"] == 50
    assert summary["top5"] == 100
    assert summary["per_class"] == {"sit": 100, "stand": 0}
    assert scores.arrays(["sit", "stand"])["names"].tolist() == ["clip0", "clip1"]


def test_class_without_clips_has_no_accuracy():
    scores = RecognitionScores()
    scores.update(
        SimpleNamespace(names=["a"], label=torch.tensor([1])),
        SimpleNamespace(logits=torch.tensor([[0.0, 1.0]])),
    )
    assert scores.summary(["sit", "stand"])["per_class"] == {"sit": None, "stand": 100}


class Clips(SimpleNamespace):
    def __len__(self):
        return len(self.names)


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_prediction_scores_by_hand(size):
    scores = PredictionScores()
    target = torch.tensor([[[3.0, 4.0], [0.0, 2.0]], [[9.0, 9.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True], [False, False]])  # the second joint is unknown
    scores.update(
        Clips(
            names=["a"],
            last=torch.zeros(2, 2),
            future=target / size,
            future_mask=mask,
            unit=None if size == 1 else torch.full((2, 2), size),
        ),
        SimpleNamespace(future=torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]).expand(2, -1, -1) / size),
    )
    summary = scores.summary()
    assert summary["mpjpe"] == pytest.approx(1)
    assert summary["zero_velocity"] == pytest.approx(3.5)
    assert summary["mpjpe_per_frame"] == pytest.approx([0, 2])
    assert summary["zero_velocity_per_frame"] == pytest.approx([5, 2])
    assert scores.loss() == pytest.approx(1 / size**2)
    assert scores.clips == 1


def test_no_future_no_figures():
    scores = PredictionScores()
    scores.update(Clips(names=["a"]), SimpleNamespace(future=None))
    assert scores.summary() is None
    assert scores.loss() is None
