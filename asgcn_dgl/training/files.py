"""The folder of a run, and files that are either whole or absent."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from asgcn_dgl.errors import InputError
from asgcn_dgl.training.config import RunConfig, read_yaml

__all__ = ["RunDir", "atomic_path", "next_run_dir", "write_json", "write_npz"]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place once it is written.

    A reader, or a process that is killed, sees the old file or the new one, never half of one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as path:
    ...     _ = path.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files that only their owner can read; ask for the usual rights instead.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, values: Any) -> None:
    """Write ``values`` as JSON, atomically; NaN is refused."""
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_npz(path: str | Path, **arrays: Any) -> None:
    """Write arrays as a compressed ``.npz``, atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def next_run_dir(name: str, base: str | Path = "runs") -> Path:
    """Return the first ``base/name-1``, ``base/name-2``, ... that is not there yet."""
    number = 1
    while (folder := Path(base) / f"{name}-{number}").exists():
        number += 1
    return folder


@dataclass(frozen=True)
class RunDir:
    """The files of a run, by name.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        """The options of the run."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """The folder of ``aim.ckpt``, ``best.ckpt`` and ``last.ckpt``."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """What evaluation found on the test clips."""
        return self.path / "metrics.json"

    @property
    def validation(self) -> Path:
        """What training found on the clips held out of the training clips."""
        return self.path / "validation.json"

    @property
    def scores(self) -> Path:
        """Scores of each test clip."""
        return self.path / "scores.npz"

    @property
    def log(self) -> Path:
        """One line for each epoch."""
        return self.path / "train.log"

    def write_config(self, config: RunConfig) -> None:
        """Write the options of the run."""
        with atomic_path(self.config_file) as temporary:
            text = yaml.safe_dump(config.to_dict(), sort_keys=False)
            temporary.write_text(text, encoding="utf-8")

    def read_config(self) -> RunConfig:
        """Read the options of the run.

        Raises
        ------
        InputError
            If this is not the folder of a run, or its options are not valid.
        """
        if not self.config_file.is_file():
            raise InputError(
                f"{self.path}: not the folder of a run (no config.yaml in it); give the "
                "folder that 'asgcn-dgl train --out' wrote"
            )
        try:
            return RunConfig.from_dict(read_yaml(self.config_file))
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.config_file}: {error}") from error

    def checkpoint(self, which: str = "auto") -> Path:
        """Return the checkpoint to use: 'best', 'last', or the best there is ('auto').

        Raises
        ------
        InputError
            If there is none.
        """
        names = ("best", "last") if which == "auto" else (which,)
        for name in names:
            file = self.checkpoints / f"{name}.ckpt"
            if file.is_file():
                return file
        raise InputError(
            f"{self.checkpoints}: no {' or '.join(f'{n}.ckpt' for n in names)}; train "
            "first, or go on with 'asgcn-dgl train --resume --out'"
        )
