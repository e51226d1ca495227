"""A store as a data set to train on, and the one function that opens either."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.formats.registry import FORMATS
from asgcn_dgl.data.formats.source import Origin
from asgcn_dgl.data.joined import JoinedSet
from asgcn_dgl.data.sets import SET_NAMES, ClipSet, get_set
from asgcn_dgl.data.store import Store, StoreFiles, open_store
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["StoredSet", "open_set"]


class StoredSet(ClipSet):
    """The recordings of a store.

    A recording stands for its file: ``STORE/#12`` is the recording of place 12.

    Parameters
    ----------
    store
        An opened store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = store.path.name
        self.class_names = store.class_names
        self.default_protocol = next(iter(store.splits), "")

    @property
    def layout(self) -> SkeletonLayout:
        """Skeleton of all bodies."""
        return self.store.layout

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Format and options that the store was made with, where it says so."""
        return () if self.store.origin is None else (self.store.origin,)

    @property
    def splits(self) -> Collection[str]:
        """Names of the store's splits."""
        return self.store.splits

    def read(self, path: str | Path) -> Clip:
        """Read the recording that a path stands for."""
        return self.store.read(self._place(Path(path)))

    def numbers(self, path: Path) -> RecordingName:
        """Return subject, camera and set-up, -1 where they are not known."""
        return self.store.numbers(self._place(path))

    def list_files(self, root: str | Path, drop: str | Path | None = None) -> list[Path]:
        """Return a path for each recording; what was to be dropped was dropped in making it."""
        return [self.store.path / f"#{place}" for place in range(len(self.store))]

    def split(
        self, files: Sequence[Path], protocol: str | None = None
    ) -> tuple[list[Path], list[Path]]:
        """Part recordings by a split of the store.

        Raises
        ------
        InputError
            If the store has no such split, or nothing of it is for training.
        """
        splits = self.store.splits
        name = protocol or self.default_protocol
        if name not in splits:
            known = f"its splits are {', '.join(splits)}" if splits else "it has no split at all"
            raise InputError(f"{self.store.path}: no split {name!r}; {known}")
        train, test = set(splits[name].train), set(splits[name].test)
        named = [(path, self.store.names[self._place(path)]) for path in files]
        chosen = [path for path, recording in named if recording in train]
        if not chosen:
            raise InputError(f"{self.store.path}: split {name!r} holds nothing to train on")
        return chosen, [path for path, recording in named if recording in test]

    @staticmethod
    def _place(path: Path) -> int:
        return int(path.name[1:])


def open_set(name: str, root: str | Path) -> ClipSet:
    """Return a data set: the store at ``root`` if there is one, else the set of that name.

    Parameters
    ----------
    name
        One of :data:`~asgcn_dgl.data.SET_NAMES`; for a store it only chooses the configuration,
        and can be any format's.
    root
        Folder of a store, or of the set's files; or several of these, joined by ``os.pathsep``,
        which are then one set.

    Raises
    ------
    InputError
        If the store is damaged, or there is neither a store nor a set of that name.
    """
    folders = [Path(folder) for folder in str(root).split(os.pathsep)]
    if len(folders) > 1 and not Path(root).exists():
        return JoinedSet([(open_set(name, folder), folder) for folder in folders])
    if StoreFiles(Path(root)).header.is_file():
        return StoredSet(open_store(root))
    if name not in SET_NAMES and name in FORMATS:
        raise InputError(
            f"{root}: not a store; make one with 'asgcn-dgl prepare --data {name} --root {root} "
            "--out STORE', and give its folder as --root"
        )
    return get_set(name)
