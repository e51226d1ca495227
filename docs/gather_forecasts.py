"""Gather evaluated runs of a forecaster, one a seed, into a result file.

python docs/gather_forecasts.py --title TITLE --command COMMAND --absent TEXT RUN... > FILE.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asgcn_dgl.training.forecasts import PROTOCOLS

__all__ = ["gather"]

NAMES = tuple(
    f"{half}{kind}"
    for half in ("mpjpe", "zero_velocity")
    for kind in ("", "_published", "_modeled")
)


def gather(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a result file holds of the metrics of some runs, errors in mm.

    Raises
    ------
    ValueError
        If the runs are not of the same windows.
    """
    first = runs[0]
    for run in runs:
        for name in ("dataset", "protocol", "split", "windows", "horizons_ms", "joints"):
            if run[name] != first[name]:
                raise ValueError(f"{name} differs: {run[name]} and {first[name]}")
    actions: dict[str, Any] = {}
    for name, row in first["actions"].items():
        actions[name] = {"windows": row["windows"]}
        for kind in ("all_windows", "eight_windows"):
            if kind in row:
                each = [run["actions"][name][kind] for run in runs]
                actions[name][kind] = {
                    key: [[round(1000 * value, 2) for value in one[key]] for one in each]
                    for key in NAMES
                }
    rules = PROTOCOLS.get(first["dataset"])
    return {
        **{name: first[name] for name in ("dataset", "protocol", "split", "joints", "windows")},
        "horizons_ms": first["horizons_ms"],
        "seeds": [run["seed"] for run in runs],
        "epochs": first["epoch"],
        "parameters": first["parameters"],
        "seconds": [round(run["seconds"]["forecast"]) for run in runs],
        "actions": actions,
        "published": {} if rules is None else dict(rules.published),
        "published_ms": [] if rules is None else list(rules.published_at),
        "published_source": "" if rules is None else rules.source,
        "versions": first["versions"],
    }


def main() -> None:
    """Read the command line; write the file to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--command", nargs="+", required=True)
    parser.add_argument("--absent", default="")
    parser.add_argument("--chosen-on", default="")
    given = parser.parse_args()
    runs = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in given.runs]
    found = {
        "title": given.title,
        **gather(runs),
        "absent": given.absent,
        "chosen_on": given.chosen_on,
        "command": given.command,
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
