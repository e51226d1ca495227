"""What every format offers: recordings by number, read one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
    """

    names: tuple[str, ...]
    layout: SkeletonLayout
    class_names: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)

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
