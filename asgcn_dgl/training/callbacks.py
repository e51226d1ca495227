"""What watches a training: checkpoints, the log, bars, Lightning's loggers, pictures of A-links."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, Checkpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.mlflow import MLFlowLogger

from asgcn_dgl.data import Batch
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import append_line, in_short
from asgcn_dgl.nn import AIM
from asgcn_dgl.training.build import is_main
from asgcn_dgl.training.checkpoint import write_checkpoint
from asgcn_dgl.training.config import LoggerName
from asgcn_dgl.training.optim import current_rates
from asgcn_dgl.training.report import to_go

PACE_AFTER = 15.0  # seconds of a first epoch after which its pace is said
CELL = 8  # pixels of a pair of joints
MARGIN = 8  # pixels between the types
PROJECT = "asgcn_dgl"
#: What is installed for a logger. MLflow as a whole asks for an older pandas.
_PACKAGES = {"wandb": "wandb", "mlflow": "mlflow-skinny"}
#: Advice of Lightning against what was chosen on purpose: clips are small, and 0 workers often the
#: fastest; a frozen inference module has no noise; the range test of rates does not validate; and
#: Lightning 2.6 asks torch 2.13 in a way that torch is about to drop.
_UNWANTED = (
    *(".*does not have many workers.*", ".*in eval mode at the start of training.*"),
    *(".*have no `val_dataloader`.*", ".*LeafSpec.*is deprecated.*"),
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning from greeting and from unwanted advice."""
    logger = logging.getLogger("pytorch_lightning")
    level, hook = logger.level, threading.excepthook
    with warnings.catch_warnings():
        for message in _UNWANTED:
            warnings.filterwarnings("ignore", message=message)
        logger.setLevel(logging.WARNING)
        threading.excepthook = _quiet_thread
        try:
            yield
        finally:
            logger.setLevel(level)
            threading.excepthook = hook


def _quiet_thread(given: threading.ExceptHookArgs) -> None:
    """Print no traceback of TensorBoard's thread on a full disk: its writer raises the error."""
    if not issubclass(given.exc_type, OSError):
        threading.__excepthook__(given)


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
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Update the bar, and note the number of clips."""
        self.clips = len(batch) * trainer.world_size
        super().on_train_batch_end(trainer, module, outputs, batch, index)

    def get_metrics(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """Return what the bar shows."""
        shown: dict[str, Any] = super().get_metrics(trainer, module)
        shown.pop("v_num", None)  # the version of the log, which is the name of the phase
        rate = self.train_progress_bar.format_dict["rate"]
        if rate:
            shown["clips/s"] = f"{self.clips * rate:.3g}"
        running = getattr(module, "running", {})
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
        self.folder, self.last, self.best, self.patience = folder, last, best, patience
        self.best_score = (-math.inf, -math.inf)
        self.waited = 0

    @property
    def exhausted(self) -> bool:
        """Whether patience is exhausted."""
        return self.patience is not None and self.waited >= self.patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoints of the epoch."""
        metrics = trainer.callback_metrics
        if self.best and _validated(trainer) and "val/top1" in metrics:
            score = (float(metrics["val/top1"]), -float(metrics["val/loss"]))
            self.waited += 1
            if score > self.best_score:
                self.best_score, self.waited = score, 0
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


def _validated(trainer: pl.Trainer) -> bool:
    """Tell whether the epoch that ends was validated; else figures are of an earlier one."""
    return (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0


class EpochLog(Callback):
    """Print and log a line for each epoch; write its figures as data; count the seconds.

    ``history`` gets a line of JSON for each epoch: ``phase``, ``epoch`` from 1, and the figures.
    """

    def __init__(self, file: Path, label: str, bar: TQDMProgressBar | None, history: Path) -> None:
        self.file, self.label, self.bar, self.history = file, label, bar, history
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
        rate = self._clips / seconds
        pace = f"{rate:.{0 if rate >= 10 else 1}f} clips/s"
        if epoch < epochs:
            pace += f", {to_go(seconds * (epochs - epoch))} of {self.label} to go"
        parts = [
            f"{self.label} epoch {epoch:>{len(str(epochs))}}/{epochs}",
            f"{seconds:.1f} s ({pace})",
        ]
        metrics = {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if _validated(trainer) or not name.startswith("val/")
        }
        for stage in ("train", "val"):
            own = [name for name in metrics if name.startswith(f"{stage}/")]
            figures = [f"{name.partition('/')[2]} {_figure(name, metrics[name])}" for name in own]
            parts += [" ".join([stage, *figures])] if own or stage == "train" else []
        rates = current_rates(trainer.optimizers[0])
        parts += [f"{name} {value:.2g}" for name, value in rates.items()]
        say(self.file, "  ".join(parts), self.bar)
        if is_main():
            line = {"phase": self.label, "epoch": epoch, **metrics, **rates, "seconds": seconds}
            append_line(self.history, json.dumps(line))
        for logger in trainer.loggers:
            logger.log_metrics({**rates, "clips_per_second": rate}, step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the seconds so far."""
        self.seconds = state_dict["seconds"]


def _figure(name: str, value: float) -> str:
    return f"{value:.2f}" if "top" in name or "class" in name else f"{value:.4f}"


# Loggers ------------------------------------------------------------------------------------------


def check_loggers(names: Collection[LoggerName]) -> str:
    """Refuse loggers whose package cannot be used; return a line for the log, or ``""``."""
    for name in (each for each in _PACKAGES if each in names):
        try:
            import_module(name)
        except Exception as error:  # also of another package that does not go with it
            missing = isinstance(error, ModuleNotFoundError) and error.name == name
            what = "is not installed" if missing else f"cannot be imported ({in_short(error)})"
            raise InputError(
                f"trainer.loggers: {name} {what}; pip install {_PACKAGES[name]}, or leave it out"
            ) from error
    if "tensorboard" in names and find_spec("tensorboard") is None:
        return "TensorBoard is not installed: the figures of the epochs are in csv/ alone"
    return ""


def make_loggers(names: Collection[LoggerName], folder: Path, phase: str) -> list[Logger]:
    """Return the loggers of a phase of training ('aim' or 'joint'): CSV, and ``names``.

    CSV files go to ``csv/PHASE/version_N`` of the run's folder, one for each time that the phase
    was started or resumed; TensorBoard's to ``tensorboard/PHASE``; W&B's and, without a
    ``MLFLOW_TRACKING_URI``, MLflow's there too.
    """
    loggers: list[Logger] = []
    title = f"{folder.resolve().name} {phase}"
    path = str(folder.absolute())
    writable = path == path.encode(errors="ignore").decode()  # as TensorBoard writes it
    if "tensorboard" in names and find_spec("tensorboard") is not None and writable:
        loggers.append(
            TensorBoardLogger(folder, name="tensorboard", version=phase, default_hp_metric=False)
        )
    loggers.append(CSVLogger(folder, name=f"csv/{phase}"))
    if "wandb" in names:
        loggers.append(WandbLogger(name=title, save_dir=folder, project=PROJECT, group=str(folder)))
    if "mlflow" in names:
        # Without it MLflow 3 writes to databases and servers alone.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        loggers.append(MLFlowLogger(PROJECT, run_name=title, save_dir=str(folder / "mlruns")))
    return loggers


def close_loggers(loggers: Collection[Logger]) -> None:
    """End what would otherwise receive the figures of the next phase too."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


# Pictures -----------------------------------------------------------------------------------------


@torch.no_grad()
def mean_links(aim: AIM, batches: Sequence[Batch]) -> npt.NDArray[np.float64]:
    """Return the mean probability of each type between two joints, (C, V, V), without noise.

    Entry [c, i, j] is the link of type c + 1 from joint j to joint i. Each batch is a clip of one
    unit (a body, or all bodies where links join them); units of another size than the first are
    left out.
    """
    found: list[npt.NDArray[np.float64]] = []
    like = next(aim.parameters())
    for batch in batches:
        batch = batch.to(like.device)
        prob = aim(batch.structure, batch.feat.to(like.dtype), batch.mask).prob[:, 1:].double()
        joints = len(batch.feat)
        if int(batch.structure.num_pairs) != joints * (joints - 1):  # not one unit, but bodies
            joints //= int(batch.num_bodies.sum())
        rows = prob.view(-1, joints * (joints - 1), prob.shape[1]).mean(dim=0)  # of the units
        mean = np.zeros((prob.shape[1], joints, joints))
        mean[:, ~np.eye(joints, dtype=bool)] = rows.t().cpu().numpy()
        if not found or mean.shape == found[0].shape:
            found.append(mean)
    return np.mean(found, axis=0)


def links_image(links: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return matrices (C, V, V) side by side as gray levels, each scaled to its largest entry.

    A row of cells is a receiving joint.
    """
    panels: list[npt.NDArray[np.uint8]] = []
    for matrix in links:
        level = np.round(255 * matrix / max(float(matrix.max()), 1e-12)).astype(np.uint8)
        gap = np.full((len(matrix) * CELL, MARGIN), 255, dtype=np.uint8)
        panels += [gap, np.kron(level, np.ones((CELL, CELL), dtype=np.uint8))]
    return np.concatenate(panels[1:], axis=1)


class LinkPictures(Callback):
    """Log a picture of the mean A-links, and their strength, to TensorBoard after each epoch."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        loggers = [each for each in trainer.loggers if isinstance(each, TensorBoardLogger)]
        if not trainer.is_global_zero or not loggers:
            return
        logger = loggers[0]
        model = pl_module.model
        assert isinstance(model, torch.nn.Module) and isinstance(model.aim, AIM)
        model.aim.eval()
        links = mean_links(model.aim, self.batches)
        model.train()  # with links that are not sampled this leaves AIM in evaluation mode
        step = trainer.current_epoch + 1
        logger.experiment.add_image("a_links", links_image(links)[None], step)
        off = ~np.eye(links.shape[1], dtype=bool)
        for number, matrix in enumerate(links, start=1):
            logger.experiment.add_scalar(f"a_links/type_{number}", matrix[off].mean(), step)
