"""Several runs side by side, and several streams as one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl import metrics
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import write_json
from asgcn_dgl.training.files import RunDir

__all__ = ["RunSummary", "fuse", "list_runs", "read_scores", "runs_table"]


class RunSummary(NamedTuple):
    """One run in a line.

    Attributes
    ----------
    name
        Folder, from the one that was looked in.
    data, stream, seed
        What was learned from.
    epochs
        Epochs of the joint training that were asked for.
    validation, test
        Top-1 accuracy in per cent, None where it was not measured.
    mpjpe
        Prediction error on the test clips, units of the data, None where there is none.
    seconds
        Time that training took, None while it is not done.
    """

    name: str
    data: str
    stream: str
    seed: int
    epochs: int
    validation: float | None
    test: float | None
    mpjpe: float | None
    seconds: float | None


def list_runs(folder: str | Path) -> list[RunSummary]:
    """Find the runs in a folder and all folders below.

    Parameters
    ----------
    folder
        Where to look.

    Returns
    -------
    list of RunSummary
        Sorted by name.

    Raises
    ------
    InputError
        If there is no such folder, no run in it, or a file of a run is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one that holds the runs")
    found = sorted(path.parent for path in folder.rglob("config.yaml"))
    if not found:
        raise InputError(f"{folder}: no run in it (a run's folder holds a config.yaml)")
    return [_summary(RunDir(path), folder) for path in found]


def _summary(run: RunDir, folder: Path) -> RunSummary:
    config = run.read_config()
    validation, test = _read(run.validation), _read(run.metrics)
    future = test.get("prediction") or {}
    seconds = validation.get("seconds")
    return RunSummary(
        str(run.path.relative_to(folder)),
        config.data,
        config.clips.stream,
        config.trainer.seed,
        config.trainer.epochs,
        validation.get("top1"),
        test.get("top1"),
        future.get("mpjpe"),
        None if seconds is None else float(sum(seconds.values())),
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); evaluate the run again") from error


def runs_table(runs: Sequence[RunSummary]) -> str:
    """Return runs as a table to read."""
    head = ("run", "data", "stream", "seed", "epochs", "val %", "test %", "mm", "min")
    rows = [
        (
            run.name,
            run.data,
            run.stream,
            str(run.seed),
            str(run.epochs),
            _number(run.validation),
            _number(run.test),
            _number(None if run.mpjpe is None else 1000 * run.mpjpe),
            _number(None if run.seconds is None else run.seconds / 60),
        )
        for run in runs
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        words = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        words += [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("  ".join(words).rstrip())
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def fuse(
    runs: Sequence[str | Path],
    weights: Sequence[float] | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Add up the class probabilities of several runs on the same test clips.

    Parameters
    ----------
    runs
        Folders of evaluated runs.
    weights
        One for each run; by default 2 for the streams ``joint`` and ``bone``, 1 for their motions.
    out
        File to write the result to as JSON, whole or not at all.

    Returns
    -------
    dict
        ``top1``, ``top5``, ``mean_class`` of the sum; ``runs``: stream, weight and top-1 of each.

    Raises
    ------
    InputError
        If there are fewer than two runs, one is not evaluated, they are not of the same clips, or
        the weights do not fit.
    """
    if len(runs) < 2:
        raise InputError("fuse needs at least two runs")
    folders = [RunDir(Path(run)) for run in runs]
    streams = [run.read_config().clips.stream for run in folders]
    scores = [read_scores(run) for run in folders]
    chosen = _weights(weights, streams)
    first = scores[0]
    for run, score in zip(folders[1:], scores[1:], strict=True):
        for name in ("names", "labels", "class_names"):
            if not np.array_equal(score[name], first[name]):
                raise InputError(
                    f"{run.scores}: its {name.replace('_', ' ')} are not those of "
                    f"{folders[0].scores}; fuse runs of the same set and protocol"
                )
    keys = [str(number) for number in range(len(folders))]
    fused = metrics.fuse_scores(
        {key: score["probabilities"] for key, score in zip(keys, scores, strict=True)},
        dict(zip(keys, chosen, strict=True)),
    )
    labels = first["labels"]
    result = {
        **_figures(fused, labels),
        "clips": len(labels),
        "runs": [
            {"run": str(run.path), "stream": stream, "weight": weight, **_figures(own, labels)}
            for run, stream, weight, own in zip(
                folders, streams, chosen, (score["probabilities"] for score in scores), strict=True
            )
        ],
    }
    if out is not None:
        write_json(out, result)
    return result


def _weights(given: Sequence[float] | None, streams: Sequence[str]) -> list[float]:
    if given is None:
        return [float(metrics.STREAM_WEIGHTS[stream]) for stream in streams]
    if len(given) != len(streams):
        raise InputError(f"{len(given)} weights for {len(streams)} runs; give one for each")
    if min(given) < 0 or not sum(given) > 0 or not np.isfinite(sum(given)):
        raise InputError(f"weights must not be negative and not all 0, got {list(given)}")
    return [float(weight) for weight in given]


def read_scores(run: RunDir) -> dict[str, np.ndarray]:
    """Read the names, labels, probabilities and class names of a run's test clips.

    Raises
    ------
    InputError
        If the run is not evaluated, or the file is damaged.
    """
    if not run.scores.is_file():
        raise InputError(f"{run.path}: not evaluated yet; 'asgcn-dgl evaluate {run.path}' first")
    try:
        with np.load(run.scores, allow_pickle=False) as file:
            wanted = ("names", "labels", "probabilities", "class_names")
            return {name: file[name] for name in wanted}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{run.scores}: damaged ({error}); evaluate the run again") from error


def _figures(scores: np.ndarray, labels: np.ndarray) -> Mapping[str, float]:
    return {
        "top1": 100 * metrics.accuracy(scores, labels),
        "top5": 100 * metrics.accuracy(scores, labels, top_k=5),
        "mean_class": 100 * metrics.mean_class_accuracy(scores, labels),
    }
