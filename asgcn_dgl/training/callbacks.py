"""Callbacks: checkpoints at the end of an epoch, a line in the log, figures as data."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, Checkpoint, TQDMProgressBar

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import append_line
from asgcn_dgl.training.checkpoint import write_checkpoint
from asgcn_dgl.training.optim import current_rates
from asgcn_dgl.training.parallel import is_main
from asgcn_dgl.training.report import to_go

#: Seconds of a first epoch after which its pace is said.
PACE_AFTER = 15.0


def say(file: Path, text: str, bar: TQDMProgressBar | None = None) -> None:
    """Print a line, above a progress bar, and add it to the log file; in the first process only."""
    if not is_main():
        return
    if bar is not None:
        bar.print(text)
    else:
        print(text, flush=True)
    append_line(file, text)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the figures of the latest batch, where its own come once an epoch."""

    clips = 0  # of the latest batch

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Update the bar, and note the number of clips."""
        self.clips = len(batch) * trainer.world_size
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what the bar shows."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)  # the version of the log, which is the name of the phase
        running = getattr(pl_module, "running", {})
        rate = self.train_progress_bar.format_dict["rate"]
        if rate:
            shown["clips/s"] = f"{self.clips * rate:.3g}"
        return {**shown, **{name: f"{value.item():.3g}" for name, value in running.items()}}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written whole or not at all."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write ``checkpoint`` beside ``path``, then put it in its place."""
        folder = Path(path).parent
        if not folder.is_dir():  # it was made when training began
            raise InputError(f"{folder}: the folder was removed while training; train again")
        write_checkpoint(Path(path), checkpoint)


class SaveCheckpoints(Checkpoint):
    """Write ``<last>.ckpt`` after each epoch, and ``best.ckpt`` when validation is best so far.

    Best is the highest top-1, then the lowest validation loss, then the first. After ``patience``
    validations without a better one training stops. Lightning's ModelCheckpoint stores absolute
    paths, so that a moved run does not resume cleanly, and has no tie-break, which small sets need.
    """

    def __init__(
        self, folder: Path, last: str = "last", best: bool = True, patience: int | None = None
    ) -> None:
        self.folder = folder
        self.last = last
        self.best = best
        self.patience = patience
        self.best_score = (-math.inf, -math.inf)
        self.waited = 0

    @property
    def exhausted(self) -> bool:
        """Whether patience is exhausted."""
        return self.patience is not None and self.waited >= self.patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoints of the epoch."""
        every = trainer.check_val_every_n_epoch or 1
        validated = (trainer.current_epoch + 1) % every == 0
        if self.best and validated and "val/top1" in trainer.callback_metrics:
            metrics = trainer.callback_metrics
            score = (float(metrics["val/top1"]), -float(metrics["val/loss"]))
            self.waited = 0 if score > self.best_score else self.waited + 1
            if score > self.best_score:
                self.best_score = score
                trainer.save_checkpoint(self.folder / "best.ckpt")
            if self.exhausted:
                trainer.should_stop = True
        trainer.save_checkpoint(self.folder / f"{self.last}.ckpt")

    def state_dict(self) -> dict[str, Any]:
        """Return the best score so far, and since when."""
        return {"best_score": list(self.best_score), "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the best score so far."""
        top1, loss = state_dict["best_score"]
        self.best_score = (top1, loss)
        self.waited = int(state_dict.get("waited", 0))


class EpochLog(Callback):
    """Print and log a line for each epoch; write its figures as data; count the seconds.

    ``history`` gets a line of JSON for each epoch: ``phase``, ``epoch`` from 1, and the figures.
    """

    def __init__(
        self,
        file: Path,
        label: str,
        bar: TQDMProgressBar | None = None,
        history: Path | None = None,
    ) -> None:
        self.file = file
        self.history = history
        self.label = label
        self.bar = bar
        self.seconds = 0.0
        self.begun = False  # whether training has, in this sitting
        self._started = 0.0
        self._clips = 0
        self._paced = False  # whether the pace of the first epoch has been said

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.begun = True
        self._started = time.perf_counter()
        self._clips = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the clips; where the first epoch of a sitting is long, say how long."""
        seconds = time.perf_counter() - self._started
        if batch_idx and seconds > PACE_AFTER and not self._paced:
            self._paced = True
            batches = trainer.num_training_batches
            left = to_go(seconds / batch_idx * (batches - batch_idx))
            epoch = f"{self.label} epoch {trainer.current_epoch + 1}"
            text = f"{epoch}: {batch_idx} of {batches} batches"
            say(self.file, f"{text}, {self._clips / seconds:.3g} clips/s, {left} to go", self.bar)
        self._clips += len(batch) * trainer.world_size

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print and keep the line of the epoch."""
        self._paced = True
        seconds = time.perf_counter() - self._started
        self.seconds += seconds
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = self._clips / seconds
        pace = [f"{rate:.{0 if rate >= 10 else 1}f} clips/s"]
        if epoch < epochs:
            pace.append(f"{to_go(seconds * (epochs - epoch))} of {self.label} to go")
        parts = [
            f"{self.label} epoch {epoch:>{len(str(epochs))}}/{epochs}",
            f"{seconds:.1f} s ({', '.join(pace)})",
            "train " + _figures(metrics, "train/"),
        ]
        if epoch % (trainer.check_val_every_n_epoch or 1):  # figures of an earlier validation
            metrics = {name: v for name, v in metrics.items() if not name.startswith("val/")}
        if any(name.startswith("val/") for name in metrics):
            parts.append("val " + _figures(metrics, "val/"))
        rates = current_rates(trainer.optimizers[0])
        parts += [f"{name} {value:.2g}" for name, value in rates.items()]
        say(self.file, "  ".join(parts), self.bar)
        if self.history is not None and is_main():
            line = {"phase": self.label, "epoch": epoch, **metrics, **rates, "seconds": seconds}
            append_line(self.history, json.dumps(line))
        speed = {**rates, "clips_per_second": rate}
        for logger in trainer.loggers:
            logger.log_metrics(speed, step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the seconds so far."""
        self.seconds = state_dict["seconds"]


def _figures(metrics: dict[str, float], prefix: str) -> str:
    """Return the figures of a stage: ``loss 1.2345 top1 87.50``."""
    return " ".join(
        f"{name.removeprefix(prefix)} {value:.{2 if 'top' in name or 'class' in name else 4}f}"
        for name, value in sorted(metrics.items())
        if name.startswith(prefix)
    )
