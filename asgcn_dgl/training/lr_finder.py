"""A learning rate to begin with: what the loss does while the rate rises (Smith, WACV 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import write_json
from asgcn_dgl.training.build import build_model, check_devices, set_threads
from asgcn_dgl.training.clips import ClipsModule
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.errors import DivergenceError
from asgcn_dgl.training.modules import JointTraining
from asgcn_dgl.training.optim import scaled_lr
from asgcn_dgl.training.progress import progress_wanted, quiet_lightning
from asgcn_dgl.training.report import columns

__all__ = ["find_lr", "suggest"]

SMOOTHING = 0.9
BLOWN_UP = 4.0  # times the least loss: no need to go on
CLEAR_FALL = 0.05  # of the first loss: less may be noise


def find_lr(
    config: RunConfig,
    *,
    lowest: float = 1e-4,
    highest: float = 2.0,
    steps: int = 100,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Train jointly from new weights while the learning rate rises step by step; print a table.

    The inference module is not warmed up, and what was trained is thrown away.

    Parameters
    ----------
    config
        Options of the run; all of its learning rates keep their ratio.
    lowest, highest
        First and last learning rate.
    steps
        Steps of the optimiser, at most.
    out
        File to write the result to as JSON.

    Returns
    -------
    dict
        ``lr`` and ``loss`` (smoothed) of each step, and ``suggestion``, the value for
        ``optim.lr``: with ``optim.base_batch`` training scales it by the clips of a step.

    Raises
    ------
    InputError
        If the options or the data cannot be used.
    """
    if not 0 < lowest < highest or steps < 2:
        raise InputError(
            f"--lowest must be positive and below --highest, --steps at least 2; got {lowest}, "
            f"{highest} and {steps}"
        )
    check_devices(config)
    set_threads(config)
    clips = ClipsModule(config, progress_wanted(config))
    names = list(clips.set.class_names)
    model = build_model(config, clips.set.layouts, len(names), clips.num_dims)
    clips.prepare_joint(model)
    rates = [lowest * (highest / lowest) ** (n / (steps - 1)) for n in range(steps)]
    sweep = _Sweep([rate / scaled_lr(config) for rate in rates])
    with quiet_lightning():
        trainer = pl.Trainer(
            max_steps=steps,
            max_epochs=-1,
            accelerator=config.trainer.accelerator,
            devices=1,
            precision=config.trainer.precision,
            accumulate_grad_batches=config.trainer.accumulate,
            callbacks=[sweep],
            logger=False,
            limit_val_batches=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(JointTraining(model, config, names), datamodule=clips)
        except DivergenceError:
            pass  # rates beyond are of no use, which is what was to be found out
        except SystemExit as stop:
            raise KeyboardInterrupt from stop
    losses = smoothed(sweep.losses)
    if len(losses) < 2:
        raise InputError(f"training diverges at once; begin with --lowest below {lowest:g}")
    scale = scaled_lr(config) / config.optim.lr
    result = {
        "lr": rates[: len(losses)],
        "loss": losses,
        "suggestion": suggest(rates[: len(losses)], losses) / scale,
    }
    print(_table(result))
    if out is not None:
        write_json(out, result)
    return result


class _Sweep(Callback):
    """Set the learning rate before each step, and note the loss after it."""

    def __init__(self, factors: Sequence[float]) -> None:
        self.factors = factors
        self.losses: list[float] = []
        self._base: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._base = [float(group["initial_lr"]) for group in trainer.optimizers[0].param_groups]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        factor = self.factors[min(trainer.global_step, len(self.factors) - 1)]
        for group, base in zip(trainer.optimizers[0].param_groups, self._base, strict=True):
            group["lr"] = factor * base

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if trainer.global_step == len(self.losses):
            return  # a piece of a step
        running = pl_module.running
        assert isinstance(running, dict)
        self.losses.append(float(running["loss"]))
        known = smoothed(self.losses)
        if len(known) > 10 and known[-1] > BLOWN_UP * min(known):
            trainer.should_stop = True


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the running mean of losses, without the pull of its beginning.

    Examples
    --------
    >>> [round(loss, 6) for loss in smoothed([2.0, 2.0, 2.0])]
    [2.0, 2.0, 2.0]
    """
    mean, found = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Return the learning rate at which the loss falls fastest, before it is least.

    Parameters
    ----------
    rates
        Rising learning rates, evenly spaced in their logarithm.
    losses
        Smoothed loss at each.

    Examples
    --------
    >>> suggest([0.001, 0.01, 0.1, 1.0], [3.0, 2.9, 1.0, 8.0])
    0.1
    """
    least = min(range(len(losses)), key=lambda n: losses[n])
    falls = [losses[n] - losses[n - 1] for n in range(1, least + 1)]
    if not falls:
        return rates[0]
    return rates[1 + min(range(len(falls)), key=lambda n: falls[n])]


def _table(result: dict[str, Any], rows: int = 12) -> str:
    count = len(result["lr"])
    chosen = sorted({round(n * (count - 1) / (rows - 1)) for n in range(rows)})
    lines = columns(
        [
            ("learning rate", "loss"),
            *((f"{result['lr'][n]:.3g}", f"{result['loss'][n]:.4f}") for n in chosen),
        ],
        words=0,
    )
    digits = 1 - math.floor(math.log10(result["suggestion"]))
    found = round(result["suggestion"], digits)
    advice = f"the loss falls fastest where optim.lr is {found:g}: try --optim.lr {found:g}"
    if min(result["loss"]) > (1 - CLEAR_FALL) * result["loss"][0]:
        advice += (
            f", but with doubt: it falls by less than {CLEAR_FALL:.0%} over the whole sweep; take "
            "more --steps"
        )
    return "\n".join([*lines, advice])
