"""Gradient descent: which parameters decay, and how the learning rate goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from asgcn_dgl.training.config import AIMConfig, OptimConfig


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, aim_lr_scale: float = 1.0
) -> list[dict[str, Any]]:
    """Return the parameters of a model as groups for a torch optimizer, none of them empty.

    Matrices and convolution kernels decay; biases, norms and the edge masks M do not. ``aim`` marks
    the groups of ``model.aim``, whose rate is ``lr`` times ``aim_lr_scale``. What requires no
    gradient is left out.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # some norms and biases are matrices
            decays = parameter.ndim > 1 and not any(w in name for w in ("bias", "norm", "mask"))
            key = (name.startswith("aim."), decays)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr * (aim_lr_scale if aim else 1.0),
            "weight_decay": weight_decay if decays else 0.0,
            "aim": aim,
        }
        for (aim, decays), parameters in groups.items()
    ]


def sgd(groups: Iterable[dict[str, Any]], options: OptimConfig) -> SGD:
    """Make the optimizer that the options ask for."""
    return SGD(list(groups), lr=options.lr, momentum=options.momentum, nesterov=options.nesterov)


class JoinedOptimizer(Optimizer):
    """Several optimizers that step together and look like one to schedules, loops and files."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step of each."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of each."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        # Loading gives each part new groups: schedules must see those.
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def current_rates(optimizer: Optimizer) -> dict[str, float]:
    """Learning rates of now: ``lr``, and ``lr_aim`` where the inference module has another."""
    groups = optimizer.param_groups
    rest = [group["lr"] for group in groups if not group.get("aim")]
    own = [group["lr"] for group in groups if group.get("aim")]
    lr = float((rest or own)[0])
    return {"lr": lr, **({"lr_aim": float(own[0])} if own and own[0] != lr else {})}


def restore_options(
    optimizer: Optimizer, fresh: Optimizer, schedules: Iterable[LambdaLR] = ()
) -> None:
    """Give an optimizer that was loaded from a file the options of a fresh one; keep its state.

    Schedules continue from their step, with its new learning rates.
    """
    for group, own in zip(optimizer.param_groups, fresh.param_groups, strict=True):
        group.update({name: value for name, value in own.items() if name != "params"})
        group["initial_lr"] = own["lr"]
    for schedule in schedules:
        schedule.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        for group, factor in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(schedule.last_epoch)


def joint_optimizer(model: nn.Module, options: OptimConfig, aim: AIMConfig) -> Optimizer:
    """Make what moves the model in joint training; AIM may have an optimizer of its own."""
    lr, own = options.lr, aim.joint_lr
    if own is None:
        own = aim.lr if aim.joint_optimizer == "adam" else lr * aim.joint_lr_scale
    decay = options.weight_decay
    groups = parameter_groups(model, lr=lr, weight_decay=decay, aim_lr_scale=own / lr)
    apart = [group for group in groups if group["aim"]]
    if aim.joint_optimizer == "sgd" or not apart:
        return sgd(groups, options)
    rest = [group for group in groups if not group["aim"]]
    # As in the warm-up, without weight decay: Adam would divide it by the gradient's spread.
    return JoinedOptimizer([sgd(rest, options), Adam([{**g, "weight_decay": 0.0} for g in apart])])


def learning_rate_factor(
    options: OptimConfig, steps_per_epoch: int, epochs: int
) -> Callable[[int], float]:
    """Return the factor on the learning rate as a function of the step, 0 for the first.

    Examples
    --------
    >>> factor = learning_rate_factor(OptimConfig(warmup_epochs=2), steps_per_epoch=10, epochs=10)
    >>> [round(factor(step), 3) for step in (0, 9, 19, 60, 100)]
    [0.05, 0.5, 1.0, 0.5, 0.0]
    >>> options = OptimConfig(schedule="step", milestones=[2, 4], warmup_epochs=0)
    >>> factor = learning_rate_factor(options, steps_per_epoch=10, epochs=5)
    >>> [round(factor(step), 3) for step in (0, 19, 20, 40)]
    [1.0, 1.0, 0.1, 0.01]
    """
    warmup = options.warmup_epochs * steps_per_epoch
    total = epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup if warmup >= 1 else 1.0
        if options.schedule == "cosine":
            done = (step - warmup) / max(1.0, total - warmup)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        if options.schedule == "step":
            return float(
                options.gamma ** sum(step >= e * steps_per_epoch for e in options.milestones)
            )
        return 1.0

    return factor
