"""The folder of a run: its files, its figures, and the course of its training."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypedDict

from asgcn_dgl.errors import InputError, did_you_mean
from asgcn_dgl.files import atomic_path, locked
from asgcn_dgl.models.pretrained import is_pretrained
from asgcn_dgl.schema import check_values, parse_object, read_json, read_whole
from asgcn_dgl.training.config import RunConfig, read_yaml

History = Mapping[str, Mapping[str, Mapping[int, float]]]
LOCK = ".lock"  # there while a process writes results
DIVERGED = "diverged: "  # begins the last line of the log of such a run


def next_run_dir(name: str, base: str | Path = "runs") -> Path:
    """Return the first ``base/name-1``, ``base/name-2``, ... that is not there yet."""
    number = 1
    while (folder := Path(base) / f"{name}-{number}").exists():
        number += 1
    return folder


class _Future(TypedDict):
    mpjpe: float
    zero_velocity: float


class Figures(TypedDict, total=False):
    """What ``metrics.json`` and ``validation.json`` hold, as far as it is read again."""

    dataset: str
    protocol: str
    clips: int
    top1: float
    top5: float
    mean_class: float
    per_class: dict[str, float | None]
    prediction: _Future | None
    losses: dict[str, float | None]
    seconds: dict[str, float]
    seed: int
    parameters: int
    versions: dict[str, str]


def read_figures(
    path: Path, remedy: str = "evaluate the run again", need: Collection[str] = ()
) -> dict[str, Any]:
    """Read a run's ``metrics.json`` or ``validation.json``; empty where there is none.

    With ``need``, figures that must be in it, there must be a file. InputError if it is damaged.
    """
    if not need and not path.is_file():
        return {}
    return read_json(path, Figures, remedy, need)


class RunDir:
    """The files of a run, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"  # options
        self.checkpoints = path / "checkpoints"  # aim.ckpt, best.ckpt and last.ckpt
        self.metrics = path / "metrics.json"  # figures of the test clips
        self.validation = path / "validation.json"  # of the clips held out of the training clips
        self.scores = path / "scores.npz"  # of each test clip
        self.validation_scores = path / "validation_scores.npz"  # of each clip held out
        self.log = path / "train.log"  # a line for each epoch
        self.history = path / "history.jsonl"  # figures of each epoch, a line of JSON each

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out while this one writes results, and remove a killed one's halves.

        The folder is made for it, and removed again where nothing was written. InputError names
        another process that writes there.
        """
        made = [each for each in (self.path, *self.path.parents) if not each.exists()]
        try:
            with locked(self.path / LOCK, self.path):
                for file in self.halves():
                    file.unlink()
                yield
        finally:
            for each in made:
                with suppress(OSError):  # it holds something, or is gone
                    each.rmdir()

    def halves(self) -> list[Path]:
        """Return the files that a killed process was writing."""
        named = (self.config_file, self.metrics, self.validation, self.scores)
        found = list(self.checkpoints.glob(".*.ckpt.*"))
        for file in (*named, self.validation_scores):
            found += self.path.glob(f".{file.name}.*")
        return found

    def diverged(self) -> bool:
        """Tell whether training has diverged, and not been resumed since."""
        if not self.log.is_file():
            return False
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return bool(lines) and lines[-1].startswith(DIVERGED)

    def write_config(self, config: RunConfig) -> None:
        """Write the options of the run."""
        with atomic_path(self.config_file) as temporary:
            temporary.write_text(config.to_yaml(), encoding="utf-8")

    def read_config(self) -> RunConfig:
        """Read the options of the run."""
        if not self.config_file.is_file():
            raise self._no_run()
        try:
            return RunConfig.from_dict(read_yaml(self.config_file))
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.config_file}: {error}") from error

    def checkpoint(self, which: str = "auto") -> Path:
        """Return the checkpoint to use: 'best', 'last', or the best there is ('auto')."""
        names = ("best", "last") if which == "auto" else (which,)
        for name in names:
            file = self.checkpoints / f"{name}.ckpt"
            if file.is_file():
                return file
        if not (self.config_file.is_file() or self.checkpoints.is_dir()):
            raise self._no_run()
        raise InputError(
            f"{self.checkpoints}: no {' or '.join(f'{n}.ckpt' for n in names)}; continue the "
            f"training with 'asgcn-dgl train --resume --out {shlex.quote(str(self.path))}'"
        )

    def _no_run(self) -> InputError:
        why, like = "no config.yaml in it", ""
        if not self.path.exists():
            why = "it does not exist"
            like = did_you_mean(self.path.name, [each.name for each in self.path.parent.glob("*")])
        return InputError(
            f"{self.path}: not the folder of a run ({why}){like}; give the folder that "
            "'asgcn-dgl train --out' wrote"
        )


def model_file(path: str | Path, which: str = "auto") -> Path:
    """Return the file of a model: a checkpoint, a run's, or a ``save_pretrained`` folder."""
    path = Path(path)
    return path if path.is_file() or is_pretrained(path) else RunDir(path).checkpoint(which)


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


class _Line(TypedDict):
    phase: str
    epoch: int


def _lines(file: Path) -> Iterator[tuple[str, int, dict[str, float]]]:
    lines = (read_whole(file) if file.is_file() else b"").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        remedy = "remove the line, or the file to go without curves"
        place = f"{file}: line {number}"
        try:
            values = parse_object(line, place, remedy, finite=False)  # a loss may have been NaN
        except InputError:
            if number == len(lines) and not line.endswith(b"\n"):
                return  # what a full disk left of one
            raise
        check_values(values, _Line, place, remedy)
        phase, epoch = values.pop("phase"), values.pop("epoch")
        check_values(values, dict[str, int | float], place, remedy)
        yield phase, epoch, {name: float(value) for name, value in values.items()}


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
