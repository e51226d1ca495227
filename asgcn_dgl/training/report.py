"""Figures as tables to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asgcn_dgl.metrics import link_warnings
from asgcn_dgl.training.files import RunDir
from asgcn_dgl.training.units import Unit, unit_of

CLASSES_SHOWN = 10


def columns(rows: Sequence[Sequence[str]], words: int = 1, gap: str = "  ") -> list[str]:
    """Return rows as lines, the first ``words`` columns flush left, the others right.

    Examples
    --------
    >>> columns([("run", "top-1"), ("a", "9.5")])
    ['run  top-1', 'a      9.5']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def duration(seconds: float) -> str:
    """Return '45 s', '12 min' or '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def to_go(seconds: float) -> str:
    """Return a time that is left, of a few minutes with its seconds: '2 min 10 s'."""
    if not 90 <= seconds < 600:
        return duration(seconds)
    return "{:.0f} min {:.0f} s".format(*divmod(round(seconds), 60))


def format_figures(result: Mapping[str, Any]) -> str:
    """Return the figures of ``metrics.json`` or ``validation.json`` as a table in text."""
    number = result["num_clips"] * (2 if result.get("mirrored") else 1)
    views = "" if number == 1 else f", {number} views of each"
    protocol = result["protocol"] or "no split"
    lines = [
        f"{result['split']}: {result['clips']} clips of {result['dataset']} ({protocol}, "
        f"{result['stream']} stream{views}), {result['checkpoint']} checkpoint "
        f"(epoch {result['epoch']})"
    ]
    rows = [("", "%", "95 % interval")]
    for name, title in accuracies([result]).items():
        low, high = result["intervals"][name]
        rows.append((title, f"{result[name]:.2f}", f"{low:.1f} to {high:.1f}"))
    rows.append(("calibration error", f"{result['calibration_error']:.2f}", ""))
    rows.append(("chance", f"{100 / len(result['per_class']):.2f}", ""))
    lines += [f"  {line}" for line in columns(rows)]
    lines += _links(result.get("link_use"))  # not in figures of an older run
    lines += _classes(result)
    if result["prediction"] is not None:
        # Figures of an older run do not say how many coordinates there were: three, then.
        lines += _horizons(result["prediction"], unit_of(result["dataset"], result.get("dims", 3)))
    return "\n".join(lines)


def accuracies(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the titles of the accuracies by name; with five classes top-5 is always 100 %."""
    few = all(len(result["per_class"]) <= 5 for result in results)
    every = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class"}
    return {name: title for name, title in every.items() if name != "top5" or not few}


def _links(use: Mapping[str, Any] | None) -> list[str]:
    """Return how the clips use A-links, and whether they say little."""
    if use is None:
        return []
    types = ", ".join(f"{100 * each['linked']:.1f}" for each in use["types"])
    lines = [
        f"  A-links: {100 * use['linked']:.1f} % of pairs of joints above 0.5, "
        f"{100 * use['strong']:.1f} % above 0.9, all types together; above 0.5 by one type alone: "
        f"{types} %"
    ]
    return [*lines, *(f"  {warning}" for warning in link_warnings(use))]


def _classes(result: Mapping[str, Any]) -> list[str]:
    """Return the classes that are recognized worst, and what they are mistaken for."""
    names, counts = list(result["per_class"]), np.asarray(result["confusion"])
    shares = [(share, name) for name, share in result["per_class"].items() if share is not None]
    worst = sorted(each for each in shares if each[0] < 100)[:CLASSES_SHOWN]
    if not worst:
        return []
    rows = [("class", "most often taken for", "clips", "right %")]
    for share, name in worst:
        row = counts[names.index(name)].copy()
        total = int(row.sum())
        row[names.index(name)] = 0
        other = f"{names[int(row.argmax())]} ({row.max()})"
        rows.append((name, other, str(total), f"{share:.1f}"))
    title = "  worst classes:" if len(worst) < len(shares) else "  classes:"
    return [title, *(f"  {line}" for line in columns(rows, words=2))]


def _horizons(future: Mapping[str, Any], unit: Unit) -> list[str]:
    """Return the prediction error by frame beside that of zero velocity."""
    frames = len(future["mpjpe_per_frame"])
    rows = [("frame after the last", *(str(n + 1) for n in range(frames)), "all")]
    written = f" ({unit.name})" if unit.name else ""
    for name, title in (("mpjpe", "MPJPE"), ("zero_velocity", "zero velocity")):
        values = [*future[f"{name}_per_frame"], future[name]]
        cells = ("" if v is None else unit.number(v) for v in values)
        rows.append((title + written, *cells))
    return [f"  {line}" for line in columns(rows)]


def format_summary(
    run: RunDir,
    seconds: Mapping[str, float],
    validation: Mapping[str, Any] | None,
    test: Mapping[str, Any] | None,
) -> str:
    """Return the summary of a run: the time of each phase, and a line for each split."""
    minutes = ", ".join(f"{name.replace('_', '-')} {s / 60:.1f} min" for name, s in seconds.items())
    found = [result for result in (validation, test) if result is not None]
    names = accuracies(found)
    shown = [f"{title} %" for title in names.values()]
    rows = [("split", "clips", *shown, "calibration error %", "MPJPE", "zero velocity")]
    for result in found:
        future = result["prediction"] or {}
        unit = unit_of(result["dataset"], result.get("dims", 3))
        percents = [f"{result[name]:.2f}" for name in (*names, "calibration_error")]
        errors = [
            unit.text(future[name]) if name in future else "" for name in ("mpjpe", "zero_velocity")
        ]
        rows.append((result["split"], str(result["clips"]), *percents, *errors))
    table = columns(rows) if len(rows) > 1 else []
    return "\n".join([f"summary of {run.path} ({minutes})", *(f"  {line}" for line in table)])
