"""The directive ``{results}``: tables of the result files that are committed, made at build time.

``{results} FOLDER`` lists every ``*.json`` of a folder beside the page. A file is either one
result (``dataset``, ``protocol``, ``streams``, ``seeds``, ``top1``, ``mean``, ``seconds``,
``command``, ``versions``) or a table that ``asgcn-dgl tables`` wrote (``table``, ``title``,
``cells``).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SHARED = ("dataset", "seeds", "versions")
RESULT = (*SHARED, "protocol", "streams", "top1", "mean", "seconds", "command")
TABLE = (*SHARED, "table", "title", "split", "cells")


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the result files of a folder, by name.

    Raises
    ------
    ValueError
        If a file is no JSON object, lacks an entry, or contradicts itself.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path.name}: not valid JSON ({error})") from error
        if not isinstance(result, dict):
            raise ValueError(f"{path.name}: must hold an object, got {type(result).__name__}")
        lost = [key for key in (TABLE if "table" in result else RESULT) if key not in result]
        if lost:
            raise ValueError(f"{path.name}: lacks {lost[0]!r}")
        if "table" not in result:
            _check(path.name, result)
        found[path.name] = result
    return found


def _check(name: str, result: dict[str, Any]) -> None:
    top1 = result["top1"]
    if not top1 or len(top1) != len(result["seeds"]):
        raise ValueError(
            f"{name}: top1 must hold a figure for each of {len(result['seeds'])} seeds, got {top1}"
        )
    if abs(statistics.mean(top1) - result["mean"]) > 0.01:
        raise ValueError(f"{name}: mean is {result['mean']}, but that of top1 is another")


def markdown(found: dict[str, dict[str, Any]]) -> str:
    """Return the result files as Markdown: a table of results, then each table of cells."""
    results = {name: each for name, each in found.items() if "table" not in each}
    tables = {name: each for name, each in found.items() if "table" in each}
    parts = []
    if results:
        rows = [["set and protocol", "streams", "seeds", "top-1", "prediction error", "time"]]
        rows += [_row(each) for each in results.values()]
        parts += [_table(rows), "Made by, in the same order:", *map(_origin, results.items())]
    for name, each in tables.items():
        parts += [f"**{each['title']}** ({each['dataset']}, {each['split']} clips; `{name}`, "
                  f"{_versions(each)})", _cells(each)]  # fmt: skip
    return "\n\n".join(parts) or "No results are committed yet."


def _row(result: dict[str, Any]) -> list[str]:
    future = result.get("prediction_mm")
    error = ""
    if future:
        error = f"{future['mpjpe']:.0f} mm (last pose repeated: {future['zero_velocity']:.0f} mm)"
    return [
        f"{result['dataset']}, {result['protocol']}",
        ", ".join(result["streams"]),
        ", ".join(map(str, result["seeds"])),
        _mean(result["top1"]),
        error,
        _duration(result["seconds"]),
    ]


def _origin(item: tuple[str, dict[str, Any]]) -> str:
    name, result = item
    commands = result["command"]
    commands = [commands] if isinstance(commands, str) else commands
    text = "\n".join(commands)
    commit = f", commit {result['commit']}" if "commit" in result else ""
    return f"`{name}`{commit}, {_versions(result)}\n\n```sh\n{text}\n```"


def _versions(result: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items())


def _cells(table: dict[str, Any]) -> str:
    rows = [["what", "top-1", "seeds", "time"]]
    for name, cell in table["cells"].items():
        shown = _mean(cell["top1"]) if cell["top1"] else "–"
        seconds = sum(cell.get("seconds", []))
        rows.append([name, shown, ", ".join(map(str, cell["seeds"])), _duration(seconds)])
    return _table(rows)


def _mean(top1: list[float]) -> str:
    mean = f"{statistics.mean(top1):.1f}"
    return f"{mean} %" if len(top1) == 1 else f"{mean} ± {statistics.stdev(top1):.1f} %"


def _duration(seconds: float | list[float]) -> str:
    total = sum(seconds) if isinstance(seconds, list) else seconds
    return f"{total / 60:.0f} min" if total < 7200 else f"{total / 3600:.1f} h"


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])


class Results(SphinxDirective):
    """``{results} FOLDER``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the files and give their tables."""
        folder = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        try:
            found = read(folder)
        except ValueError as error:
            raise self.error(str(error)) from error
        for name in found:
            self.env.note_dependency(str(folder / name))
        box = nodes.container()
        self.state.nested_parse(
            StringList(markdown(found).splitlines(), source=str(folder)), self.content_offset, box
        )
        return box.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known."""
    app.add_directive("results", Results)
    return {"parallel_read_safe": True}
