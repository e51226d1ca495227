"""The sets that come as a folder of one file a recording, as a source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.formats.files import stamp_files
from asgcn_dgl.data.formats.source import Source, Split
from asgcn_dgl.data.ntu import ntu_steps, read_ntu
from asgcn_dgl.data.sets import SkeletonSet, get_set
from asgcn_dgl.errors import InputError

__all__ = ["FolderSource", "open_folder", "open_ntu", "opener"]


@dataclass(frozen=True)
class FolderSource(Source):
    """Files of a set that :func:`~asgcn_dgl.data.get_set` knows.

    Attributes
    ----------
    set_name
        Name of the set.
    files
        Its files, one a recording.
    options
        Options of the reader.
    """

    set_name: str = ""
    files: tuple[Path, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, index: int) -> Clip:
        """Read one file."""
        return self._set.read(self.files[index])

    @functools.cached_property
    def _set(self) -> SkeletonSet:
        chosen = get_set(self.set_name)
        return replace(chosen, reader=functools.partial(chosen.reader, **self.options))

    def stamp(self) -> object:
        """Sizes and times of all files, and the options."""
        return [stamp_files(self.files), dict(self.options)]


def open_folder(
    set_name: str, root: str | Path, drop: str | Path | None = None, **options: Any
) -> FolderSource:
    """Find the files of a set.

    Parameters
    ----------
    set_name
        One of :data:`~asgcn_dgl.data.SET_NAMES`.
    root, drop
        As for :meth:`~asgcn_dgl.data.SkeletonSet.list_files`.
    **options
        Options of the set's reader.

    Returns
    -------
    FolderSource
        A split for each protocol that has files to train on.

    Raises
    ------
    InputError
        If the set is not known, its files are not there, or it is whole and the parts of a protocol
        have not the published sizes.
    """
    chosen = get_set(set_name)
    files = chosen.list_files(root, drop)
    splits = {}
    for name, protocol in chosen.protocols.items():
        trains = [protocol.trains(chosen.parse(path)) for path in files]
        chosen.check_counts(name, sum(trains), len(files) - sum(trains))
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
        options,
    )


def open_ntu(
    set_name: str,
    root: str | Path,
    drop: str | Path | None = None,
    *,
    max_bodies: int | None = 2,
    min_state: int = 1,
    select: str = "energy",
    noise: str | Sequence[str] = (),
    join: bool = False,
) -> FolderSource:
    """Find the files of a set in NTU RGB+D's format.

    Parameters
    ----------
    set_name, root, drop
        As for :func:`open_folder`.
    max_bodies, min_state, select, noise, join
        As for :func:`~asgcn_dgl.data.read_ntu`.

    Raises
    ------
    InputError
        As :func:`open_folder`, or if an option is out of range.
    """
    options: dict[str, Any] = {
        "max_bodies": max_bodies,
        "min_state": min_state,
        "select": select,
        "noise": [noise] if isinstance(noise, str) else list(noise),
        "join": join,
    }
    try:
        ntu_steps(max_bodies, min_state, select, noise, join)
    except (TypeError, ValueError) as error:
        raise InputError(f"options of {set_name}: {error}") from error
    return open_folder(set_name, root, drop, **options)


def opener(set_name: str) -> Callable[..., FolderSource]:
    """Return what opens a set: called with the root, and with options by name."""
    if get_set(set_name).reader is read_ntu:
        return functools.partial(open_ntu, set_name)
    return functools.partial(_open_plain, set_name)


def _open_plain(set_name: str, root: str | Path, drop: str | Path | None = None) -> FolderSource:
    """Open a set whose reader has no options."""
    return open_folder(set_name, root, drop)
