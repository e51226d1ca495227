"""The results page, made of the JSON files beside it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asgcn_dgl.training.report import duration

__all__ = ["PLACE", "results_page"]

PLACE = (
    "<!-- The figures: docs/results.py puts what the JSON files say in the place of this line. -->"
)

NEEDED = (
    "dataset",
    "protocol",
    "streams",
    "seeds",
    "top1",
    "mean",
    "seconds",
    "command",
    "versions",
)
#: Data sets by name.
NAMES = {
    "cmu": "CMU motion capture",
    "nw_ucla": "NW-UCLA",
    "ntu60": "NTU RGB+D 60",
    "ntu120": "NTU RGB+D 120",
    "utkinect": "UTKinect-Action3D",
}
NEEDED_OF_FORECAST = (
    *("title", "dataset", "protocol", "joints", "horizons_ms", "seeds", "actions", "seconds"),
    *("published", "published_ms", "published_source", "command", "versions"),
)
NEEDED_OF_TABLE = ("table", "title", "dataset", "stream", "split", "cells", "versions")


def results_page(folder: Path) -> str:
    """Return the Markdown of all result files in a folder.

    A file is one *result*, of one or several seeds, with the keys of ``NEEDED``; a *table*, as
    ``asgcn-dgl tables`` writes it, with a list ``top1`` in each of its ``cells``; or a *forecast*,
    as ``docs/gather_forecasts.py`` writes it, with errors in each of its ``actions``.

    Parameters
    ----------
    folder
        Holds ``*.json``.

    Raises
    ------
    ValueError
        If there is no file, or one lacks a key or contradicts itself; the file is named.
    """
    results: dict[str, Mapping[str, Any]] = {}
    tables: dict[str, Mapping[str, Any]] = {}
    forecasts: dict[str, Mapping[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        found = _read(path)
        kinds = {"cells": tables, "actions": forecasts}
        kind = next((each for key, each in kinds.items() if key in found), results)
        kind[path.name] = found
    if not results and not tables and not forecasts:
        raise ValueError(f"{folder}: no result in it; one JSON file each is expected")
    parts = []
    if results:
        rows = [_row(found) for found in results.values()]
        parts.append(_table(("set", "protocol", "streams", "seeds", "top-1", "prediction"), rows))
    parts += [_one(name, found) for name, found in results.items()]
    parts += [_grid(name, found) for name, found in tables.items()]
    parts += [_forecast(name, found) for name, found in forecasts.items()]
    return "\n\n".join(parts) + "\n"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: an object is expected, got {type(found).__name__}")
    needed = NEEDED_OF_TABLE if "cells" in found else NEEDED
    needed = NEEDED_OF_FORECAST if "actions" in found else needed
    missing = [key for key in needed if key not in found]
    if missing:
        raise ValueError(f"{path}: no {', '.join(missing)}; add what the run's metrics say")
    if "cells" in found:
        bad = [name for name, cell in found["cells"].items() if "top1" not in cell]
        if bad:
            raise ValueError(f"{path}: no top1 in {', '.join(bad)}")
        return found
    if "actions" in found:
        for name, row in found["actions"].items():
            if len(row["all_windows"]["mpjpe"]) != len(found["seeds"]):
                raise ValueError(f"{path}: {name} is not of {len(found['seeds'])} seeds")
        return found
    top1, seeds = found["top1"], found["seeds"]
    if not top1 or len(top1) != len(seeds):
        raise ValueError(f"{path}: {len(top1)} figures in top1 for {len(seeds)} seeds")
    if abs(statistics.mean(top1) - found["mean"]) > 0.01:
        raise ValueError(
            f"{path}: mean is {found['mean']}, that of top1 is {statistics.mean(top1):.4f}"
        )
    return found


def _row(found: Mapping[str, Any]) -> Sequence[str]:
    error = found.get("prediction_mm")
    shown = ""
    if error:
        shown = f"{error['mpjpe']:.0f} mm (zero velocity {error['zero_velocity']:.0f} mm)"
    return (
        _set(found),
        found["protocol"].split(":")[0],
        ", ".join(found["streams"]),
        str(len(found["seeds"])),
        _mean(found["top1"]),
        shown,
    )


def _one(name: str, found: Mapping[str, Any]) -> str:
    """Say how a result came about."""
    lines = [f"## {found.get('title') or _title(found)}", ""]
    lines += [f"Protocol {found['protocol']}. Top-1 {_mean(found['top1'])}. From `{name}`.", ""]
    facts = {
        "seeds": ", ".join(map(str, found["seeds"])),
        "top-1 of each": ", ".join(f"{value:.2f} %" for value in found["top1"]),
        "time": _duration(found["seconds"]),
        "what the time is": found.get("seconds_say"),
        "checkpoint": found.get("checkpoint"),
        "chosen on": found.get("chosen_on"),
        "commit": found.get("commit"),
        "versions": ", ".join(f"{key} {value}" for key, value in found["versions"].items()),
    }
    lines += [f"- {key}: {value}" for key, value in facts.items() if value]
    commands = found["command"]
    commands = [commands] if isinstance(commands, str) else commands
    return "\n".join([*lines, "", "```sh", *commands, "```"])


def _grid(name: str, found: Mapping[str, Any]) -> str:
    """Show a table cell by cell, with the spread over its seeds."""
    rows = [
        (cell, str(len(figures["top1"])), _mean(figures["top1"]))
        for cell, figures in found["cells"].items()
    ]
    lines = [f"## {found['title']}", ""]
    lines += [
        f"{_set(found)}, {found['stream']} stream, {found['split']} clips. From `{name}`.",
        "",
    ]
    lines += [_table(("setting", "seeds", "top-1"), rows)]
    if found.get("command"):
        lines += ["", "```sh", found["command"], "```"]
    return "\n".join(lines)


def _set(found: Mapping[str, Any]) -> str:
    """Return the name of the data set."""
    return NAMES.get(found["dataset"], found["dataset"])


def _title(found: Mapping[str, Any]) -> str:
    """Return the heading of a result: data set, streams, number of seeds."""
    streams = [stream.replace("_", " ") for stream in found["streams"]]
    seeds = len(found["seeds"])
    return f"{_set(found)}: {' + '.join(streams)}, {seeds} {'seed' if seeds == 1 else 'seeds'}"


def _forecast(name: str, found: Mapping[str, Any]) -> str:
    """Show the errors of a forecaster by action, beside zero velocity and published figures."""
    times = found["horizons_ms"]
    joints = found["joints"]
    lines = [f"## {found['title']}", ""]
    over = f"{joints['all']} joints, {joints['modeled']} of them forecast"
    lines += [
        f"{found['dataset']}, protocol {found['protocol']}. From `{name}`. Mean distance in mm "
        f"over {over}; all windows, mean of {len(found['seeds'])} seeds. *As published*, a joint "
        "that lies on a "
        "forecast one has its error, and one that is fixed to the root has none; *others as "
        "recorded*, neither has any.",
        "",
    ]
    rows: list[Sequence[str]] = []
    for action, row in found["actions"].items():
        errors = row["all_windows"]
        for label, key in (
            ("ours, as published", "mpjpe_published"),
            ("zero velocity, as published", "zero_velocity_published"),
            ("ours, others as recorded", "mpjpe"),
            ("ours, forecast joints alone", "mpjpe_modeled"),
        ):
            values = [_millimeters(each) for each in zip(*errors[key], strict=True)]
            rows.append((f"{action} ({row['windows']})", label, *values))
        for model, table in found["published"].items():
            if action in table:
                there = dict(zip(found["published_ms"], table[action], strict=True))
                rows.append(("", model, *(f"{there[t]:.1f}" if t in there else "" for t in times)))
    lines += [_table(("action (windows)", "", *(f"{time} ms" for time in times)), rows)]
    facts = {
        "published figures": found["published_source"],
        "what differs": found.get("absent"),
        "chosen on": found.get("chosen_on"),
        "seeds": ", ".join(map(str, found["seeds"])),
        "time": _duration(found["seconds"]),
        "versions": ", ".join(f"{key} {value}" for key, value in found["versions"].items()),
    }
    lines += ["", *(f"- {key}: {value}" for key, value in facts.items() if value)]
    commands = found["command"]
    commands = [commands] if isinstance(commands, str) else commands
    return "\n".join([*lines, "", "```sh", *commands, "```"])


def _millimeters(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.1f}"
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{mean} ± {spread:.1f}" if spread >= 0.05 else mean


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} %" if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f} %"


def _duration(seconds: float | Sequence[float]) -> str:
    return duration(seconds if isinstance(seconds, (int, float)) else sum(seconds))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, *rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])
