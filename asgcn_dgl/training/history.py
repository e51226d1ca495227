"""The course of a training, read back from the log that it left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from asgcn_dgl.errors import InputError

__all__ = ["read_history"]

History = Mapping[str, Mapping[str, Mapping[int, float]]]

_EPOCH = re.compile(r"^(\w+) epoch +(\d+)/\d+  (.*)$")
_FIGURE = re.compile(r"(\w+) ([-+.\deE]+|nan|inf|-inf)(?= |$)")


def read_history(log: str | Path) -> dict[str, dict[str, dict[int, float]]]:
    """Read the figures of each epoch from a run's ``train.log``.

    Parameters
    ----------
    log
        The log. An epoch that was trained twice, before and after an interruption, counts as it was
        trained last.

    Returns
    -------
    dict
        Phase (``"aim"``, ``"joint"``) to figure (``"train/loss"``, ``"val/top1"``, ...) to epoch,
        counted from 1, to value; empty where there is no log.

    Raises
    ------
    InputError
        If the file is not text.

    Examples
    --------
    >>> import tempfile
    >>> log = Path(tempfile.mkdtemp()) / "train.log"
    >>> line = "joint epoch 1/2  1 s (9 clips/s, 1 s to go)  train loss 2.5  val top1 50.00"
    >>> _ = log.write_text(line)
    >>> read_history(log)["joint"]
    {'train/loss': {1: 2.5}, 'val/top1': {1: 50.0}}
    """
    path = Path(log)
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text ({error}); remove it to go without curves") from error
    history: dict[str, dict[str, dict[int, float]]] = {}
    for line in text.splitlines():
        found = _EPOCH.match(line)
        if found is None:
            continue
        phase, epoch, rest = found.group(1), int(found.group(2)), found.group(3)
        for part in rest.split("  "):
            stage, _, figures = part.partition(" ")
            if stage in ("train", "val"):
                values = {f"{stage}/{name}": value for name, value in _FIGURE.findall(figures)}
            else:
                values = {"lr": figures} if stage == "lr" else {}
            for name, value in values.items():
                history.setdefault(phase, {}).setdefault(name, {})[epoch] = float(value)
    return history
