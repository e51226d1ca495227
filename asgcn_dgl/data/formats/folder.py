"""The sets that come as a folder of one file a recording, as a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.formats.source import Source, Split
from asgcn_dgl.data.sets import get_set

__all__ = ["FolderSource", "open_folder"]


@dataclass(frozen=True)
class FolderSource(Source):
    """Files of a set that :func:`~asgcn_dgl.data.get_set` knows.

    Attributes
    ----------
    set_name
        Name of the set.
    files
        Its files, one a recording.
    """

    set_name: str = ""
    files: tuple[Path, ...] = ()

    def read(self, index: int) -> Clip:
        """Read one file."""
        return get_set(self.set_name).read(self.files[index])

    def stamp(self) -> object:
        """Sizes and times of all files."""
        found = [path.stat() for path in self.files]
        return [[stat.st_size, stat.st_mtime_ns] for stat in found]


def open_folder(set_name: str, root: str | Path, drop: str | Path | None = None) -> FolderSource:
    """Find the files of a set.

    Parameters
    ----------
    set_name
        One of :data:`~asgcn_dgl.data.SET_NAMES`.
    root, drop
        As for :meth:`~asgcn_dgl.data.SkeletonSet.list_files`.

    Returns
    -------
    FolderSource
        A split for each protocol that has files to train on.

    Raises
    ------
    InputError
        If the set is not known or its files are not there.
    """
    chosen = get_set(set_name)
    files = chosen.list_files(root, drop)
    splits = {}
    for name, protocol in chosen.protocols.items():
        trains = [protocol.trains(chosen.parse(path)) for path in files]
        splits[name] = Split(
            tuple(path.stem for path, yes in zip(files, trains, strict=True) if yes),
            tuple(path.stem for path, yes in zip(files, trains, strict=True) if not yes),
        )
    return FolderSource(
        tuple(path.stem for path in files),
        chosen.layout,
        chosen.class_names,
        splits,
        set_name,
        tuple(files),
    )
