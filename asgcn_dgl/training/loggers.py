"""Lightning's loggers of a run: CSV files always, TensorBoard and others as asked."""

from __future__ import annotations

import os
from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.mlflow import MLFlowLogger

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short
from asgcn_dgl.training.config import LoggerName

PROJECT = "asgcn_dgl"
#: What is installed for a logger. MLflow as a whole asks for an older pandas.
_PACKAGES = {"wandb": "wandb", "mlflow": "mlflow-skinny"}


def check_loggers(names: Collection[LoggerName]) -> str:
    """Refuse loggers whose package cannot be used; return a line for the log, or ``""``."""
    for name, package in _PACKAGES.items():
        if name not in names:
            continue
        what = "is not installed"
        if find_spec(name) is not None:
            try:
                import_module(name)
                continue
            except Exception as error:  # of another package that does not go with it
                what = f"cannot be imported ({in_short(error)})"
        raise InputError(f"trainer.loggers: {name} {what}; pip install {package}, or leave it out")
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
    if "tensorboard" in names and find_spec("tensorboard") is not None and _is_text(folder):
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


def _is_text(folder: Path) -> bool:
    """Tell whether TensorBoard can write the folder's name."""
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def close_loggers(loggers: Collection[Logger]) -> None:
    """End what would otherwise receive the figures of the next phase too."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
