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
        if root is not None:
            _compare_origins(restored, data)
        if num_clips is not None:
            _check_views(config, num_clips)
            config.clips.num_clips = num_clips
        if mirrored is not None:
            config.clips.mirrored = mirrored
        if compare and not isinstance(restored.model, Forecaster):
            raise InputError("--compare: published figures are of forecasters; this run recognizes")
        started = time.perf_counter()
        protocol = config.clips.protocol or data.default_split
        result, scores = measure(restored, clips_to_test(data, config), "test", protocol, file)
        result["seconds"] = {**_training_seconds(run), "evaluation": time.perf_counter() - started}
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


def _compare_origins(restored: Restored, data: Reader) -> None:
    """Warn of data whose recordings were read with other options than the training clips."""
    for origin in data.origins:
        same = [each for each in restored.origins if each.format == origin.format]
        if same and origin not in same:
            logger.warning(
                "%s was read as %s, but the training clips as %s: the figures are those of other "
                "input",
                data.place,
                origin,
                same[0],
            )


def _check_views(config: RunConfig, num_clips: int) -> None:
    """Refuse views that would all be the same."""
    if num_clips < 1:
        raise InputError(f"--clips must be at least 1, got {num_clips}")
    if num_clips > 1 and config.clips.sampling == "resize":
        raise InputError(
            f"--clips {num_clips}: with clips.sampling resize all views of a clip are the same; "
            "leave --clips out"
        )


def _training_seconds(run: RunDir) -> dict[str, float]:
    """Return the seconds that training took, as it left them."""
    left = read_figures(run.validation)
    found: dict[str, float] = left["seconds"] if left else {}
    return {name: found[name] for name in ("warm_up", "joint", "forecast") if name in found}


def evaluation_datasets(
    clips: Reader | Sequence[Clip], model: ASGCN, config: RunConfig
) -> list[SkeletonDataset]:
    """Return the clips seen whole, and without their future if the model predicts one."""
    steps = model.config.future_frames
    classes = len(clips.class_names) if isinstance(clips, Reader) else None
    if isinstance(clips, Reader):
        clips = load(clips, config, progress_wanted(config))
    views = {"num_clips": config.clips.num_clips, "mirrored": config.clips.mirrored}
    # options by mode
    seen: dict[str, Any] = {"whole": views, "observed": {}} if steps else {"whole": views}
    return [
        make_dataset(clips, config, mode, future_frames=steps, num_classes=classes, **options)
        for mode, options in seen.items()
    ]


@torch.no_grad()
def score(
    model: ASGCN, datasets: list[SkeletonDataset], config: RunConfig, label: str
) -> tuple[RecognitionScores, PredictionScores]:
    """Run a model over :func:`evaluation_datasets`: recognition on whole clips, then prediction."""
    device = device_of(config)
    model.to(device).eval()
    scores = (RecognitionScores(), PredictionScores())
    parts: list[tuple[RecognitionScores | PredictionScores, str]]
    parts = [(scores[0], "recognition"), (scores[1], "prediction")]
    with killed_workers():
        for (found, part), dataset in zip(parts, datasets, strict=False):
            loader: Loader = evaluation_loader(dataset, model.graph_builder, config)
            for batch in track(loader, f"{label}, {part}", config):
                batch = batch.to(device)
                given = (batch.feat, batch.mask, batch.observed)
                out = model(batch.structure, *given, predict=part == "prediction")
                found.update(batch, out)
                if part == "recognition":
                    scores[0].update_links(out.links)
    if not bool(torch.isfinite(scores[0].logits()).all()):
        raise InputError(
            "the model gives scores that are not finite, as its weights are; use an earlier "
            "checkpoint, or train again at a lower learning rate"
        )
    scores[0].average(datasets[0].num_passes)
    return scores
