"""The course of a training, epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from asgcn_dgl.schema import check_values, parse_object, read_whole

History = Mapping[str, Mapping[str, Mapping[int, float]]]


def read_history(folder: str | Path) -> dict[str, dict[str, dict[int, float]]]:
    """Read the figures of each epoch of a run.

    Parameters
    ----------
    folder
        Folder of the run. Figures are in its ``history.jsonl``, a line of JSON for each epoch;
        epochs from before there was such a file have theirs in the TensorBoard files. An epoch
        that was trained twice, before and after an interruption, counts as it was trained last.

    Returns
    -------
    dict
        Phase (``"aim"``, ``"joint"``) to figure (``"train/loss"``, ``"val/top1"``, ``"lr"``, ...)
        to epoch, counted from 1, to value; empty where there is neither file.

    Raises
    ------
    InputError
        If a line is damaged.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> line = '{"phase": "joint", "epoch": 1, "train/loss": 2.5, "val/top1": 50.0}'
    >>> _ = (folder / "history.jsonl").write_text(line)
    >>> read_history(folder)["joint"]
    {'train/loss': {1: 2.5}, 'val/top1': {1: 50.0}}
    """
    events = Path(folder) / "tensorboard"
    lines = list(_lines(Path(folder) / "history.jsonl"))
    first = ("aim" if (events / "aim").is_dir() else "joint", 1)
    if not lines or lines[0][:2] != first:
        lines = [*_events(events), *lines]
    history: dict[str, dict[str, dict[int, float]]] = {}
    for phase, epoch, figures in lines:
        for name, value in figures.items():
            history.setdefault(phase, {}).setdefault(name, {})[epoch] = value
    return history


def _lines(file: Path) -> Iterator[tuple[str, int, dict[str, float]]]:
    text = read_whole(file) if file.is_file() else b""
    lines = text.splitlines()
    if text and not text.endswith(b"\n") and _cut(lines[-1]):
        lines.pop()  # what a full disk left of one
    for number, line in enumerate(lines, start=1):
        remedy = "remove the line, or the file to go without curves"
        place = f"{file}: line {number}"
        values = parse_object(line, place, remedy, finite=False)  # a loss may have been NaN
        check_values(values, _Line, place, remedy)
        phase, epoch = values.pop("phase"), values.pop("epoch")
        check_values(values, dict[str, int | float], place, remedy)
        yield phase, epoch, {name: float(value) for name, value in values.items()}


class _Line(TypedDict):
    phase: str
    epoch: int


def _cut(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _events(folder: Path) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Read TensorBoard files, where a figure has the step at which its epoch ended."""
    if not folder.is_dir():
        return
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for phase in sorted(path for path in folder.iterdir() if path.is_dir()):
        events = EventAccumulator(str(phase), size_guidance={"scalars": 0}).Reload()
        tags = events.Tags()["scalars"]
        if "epoch" in tags:
            epochs = {each.step: int(each.value) + 1 for each in events.Scalars("epoch")}
            for name in tags:
                if name.startswith(("train/", "val/", "lr")):
                    for each in events.Scalars(name):
                        step = each.step - name.startswith("lr")  # was logged a step later
                        if step in epochs:
                            yield phase.name, epochs[step], {name: each.value}
