from __future__ import annotations

import pytest

from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.config import OptimConfig
from asgcn_dgl.training.optim import learning_rate_factor, parameter_groups, sgd


@pytest.fixture(scope="module")
def model():
    return ASGCN(
        get_layout("hand21"), 3, channels=(8, 8), strides=(1, 2), max_hop=1, num_actional=1,
        aim_hidden=8, bias=True, future_channels=8,
    )  # fmt: skip


def test_decay_spares_norms_biases_and_masks(model):
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, lr=0.1, weight_decay=5e-4, aim_lr_scale=0.5)
    spared = [names[p] for group in groups if not group["weight_decay"] for p in group["params"]]
    decaying = [names[p] for group in groups if group["weight_decay"] for p in group["params"]]
    assert sorted(spared + decaying) == sorted(names.values())
    assert all("norm" not in name and "mask" not in name for name in decaying)
    assert all(not name.endswith("bias") for name in decaying)
    assert any("mask" in name for name in spared)
    assert "recognition.linear.weight" in decaying


def test_inference_module_has_its_own_learning_rate(model):
    names = {parameter: name for name, parameter in model.named_parameters()}
    for group in parameter_groups(model, lr=0.1, weight_decay=0.0, aim_lr_scale=0.5):
        aim = {names[parameter].startswith("aim.") for parameter in group["params"]}
        assert len(aim) == 1
        assert group["lr"] == pytest.approx(0.05 if aim == {True} else 0.1)


def test_frozen_parameters_are_left_out(model):
    model.aim.requires_grad_(False)
    try:
        groups = parameter_groups(model, lr=0.1, weight_decay=0.0)
        kept = sum(len(group["params"]) for group in groups)
        assert kept == sum(not n.startswith("aim.") for n, _ in model.named_parameters())
    finally:
        model.aim.requires_grad_(True)


def test_sgd_takes_the_options(model):
    optimizer = sgd(parameter_groups(model, lr=0.1, weight_decay=1e-4), OptimConfig(momentum=0.8))
    assert all(group["nesterov"] for group in optimizer.param_groups)
    assert all(group["momentum"] == 0.8 for group in optimizer.param_groups)


def test_constant_schedule_warms_up():
    options = OptimConfig(schedule="constant", warmup_epochs=0.5)
    factor = learning_rate_factor(options, steps_per_epoch=4, epochs=3)
    assert [factor(step) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


def test_cosine_falls_all_the_way_and_never_below():
    factor = learning_rate_factor(OptimConfig(warmup_epochs=0), steps_per_epoch=5, epochs=4)
    values = [factor(step) for step in range(25)]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[20] == pytest.approx(0)
    assert min(values) >= 0
