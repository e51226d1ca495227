from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from asgcn_dgl.data import Clip, SkeletonDataset, collate
from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn import MaskedBatchNorm
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.optim import AveragedModel

LAYOUT = get_layout("hand21")


def _model(links: str) -> ASGCN:
    torch.manual_seed(0)
    options = {"channels": [8, 8], "strides": [1, 2], "aim_frames": 10, "aim_hidden": 8}
    made = ASGCN(LAYOUT, 4, 3, dropout=0.5, future_frames=2, link_mode=links, **options)
    return made.train()


@pytest.fixture
def model():
    return _model("steady")


@pytest.fixture
def batch(model):
    rng = np.random.default_rng(1)
    poses = rng.normal(size=(4, 1, 12, 21, 3)).astype(np.float32)
    clips = [Clip.from_positions(f"clip{k}", LAYOUT, pos, label=k) for k, pos in enumerate(poses)]
    dataset = SkeletonDataset(clips, future_frames=2)
    return collate([dataset[k] for k in range(4)], builder=model.graph_builder)


def _shaken(model):
    """Move the weights as learning at a high rate does."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2)
    return model


def _check_statistics(average, batch):
    """Compare the running statistics of what learns with those of the batch itself."""
    found = average.module(batch.structure, batch.feat, batch.mask, batch.last).logits
    for name, norm in average.module.named_modules():
        if isinstance(norm, MaskedBatchNorm) and not name.startswith("aim."):
            norm.train()
    right = average.module(batch.structure, batch.feat, batch.mask, batch.last).logits
    # Running variances are those of samples (n - 1), a batch's own are not: nearly the same.
    torch.testing.assert_close(found, right, rtol=0.05, atol=0.05)


def test_weights_are_averaged_by_the_formula(model, batch):
    average = AveragedModel(model, 0.75)
    average.update(_shaken(model), batch)
    expected = [weight.detach().clone() for weight in model.parameters()]  # the first counts whole
    for _ in range(5):
        _shaken(model)
        expected = [
            0.75 * old + 0.25 * new for old, new in zip(expected, model.parameters(), strict=True)
        ]
        average.update(model, batch)
    for found, right in zip(average.module.parameters(), expected, strict=True):
        torch.testing.assert_close(found, right)
    assert average.n_averaged == 6
    assert not any(weight.requires_grad for weight in average.module.parameters())


def test_the_plain_mean_follows_first_and_then_counts_all_steps_alike(model, batch):
    average = AveragedModel(model, None)
    average.follow(_shaken(model))
    for found, right in zip(average.module.parameters(), model.parameters(), strict=True):
        assert torch.equal(found, right)
    steps = []
    for _ in range(4):
        _shaken(model)
        steps.append([weight.detach().clone() for weight in model.parameters()])
        average.update(model, batch)
    for found, *each in zip(average.module.parameters(), *steps, strict=True):
        torch.testing.assert_close(found, torch.stack(each).mean(dim=0))
    assert average.n_averaged == 4


@pytest.mark.parametrize(("decay", "every"), [(0.5, 1), (0.98, 5), (0.999, 8)])
def test_batch_norms_see_a_batch_as_often_as_the_weights_move(model, decay, every):
    assert AveragedModel(model, decay).refresh_every == every


def test_batch_norms_fit_the_averaged_weights(model, batch):
    """Between two models, the statistics are those of neither."""
    ends = [copy.deepcopy(_shaken(model).state_dict()) for _ in range(2)]
    average = AveragedModel(model, 0.98)
    for step in range(300):
        model.load_state_dict(ends[step % 2])
        average.update(model, batch)
    _check_statistics(average, batch)


def test_the_first_batch_counts_whole(model, batch):
    average = AveragedModel(model, 0.999)
    average.update(model, batch)
    _check_statistics(average, batch)


@pytest.mark.parametrize("links", ["sampled", "steady", "frozen"])
def test_an_update_draws_no_random_number_and_leaves_the_model_as_it_is(batch, links):
    model = _model(links)
    average = AveragedModel(model, 0.9)
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    average.update(model, batch)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module.training for module in average.module.modules())
    assert all(
        norm.momentum == 0.1
        for norm in average.module.modules()
        if isinstance(norm, MaskedBatchNorm)
    )


@pytest.mark.parametrize(("links", "learns"), [("sampled", True), ("steady", False)])
def test_norms_of_the_inference_module_move_where_they_learn(batch, links, learns):
    model = _model(links)
    average = AveragedModel(model, 0.9)
    average.update(model, batch)
    moved = {
        name
        for (name, value), other in zip(
            average.module.named_buffers(), model.buffers(), strict=True
        )
        if name.endswith("running_mean") and not torch.equal(value, other)
    }
    assert any(not name.startswith("aim.") for name in moved)
    assert any(name.startswith("aim.") for name in moved) == learns
