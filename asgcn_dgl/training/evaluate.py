"""Evaluation: what a trained model makes of clips, as figures and as files."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from asgcn_dgl.data import Clip, Reader, SkeletonDataset
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import write_json, write_npz
from asgcn_dgl.models import ASGCN, Forecaster
from asgcn_dgl.training.build import device_of, progress_wanted, set_threads, track
from asgcn_dgl.training.checkpoint import Restored, load_model
from asgcn_dgl.training.clips import (
    Loader,
    clips_to_test,
    evaluation_loader,
    killed_workers,
    load,
    make_dataset,
    open_run,
)
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import RunDir, read_figures
from asgcn_dgl.training.forecasts import format_forecasts, test_forecaster
from asgcn_dgl.training.report import format_figures
from asgcn_dgl.training.scoring import PredictionScores, RecognitionScores

logger = logging.getLogger(__name__)


def evaluate(
    folder: str | Path,
    *,
    checkpoint: str = "auto",
    root: str | Path | None = None,
    num_clips: int | None = None,
    mirrored: bool | None = None,
    compare: bool = False,
) -> dict[str, Any]:
    """Score the test clips with a run's checkpoint; write ``metrics.json`` and ``scores.npz``.

    ``checkpoint`` is 'best', 'last', or 'auto': the best on validation, the last where there is
    none. ``root`` is the folder of the data set, if it has moved. The probabilities of
    ``num_clips`` choices of frames are averaged, of each clip ``mirrored`` as well; by default as
    the run's options say. ``compare`` prints published figures beside a forecaster's. Returned is
    the content of ``metrics.json``: accuracies in percent, distances in the clips' unit (meters).
    InputError if the run, its checkpoint or the data cannot be used.
    """
    run = RunDir(Path(folder))
    run.read_config()  # says so if this is no run
    with run.lock():
        file = run.checkpoint(checkpoint)
        restored = load_model(file)
        config = restored.config
        data = open_to_test(restored, root)
        for origin in data.origins if root is not None else ():
            same = [each for each in restored.origins if each.format == origin.format]
            if same and origin not in same:
                logger.warning(
                    "%s was read as %s, but the training clips as %s: the figures are those of "
                    "other input",
                    *(data.place, origin, same[0]),
                )
        if num_clips is not None:
            if num_clips < 1:
                raise InputError(f"--clips must be at least 1, got {num_clips}")
            if num_clips > 1 and config.clips.sampling == "resize":
                raise InputError(
                    f"--clips {num_clips}: with clips.sampling resize all views of a clip are the "
                    "same; leave --clips out"
                )
            config.clips.num_clips = num_clips
        if mirrored is not None:
            config.clips.mirrored = mirrored
        if compare and not isinstance(restored.model, Forecaster):
            raise InputError("--compare: published figures are of forecasters; this run recognizes")
        started = time.perf_counter()
        protocol = config.clips.protocol or data.default_split
        result, scores = measure(restored, clips_to_test(data, config), "test", protocol, file)
        spent = read_figures(run.validation).get("seconds", {})  # as training left them
        spent = {name: spent[name] for name in ("warm_up", "joint", "forecast") if name in spent}
        result["seconds"] = {**spent, "evaluation": time.perf_counter() - started}
        if scores:
            write_npz(run.scores, **scores)
        write_json(run.metrics, result)
        print(format_result(result, compare))
        print(f"written: {run.metrics}{f' and {run.scores}' if scores else ''}")
        return result


def open_to_test(restored: Restored, root: str | Path | None = None) -> Reader:
    """Open the data that a model is tested on, from ``root`` if it has moved; set its threads.

    InputError if it is not of the classes and skeletons that the model was trained on.
    """
    config = restored.config
    if root is not None:
        config.root = str(root)
    elif not any(Path(each).exists() for each in (config.root, *config.root.split(os.pathsep))):
        here = "" if Path(config.root).is_absolute() else ", or give this command where it trained"
        raise InputError(f"{config.root}: the data of the run is not there; give its --root{here}")
    set_threads(config)
    data = open_run(config, testing=True)
    restored.check_data(data)
    return data


def measure(
    restored: Restored, clips: Reader | Sequence[Clip], split: str, protocol: str, file: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of clips, and what a file of scores holds; a forecaster has none."""
    if isinstance(restored.model, Forecaster):
        return test_forecaster(restored, clips, split, protocol, file), {}
    config = restored.config
    datasets = evaluation_datasets(clips, restored.model, config)
    recognition, prediction = score(restored.model, datasets, config, split)
    figures = {
        **restored.facts(split, protocol, file.stem),
        "clips": len(recognition.names),
        "num_clips": config.clips.num_clips,
        "mirrored": config.clips.mirrored,
        **recognition.summary(restored.class_names),
        **recognition.details(),
        "link_use": recognition.link_use(),
        "losses": {"recognition": recognition.loss(), "prediction": prediction.loss()},
        "prediction": prediction.summary(config.clips.unit or 1.0),
    }
    return figures, recognition.arrays(restored.class_names)


def format_result(result: dict[str, Any], compare: bool = False) -> str:
    """Return the figures of an evaluation as tables."""
    return format_forecasts(result, compare) if "actions" in result else format_figures(result)


def evaluation_datasets(
    clips: Reader | Sequence[Clip], model: ASGCN, config: RunConfig
) -> list[SkeletonDataset]:
    """Return the clips seen whole, and without their future if the model predicts one."""
    steps = model.config.future_frames
    classes = len(clips.class_names) if isinstance(clips, Reader) else None
    if isinstance(clips, Reader):
        clips = load(clips, config, progress_wanted(config))
    options: dict[str, Any] = {"future_frames": steps, "num_classes": classes}
    views: dict[str, Any] = {"num_clips": config.clips.num_clips, "mirrored": config.clips.mirrored}
    whole = make_dataset(clips, config, "whole", **options, **views)
    return [whole, *([make_dataset(clips, config, "observed", **options)] if steps else [])]


@torch.no_grad()
def score(
    model: ASGCN, datasets: list[SkeletonDataset], config: RunConfig, label: str
) -> tuple[RecognitionScores, PredictionScores]:
    """Run a model over :func:`evaluation_datasets`: recognition on whole clips, then prediction."""
    device = device_of(config)
    model.to(device).eval()
    recognition, prediction = RecognitionScores(), PredictionScores()
    with killed_workers():
        for dataset in datasets:
            predict = dataset is not datasets[0]
            part = "prediction" if predict else "recognition"
            loader: Loader = evaluation_loader(dataset, model.graph_builder, config)
            for batch in track(loader, f"{label}, {part}", config):
                batch = batch.to(device)
                given = (batch.feat, batch.mask, batch.observed)
                out = model(batch.structure, *given, predict=predict)
                (prediction if predict else recognition).update(batch, out)
                if not predict:
                    recognition.update_links(out.links)
    if not bool(torch.isfinite(recognition.logits()).all()):
        raise InputError(
            "the model gives scores that are not finite, as its weights are; use an earlier "
            "checkpoint, or train again at a lower learning rate"
        )
    recognition.average(datasets[0].num_passes)
    return recognition, prediction
