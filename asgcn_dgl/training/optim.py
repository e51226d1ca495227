"""Gradient descent: which parameters decay, how the learning rate goes, and averages of weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from asgcn_dgl.data import Batch
from asgcn_dgl.models import ASGCN, STGCN, Forecaster
from asgcn_dgl.nn.norm import InputNorm, MaskedBatchNorm
from asgcn_dgl.training.config import AIMConfig, OptimConfig

SELDOM = 8  # steps between two batches that an averaged model sees, at most


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
    apart = [group for group in groups if group["aim"] and aim.joint_optimizer == "adam"]
    rest = [group for group in groups if not any(group is each for each in apart)]
    sgd = SGD(rest, lr=lr, momentum=options.momentum, nesterov=options.nesterov)
    if not apart:
        return sgd
    # As in the warm-up, without weight decay: Adam would divide it by the gradient's spread.
    return JoinedOptimizer([sgd, Adam([{**group, "weight_decay": 0.0} for group in apart])])


def learning_rate_factor(
    options: OptimConfig, steps_per_epoch: int, epochs: int
) -> Callable[[int], float]:
    """Return the factor on the learning rate as a function of the step, 0 for the first."""
    warmup = options.warmup_epochs * steps_per_epoch
    total = epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup if warmup >= 1 else 1.0
        if options.schedule == "cosine":
            done = (step - warmup) / max(1.0, total - warmup)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        if options.schedule == "step":
            falls = sum(step >= epoch * steps_per_epoch for epoch in options.milestones)
            return float(options.gamma**falls)
        return 1.0

    return factor


class AveragedModel(nn.Module):
    """Average of a model's weights over the steps of its training: ``module``, in evaluation mode.

    Averaged weights make features of other means and variances than the weights do that they are
    averages of, so neither the latest running statistics of the batch norms nor an average of them
    fits. The averaged model therefore sees a batch now and then and keeps its own. ``decay`` is the
    share of the average that stays in each step; None counts all steps alike.
    """

    n_averaged: Tensor

    def __init__(self, model: ASGCN | STGCN | Forecaster, decay: float | None) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.long))
        self._average = get_swa_multi_avg_fn() if decay is None else get_ema_multi_avg_fn(decay)
        # Norms that take a tenth of a new batch follow within ten batches; the weights, within
        # 1 / (1 - decay) steps.
        follows = SELDOM if decay is None else round(0.1 / (1 - decay))
        self.refresh_every = max(1, min(SELDOM, follows))

    @torch.no_grad()
    def follow(self, model: ASGCN | STGCN | Forecaster) -> None:
        """Take the weights of a model as they are, before the average begins."""
        self.module.load_state_dict(model.state_dict())

    @torch.no_grad()
    def update(self, model: ASGCN | STGCN | Forecaster, batch: Batch) -> None:
        """Move towards the weights of a model, after it has learned from a batch.

        Every ``refresh_every`` steps the batch norms that learn see the batch as well, without
        dropout or sampled links, so that no random number is used.
        """
        if self.n_averaged == 0:
            self.follow(model)
        else:
            own, new = list(self.module.parameters()), list(model.parameters())
            self._average(own, new, self.n_averaged)
        if self.n_averaged % self.refresh_every == 0:
            self._refresh(model, batch, seen=int(self.n_averaged) // self.refresh_every)
        self.n_averaged += 1

    def _refresh(self, model: ASGCN | STGCN | Forecaster, batch: Batch, seen: int) -> None:
        """Let the norms see a batch: the first counts whole, early ones are a plain mean."""
        learning = [
            mine
            for mine, its in zip(self.module.modules(), model.modules(), strict=True)
            if isinstance(mine, (MaskedBatchNorm, InputNorm)) and its.training
        ]
        if not learning:
            return
        rates = [norm.momentum for norm in learning]
        more = () if isinstance(self.module, Forecaster) else (batch.observed,)
        for norm, rate in zip(learning, rates, strict=True):
            norm.train()
            norm.momentum = max(rate or 0.0, 1 / (seen + 1))
        self.module(batch.structure, batch.feat, batch.mask, *more)
        for norm, rate in zip(learning, rates, strict=True):
            norm.eval()
            norm.momentum = rate
