"""Training, evaluation and use of the models.

The Lightning modules and the data module work in a script of your own; ``train`` is what the
command runs. Names are imported when they are first asked for: configuration needs no torch, and
loading a model and predicting with it need no extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgcn_dgl.lazy import on_demand
from asgcn_dgl.training.config import (
    AIMConfig,
    ClipsConfig,
    ForecastConfig,
    OptimConfig,
    PredictionConfig,
    RunConfig,
    TrainerConfig,
)

if TYPE_CHECKING:
    from asgcn_dgl.training.checkpoint import Restored, load_model
    from asgcn_dgl.training.compare import fuse, list_runs
    from asgcn_dgl.training.datamodule import SkeletonDataModule
    from asgcn_dgl.training.files import read_history
    from asgcn_dgl.training.forecasting import ForecastData, ForecastTraining, forecast_loss
    from asgcn_dgl.training.lr_finder import find_lr
    from asgcn_dgl.training.modules import AIMWarmUp, JointTraining
    from asgcn_dgl.training.optim import AveragedModel
    from asgcn_dgl.training.predict import Prediction, predict_clip
    from asgcn_dgl.training.run import train
    from asgcn_dgl.training.scoring import PredictionScores, RecognitionScores, masked_mse
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "checkpoint": ("Restored", "load_model"),
            "compare": ("fuse", "list_runs"),
            "datamodule": ("SkeletonDataModule",),
            "files": ("read_history",),
            "forecasting": ("ForecastData", "ForecastTraining", "forecast_loss"),
            "lr_finder": ("find_lr",),
            "modules": ("AIMWarmUp", "JointTraining"),
            "optim": ("AveragedModel",),
            "predict": ("Prediction", "predict_clip"),
            "run": ("train",),
            "scoring": ("PredictionScores", "RecognitionScores", "masked_mse"),
        },
    )

__all__ = [
    "AIMConfig", "AIMWarmUp", "AveragedModel", "ClipsConfig", "DivergenceError", "ForecastConfig",
    "ForecastData", "ForecastTraining", "JointTraining", "OptimConfig", "Prediction",
    "PredictionConfig", "PredictionScores", "RecognitionScores", "Restored", "RunConfig",
    "SkeletonDataModule", "TrainerConfig", "find_lr", "forecast_loss", "fuse", "list_runs",
    "load_model", "masked_mse", "predict_clip", "read_history", "train",
]  # fmt: skip


class DivergenceError(RuntimeError):
    """Training has left the finite numbers; the last checkpoint is from before."""
