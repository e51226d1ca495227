"""A learning rate to start from, by Lightning's range test (Smith, WACV 2017)."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.tuner import Tuner
from torch import Tensor

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import check_target, write_json
from asgcn_dgl.training.build import (
    build_model,
    check_devices,
    precision_of,
    progress_wanted,
    set_threads,
)
from asgcn_dgl.training.callbacks import quiet_lightning
from asgcn_dgl.training.clips import RunClips, run_layouts
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.modules import JointTraining
from asgcn_dgl.training.report import columns
from asgcn_dgl.training.run import joint_phase

CLEAR_FALL = 0.05  # of the first loss: less may be noise
ROWS = 12  # of the printed table


def find_lr(
    config: RunConfig,
    *,
    lowest: float = 1e-4,
    highest: float = 2.0,
    steps: int = 100,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Train jointly from new weights while the learning rate rises step by step; print a table.

    The inference module is neither warmed up nor trained, and what was trained is discarded. Of at
    most ``steps`` optimizer steps from ``lowest`` to ``highest`` the result, also written to the
    JSON file ``out``, has ``lr`` and ``loss`` (smoothed), and ``suggestion``, the value for
    ``optim.lr``: with ``optim.base_batch`` training scales it by the clips of a step. InputError
    for wrong options or a training that diverges at the first steps.
    """
    if not 0 < lowest < highest or steps < 2:
        raise InputError(
            f"--lowest must be positive and below --highest, --steps at least 2; got {lowest}, "
            f"{highest} and {steps}"
        )
    if config.model.name == "forecaster":
        raise InputError("find-lr is for models that recognize; give --model.name asgcn")
    if out is not None:
        check_target(out)
    check_devices(config)
    set_threads(config)
    clips = RunClips(config, progress_wanted(config))
    model = build_model(
        config, run_layouts(config, clips.set), len(clips.set.class_names), clips.num_dims
    )
    model.set_link_mode("frozen")
    module, data = joint_phase(clips, model, kind=_Sweep)
    off: Any = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    with quiet_lightning(), tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_steps=steps,
            max_epochs=-1,
            accelerator=config.trainer.accelerator,
            devices=1,
            precision=precision_of(config)[0],
            accumulate_grad_batches=config.trainer.accumulate,
            default_root_dir=folder,
            **off,
        )
        sweep: Any = {"min_lr": lowest, "max_lr": highest, "num_training": steps}
        try:
            found = Tuner(trainer).lr_find(
                module, data.train_dataloader(), update_attr=False, **sweep
            )
        except SystemExit as stop:
            raise KeyboardInterrupt from stop
    assert found is not None
    pairs = zip(found.results["lr"], found.results["loss"], strict=True)
    curve = [(lr, loss) for lr, loss in pairs if math.isfinite(loss)]
    suggestion = found.suggestion(skip_begin=min(10, len(curve) // 10), skip_end=1)
    if suggestion is None:
        raise InputError(f"training diverges at once; begin with --lowest below {lowest:g}")
    result = {
        "lr": [lr for lr, _ in curve],
        "loss": [loss for _, loss in curve],
        "suggestion": suggestion * config.optim.lr / config.scaled_optim.lr,
    }
    print(_table(result))
    if out is not None:
        write_json(out, result)
    return result


class _Sweep(JointTraining):
    """Joint training that stops where a number is not finite: higher rates are of no use."""

    def need_finite(self, value: Tensor, what: str) -> None:
        if not bool(torch.isfinite(value)):
            self.trainer.should_stop = True


def _table(result: dict[str, Any]) -> str:
    chosen = np.unique(np.linspace(0, len(result["lr"]) - 1, ROWS).round().astype(int))
    shown = [(f"{result['lr'][n]:.3g}", f"{result['loss'][n]:.4f}") for n in chosen]
    lines = columns([("learning rate", "loss"), *shown], words=0)
    found = f"{result['suggestion']:.2g}"
    advice = f"the loss falls fastest where optim.lr is {found}: try --optim.lr {found}"
    if min(result["loss"]) > (1 - CLEAR_FALL) * result["loss"][0]:
        advice += f", but with doubt: it falls by less than {CLEAR_FALL:.0%} over the whole sweep; "
        advice += "take more --steps"
    return "\n".join([*lines, advice])
