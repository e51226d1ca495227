"""What every format offers: recordings by number, read one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.skeleton import SkeletonLayout


@dataclass(frozen=True)
class Split:
    """Which recordings train and which test.

    Attributes
    ----------
    train, test
        Names of recordings; no name is in both.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Which format recordings were read in, and with which options.

    Attributes
    ----------
    format
        Name of the format.
    options
        Values of its options by name, all of them, as JSON has them.

    Examples
    --------
    >>> print(Origin.of("bvh", scale=0.01, step=1))
    bvh with scale=0.01, step=1
    """

    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, /, **options: Any) -> Origin:
        """Make one of options as they were given in Python."""
        return cls(name, {option: _plain(value) for option, value in options.items()})

    @classmethod
    def from_dict(cls, values: Any) -> Origin:
        """Make one of what :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        if not isinstance(values, Mapping) or not isinstance(values.get("format"), str):
            raise ValueError("no format by name")
        options = values.get("options")
        if not isinstance(options, Mapping):
            raise ValueError(f"no options of the format {values['format'][:40]!r}")
        return cls(values["format"], dict(options))

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, fit for JSON."""
        return {"format": self.format, "options": dict(self.options)}

    def __str__(self) -> str:
        """Say it in words."""
        given = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.format} with {given}" if given else self.format


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


@dataclass(frozen=True)
class Source(ABC):
    """Recordings of one format in one place.

    To make one looks at names and headers only; the recordings are read one at a time, so that
    memory does not grow with their number. A source can be pickled and given to worker processes.

    Attributes
    ----------
    names
        Name of each recording, no name twice.
    layout
        Skeleton of all bodies.
    class_names
        K names by label; empty where the format does not say.
    splits
        Named splits that come with the recordings: whole protocols, or the folds of one.
    origin
        Format and options; None where the source was not opened by the format's name.
    """

    names: tuple[str, ...]
    layout: SkeletonLayout
    class_names: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    origin: Origin | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        """Count the recordings."""
        return len(self.names)

    @abstractmethod
    def read(self, index: int) -> Clip:
        """Read one recording.

        Parameters
        ----------
        index
            From 0 to ``len(self) - 1``.

        Raises
        ------
        InputError
            If it is not usable; the message names file, place and remedy.
        """

    def stamp(self) -> object:
        """Return what changes when the recordings do, as JSON values; None if nothing is known."""
        return None

    def __iter__(self) -> Iterator[Clip]:
        """Read all recordings in order."""
        return (self.read(index) for index in range(len(self)))
