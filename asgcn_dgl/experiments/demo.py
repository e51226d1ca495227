"""The demo: generate data, train with A-links and without, evaluate, draw, report."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

from asgcn_dgl.data.synthetic import CLASS_NAMES, write_synthetic
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.figures import draw_figures
from asgcn_dgl.experiments.report import write_report
from asgcn_dgl.files import write_json
from asgcn_dgl.training.config import RunConfig, packaged_config
from asgcn_dgl.training.files import RunDir
from asgcn_dgl.training.progress import track
from asgcn_dgl.training.run import train

__all__ = ["demo"]

CLIPS_PER_CLASS = 36
SUBJECTS = 12
WITH_LINKS, WITHOUT_LINKS = "with_a_links", "without_a_links"
FIGURES = ("a_links", "confusion", "prediction")


def demo(
    folder: str | Path,
    *,
    seed: int = 0,
    config: RunConfig | None = None,
    clips_per_class: int = CLIPS_PER_CLASS,
    subjects: int = SUBJECTS,
) -> dict[str, Any]:
    """Write the synthetic set, train on it with A-links and without, evaluate, draw, report.

    An interrupted demo continues. ``folder`` gets ``data/``, a run for each model, ``figures/``,
    ``report.html`` and ``demo.json``, whose content is returned. ``config`` is by default the
    package's ``demo``. InputError if the folder holds runs of other options.
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
    figures = draw_figures(folder / WITH_LINKS, folder / "figures", only=FIGURES)
    print("5/5  writing the report")
    page = write_report(folder / WITH_LINKS, folder / "report.html", other=folder / WITHOUT_LINKS)
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
    """Train and evaluate, or continue."""
    return train(config, folder, resume=folder.exists())


def _report(folder: Path, summary: dict[str, Any]) -> str:
    """Return the outcome as lines of text."""
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
