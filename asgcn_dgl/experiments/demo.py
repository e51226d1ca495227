"""The demo: generate data, train with A-links and without, evaluate, draw, report."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asgcn_dgl import metrics
from asgcn_dgl.data import SkeletonDataset
from asgcn_dgl.data.synthetic import CLASS_NAMES, write_synthetic
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.links import class_links
from asgcn_dgl.experiments.report import report
from asgcn_dgl.files import write_json
from asgcn_dgl.training.checkpoint import Restored, load_model
from asgcn_dgl.training.clips import clips_to_test, evaluation_loader, open_run
from asgcn_dgl.training.config import RunConfig, packaged_config
from asgcn_dgl.training.evaluate import evaluation_datasets
from asgcn_dgl.training.files import RunDir
from asgcn_dgl.training.progress import track
from asgcn_dgl.training.run import train
from asgcn_dgl.viz import draw_class_links, draw_confusion, draw_prediction, save_figure

__all__ = ["demo"]

CLIPS_PER_CLASS = 36
SUBJECTS = 12
WITH_LINKS, WITHOUT_LINKS = "with_a_links", "without_a_links"
LINKS_DRAWN = 4


def demo(
    folder: str | Path,
    *,
    seed: int = 0,
    config: RunConfig | None = None,
    clips_per_class: int = CLIPS_PER_CLASS,
    subjects: int = SUBJECTS,
) -> dict[str, Any]:
    """Write the synthetic set, train on it with A-links and without, evaluate, draw, report.

    A demo that was interrupted goes on where it stopped.

    Parameters
    ----------
    folder
        Where everything goes: ``data/``, a run folder for each model, ``figures/``,
        ``report.html``, ``demo.json``.
    seed
        Seed of the data and the training.
    config
        Options; none: the package's configuration ``demo``.
    clips_per_class, subjects
        Size of the set.

    Returns
    -------
    dict
        What ``demo.json`` holds.

    Raises
    ------
    InputError
        If the folder holds something else.
    """
    started = time.perf_counter()
    folder = Path(folder)
    config = copy.deepcopy(config or RunConfig.from_dict(packaged_config("demo") or {}))
    config.data, config.root = "synthetic", str(folder / "data")
    config.trainer.seed = seed
    without = copy.deepcopy(config)
    without.model.num_actional = 0
    for name, options in ((WITH_LINKS, config), (WITHOUT_LINKS, without)):
        _check_run(folder / name, options)
    print(f"1/5  writing {clips_per_class} clips for each class to {config.root}")
    _write_clips(config, clips_per_class, subjects)
    print("2/5  training with A-links")
    result = _train(folder / WITH_LINKS, config)
    print("3/5  training without A-links")
    baseline = _train(folder / WITHOUT_LINKS, without)
    print("4/5  drawing")
    figures = _draw(folder, RunDir(folder / WITH_LINKS))
    print("5/5  writing the report")
    page = report(folder / WITH_LINKS, folder / "report.html")
    summary = {
        "top1": result["top1"],
        "top1_without_a_links": baseline["top1"],
        "chance": 100 / len(result["per_class"]),
        "mpjpe": result["prediction"]["mpjpe"],
        "zero_velocity": result["prediction"]["zero_velocity"],
        "test_clips": result["clips"],
        "report": page.name,
        "figures": [str(figure.relative_to(folder)) for figure in figures],
        "seed": seed,
        "seconds": time.perf_counter() - started,
    }
    write_json(folder / "demo.json", summary)
    print(_report(folder, summary))
    return summary


def _check_run(folder: Path, config: RunConfig) -> None:
    """Refuse a folder in which another demo was run."""
    if folder.exists() and RunDir(folder).read_config() != config:
        raise InputError(f"{folder}: holds a run with other options; give another --out")


def _write_clips(config: RunConfig, clips_per_class: int, subjects: int) -> None:
    """Write the set, with a progress bar if one is wanted."""
    total = clips_per_class * len(CLASS_NAMES)
    steps = iter(track(range(total), "writing", config))
    write_synthetic(
        config.root,
        clips_per_class=clips_per_class,
        subjects=subjects,
        seed=config.trainer.seed,
        progress=lambda done, of: next(steps),
    )
    next(steps, None)  # closes the bar


def _train(folder: Path, config: RunConfig) -> dict[str, Any]:
    """Train and evaluate, or go on with what is there."""
    return train(config, folder, resume=folder.exists())


def _draw(folder: Path, run: RunDir) -> list[Path]:
    """Draw A-links, confusion and predicted poses of the test clips."""
    restored = load_model(run.checkpoint())
    test = clips_to_test(open_run(restored.config), restored.config)
    whole, observed = evaluation_datasets(test, restored.model, restored.config)
    scores = np.load(run.scores)
    drawn = {
        "a_links": _links_figure(restored, whole),
        "confusion": draw_confusion(
            metrics.confusion_matrix(scores["logits"], scores["labels"]), restored.class_names
        ),
        "prediction": _prediction_figure(restored, observed),
    }
    return [save_figure(fig, folder / "figures" / f"{name}.png") for name, fig in drawn.items()]


def _links_figure(restored: Restored, dataset: SkeletonDataset) -> Any:
    """Draw the A-links of the classes whose links differ most from the mean."""
    names = restored.class_names
    links = class_links(restored.model, dataset, restored.config, len(names))
    mean = np.mean(list(links.values()), axis=0)
    contrast = sorted(links, key=lambda k: -float(np.abs(links[k] - mean).sum()))[:LINKS_DRAWN]
    return draw_class_links(
        dataset.clip(0).layout,
        {names[k]: links[k] for k in sorted(contrast)},
        threshold=None,
        title="The 20 most probable A-links of the actions that differ most from the others",
    )


@torch.no_grad()
def _prediction_figure(restored: Restored, dataset: SkeletonDataset) -> Any:
    """Draw the prediction of a clip that moves as much as most do."""
    model = restored.model
    layout = dataset.clip(0).layout
    found = []
    for batch in evaluation_loader(dataset, model.graph_builder, restored.config):
        out = model(batch.structure, batch.feat, batch.mask, batch.last)
        start = 0
        for name, bodies in zip(batch.names, batch.num_bodies.tolist(), strict=True):
            body = slice(start, start + layout.num_joints)
            start += bodies * layout.num_joints
            mask = batch.future_mask[body]
            still = batch.last[body].unsqueeze(1).expand_as(batch.future[body])
            moved = metrics.mpjpe(still, batch.future[body], mask)
            found.append(
                (moved, name, out.future[body], batch.future[body], mask, batch.last[body])
            )
    found = sorted((each for each in found if np.isfinite(each[0])), key=lambda each: each[:2])
    if not found:
        raise InputError("no test clip is long enough to predict its end; write longer clips")
    _, name, future, target, mask, last = found[len(found) // 2]
    return draw_prediction(
        layout,
        future.transpose(0, 1).numpy(),
        target.transpose(0, 1).numpy(),
        mask=mask.transpose(0, 1).numpy(),
        last=last.numpy(),
        title=f"{name}: poses predicted from what came before",
        # Upright clips have their spine along z, others stand as the sensor saw them.
        up="z" if restored.config.clips.align in ("spine", "view") else "y",
    )


def _report(folder: Path, summary: dict[str, Any]) -> str:
    """Return the outcome as lines to read."""
    return "\n".join(
        [
            f"accuracy on {summary['test_clips']} clips of subjects not seen in training: "
            f"{summary['top1']:.1f} %   without A-links {summary['top1_without_a_links']:.1f} %   "
            f"chance {summary['chance']:.1f} %",
            f"prediction error over the next frames: {1000 * summary['mpjpe']:.1f} mm   "
            f"repeating the last pose {1000 * summary['zero_velocity']:.1f} mm",
            f"took {summary['seconds']:.0f} s; figures in {folder / 'figures'}, models and scores "
            f"in {folder / WITH_LINKS} and {folder / WITHOUT_LINKS}, clips in {folder / 'data'}",
            f"open {(folder / 'report.html').resolve()} in a browser: every test clip in motion",
            f"try: asgcn-dgl predict {folder / WITH_LINKS} {folder / 'data'}/S001*.skeleton",
        ]
    )
