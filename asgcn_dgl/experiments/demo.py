"""The demo: generate data, train with A-links and without, evaluate, draw, report."""

from __future__ import annotations

import copy
import math
import statistics
import time
from pathlib import Path
from typing import Any

from asgcn_dgl.data.synthetic import SETS, write_synthetic
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.figures import Choice, draw_figures
from asgcn_dgl.experiments.gallery import examine
from asgcn_dgl.experiments.links import links_used
from asgcn_dgl.experiments.planted import planted_area
from asgcn_dgl.experiments.report import write_report
from asgcn_dgl.files import write_json
from asgcn_dgl.training.build import track
from asgcn_dgl.training.checkpoint import load_model
from asgcn_dgl.training.clips import clips_to_test, open_run
from asgcn_dgl.training.config import MOST_SEED, RunConfig, packaged_config
from asgcn_dgl.training.files import RunDir
from asgcn_dgl.training.report import columns
from asgcn_dgl.training.run import train

#: The packaged configuration that each generated set is trained with.
CONFIGS = {"synthetic": "demo", "coordinated": "coordinated"}
#: The sensor of each: the noise of a joint in meters, how often joints are lost.
SENSORS = {"synthetic": (0.01, 1.0), "coordinated": (0.002, 0.1)}
CLIPS_PER_CLASS = 36
SUBJECTS = 36
WITH_LINKS, WITHOUT_LINKS = "with_a_links", "without_a_links"
THRESHOLD = 0.5  # of the links that are drawn
IN_USE = 0.01  # of the pairs of joints are linked by a type that is used
FIGURES = ("a_links", "confusion", "prediction")


def demo(
    folder: str | Path,
    *,
    seed: int = 0,
    data: str = "coordinated",
    config: RunConfig | None = None,
    clips_per_class: int = CLIPS_PER_CLASS,
    subjects: int = SUBJECTS,
) -> dict[str, Any]:
    """Write a generated set, train on it with A-links and without, evaluate, draw, report.

    An interrupted demo continues. ``folder`` gets ``data/``, a run for each model, ``figures/``,
    ``report.html`` and ``demo.json``, whose content is returned. ``data`` is the set:
    ``"coordinated"``, of which most actions differ by how two limbs move together, or
    ``"synthetic"``, actions of single limbs; ``config`` is by default the package's for it.
    InputError if the folder holds runs of other options.
    """
    started = time.perf_counter()
    folder = Path(folder)
    if not 0 <= seed <= MOST_SEED:
        raise InputError(f"--seed must be from 0 to {MOST_SEED}, got {seed}")
    found = _train_both(folder, seed, data, config, clips_per_class, subjects)
    print("4/5  drawing")
    figures = draw_figures(
        folder / WITH_LINKS, folder / "figures", only=FIGURES, choice=Choice(threshold=THRESHOLD)
    )
    print("5/5  writing the report")
    page = write_report(folder / WITH_LINKS, folder / "report.html", other=folder / WITHOUT_LINKS)
    summary = {
        **found,
        "report": page.name,
        "figures": [str(figure.relative_to(folder)) for figure in figures],
        "seconds": time.perf_counter() - started,
    }
    write_json(folder / "demo.json", summary)
    print(_report(folder, summary))
    return summary


def demo_seeds(folder: str | Path, seeds: int, *, seed: int = 0, **options: Any) -> dict[str, Any]:
    """Train the demo's models with several seeds, each on a set of its own, and compare.

    ``folder`` gets a folder for each of ``seeds`` seeds, from ``seed`` on, and ``seeds.json``,
    whose content is returned: the figures of each seed, ``mean`` and ``std``. Other arguments
    are those of :func:`demo`.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, got {seeds}")
    rows: list[dict[str, Any]] = []
    for number in range(seed, seed + seeds):
        print(f"seed {number}")
        rows.append(_train_both(Path(folder) / f"seed{number}", number, **options))
        write_json(Path(folder) / "seeds.json", _joined(rows))
    print(_table(rows))
    return _joined(rows)


def _train_both(
    folder: Path,
    seed: int,
    data: str = "coordinated",
    config: RunConfig | None = None,
    clips_per_class: int = CLIPS_PER_CLASS,
    subjects: int = SUBJECTS,
) -> dict[str, Any]:
    """Write the set and train both models, or continue; return their figures."""
    config = copy.deepcopy(config or RunConfig.from_dict(packaged_config(CONFIGS[data]) or {}))
    config.data, config.root = data, str(folder / "data")
    config.trainer.seed = seed
    without = copy.deepcopy(config)
    without.model.num_actional = 0
    runs = {folder / WITH_LINKS: config, folder / WITHOUT_LINKS: without}
    for run, options in runs.items():
        if run.exists() and RunDir(run).read_config() != options:
            raise InputError(f"{run}: holds a run with other options; give another --out")
    print(f"1/5  writing {clips_per_class} clips for each class to {config.root}")
    _write_clips(config, clips_per_class, subjects)
    results = []
    for step, (run, options) in enumerate(runs.items(), start=2):
        print(f"{step}/5  training {'with' if step == 2 else 'without'} A-links")
        results.append(train(options, run, resume=run.exists()))
    result, baseline = results
    return {
        "top1": result["top1"],
        "top1_without_a_links": baseline["top1"],
        "chance": 100 / len(result["per_class"]),
        "mpjpe": result["prediction"]["mpjpe"],
        "mpjpe_without_a_links": baseline["prediction"]["mpjpe"],
        "zero_velocity": result["prediction"]["zero_velocity"],
        "links": {
            "before": _links(folder / WITH_LINKS, "aim", seed),
            "after": _links(folder / WITH_LINKS, "last", seed),
        },
        "test_clips": result["clips"],
        "seed": seed,
    }


def _links(folder: Path, checkpoint: str, seed: int) -> dict[str, Any] | None:
    """Measure the A-links of a checkpoint on the test clips; None where it was not written."""
    file = RunDir(folder).checkpoints / f"{checkpoint}.ckpt"
    if not file.is_file():
        return None
    restored = load_model(file)
    test = clips_to_test(open_run(restored.config), restored.config)
    exhibits = examine(restored, [test.read(place) for place in range(len(test))], "A-links")
    use = links_used(exhibits)
    assert use is not None
    area = planted_area(exhibits, seed=seed, data=restored.config.data) or (None, None)
    return {**use, "area": area[0], "constant_area": area[1]}


def _write_clips(config: RunConfig, clips_per_class: int, subjects: int) -> None:
    """Write the set, with a progress bar if one is wanted."""
    total = clips_per_class * len(SETS[config.data])
    steps = iter(track(range(total), "writing", config))
    noise, losses = SENSORS[config.data]
    write_synthetic(
        config.root,
        clips_per_class=clips_per_class,
        subjects=subjects,
        seed=config.trainer.seed,
        noise=noise,
        losses=losses,
        actions=config.data,
        progress=lambda done, of: next(steps),
    )
    next(steps, None)  # closes the bar


def _report(folder: Path, summary: dict[str, Any]) -> str:
    """Return the outcome as lines of text."""
    use = summary["links"]["after"]
    types = ", ".join(f"{100 * each['linked']:.1f}" for each in use["types"])
    lines = [
        f"accuracy on {summary['test_clips']} clips of subjects not seen in training: "
        f"{summary['top1']:.1f} %   without A-links {summary['top1_without_a_links']:.1f} %   "
        f"chance {summary['chance']:.1f} %",
        f"prediction error over the next frames: {1000 * summary['mpjpe']:.1f} mm   "
        f"without A-links {1000 * summary['mpjpe_without_a_links']:.1f} mm   "
        f"repeating the last pose {1000 * summary['zero_velocity']:.1f} mm",
        f"A-links: {100 * use['linked']:.1f} % of pairs of joints above 0.5, by type {types} %   "
        f"types in use {_in_use(use)} of {len(use['types'])}",
    ]
    if use["area"] is not None:
        lines.append(
            f"A-links as a sign of limbs that move together: area under the ROC curve "
            f"{use['area']:.2f}   the same links in every clip at best {use['constant_area']:.2f}"
            "   guessing 0.50"
        )
    lines += [
        f"took {summary['seconds']:.0f} s; figures in {folder / 'figures'}, models and scores "
        f"in {folder / WITH_LINKS} and {folder / WITHOUT_LINKS}, clips in {folder / 'data'}",
        f"open {(folder / 'report.html').resolve()} in a browser: every test clip in motion",
        f"try: asgcn-dgl predict {folder / WITH_LINKS} {folder / 'data'}/S001*.skeleton",
    ]
    return "\n".join(lines)


def _in_use(use: dict[str, Any]) -> int:
    """Count the types that link one pair of joints in a hundred or more."""
    return sum(each["linked"] >= IN_USE for each in use["types"])


#: Columns of the table of seeds: title, value of a row, digits.
_COLUMNS = (
    ("top-1 %", lambda row: row["top1"], 1),
    ("without A-links %", lambda row: row["top1_without_a_links"], 1),
    ("poses mm", lambda row: 1000 * row["mpjpe"], 1),
    ("last pose mm", lambda row: 1000 * row["zero_velocity"], 1),
    ("area before", lambda row: (row["links"]["before"] or {}).get("area"), 3),
    ("area after", lambda row: row["links"]["after"]["area"], 3),
    ("constant", lambda row: row["links"]["after"]["constant_area"], 3),
    ("pairs linked %", lambda row: 100 * row["links"]["after"]["linked"], 1),
    ("types", lambda row: _in_use(row["links"]["after"]), 0),
)


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows with mean and standard deviation of what the table shows."""
    joined: dict[str, Any] = {"mean": {}, "std": {}, "seeds": rows}
    for title, find, _ in _COLUMNS:
        values: list[Any] = [find(row) for row in rows]
        known = all(value is not None and math.isfinite(value) for value in values)
        joined["mean"][title] = statistics.fmean(values) if known else None
        joined["std"][title] = statistics.stdev(values) if known and len(rows) > 1 else None
    return joined


def _table(rows: list[dict[str, Any]]) -> str:
    """Return the figures of each seed and their mean as lines to read."""
    joined = _joined(rows)
    found = {str(row["seed"]): [find(row) for _, find, _ in _COLUMNS] for row in rows}
    found |= {name: list(joined[name].values()) for name in ("mean", "std")}
    lines = [("seed", *(title for title, *_ in _COLUMNS))]
    for name, values in found.items():
        cells = zip(values, _COLUMNS, strict=True)
        texts = ("" if v is None else f"{v:.{digits}f}" for v, (*_, digits) in cells)
        lines.append((name, *texts))
    return "\n".join(columns(lines))
