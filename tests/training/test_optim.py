from __future__ import annotations

import copy

import pytest
import torch

from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.config import AIMConfig, OptimConfig, RunConfig
from asgcn_dgl.training.optim import (
    JoinedOptimizer,
    joint_optimizer,
    learning_rate_factor,
    parameter_groups,
)


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
    optimizer = joint_optimizer(model, OptimConfig(momentum=0.8), AIMConfig())
    assert all(group["nesterov"] for group in optimizer.param_groups)
    assert all(group["momentum"] == 0.8 for group in optimizer.param_groups)


def test_constant_schedule_warms_up():
    options = OptimConfig(schedule="constant", warmup_epochs=0.5)
    factor = learning_rate_factor(options, steps_per_epoch=4, epochs=3)
    assert [factor(step) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


def test_steps_fall_at_milestones_and_cosine_after_the_warmup():
    options = OptimConfig(schedule="step", milestones=[2, 4], warmup_epochs=0)
    factor = learning_rate_factor(options, steps_per_epoch=10, epochs=5)
    assert [round(factor(step), 3) for step in (0, 19, 20, 40)] == [1.0, 1.0, 0.1, 0.01]
    factor = learning_rate_factor(OptimConfig(warmup_epochs=2), steps_per_epoch=10, epochs=10)
    assert [round(factor(step), 3) for step in (0, 9, 19, 60, 100)] == [0.05, 0.5, 1.0, 0.5, 0.0]


def test_cosine_falls_all_the_way_and_never_below():
    factor = learning_rate_factor(OptimConfig(warmup_epochs=0), steps_per_epoch=5, epochs=4)
    values = [factor(step) for step in range(25)]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[20] == pytest.approx(0)
    assert min(values) >= 0


def made(model, **options):
    return joint_optimizer(model, OptimConfig(), AIMConfig(**options))


def rates(optimizer, model):
    """Learning rates of AIM's parameters and of the others."""
    aim = {id(p) for name, p in model.named_parameters() if name.startswith("aim.")}
    found = {True: set(), False: set()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            found[id(parameter) in aim].add(group["lr"])
    return found[True], found[False]


def test_aim_may_have_an_optimiser_and_a_rate_of_its_own(model):
    optimizer = made(model, joint_optimizer="adam", lr=3e-4)
    assert [type(part) for part in optimizer.parts] == [torch.optim.SGD, torch.optim.Adam]
    assert rates(optimizer, model) == ({3e-4}, {0.1})
    assert rates(made(model, joint_optimizer="adam", joint_lr=1e-3), model)[0] == {1e-3}
    ours, rest = rates(made(model, joint_optimizer="sgd", joint_lr=0.02), model)
    assert (list(ours), rest) == ([pytest.approx(0.02)], {0.1})
    model.aim.requires_grad_(False)
    try:
        assert type(made(model, joint_optimizer="adam")) is torch.optim.SGD
    finally:
        model.aim.requires_grad_(True)


def test_rate_grows_with_the_clips_of_a_step(model):
    config = RunConfig()
    config.optim.base_batch, config.trainer.batch_size = 8, 16
    assert rates(joint_optimizer(model, config.scaled_optim, config.aim), model)[1] == {0.2}


def steps_of(optimizer, schedule, parameters, seed, count):
    torch.manual_seed(seed)
    for _ in range(count):
        optimizer.zero_grad()
        sum((p * torch.randn_like(p)).sum() for p in parameters).backward()
        optimizer.step()
        schedule.step()


def test_joined_optimisers_step_as_they_do_alone_and_go_on_from_a_file(tmp_path):
    torch.manual_seed(0)
    start = [torch.randn(3), torch.randn(3)]

    def made():
        parameters = [torch.nn.Parameter(tensor.clone()) for tensor in start]
        optimizer = JoinedOptimizer(
            [torch.optim.SGD(parameters[:1], 0.1, momentum=0.9), torch.optim.Adam(parameters[1:])]
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
        return parameters, optimizer, schedule

    whole, optimizer, schedule = made()
    steps_of(optimizer, schedule, whole, 1, 2)
    state = (copy.deepcopy([p.data for p in whole]), optimizer.state_dict(), schedule.state_dict())
    torch.save(state, tmp_path / "state.pt")
    steps_of(optimizer, schedule, whole, 2, 2)
    parts, optimizer, schedule = made()
    kept, *states = torch.load(tmp_path / "state.pt", weights_only=True)
    for parameter, value in zip(parts, kept, strict=True):
        parameter.data = value
    optimizer.load_state_dict(states[0])
    schedule.load_state_dict(states[1])
    steps_of(optimizer, schedule, parts, 2, 2)
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))
    # The schedule reaches each part: four halvings of 0.1 and 0.001.
    assert [part.param_groups[0]["lr"] for part in optimizer.parts] == [0.1 / 16, 0.001 / 16]
    alone = torch.nn.Parameter(start[0].clone())
    sgd_alone = torch.optim.SGD([alone], 0.1, momentum=0.9)
    other = torch.nn.Parameter(start[1].clone())
    for seed, step in ((1, 0), (1, 1), (2, 2), (2, 3)):
        if step in (0, 2):
            torch.manual_seed(seed)
        sgd_alone.param_groups[0]["lr"] = 0.1 * 0.5**step
        sgd_alone.zero_grad()
        ((alone * torch.randn(3)).sum() + (other * torch.randn(3)).sum()).backward()
        sgd_alone.step()
    torch.testing.assert_close(alone, whole[0])
