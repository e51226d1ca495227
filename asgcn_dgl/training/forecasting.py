"""Training of a forecaster: windows drawn by chance, the loss, the Lightning module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset

from asgcn_dgl.data import Batch, Clip, EpochSampler, Reader
from asgcn_dgl.data.windows import Augment, WindowSet
from asgcn_dgl.models import Forecaster
from asgcn_dgl.training.config import ForecastConfig, OptimConfig, RunConfig
from asgcn_dgl.training.forecasts import ForecastScores, in_order, make_windows
from asgcn_dgl.training.modules import Phase
from asgcn_dgl.training.optim import AveragedModel, parameter_groups
from asgcn_dgl.training.scoring import length


def forecast_loss(
    future: Tensor,
    target: Tensor,
    mask: Tensor,
    last: Tensor,
    options: ForecastConfig | None = None,
) -> Tensor:
    r"""Mean distance of positions, and of steps from frame to frame, where both are known.

    .. math::

        L = \frac{1}{N} \sum_{i,t} w_t \left( \| \hat x_i^t - x_i^t \|
            + s \| \Delta \hat x_i^t - \Delta x_i^t \| \right), \quad
        w_t \propto t^{-p}, \quad \Delta x^t = x^t - x^{t-1}

    Parameters
    ----------
    future, target
        (N, T', d) forecast and true positions.
    mask
        (N, T') bool, where the truth is known.
    last
        (N, d) last observed pose, from which the first steps go.
    options
        ``speed_weight`` s and ``horizon_power`` p.

    Returns
    -------
    Tensor
        One number, in the unit of the positions; 0 where nothing is known.

    Examples
    --------
    >>> target, mask = torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool)
    >>> future = torch.tensor([[[3.0, 4.0, 0.0], [3.0, 4.0, 0.0]]])
    >>> options = ForecastConfig(speed_weight=0.5, horizon_power=0.0)
    >>> forecast_loss(future, target, mask, torch.zeros(1, 3), options).item()
    6.25
    """
    options = options or ForecastConfig()
    frames = target.shape[1]
    weight = torch.arange(1, frames + 1, device=future.device, dtype=future.dtype)
    weight = weight ** (-options.horizon_power)
    weight = weight / weight.mean()
    target = torch.where(mask.unsqueeze(-1), target, future.detach())
    error = length(future - target)
    if options.speed_weight:
        ours = torch.diff(torch.cat([last.unsqueeze(1), future], dim=1), dim=1)
        true = torch.diff(torch.cat([last.unsqueeze(1), target], dim=1), dim=1)
        before = torch.cat([mask[:, :1], mask[:, :-1]], dim=1)
        error = error + options.speed_weight * length(ours - true) * before
    return (error * weight * mask).sum() / mask.sum().clamp(min=1)


class _Batches(Dataset[Batch]):
    """Batches by number of epoch and batch."""

    def __init__(self, windows: WindowSet, model: Forecaster, config: RunConfig) -> None:
        self.windows, self.builder = windows, model.graph_builder
        self.size, self.seed = config.trainer.batch_size, config.trainer.seed
        self.shares = torch.from_numpy(windows.shares(config.forecast.balance))
        self.augment = Augment(
            flip=config.clips.flip,
            reverse=config.forecast.reverse,
            slow=config.forecast.slow,
            noise=config.clips.noise,
        )

    def __getitem__(self, number: tuple[int, int]) -> Batch:
        """Draw a batch; the same numbers give the same batch."""
        state = np.random.SeedSequence([self.seed, *number]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(state))
        chosen = torch.multinomial(self.shares, self.size, True, generator=generator)
        return self.windows.batch(chosen.numpy(), self.builder, self.augment, generator)


class ForecastData(pl.LightningDataModule):
    """Windows to learn from, drawn by chance, and windows to validate on, all of them in order.

    Parameters
    ----------
    model
        The forecaster.
    config
        Options of the run.
    train, val
        Recordings; ``val`` may be empty.
    """

    def __init__(
        self,
        model: Forecaster,
        config: RunConfig,
        train: Reader | Sequence[Clip],
        val: Reader | Sequence[Clip] = (),
    ) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.first_epoch = 0  # from which training continues
        self.train = _Batches(make_windows(train, config, every_start=True), model, config)
        self.val = make_windows(val, config) if len(val) else None

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of an epoch."""
        count = max(1, round(self.config.forecast.windows / self.train.size))
        numbers = EpochSampler(count, shuffle=False)
        numbers.set_epoch(self.first_epoch)
        return DataLoader(
            self.train,
            None,
            sampler=numbers,
            num_workers=self.config.clips.workers,
            generator=torch.Generator(),  # not the one that the links' noise is drawn from
        )

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Return the batches to validate on."""
        if self.val is None:
            return []
        size = self.config.trainer.eval_batch_size
        return in_order(self.val, self.model.graph_builder, size)


class ForecastTraining(Phase):
    """Train a forecaster on windows of recordings.

    Parameters
    ----------
    model
        The forecaster.
    optim
        Rates and schedule of AdamW; ``momentum`` and ``nesterov`` are not used.
    forecast
        The loss.
    **others
        ``class_names``, ``seed``, ``clips`` and ``record``, see :class:`JointTraining`.

    Examples
    --------
    >>> model = Forecaster("hand21", channels=[16])
    >>> module = ForecastTraining(model, OptimConfig(lr=1e-3, schedule="constant"))
    >>> type(module.make_optimizer()).__name__
    'AdamW'
    """

    number = 2
    label = "forecast"

    def __init__(
        self,
        model: Forecaster,
        optim: OptimConfig | None = None,
        forecast: ForecastConfig | None = None,
        **others: Any,
    ) -> None:
        super().__init__(model, **others)
        self.optim = optim or OptimConfig(lr=1e-3, weight_decay=1e-2)
        self.forecast = forecast or ForecastConfig()
        self.grad_clip = self.optim.grad_clip
        decay = self.optim.ema
        self.average = None if decay is None else AveragedModel(model, decay)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch, in units of ``motion_unit``."""
        future = self.model(batch.structure, batch.feat, batch.mask).future.float()
        loss = forecast_loss(future, batch.future, batch.future_mask, batch.last, self.forecast)
        self.need_finite(loss, "loss")
        self.running = {"loss": loss.detach()}
        self.log_parts("train", self.running, batch)
        return loss / self.model.config.motion_unit

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the averaged weights towards the new ones."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.average is not None:
            self.average.update(self.model, batch)

    def on_validation_epoch_start(self) -> None:
        """Start the scores."""
        size = max(layout.num_joints for layout in self.model.layouts)
        self.scores = ForecastScores(np.full((2, size), 1 / size))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a batch of windows."""
        out = self.evaluated()(batch.structure, batch.feat, batch.mask)
        self.scores.update(batch, out.future)

    def on_validation_epoch_end(self) -> None:
        """Log the mean error, and that of zero velocity."""
        found = self.scores.by_label()
        for name, half in (("mpjpe", 0), ("zero_velocity", 1)):
            errors = [each[half * len(each) // 2].mean() for each in found.values()]
            self.log(f"val/{name}", float(np.mean(errors)))

    def make_optimizer(self) -> Optimizer:
        """Return AdamW; biases, norms and masks do not decay."""
        groups = parameter_groups(
            self.model, lr=self.optim.lr, weight_decay=self.optim.weight_decay
        )
        return AdamW(groups, lr=self.optim.lr, betas=(0.9, 0.99))
