"""Several runs side by side, and several streams as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl import metrics
from asgcn_dgl.data.formats.npz import read_npz
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import write_json
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.files import RunDir, read_figures
from asgcn_dgl.training.report import columns
from asgcn_dgl.training.scoring import interval_percents
from asgcn_dgl.training.units import unit_of

MOST_CHOSEN = 6  # runs: 3003 sums of ten tenths
CHOOSE_ELSEWHERE = (
    "weights are chosen on clips held out of the training clips: train with clips.validation, "
    "choose there, and give --weights here"
)


class RunSummary(NamedTuple):
    """One run in a line: accuracies in percent, prediction error in units of the data, seconds.

    What was not measured is None. ``state`` is 'done', 'diverged', or 'begun': running or
    interrupted.
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
    state: str


def list_runs(folder: str | Path) -> list[RunSummary]:
    """Return the runs in a folder and all folders below, sorted by name."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one that holds the runs")
    found = sorted(path.parent for path in folder.rglob("config.yaml"))
    if not found:
        raise InputError(f"{folder}: no run in it (a run's folder holds a config.yaml)")
    return [_summary(RunDir(path), folder) for path in found]


def _summary(run: RunDir, folder: Path) -> RunSummary:
    config = run.read_config()
    validation, test = read_figures(run.validation), read_figures(run.metrics)
    future = test.get("prediction") or {}
    seconds = validation.get("seconds")
    return RunSummary(
        str(run.path.relative_to(folder)),
        config.data,
        config.stream,
        config.trainer.seed,
        config.trainer.epochs,
        validation.get("top1"),
        test.get("top1"),
        future.get("mpjpe"),
        None if seconds is None else float(sum(seconds.values())),
        "diverged" if run.diverged() else "done" if validation else "begun",
    )


def runs_table(runs: Sequence[RunSummary]) -> str:
    """Return runs as a table in text."""
    head = ("run", "data", "stream", "seed", "epochs", "val %", "test %", "error", "min", "state")
    rows = [head]
    for run in runs:
        minutes = None if run.seconds is None else run.seconds / 60
        error = "" if run.mpjpe is None else unit_of(run.data, 3).text(run.mpjpe)
        val, test, spent = (
            "" if value is None else f"{value:.1f}" for value in (run.validation, run.test, minutes)
        )
        known = (run.name, run.data, run.stream, str(run.seed), str(run.epochs))
        rows.append((*known, val, test, error, spent, run.state))
    return "\n".join(columns(rows, words=3))


def fuse(
    runs: Sequence[str | Path],
    weights: Sequence[float] | None = None,
    out: str | Path | None = None,
    *,
    choose: bool = False,
) -> dict[str, Any]:
    """Add up the class probabilities of several evaluated runs on the same test clips.

    ``weights`` are by default 1 for a model that sees motion only, 2 for one that sees the streams
    ``joint`` or ``bone``; ``choose`` finds them on the clips that the runs held out, in tenths.
    ``out`` is a JSON file for the result: ``top1``, ``top5`` and ``mean_class`` of the sum in
    percent, with ``intervals`` (95 %), ``validation_top1`` where weights were chosen, and ``runs``.
    InputError for fewer than two runs, other clips, or weights that do not fit.
    """
    if len(runs) < 2:
        raise InputError("fuse needs at least two runs")
    if choose and weights is not None:
        raise InputError("--weights and --choose-weights exclude each other; give one of them")
    folders = [RunDir(Path(run)) for run in runs]
    if len({run.path.resolve() for run in folders}) < len(folders):
        raise InputError("fuse was given a run twice; --weights gives it more weight")
    configs = [run.read_config() for run in folders]
    scores = _same_clips([run.scores for run in folders], "asgcn-dgl evaluate")
    chosen, found = _weights(weights, configs), {}
    if choose:
        held_out = _same_clips([run.validation_scores for run in folders], CHOOSE_ELSEWHERE)
        truth = held_out[0]["labels"]
        chosen, top1 = choose_weights([score["probabilities"] for score in held_out], truth)
        found = {"validation_top1": top1, "validation_clips": len(truth)}
    fused = _fused([score["probabilities"] for score in scores], chosen)
    labels = scores[0]["labels"]
    each = [
        {
            **{"run": str(run.path), "stream": config.stream, "weight": weight},
            **_figures(score["probabilities"], labels),
        }
        for run, config, weight, score in zip(folders, configs, chosen, scores, strict=True)
    ]
    result = {**_figures(fused, labels), "intervals": interval_percents(fused, labels)}
    result |= {"clips": len(labels), **found, "runs": each}
    if out is not None:
        write_json(out, result)
    return result


def fusion_table(result: Mapping[str, Any]) -> str:
    """Return the result of :func:`fuse` as lines of text."""
    lines = []
    if "validation_top1" in result:
        clips, top1 = result["validation_clips"], result["validation_top1"]
        lines.append(f"weights chosen on {clips} held-out clips: {top1:.2f} % there")
    lines += [
        f"{run['top1']:6.2f} %  weight {run['weight']:g}  {run['stream']}  {run['run']}"
        for run in result["runs"]
    ]
    low, high = result["intervals"]["top1"]
    lines.append(
        f"{result['top1']:6.2f} %  fused ({result['clips']} clips, 95 % interval {low:.1f} to "
        f"{high:.1f}, mean class {result['mean_class']:.2f} %)"
    )
    return "\n".join(lines)


def choose_weights(
    probabilities: Sequence[np.ndarray], labels: np.ndarray
) -> tuple[list[float], float]:
    """Return the tenths that sum to one of highest top-1, then of lowest loss; and that top-1.

    Given are (B, K) probabilities of each of at most six streams, and (B,) labels.
    """
    if len(probabilities) > MOST_CHOSEN:
        raise InputError(
            f"--choose-weights tries at most {MOST_CHOSEN} runs, got {len(probabilities)}; give "
            "--weights"
        )
    best: tuple[float, float] = (-1.0, 0.0)
    chosen: list[float] = []
    places = 10 + len(probabilities) - 1  # of ten tenths and the bars between the streams
    for bars in reversed(list(combinations(range(places), len(probabilities) - 1))):
        weights = ((np.diff([-1, *bars, places]) - 1) / 10).tolist()
        fused = _fused(probabilities, weights)
        right = float((fused.argmax(axis=1) == labels).mean())
        own = fused[np.arange(len(labels)), labels]
        score = (right, float(np.log(np.maximum(own, 1e-12)).mean()))
        if score > best or not chosen:
            best, chosen = score, weights
    return chosen, 100 * best[0]


def _fused(probabilities: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    return metrics.fuse_scores(
        {str(n): each for n, each in enumerate(probabilities)},
        {str(n): weight for n, weight in enumerate(weights)},
    )


def _same_clips(files: Sequence[Path], remedy: str) -> list[dict[str, np.ndarray]]:
    """Read files of scores, which must be of the same clips and classes."""
    scores = [read_scores(file, remedy) for file in files]
    for file, score in zip(files[1:], scores[1:], strict=True):
        for name in ("names", "labels", "class_names"):
            if not np.array_equal(score[name], scores[0][name]):
                raise InputError(
                    f"{file}: its {name.replace('_', ' ')} are not those of {files[0]}; fuse runs "
                    "of the same set, protocol and validation"
                )
    return scores


def _weights(given: Sequence[float] | None, runs: Sequence[RunConfig]) -> list[float]:
    if given is None:
        return [float(max(metrics.STREAM_WEIGHTS[name] for name in run.streams)) for run in runs]
    if len(given) != len(runs):
        raise InputError(f"{len(given)} weights for {len(runs)} runs; give one for each")
    if min(given) < 0 or not sum(given) > 0 or not np.isfinite(sum(given)):
        raise InputError(f"weights must not be negative and not all 0, got {list(given)}")
    return [float(weight) for weight in given]


def read_scores(path: Path, remedy: str = "asgcn-dgl evaluate") -> dict[str, np.ndarray]:
    """Read the names, labels, probabilities and class names of the clips in a file of scores."""
    if not path.is_file():
        if remedy == CHOOSE_ELSEWHERE:
            raise InputError(f"{path}: not there; {remedy}")
        raise InputError(f"{path.parent}: not evaluated yet; '{remedy} {path.parent}' first")
    # copies: what was read is not writable, of which torch warns
    found = {name: array.copy() for name, array in read_npz(path, _ARRAYS).items()}
    missing = [f"there is no {name}" for name in _ARRAYS if name not in found]
    fault = missing[0] if missing else _fault(*(found[name] for name in _ARRAYS))
    if fault:
        raise InputError(f"{path}: {fault}; evaluate the run again")
    return found


_ARRAYS = ("names", "labels", "probabilities", "class_names")


def _fault(
    names: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, class_names: np.ndarray
) -> str:
    """Say what is wrong with arrays of scores; empty where nothing is."""
    for title, array in (("names", names), ("class_names", class_names)):
        if array.ndim != 1 or array.dtype.kind != "U" or not len(array):
            return f"{title} is no list of names"
    shares, classes = probabilities, len(class_names)
    if labels.shape != names.shape or labels.dtype.kind not in "iu":
        return "labels is not a whole number for each name"
    if labels.min() < -1 or labels.max() >= classes:
        return f"labels holds a number that is not one of {classes} classes"
    if shares.shape != (len(names), classes) or shares.dtype.kind != "f":
        return "probabilities is not a number for each name and class"
    if not np.isfinite(shares).all() or shares.min() < 0 or np.ptp(shares.sum(axis=1)) > 0.01:
        return "probabilities holds rows that are not probabilities"
    return ""


def _figures(scores: np.ndarray, labels: np.ndarray) -> Mapping[str, float]:
    return {
        "top1": 100 * metrics.accuracy(scores, labels),
        "top5": 100 * metrics.accuracy(scores, labels, top_k=5),
        "mean_class": 100 * metrics.mean_class_accuracy(scores, labels),
    }
